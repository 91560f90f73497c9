//! The jobs of schedules: made as any other, so that the kind's queue, defaults and unique keys hold. They bear the tag
//! `schedule`.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::stamp;
use crate::{
    EnqueueError,
    client::{Shared, settle_conflict},
    config::Schedule,
    error_chain,
    job::{EnqueueOutcome, JobState, NewJob, Source, Start},
    metrics::{self, EnqueueLabels},
    store::insert::{self, Answer, Columns, JobRow, Stored},
};

const TAG: &str = "schedule";
/// From then on no more is stored: the transaction has a deadline, and holds up whoever would pause its schedule.
const ENOUGH: Duration = Duration::from_secs(1);

/// A schedule and its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) schedule: &'a Schedule,
}

impl Named<'_> {
    /// The job of a tick, due then or up to the schedule's jitter later.
    pub(super) fn job_of(self, tick: DateTime<Utc>) -> NewJob {
        NewJob {
            start: Start::At(tick + self.delay()),
            ..self.job(tick)
        }
    }

    /// A job for a moment, due at once.
    pub(crate) fn job(self, moment: DateTime<Utc>) -> NewJob {
        let Self { name, schedule } = self;
        let payload = stamp::stamped(&schedule.payload, moment);
        NewJob {
            tags: BTreeMap::from([(TAG.to_owned(), name.to_owned())]),
            ..NewJob::new(&*schedule.kind, payload, Source::Schedule)
        }
    }

    fn delay(self) -> TimeDelta {
        let longest = i64::try_from(self.schedule.jitter.as_millis()).unwrap_or(i64::MAX);
        TimeDelta::milliseconds(rand::random_range(0..=longest))
    }
}

/// Stores jobs in the caller's transaction, one after the other, and gives an answer for each. Where its unique key is
/// taken a job does as its rule says. Those for which there was no time have no answer; the first one always has.
pub(crate) async fn store(
    conn: &mut PgConnection,
    rows: &[JobRow],
) -> Result<Vec<Result<Answer, EnqueueError>>, sqlx::Error> {
    let began = Instant::now();
    let mut answers = Vec::with_capacity(rows.len());
    // Twice as many each time: what a portion takes is known from the one before, however far away the database is.
    let mut portion = 1;
    while let Some(row) = rows.get(answers.len())
        && (answers.is_empty() || began.elapsed() < ENOUGH)
    {
        if let Some(key) = &row.unique {
            answers.push(settle_conflict(&mut *conn, row, key).await?);
            continue;
        }
        let left = rows[answers.len()..].iter();
        let plain = left.take_while(|row| row.unique.is_none()).take(portion);
        answers.extend(store_plain(&mut *conn, &plain.collect::<Vec<_>>()).await?);
        portion *= 2;
    }
    Ok(answers)
}

async fn store_plain(
    conn: &mut PgConnection,
    rows: &[&JobRow],
) -> Result<Vec<Result<Answer, EnqueueError>>, sqlx::Error> {
    let stored = insert::insert(conn, &Columns::of(rows.iter().copied())).await?;
    let stored = stored.into_iter().map(|stored| (stored.id, stored));
    let mut stored: HashMap<Uuid, Stored> = stored.collect();
    let answers = rows.iter().map(|row| {
        let answer = stored.remove(&row.id.0).map(|stored| Answer {
            stored,
            queue: row.queue.clone(),
            outcome: EnqueueOutcome::Created,
        });
        answer.ok_or(EnqueueError::NotKept)
    });
    Ok(answers.collect())
}

/// Why a job cannot be made, for people; never a value of its payload.
pub(crate) fn reason(error: &EnqueueError) -> String {
    let EnqueueError::Payload(problems) = error else {
        return error_chain(error);
    };
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("{error}: {}", problems.join("; "))
}

/// Counts a job that is committed, and rings for it where it may run at once.
pub(crate) fn announce(shared: &Shared, kind: &str, answer: &Answer) {
    let labels = EnqueueLabels {
        queue: &answer.queue,
        kind,
        source: Source::Schedule,
        outcome: answer.outcome,
    };
    metrics::enqueued(labels, 1);
    if answer.stored.state == JobState::Ready.as_str() {
        shared.bell.ring(&answer.queue);
    }
}
