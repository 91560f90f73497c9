//! Queues, workers and kinds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// How a queue stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct QueueStatus {
    #[schema(example = "email")]
    name: String,
    /// Jobs by state; of the caller's tenant where its key is bound to one.
    depth: BTreeMap<String, i64>,
    /// How long the oldest ready job has waited; null where none is ready, and for keys bound to a tenant.
    oldest_ready_seconds: Option<f64>,
    /// Slots of all live workers.
    slots: i64,
    /// Jobs running now; of the caller's tenant where its key is bound to one.
    slots_used: i64,
    /// Null when it is not paused.
    paused: Option<Paused>,
}

impl From<queue::QueueStatus> for QueueStatus {
    fn from(queue: queue::QueueStatus) -> Self {
        Self {
            name: queue.name,
            depth: queue.depth,
            oldest_ready_seconds: queue.oldest_ready_seconds,
            slots: queue.slots,
            slots_used: queue.slots_used,
            paused: queue.paused.map(Paused::from),
        }
    }
}

/// A queue's pause.
#[derive(Serialize, ToSchema)]
pub(crate) struct Paused {
    by: String,
    reason: Option<String>,
    since: DateTime<Utc>,
    /// Null: until somebody resumes it.
    until: Option<DateTime<Utc>>,
}

impl From<queue::Paused> for Paused {
    fn from(paused: queue::Paused) -> Self {
        Self {
            by: paused.by,
            reason: paused.reason,
            since: paused.since,
            until: paused.until,
        }
    }
}

/// A worker process as the fleet sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkerStatus {
    /// New at every start.
    id: Uuid,
    host: String,
    pid: i32,
    /// The release it runs.
    version: String,
    /// `api`, `worker`, `scheduler`.
    roles: Vec<String>,
    /// Slots by queue.
    slots: Value,
    /// The kinds it has registered.
    kinds: Vec<String>,
    started_at: DateTime<Utc>,
    /// When it last said that it is there.
    seen_at: DateTime<Utc>,
    /// Jobs under its lease now.
    running: i64,
    /// The revision of the configuration that it goes by; null: its own file.
    config_revision: Option<i64>,
}

impl From<queue::WorkerStatus> for WorkerStatus {
    fn from(worker: queue::WorkerStatus) -> Self {
        Self {
            id: worker.id,
            host: worker.host,
            pid: worker.pid,
            version: worker.version,
            roles: worker.roles,
            slots: worker.slots,
            kinds: worker.kinds,
            started_at: worker.started_at,
            seen_at: worker.seen_at,
            running: worker.running,
            config_revision: worker.config_revision,
        }
    }
}

/// A kind of job, with what holds for its jobs unless they say otherwise.
#[derive(Serialize, ToSchema)]
pub(crate) struct Kind {
    /// `family.action`.
    #[schema(example = "email.send")]
    name: String,
    #[schema(example = "email")]
    queue: String,
    /// 0 (first) to 9.
    priority: i16,
    max_attempts: u32,
    /// Longest attempt.
    timeout_seconds: f64,
    /// Whether its handler takes waiting jobs together.
    batch: bool,
    /// Payload fields that are never shown.
    redact: Vec<String>,
}

impl From<queue::Kind> for Kind {
    fn from(kind: queue::Kind) -> Self {
        Self {
            name: kind.name.to_string(),
            queue: kind.queue,
            priority: kind.priority,
            max_attempts: kind.max_attempts,
            timeout_seconds: kind.timeout.as_secs_f64(),
            batch: kind.batch,
            redact: kind.redact,
        }
    }
}
