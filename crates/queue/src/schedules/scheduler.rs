//! The scheduler's transactions. Each locks its schedules, asks whether this process still leads, and goes by the
//! database's clock: two that lead at once, or one that died anywhere, make no tick twice and forget none.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    decide::{GRACE, Pause, Situation},
    jobs::{self, Named},
};
use crate::{
    EnqueueError,
    client::Shared,
    config::{Overlap, Schedule},
    db::{DatabaseError, within},
    job::TickOutcome,
    leader::Mandate,
    metrics,
    store::{
        insert::{Answer, JobRow},
        schedules::{self, Locked, Progress, TickColumns},
    },
};

/// Most ticks of one schedule that one transaction decides; those that are left are decided next.
pub(crate) const MOST: usize = 1_000;

/// How far a schedule is decided, by the database's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decided {
    pub(crate) now: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
}

/// What came of a turn of one schedule.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Its due ticks are decided, up to [`MOST`] of them, or those that there was time for.
    Decided(Decided),
    /// Another transaction has it; or a job's key was taken faster than it could be asked for. Soon again.
    Busy,
    /// Another process leads.
    NotLeading,
}

/// Makes the schedules of the configuration known, and moves those on that have no due tick. Gives how far each is
/// decided; `None` where another process leads.
pub(crate) async fn look(
    shared: &Shared,
    configured: &BTreeMap<String, Schedule>,
    mandate: &Mandate,
) -> Result<Option<BTreeMap<String, Decided>>, DatabaseError> {
    let all: Vec<String> = configured.keys().cloned().collect();
    let runnable: Vec<String> = configured
        .iter()
        .filter(|(_, schedule)| shared.has_kind(&schedule.kind))
        .map(|(name, _)| name.clone())
        .collect();
    let mut session = shared.db.request().await?;
    let seen = within(async {
        let mut tx = session.conn().begin().await?;
        if !mandate.holds(&mut tx).await? {
            return Ok(None);
        }
        schedules::keep(&mut *tx, &runnable, GRACE.as_seconds_f64()).await?;
        schedules::remove_others(&mut *tx, &all).await?;
        let mut decided = BTreeMap::new();
        let mut quiet = Vec::new();
        for standing in schedules::standings(&mut *tx, &runnable).await? {
            let (mut until, now) = (standing.evaluated_until, standing.now);
            let next = configured
                .get(&standing.name)
                .and_then(|schedule| schedule.next_tick(until));
            if next.is_none_or(|next| next > now) {
                until = until.max(now);
                quiet.push(standing.name.clone());
            }
            decided.insert(standing.name, Decided { now, until });
        }
        schedules::advance(&mut *tx, &quiet).await?;
        tx.commit().await?;
        Ok(Some(decided))
    })
    .await;
    session.end(seen)
}

/// Decides the due ticks of a schedule and makes their jobs, in one transaction.
pub(crate) async fn take_turn(
    shared: &Shared,
    named: Named<'_>,
    mandate: &Mandate,
) -> Result<Turn, DatabaseError> {
    let mut session = shared.db.request().await?;
    let taken = within(async {
        let mut tx = session.conn().begin().await?;
        if !mandate.holds(&mut tx).await? {
            return Ok((Turn::NotLeading, Made::default()));
        }
        let Some(locked) = schedules::lock(&mut *tx, named.name).await? else {
            return Ok((Turn::Busy, Made::default()));
        };
        let Some((decided, made)) = decide(shared, &mut tx, named, &locked).await? else {
            return Ok((Turn::Busy, Made::default()));
        };
        tx.commit().await?;
        Ok((Turn::Decided(decided), made))
    })
    .await;
    let (turn, made) = session.end(taken)?;
    made.tell(shared, named);
    Ok(turn)
}

/// What a transaction made, to be told when it is committed.
#[derive(Debug, Default)]
struct Made {
    ticks: Vec<Tick>,
    answers: Vec<Answer>,
}

impl Made {
    fn tell(&self, shared: &Shared, named: Named<'_>) {
        for answer in &self.answers {
            jobs::announce(shared, &named.schedule.kind, answer);
        }
        for tick in &self.ticks {
            metrics::schedule_tick(named.name, tick.outcome);
        }
        let refused = self.ticks.iter().find_map(|tick| tick.detail.as_deref());
        if let Some(reason) = refused {
            tracing::warn!(
                schedule.name = named.name,
                reason,
                "a tick got no job: mend the schedule's payload in jobs.toml"
            );
        }
    }
}

