//! What a running attempt may ask and say: who it is, whether it was cancelled, its progress, its log, and jobs that
//! are stored with its outcome.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::{error::one_line, kept::as_kept};
use crate::{
    budgets::{BudgetHandle, DrawsOn},
    job::{JobId, NewJob},
};

/// Most log lines kept of one attempt; later ones are counted, not kept.
const MOST_LINES: usize = 200;
/// Most jobs that one attempt may enqueue with its outcome.
const MOST_FOLLOW_UPS: usize = 10_000;

/// What is known of the job an attempt belongs to.
#[derive(Debug, Clone)]
pub struct JobInfo {
    /// Its id: the same on every attempt.
    pub id: JobId,
    /// `family.action`.
    pub kind: Arc<str>,
    /// The queue it was claimed from.
    pub queue: Arc<str>,
    /// This attempt's number, from 1.
    pub attempt: u32,
    /// The customer it belongs to.
    pub tenant: Option<String>,
    /// The dead letter it replays.
    pub replay_of: Option<JobId>,
    /// When it was enqueued.
    pub created_at: DateTime<Utc>,
    /// When it was due.
    pub run_at: DateTime<Utc>,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Worth knowing.
    Info,
    /// It went on, degraded.
    Warn,
}

impl LogLevel {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
        }
    }
}

/// A line of a job's log.
#[derive(Debug, Clone)]
pub(crate) struct LogLine {
    pub(crate) at: DateTime<Utc>,
    pub(crate) level: LogLevel,
    pub(crate) message: String,
}

/// What an attempt said while it ran; stored with its outcome, so that a fenced attempt leaves nothing behind.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) progress: Option<serde_json::Value>,
    pub(crate) progress_is_new: bool,
    pub(crate) log: Vec<LogLine>,
    pub(crate) lines_left_out: u32,
    pub(crate) follow_ups: Vec<NewJob>,
}

/// An attempt's view of the engine.
#[derive(Debug)]
pub struct JobContext<A> {
    /// What the handler needs beside its payload.
    pub app: Arc<A>,
    /// The job.
    pub job: JobInfo,
    cancelled: CancellationToken,
    recorded: Arc<Mutex<Recorded>>,
    draws_on: DrawsOn,
}

/// An attempt asked for more than it may.
#[derive(Debug, thiserror::Error)]
#[error("an attempt may enqueue at most {MOST_FOLLOW_UPS} jobs with its outcome")]
pub struct TooManyFollowUps;

impl<A> JobContext<A> {
    pub(crate) fn new(
        app: Arc<A>,
        job: JobInfo,
        cancelled: CancellationToken,
        recorded: Arc<Mutex<Recorded>>,
        draws_on: DrawsOn,
    ) -> Self {
        Self {
            app,
            job,
            cancelled,
            recorded,
            draws_on,
        }
    }

    /// The budget that calls to a provider are drawn from: the one that `jobs.toml` names for the job's kind, or else the
    /// provider's own. Where each account has a budget, it is that of the account.
    #[must_use]
    pub fn budget(&self, provider: &str, account: Option<&str>) -> BudgetHandle {
        self.draws_on.budget(provider, account)
    }

    /// The budget that `jobs.toml` names for the job's kind, for the account that the payload names: for calls to
    /// addresses that are no provider's. `None` where it names none.
    #[must_use]
    pub fn named_budget(&self) -> Option<BudgetHandle> {
        self.draws_on.named()
    }

    /// Is cancelled when the job is, when its lease is lost, and when its time is over: stop soon, or be aborted.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Says how far the attempt is, in a form of its own; shown by `GET /v1/jobs/{id}`, renewed with the lease. More
    /// than 64 KiB are left out.
    pub fn progress(&self, progress: serde_json::Value) {
        let progress = as_kept(progress, "progress");
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.progress = Some(progress);
        recorded.progress_is_new = true;
    }

    /// Adds a line to the job's log: no secrets, no personal data. One line, at most 4,096 characters, 200 an attempt.
    pub fn log(&self, level: LogLevel, message: &str) {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.log.len() == MOST_LINES {
            recorded.lines_left_out += 1;
            return;
        }
        let message = one_line(message);
        recorded.log.push(LogLine {
            at: Utc::now(),
            level,
            message,
        });
    }

    /// Enqueues a job in the transaction that settles this attempt as succeeded; it vanishes with any other outcome.
    /// Where its unique key is taken it does as its rule says; one that is refused for that is left out.
    ///
    /// # Errors
    /// When the attempt asked for 10,000 jobs already.
    pub fn enqueue(&self, job: NewJob) -> Result<(), TooManyFollowUps> {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.follow_ups.len() == MOST_FOLLOW_UPS {
            return Err(TooManyFollowUps);
        }
        recorded.follow_ups.push(job);
        Ok(())
    }
}
