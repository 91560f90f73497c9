//! What people are shown of a job. Answers are types of their own, never table rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::redact::shown;
use crate::{
    client::Shared,
    config::Config,
    job::JobId,
    store::{
        logs::LogEntry,
        rows::{DeathRow, DetailRow, SummaryRow},
    },
};

/// A job in a list.
#[derive(Debug, Clone, Serialize)]
pub struct JobSummary {
    /// Its id.
    pub id: JobId,
    /// `family.action`.
    pub kind: String,
    /// Where it waits or waited.
    pub queue: String,
    /// A word of [`crate::JobState`].
    pub state: String,
    /// 0 (first) to 9.
    pub priority: i16,
    /// The customer it belongs to.
    pub tenant: Option<String>,
    /// What groups it with others.
    pub key: Option<String>,
    /// What the caller noted on it.
    pub tags: BTreeMap<String, String>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it is or was due.
    pub run_at: DateTime<Utc>,
    /// When its latest attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Attempts that count against the most it may have.
    pub attempts_used: i32,
    /// Attempts it may have.
    pub max_attempts: i32,
    /// The class of its latest attempt's failure.
    pub error_class: Option<String>,
    /// Its latest attempt's failure.
    pub error: Option<String>,
    /// The dead letter it replays.
    pub replay_of: Option<JobId>,
    /// The job that replays it.
    pub replayed_as: Option<JobId>,
}

impl JobSummary {
    pub(super) fn from_row(row: SummaryRow, config: &Config) -> Self {
        let most = || i32::try_from(config.policy(&row.kind).max_attempts).unwrap_or(i32::MAX);
        Self {
            id: JobId(row.id),
            max_attempts: row.max_attempts.unwrap_or_else(most),
            kind: row.kind,
            queue: row.queue,
            state: row.state,
            priority: row.priority,
            tenant: row.tenant,
            key: row.key,
            tags: row
                .tags
                .and_then(|tags| serde_json::from_value(tags).ok())
                .unwrap_or_default(),
            created_at: row.created_at,
            run_at: row.run_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            attempts_used: row.attempts_used,
            error_class: row.error_class,
            error: row.error,
            replay_of: row.replay_of.map(JobId),
            replayed_as: row.replayed_as.map(JobId),
        }
    }
}

/// One execution of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1, without gaps.
    pub number: i32,
    /// When it started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// A word of [`crate::AttemptOutcome`].
    pub outcome: String,
    /// What sort of failure ended it.
    pub error_class: Option<String>,
    /// The failure.
    pub error: Option<String>,
    /// The worker that made it.
    pub worker: Option<Uuid>,
}

/// A job's own page.
#[derive(Debug, Clone, Serialize)]
pub struct JobDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// What the handler gets, without the fields that its kind never shows.
    pub payload: Value,
    /// Every execution, the oldest first.
    pub attempts: Vec<Attempt>,
    /// How far it is, in the handler's words.
    pub progress: Option<Value>,
    /// What came of it.
    pub result: Option<Value>,
    /// What its attempts said.
    pub log: Vec<LogEntry>,
    /// Somebody asked the running attempt to stop.
    pub cancel_requested: bool,
}

impl JobDetail {
    pub(super) fn from_rows(
        summary: SummaryRow,
        detail: DetailRow,
        log: Vec<LogEntry>,
        shared: &Shared,
    ) -> Self {
        let config = &shared.config();
        let policy = config.policy(&summary.kind);
        let is_known = shared.kind_names().any(|name| name == summary.kind);
        Self {
            payload: shown(
                shared.sealer(),
                summary.id,
                &detail.payload,
                is_known.then_some(&*policy.redact),
            ),
            attempts: attempts(detail.attempts),
            progress: detail.progress,
            result: detail.result,
            log,
            cancel_requested: detail.cancel_requested,
            summary: JobSummary::from_row(summary, config),
        }
    }
}

/// Attempts as they were stored; one that cannot be read, because somebody wrote into the table, is left out.
fn attempts(stored: Option<Value>) -> Vec<Attempt> {
    let Some(Value::Array(stored)) = stored else {
        return Vec::new();
    };
    stored
        .into_iter()
        .filter_map(|attempt| serde_json::from_value(attempt).ok())
        .collect()
}

/// A dead letter in a list.
#[derive(Debug, Clone, Serialize)]
pub struct DeadLetterSummary {
    /// The job it was.
    #[serde(flatten)]
    pub job: JobSummary,
    /// When it died.
    pub died_at: DateTime<Utc>,
    /// What makes two failures the same failure.
    pub fingerprint: String,
    /// `replayed`, `discarded`; `None` while it is open.
    pub resolution: Option<String>,
    /// When it was resolved.
    pub resolved_at: Option<DateTime<Utc>>,
    /// By whom.
    pub resolved_by: Option<String>,
    /// Why.
    pub resolve_reason: Option<String>,
}

impl DeadLetterSummary {
    pub(super) fn from_rows(job: SummaryRow, death: DeathRow, config: &Config) -> Self {
        Self {
            job: JobSummary::from_row(job, config),
            died_at: death.died_at,
            fingerprint: death.fingerprint,
            resolution: death.resolution,
            resolved_at: death.resolved_at,
            resolved_by: death.resolved_by,
            resolve_reason: death.resolve_reason,
        }
    }
}

/// A dead letter's own page.
#[derive(Debug, Clone, Serialize)]
pub struct DeadLetterDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: DeadLetterSummary,
    /// What the handler got, without the fields that its kind never shows.
    pub payload: Value,
    /// Every execution, the oldest first.
    pub attempts: Vec<Attempt>,
    /// How far it came.
    pub progress: Option<Value>,
    /// What its attempts said.
    pub log: Vec<LogEntry>,
}

impl DeadLetterDetail {
    pub(super) fn new(job: JobDetail, death: DeathRow) -> Self {
        Self {
            summary: DeadLetterSummary {
                job: job.summary,
                died_at: death.died_at,
                fingerprint: death.fingerprint,
                resolution: death.resolution,
                resolved_at: death.resolved_at,
                resolved_by: death.resolved_by,
                resolve_reason: death.resolve_reason,
            },
            payload: job.payload,
            attempts: job.attempts,
            progress: job.progress,
            log: job.log,
        }
    }
}
