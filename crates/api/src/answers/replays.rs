//! Replay runs.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::all;

/// What a replay does, or would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayAnswer {
    /// The run, as `/v1/replays/{id}` shows it; null on a dry run.
    replay_id: Option<Uuid>,
    /// Dead letters that were meant.
    matched: u64,
    /// Those of them that are run again.
    will_enqueue: u64,
    /// Those that are not.
    skipped: Vec<Skipped>,
}

impl From<queue::ReplayAnswer> for ReplayAnswer {
    fn from(answer: queue::ReplayAnswer) -> Self {
        Self {
            replay_id: answer.replay_id,
            matched: answer.matched,
            will_enqueue: answer.will_enqueue,
            skipped: all(answer.skipped),
        }
    }
}

/// Dead letters for which nothing is enqueued.
#[derive(Serialize, ToSchema)]
pub(crate) struct Skipped {
    /// `not_found`, `already_replayed`, `already_discarded`, `unknown_kind`, `unknown_queue` or `invalid_payload`.
    #[schema(example = "already_replayed")]
    reason: String,
    count: u64,
}

impl From<queue::Skipped> for Skipped {
    fn from(skipped: queue::Skipped) -> Self {
        Self {
            reason: skipped.reason,
            count: skipped.count,
        }
    }
}

/// A replay run.
#[derive(Serialize, ToSchema)]
pub(crate) struct Replay {
    id: Uuid,
    /// `running`, `canary`, `paused`, `done`, `aborted` or `stopped_by_failures`.
    #[schema(example = "done")]
    status: String,
    created_at: DateTime<Utc>,
    created_by: String,
    reason: Option<String>,
    finished_at: Option<DateTime<Utc>>,
    /// Dead letters chosen.
    total: i64,
    /// Jobs enqueued so far.
    enqueued: i64,
    /// Enqueued jobs that succeeded and are still in the history.
    succeeded: i64,
    /// Enqueued jobs that became dead letters again.
    dead: i64,
    /// Dead letters for which nothing was enqueued.
    skipped: i64,
}

impl From<queue::Replay> for Replay {
    fn from(replay: queue::Replay) -> Self {
        Self {
            id: replay.id,
            status: replay.status,
            created_at: replay.created_at,
            created_by: replay.created_by,
            reason: replay.reason,
            finished_at: replay.finished_at,
            total: replay.total,
            enqueued: replay.enqueued,
            succeeded: replay.succeeded,
            dead: replay.dead,
            skipped: replay.skipped,
        }
    }
}

/// A replay run with what became of each dead letter.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayDetail {
    #[serde(flatten)]
    replay: Replay,
    /// The first 500.
    items: Vec<ReplayItem>,
}

impl From<queue::ReplayDetail> for ReplayDetail {
    fn from(detail: queue::ReplayDetail) -> Self {
        Self {
            replay: detail.replay.into(),
            items: all(detail.items),
        }
    }
}

/// What became of one dead letter of a run.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayItem {
    dead_letter: Uuid,
    /// The job that replays it.
    job: Option<Uuid>,
    /// `pending`, the state of the job, or why it was skipped; null when the job ended and nothing of it was kept.
    outcome: Option<String>,
}

impl From<queue::ReplayItem> for ReplayItem {
    fn from(item: queue::ReplayItem) -> Self {
        Self {
            dead_letter: item.dead_letter,
            job: item.job,
            outcome: item.outcome,
        }
    }
}
