//! In which order jobs are to start: by priority, then by when they were due; in a fair queue by turns within a priority,
//! a job of each line after the other.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{decide::Candidate, note::Note};
use crate::store::gates::rows::ReadyRow;

/// A job's place in the order of claims.
pub(crate) type Place = (i16, DateTime<Utc>, Uuid);

/// A job's place.
pub(crate) fn place(row: &ReadyRow) -> Place {
    (row.priority, row.run_at, row.id)
}

/// Jobs in the order of claims.
pub(crate) fn in_order(mut rows: Vec<ReadyRow>) -> Vec<ReadyRow> {
    rows.sort_by_key(place);
    rows
}

/// Jobs by turns, from the line on that follows the one that had the last turn. Those whose line nobody has found out yet
/// are a line of their own, before the others.
pub(crate) fn by_turns(rows: Vec<ReadyRow>, last: Option<&str>) -> Vec<ReadyRow> {
    let mut priorities: BTreeMap<i16, BTreeMap<Option<String>, Vec<ReadyRow>>> = BTreeMap::new();
    let count = rows.len();
    for row in in_order(rows) {
        let lines = priorities.entry(row.priority).or_default();
        lines.entry(row.fair.clone()).or_default().push(row);
    }
    let mut turns = Vec::with_capacity(count);
    for lines in priorities.into_values() {
        let (before, after): (Vec<_>, Vec<_>) = lines
            .into_iter()
            .partition(|(line, _)| line.as_deref() <= last);
        let mut lines: Vec<_> = after
            .into_iter()
            .chain(before)
            .map(|(_, rows)| rows.into_iter())
            .collect();
        while !lines.is_empty() {
            lines.retain_mut(|line| {
                let next = line.next();
                let has_more = next.is_some();
                turns.extend(next);
                has_more
            });
        }
    }
    turns
}

/// What a decision needs of a job.
pub(crate) fn candidate(row: ReadyRow) -> Candidate {
    let note = row.parked_gate.zip(row.parked_for);
    Candidate {
        id: row.id,
        kind: row.kind,
        key: row.key,
        account: row.account,
        priority: row.priority,
        line: row.fair,
        parked: note.and_then(|(gate, what)| Note::read(&gate, &what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job of a line, due after so many seconds; its id is its number.
    fn row(number: u128, priority: i16, seconds: i64, line: Option<&str>) -> ReadyRow {
        ReadyRow {
            id: Uuid::from_u128(number),
            kind: "test.work".to_owned(),
            key: None,
            account: None,
            priority,
            run_at: DateTime::from_timestamp(seconds, 0).expect("it is a time"),
            fair: line.map(str::to_owned),
            parked_gate: None,
            parked_for: None,
        }
    }

    fn numbers(rows: Vec<ReadyRow>) -> Vec<u128> {
        rows.into_iter().map(|row| row.id.as_u128()).collect()
    }

    #[test]
    fn jobs_start_by_priority_and_then_by_when_they_were_due() {
        let rows = vec![
            row(1, 5, 3, None),
            row(2, 5, 1, None),
            row(3, 0, 9, None),
            row(4, 5, 1, None),
        ];

        assert_eq!(numbers(in_order(rows)), [3, 2, 4, 1]);
    }

    #[test]
    fn a_line_with_many_jobs_delays_another_by_one_turn() {
        let mut rows: Vec<_> = (0..100).map(|n| row(n, 5, 0, Some("large"))).collect();
        rows.extend((200..203).map(|n| row(n, 5, 1, Some("small"))));

        let order = numbers(by_turns(rows, None));

        assert_eq!(order[..7], [0, 200, 1, 201, 2, 202, 3]);
    }

    #[test]
    fn the_line_after_the_last_one_is_next_and_the_first_follows_the_last() {
        let rows = || {
            let lines = [(1, Some("a")), (2, Some("b")), (3, Some("c")), (4, None)];
            lines.map(|(n, line)| row(n, 5, 0, line)).to_vec()
        };

        assert_eq!(numbers(by_turns(rows(), None)), [1, 2, 3, 4]);
        assert_eq!(numbers(by_turns(rows(), Some("a"))), [2, 3, 4, 1]);
        assert_eq!(numbers(by_turns(rows(), Some("bb"))), [3, 4, 1, 2]);
        assert_eq!(numbers(by_turns(rows(), Some("z"))), [4, 1, 2, 3]);
    }

    #[test]
    fn a_priority_comes_before_every_turn() {
        let rows = vec![
            row(1, 5, 0, Some("a")),
            row(2, 4, 9, Some("b")),
            row(3, 4, 9, Some("b")),
        ];

        assert_eq!(numbers(by_turns(rows, Some("a"))), [2, 3, 1]);
    }
}
