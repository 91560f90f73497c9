//! Rows that several statements give: a job as lists and as its own page show it, wherever it stands.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// A job in a list.
#[derive(Debug)]
pub(crate) struct SummaryRow {
    pub(crate) id: Uuid,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) priority: i16,
    pub(crate) tenant: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) tags: Option<Value>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) attempts_used: i32,
    pub(crate) max_attempts: Option<i32>,
    pub(crate) error_class: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) replay_of: Option<Uuid>,
    pub(crate) replayed_as: Option<Uuid>,
}

/// What a job's own page has beside its summary.
#[derive(Debug)]
pub(crate) struct DetailRow {
    pub(crate) payload: String,
    pub(crate) attempts: Option<Value>,
    pub(crate) progress: Option<Value>,
    pub(crate) result: Option<Value>,
    pub(crate) cancel_requested: bool,
}

/// What a dead letter has beside its summary.
#[derive(Debug)]
pub(crate) struct DeathRow {
    pub(crate) died_at: DateTime<Utc>,
    pub(crate) fingerprint: String,
    pub(crate) resolution: Option<String>,
    pub(crate) resolved_at: Option<DateTime<Utc>>,
    pub(crate) resolved_by: Option<String>,
    pub(crate) resolve_reason: Option<String>,
}

/// Which jobs a list shows; `None` is no condition.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListQuery {
    pub(crate) state: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) tenant: Option<String>,
    /// An object of texts that the job's tags must contain.
    pub(crate) tags: Option<Value>,
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) until: Option<DateTime<Utc>>,
    /// The last id of the page before.
    pub(crate) before: Option<Uuid>,
    pub(crate) limit: i64,
}
