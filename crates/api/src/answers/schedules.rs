//! Schedules.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::fleet::Paused;

/// How a schedule stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScheduleStatus {
    #[schema(example = "token-check")]
    name: String,
    /// `active`, `paused`, `no such kind` (this release has no handler for it, so there are no ticks) or `invalid` (its
    /// payload does not fit its kind, so every tick is refused).
    #[schema(value_type = String, example = "active")]
    state: &'static str,
    /// What is wrong with its payload; null where nothing is.
    problem: Option<String>,
    #[schema(example = "token.check")]
    kind: String,
    #[schema(example = "0 9 * * *")]
    cron: String,
    #[schema(value_type = String, example = "Europe/Berlin")]
    timezone: &'static str,
    /// What ticks become that nobody was there for: `skip`, `run_once` or `run_all`.
    #[schema(value_type = String, example = "run_once")]
    misfire: &'static str,
    /// What a tick becomes while a job of the schedule is not done: `allow` or `skip`.
    #[schema(value_type = String, example = "skip")]
    overlap: &'static str,
    /// The longest random delay of a tick's job.
    jitter_seconds: f64,
    /// Null when it is not paused.
    paused: Option<Paused>,
    /// The next five ticks, whether they will make jobs or not.
    next: Vec<DateTime<Utc>>,
    /// The latest tick; null before the first one.
    last: Option<LastTick>,
    /// When the latest job of a tick succeeded.
    last_success_at: Option<DateTime<Utc>>,
}

impl From<queue::ScheduleStatus> for ScheduleStatus {
    fn from(schedule: queue::ScheduleStatus) -> Self {
        Self {
            name: schedule.name,
            state: schedule.state.as_str(),
            problem: schedule.problem,
            kind: schedule.kind,
            cron: schedule.cron,
            timezone: schedule.timezone,
            misfire: schedule.misfire,
            overlap: schedule.overlap,
            jitter_seconds: schedule.jitter_seconds,
            paused: schedule.paused.map(Paused::from),
            next: schedule.next,
            last: schedule.last.map(LastTick::from),
            last_success_at: schedule.last_success_at,
        }
    }
}

/// The latest tick of a schedule.
#[derive(Serialize, ToSchema)]
pub(crate) struct LastTick {
    /// When it was due.
    tick: DateTime<Utc>,
    /// `enqueued`, `deduplicated` (a job with the kind's unique key stands for it), `coalesced` (the job of a later tick
    /// does), `skipped_overlap`, `skipped_misfire`, `skipped_paused` or `refused`.
    #[schema(example = "enqueued")]
    outcome: String,
    /// Its job; null where it has none.
    job: Option<Uuid>,
    /// What became of the job: `succeeded`, `cancelled`, `dead`, or `gone` where nothing of it is left; null while it is
    /// still to be done, and some seconds longer.
    #[schema(example = "succeeded")]
    ended: Option<String>,
    /// Why there is no job, where it was refused.
    detail: Option<String>,
}

impl From<queue::LastTick> for LastTick {
    fn from(last: queue::LastTick) -> Self {
        Self {
            tick: last.tick,
            outcome: last.outcome,
            job: last.job.map(|id| id.0),
            ended: last.ended,
            detail: last.detail,
        }
    }
}
