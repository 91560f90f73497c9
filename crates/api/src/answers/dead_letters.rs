//! Dead letters and their groups.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    JobSummary, all,
    jobs::{Attempt, LogLine},
};

/// A dead letter in a list: the job it was, and how it stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetterSummary {
    #[serde(flatten)]
    job: JobSummary,
    died_at: DateTime<Utc>,
    /// What makes two failures the same failure.
    fingerprint: String,
    /// `replayed` or `discarded`; null while it is open.
    #[schema(example = "replayed")]
    resolution: Option<String>,
    resolved_at: Option<DateTime<Utc>>,
    resolved_by: Option<String>,
    resolve_reason: Option<String>,
}

impl From<queue::DeadLetterSummary> for DeadLetterSummary {
    fn from(letter: queue::DeadLetterSummary) -> Self {
        Self {
            job: letter.job.into(),
            died_at: letter.died_at,
            fingerprint: letter.fingerprint,
            resolution: letter.resolution,
            resolved_at: letter.resolved_at,
            resolved_by: letter.resolved_by,
            resolve_reason: letter.resolve_reason,
        }
    }
}

/// A dead letter's own page.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetterDetail {
    #[serde(flatten)]
    summary: DeadLetterSummary,
    /// What the handler got, without the fields that its kind never shows; a note where this process does not know the
    /// kind.
    payload: Value,
    /// Its executions, the oldest first; of more than 200 the newest.
    attempts: Vec<Attempt>,
    /// How far it came.
    progress: Option<Value>,
    /// What its attempts said, the oldest first.
    log: Vec<LogLine>,
}

impl From<queue::DeadLetterDetail> for DeadLetterDetail {
    fn from(letter: queue::DeadLetterDetail) -> Self {
        Self {
            summary: letter.summary.into(),
            payload: letter.payload,
            attempts: all(letter.attempts),
            progress: letter.progress,
            log: all(letter.log),
        }
    }
}

/// Dead letters that failed in the same way.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeadGroup {
    fingerprint: String,
    /// `family.action`.
    kind: String,
    error_class: String,
    /// The newest one's error.
    sample_error: String,
    /// How many are open.
    count: i64,
    /// When the first one died.
    first_seen: DateTime<Utc>,
    /// When the last one died.
    last_seen: DateTime<Utc>,
    /// `open`, `acknowledged` or `resolved`.
    #[schema(example = "open")]
    state: String,
    note: Option<String>,
}

impl From<queue::DeadGroup> for DeadGroup {
    fn from(group: queue::DeadGroup) -> Self {
        Self {
            fingerprint: group.fingerprint,
            kind: group.kind,
            error_class: group.error_class,
            sample_error: group.sample_error,
            count: group.count,
            first_seen: group.first_seen,
            last_seen: group.last_seen,
            state: group.state,
            note: group.note,
        }
    }
}

/// What discarding or restoring did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resolved {
    /// Dead letters that were changed.
    pub(crate) count: u64,
}
