//! What goes from a claim to a handler and from there to the settler.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::verdict::Verdict;
use crate::{
    handler::Recorded,
    job::{ErrorClass, JobId},
    store::claim::ClaimedRow,
};

/// Why a running attempt is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Somebody cancelled the job.
    Cancelled,
    /// The lease was lost, or could not be renewed in time.
    LeaseLost,
}

/// Tells one attempt to stop, and why; the first reason counts.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    reason: OnceLock<StopReason>,
}

impl Stop {
    pub(crate) fn stop(&self, reason: StopReason) {
        // A second reason comes too late to matter.
        let _: Result<(), StopReason> = self.reason.set(reason);
        self.token.cancel();
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(crate) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }
}

/// A job under lease in this process.
#[derive(Debug)]
pub(crate) struct ClaimedJob {
    pub(crate) row: ClaimedRow,
    pub(crate) stop: Arc<Stop>,
    pub(crate) recorded: Arc<std::sync::Mutex<Recorded>>,
}

impl ClaimedJob {
    /// Whether its last attempt ended so that one payload may have spoilt the call for all that shared it: only alone
    /// does its end tell about nobody else.
    pub(crate) fn runs_alone(&self) -> bool {
        let suspects = [ErrorClass::Panic, ErrorClass::Timeout, ErrorClass::Lost];
        let class = self.row.last_error_class.as_deref();
        class.is_some_and(|class| suspects.iter().any(|suspect| suspect.as_str() == class))
    }
}

/// One call of a handler: one job, or several of a kind that runs in batches. It holds its slot until the call ended.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) jobs: Vec<ClaimedJob>,
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) claimed_at: Instant,
}

/// How an attempt ended and what follows, to be stored.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) id: JobId,
    pub(crate) token: uuid::Uuid,
    pub(crate) attempt: i32,
    pub(crate) kind: Arc<str>,
    pub(crate) verdict: Verdict,
    pub(crate) recorded: Recorded,
    /// Jobs that the attempt enqueued, ready to be stored with its success.
    pub(crate) follow_ups: Vec<crate::store::insert::JobRow>,
    /// The payload does not outlive the job: it lay encrypted, or is to wherever there are keys.
    pub(crate) is_wiped: bool,
    pub(crate) took: Duration,
}