/// Decides the due ticks of a locked schedule; `None` where it is to be tried again from the start.
async fn decide(
    shared: &Shared,
    conn: &mut PgConnection,
    named: Named<'_>,
    locked: &Locked,
) -> Result<Option<(Decided, Made)>, sqlx::Error> {
    let now = locked.now;
    let (due, then) = due(named.schedule, locked);
    let situation = situation(conn, named, locked).await?;
    let outcomes = situation.decide(&due, then);
    let (mut ticks, rows) = prepare(shared, named, due.into_iter().zip(outcomes));
    let answers = jobs::store(conn, &rows).await?;
    let is_cut = leave_from(&mut ticks, rows.get(answers.len()));
    let Some(answers) = take_over(&mut ticks, answers) else {
        return Ok(None);
    };
    let Some(last) = ticks.last() else {
        let until = locked.evaluated_until;
        return Ok(Some((Decided { now, until }, Made::default())));
    };

    let has_more = is_cut || then.is_some();
    let until = if has_more { last.at } else { now };
    let progress = Progress {
        until,
        last_tick: last.at,
        last_outcome: last.outcome.as_str(),
    };
    schedules::record(&mut *conn, named.name, &columns(&ticks)).await?;
    schedules::move_on(conn, named.name, &progress).await?;
    Ok(Some((Decided { now, until }, Made { ticks, answers })))
}

/// The ticks to be decided, and the one that follows them where it is due too.
fn due(schedule: &Schedule, locked: &Locked) -> (Vec<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let ticks = schedule.ticks_after(locked.evaluated_until);
    let mut ticks = ticks.take_while(|tick| *tick <= locked.now);
    let due = ticks.by_ref().take(MOST).collect();
    (due, ticks.next())
}

async fn situation<'a>(
    conn: &mut PgConnection,
    named: Named<'a>,
    locked: &Locked,
) -> Result<Situation<'a>, sqlx::Error> {
    let Named { name, schedule } = named;
    let has_open_job =
        schedule.overlap == Overlap::Skip && schedules::has_open_job(conn, name).await?;
    Ok(Situation {
        schedule,
        now: locked.now,
        pause: locked.paused_at.map(|since| Pause {
            since,
            until: locked.paused_until,
        }),
        has_open_job,
    })
}

/// A tick and what it becomes.
#[derive(Debug)]
struct Tick {
    at: DateTime<Utc>,
    outcome: TickOutcome,
    job: Option<Uuid>,
    /// Why there is no job.
    detail: Option<String>,
}

/// Prepares the jobs of ticks that get one. One that cannot be made has a payload that does not fit its kind: nothing
/// that passes by itself, so its tick is refused and the next ones are not held up.
fn prepare(
    shared: &Shared,
    named: Named<'_>,
    decided: impl Iterator<Item = (DateTime<Utc>, TickOutcome)>,
) -> (Vec<Tick>, Vec<JobRow>) {
    let (mut ticks, mut rows) = (Vec::new(), Vec::new());
    for (at, outcome) in decided {
        let mut tick = Tick {
            at,
            outcome,
            job: None,
            detail: None,
        };
        if outcome == TickOutcome::Enqueued {
            match shared.prepare(named.job_of(at)) {
                Ok(row) => {
                    tick.job = Some(row.id.0);
                    rows.push(row);
                }
                Err(error) => {
                    tick.outcome = TickOutcome::Refused;
                    tick.detail = Some(jobs::reason(&error));
                }
            }
        }
        ticks.push(tick);
    }
    (ticks, rows)
}

/// Leaves the ticks from that of this job on to the next turn; tells whether there are any.
fn leave_from(ticks: &mut Vec<Tick>, job: Option<&JobRow>) -> bool {
    let first = job.and_then(|job| ticks.iter().position(|tick| tick.job == Some(job.id.0)));
    if let Some(first) = first {
        ticks.truncate(first);
    }
    first.is_some()
}

/// Takes over what became of the jobs, which are in the order of their ticks. `None` where one could be neither stored
/// nor refused.
fn take_over(
    ticks: &mut [Tick],
    answers: Vec<Result<Answer, EnqueueError>>,
) -> Option<Vec<Answer>> {
    let with_job = ticks.iter_mut().filter(|tick| tick.job.is_some());
    let mut kept = Vec::with_capacity(answers.len());
    for (tick, answer) in with_job.zip(answers) {
        let holder = match &answer {
            Ok(answer) => answer.stored.id,
            Err(EnqueueError::Conflict { existing }) => existing.0,
            Err(_) => return None,
        };
        kept.extend(answer.ok());
        if tick.job != Some(holder) {
            tick.outcome = TickOutcome::Deduplicated;
            tick.job = Some(holder);
        }
    }
    Some(kept)
}

fn columns(ticks: &[Tick]) -> TickColumns {
    let mut columns = TickColumns::default();
    for tick in ticks {
        columns.ticks.push(tick.at);
        columns.outcomes.push(tick.outcome.as_str());
        columns.jobs.push(tick.job);
        columns.details.push(tick.detail.clone());
    }
    columns
}
