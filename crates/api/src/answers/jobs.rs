//! A job as lists and as its own page show it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::all;

/// A job in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobSummary {
    id: Uuid,
    /// `family.action`.
    #[schema(example = "email.send")]
    kind: String,
    #[schema(example = "email")]
    queue: String,
    /// `scheduled`, `ready`, `running`, `retrying`, `succeeded`, `cancelled` or `dead`.
    #[schema(example = "retrying")]
    state: String,
    /// 0 (first) to 9.
    #[schema(example = 5)]
    priority: i16,
    /// The customer it belongs to.
    tenant: Option<String>,
    /// What groups it with others.
    key: Option<String>,
    tags: BTreeMap<String, String>,
    /// When it was enqueued.
    created_at: DateTime<Utc>,
    /// When it is or was due.
    run_at: DateTime<Utc>,
    /// When its latest attempt started.
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    finished_at: Option<DateTime<Utc>>,
    /// Attempts that count against `max_attempts`.
    attempts_used: i32,
    max_attempts: i32,
    /// The class of its latest attempt's failure.
    error_class: Option<String>,
    /// Its latest attempt's failure.
    error: Option<String>,
    /// The dead letter it replays.
    replay_of: Option<Uuid>,
    /// The job that replays it.
    replayed_as: Option<Uuid>,
}

impl From<queue::JobSummary> for JobSummary {
    fn from(job: queue::JobSummary) -> Self {
        Self {
            id: job.id.0,
            kind: job.kind,
            queue: job.queue,
            state: job.state,
            priority: job.priority,
            tenant: job.tenant,
            key: job.key,
            tags: job.tags,
            created_at: job.created_at,
            run_at: job.run_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            attempts_used: job.attempts_used,
            max_attempts: job.max_attempts,
            error_class: job.error_class,
            error: job.error,
            replay_of: job.replay_of.map(|id| id.0),
            replayed_as: job.replayed_as.map(|id| id.0),
        }
    }
}

/// A job's own page.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobDetail {
    #[serde(flatten)]
    summary: JobSummary,
    /// What the handler gets, without the fields that its kind never shows; a note where this process does not know the
    /// kind.
    payload: Value,
    /// Its executions, the oldest first; of more than 200 the newest.
    attempts: Vec<Attempt>,
    /// How far it is, in the handler's words.
    progress: Option<Value>,
    /// What came of it.
    result: Option<Value>,
    /// What its attempts said, the oldest first.
    log: Vec<LogLine>,
    /// Somebody asked the running attempt to stop.
    cancel_requested: bool,
}

impl From<queue::JobDetail> for JobDetail {
    fn from(job: queue::JobDetail) -> Self {
        Self {
            summary: job.summary.into(),
            payload: job.payload,
            attempts: all(job.attempts),
            progress: job.progress,
            result: job.result,
            log: all(job.log),
            cancel_requested: job.cancel_requested,
        }
    }
}

/// One execution of a job.
#[derive(Serialize, ToSchema)]
pub(crate) struct Attempt {
    /// From 1, without gaps.
    number: i32,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    /// `succeeded`, `failed`, `dead`, `snoozed`, `rate_limited`, `cancelled`, `lost` or `interrupted`.
    #[schema(example = "failed")]
    outcome: String,
    /// What sort of failure ended it.
    #[schema(example = "transient")]
    error_class: Option<String>,
    error: Option<String>,
    /// The worker that made it.
    worker: Option<Uuid>,
}

impl From<queue::Attempt> for Attempt {
    fn from(attempt: queue::Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            finished_at: attempt.finished_at,
            outcome: attempt.outcome,
            error_class: attempt.error_class,
            error: attempt.error,
            worker: attempt.worker,
        }
    }
}

/// A line of a job's log.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogLine {
    at: DateTime<Utc>,
    /// `info` or `warn`.
    #[schema(example = "info")]
    level: String,
    message: String,
    /// The attempt that said it.
    attempt: i32,
}

impl From<queue::LogEntry> for LogLine {
    fn from(line: queue::LogEntry) -> Self {
        Self {
            at: line.at,
            level: line.level,
            message: line.message,
            attempt: line.attempt,
        }
    }
}
