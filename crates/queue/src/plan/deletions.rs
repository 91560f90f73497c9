//! What shorter retention deletes: rows that are older than what holds then and younger than what holds now.

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;

use super::{Counted, Facts, Sides, kinds_of};
use crate::{
    config::Config,
    store::plan::{Ages, COUNTED_LETTERS, KindAges},
};

/// What is kept for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Jobs that succeeded or were cancelled.
    FinishedJobs,
    /// Jobs that failed for good.
    DeadLetters,
}

impl Kept {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FinishedJobs => "finished_jobs",
            Self::DeadLetters => "dead_letters",
        }
    }
}

/// What the leader deletes within minutes of the change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deletion {
    /// Of what.
    pub of: Kept,
    /// The kind of finished jobs; `None`: kinds that no configuration has, of which whole days are dropped.
    pub kind: Option<String>,
    /// How long they are kept as it is.
    pub before_seconds: f64,
    /// As it would be.
    pub after_seconds: f64,
    /// How many.
    pub rows: i64,
    /// How many of the dead letters are neither replayed nor discarded.
    pub open: Option<i64>,
    /// How far `rows` can be trusted.
    pub counted: Counted,
}

/// Every known kind whose finished jobs are kept for less time.
fn shorter(
    before: &Config,
    after: &Config,
    registered: &BTreeSet<String>,
) -> Vec<(String, Duration, Duration)> {
    let mut kinds = kinds_of(before, after);
    kinds.extend(registered.iter().map(String::as_str));
    let times = |kind: &str| {
        let (was, is) = (
            kept(before, kind, registered),
            kept(after, kind, registered),
        );
        (is < was).then(|| (kind.to_owned(), was, is))
    };
    kinds.into_iter().filter_map(times).collect()
}

/// How long finished jobs of a kind are kept. Those of a kind that nobody knows stay as long as any.
fn kept(config: &Config, kind: &str, registered: &BTreeSet<String>) -> Duration {
    if config.kinds.contains_key(kind) || registered.contains(kind) {
        return config.policy(kind).retain_succeeded;
    }
    longest(config, registered)
}

fn longest(config: &Config, registered: &BTreeSet<String>) -> Duration {
    let registered = registered.iter();
    let kinds = config.kinds.keys().chain(registered);
    let times = kinds.map(|kind| config.policy(kind).retain_succeeded);
    times.max().unwrap_or_default()
}

/// The ages of what is deleted of each kind, and of all of them.
pub(super) fn of_kinds(
    before: &Config,
    after: &Config,
    registered: &BTreeSet<String>,
) -> Option<(Ages, KindAges)> {
    let mut ages = KindAges::default();
    let mut all = Ages {
        youngest_seconds: f64::INFINITY,
        oldest_seconds: 0.0,
    };
    for (kind, was, is) in shorter(before, after, registered) {
        let of_kind = ages_between(was, is);
        all.youngest_seconds = all.youngest_seconds.min(of_kind.youngest_seconds);
        all.oldest_seconds = all.oldest_seconds.max(of_kind.oldest_seconds);
        ages.youngest_seconds.push(of_kind.youngest_seconds);
        ages.oldest_seconds.push(of_kind.oldest_seconds);
        ages.kinds.push(kind);
    }
    (!ages.kinds.is_empty()).then_some((all, ages))
}

/// The ages of what is deleted of kinds that no configuration has.
pub(super) fn of_others(
    before: &Config,
    after: &Config,
    registered: &BTreeSet<String>,
) -> Option<Ages> {
    let (was, is) = (longest(before, registered), longest(after, registered));
    (is < was).then(|| ages_between(was, is))
}

/// The ages of dead letters that are deleted.
pub(super) fn of_letters(before: &Config, after: &Config) -> Option<Ages> {
    let (was, is) = (before.dead_letters.retain, after.dead_letters.retain);
    (is < was).then(|| ages_between(was, is))
}

fn ages_between(was: Duration, is: Duration) -> Ages {
    Ages {
        youngest_seconds: is.as_secs_f64(),
        oldest_seconds: was.as_secs_f64(),
    }
}

pub(super) fn all(sides: &Sides, facts: &Facts) -> Vec<Deletion> {
    let (before, after) = (&sides.before.holds, &sides.after.holds);
    let deletion = |of, kind, was: Duration, is: Duration| Deletion {
        of,
        kind,
        before_seconds: was.as_secs_f64(),
        after_seconds: is.as_secs_f64(),
        rows: 0,
        open: None,
        counted: Counted::Exact,
    };
    let mut deletions = Vec::new();
    for row in &facts.finished {
        let was = kept(before, &row.kind, &facts.registered);
        let is = kept(after, &row.kind, &facts.registered);
        let (rows, counted) = reckoned(row.jobs, facts.finished_percent);
        deletions.push(Deletion {
            rows,
            counted,
            ..deletion(Kept::FinishedJobs, Some(row.kind.clone()), was, is)
        });
    }
    let was = longest(before, &facts.registered);
    let is = longest(after, &facts.registered);
    let (rows, counted) = reckoned(facts.finished_of_others, facts.others_percent);
    deletions.push(Deletion {
        rows,
        counted,
        ..deletion(Kept::FinishedJobs, None, was, is)
    });
    let (was, is) = (before.dead_letters.retain, after.dead_letters.retain);
    deletions.push(Deletion {
        rows: facts.letters.letters.min(COUNTED_LETTERS),
        open: Some(facts.letters.open.min(COUNTED_LETTERS)),
        counted: if facts.letters.letters > COUNTED_LETTERS {
            Counted::AtLeast
        } else {
            Counted::Exact
        },
        ..deletion(Kept::DeadLetters, None, was, is)
    });
    deletions.retain(|deletion| deletion.rows > 0);
    deletions.sort_by_key(|deletion| std::cmp::Reverse(deletion.rows));
    deletions
}

/// What was counted on a part of the history, for all of it.
fn reckoned(jobs: i64, percent: f32) -> (i64, Counted) {
    if percent >= 100.0 {
        return (jobs, Counted::Exact);
    }
    let share = f64::from(percent.max(f32::MIN_POSITIVE)) / 100.0;
    ((jobs as f64 / share).round() as i64, Counted::Estimate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_on_a_part_stands_for_the_whole() {
        assert_eq!(reckoned(120, 100.0), (120, Counted::Exact));
        assert_eq!(reckoned(120, 12.5), (960, Counted::Estimate));
        assert_eq!(reckoned(0, 1.0), (0, Counted::Estimate));
    }
}
