//! What the author of a kind writes: a [`Job`] (or a [`BatchJob`]), its [`Outcome`], its [`JobError`], and the
//! [`JobContext`] it is given. How jobs reach a handler is the business of `worker/`.

mod context;
mod dispatch;
mod error;
mod kept;
mod registry;

use std::{future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub(crate) use context::Recorded;
pub use context::{JobContext, JobInfo, LogLevel, TooManyFollowUps};
pub use error::JobError;
pub(crate) use kept::as_kept;
pub(crate) use registry::{Handler, Invocation};
pub use registry::{KindInfo, Registry};

use crate::job::PayloadProblem;

/// How an attempt that did not fail ended.
#[derive(Debug)]
pub enum Outcome {
    /// Done.
    Succeeded,
    /// Done, with a result that `GET /v1/jobs/{id}` shows; cut off at 64 KiB.
    SucceededWith(serde_json::Value),
    /// Call again after this long, at least a second and at most 30 days; uses up no attempt.
    Snoozed(Duration),
    /// The handler found that the work is not wanted any more; the text says why.
    Cancelled(String),
}

/// What tells of a payload, at this moment, that it has come too late for what it asks for.
pub type LateCheck = fn(&serde_json::Value, DateTime<Utc>) -> Vec<PayloadProblem>;

/// A kind of job: its payload and what is done with it. Attempts happen at least once, so say in the docs of
/// the type why a second one does no harm.
pub trait Job: DeserializeOwned + JsonSchema + Send + 'static {
    /// `family.action`.
    const KIND: &'static str;
    /// What the handler needs beside its payload: clients, pools, settings.
    type App: Send + Sync + 'static;
    /// Becomes a [`JobError`], which carries the class.
    type Error: Into<JobError> + Send;

    /// Makes one attempt.
    fn run(
        self,
        ctx: &JobContext<Self::App>,
    ) -> impl Future<Output = Result<Outcome, Self::Error>> + Send;
}

/// A kind whose waiting jobs of one queue and key are handed over together: one call, but a lease, a token and an
/// outcome for each job.
pub trait BatchJob: DeserializeOwned + JsonSchema + Send + 'static {
    /// `family.action`.
    const KIND: &'static str;
    /// Most jobs a call gets: 2 to 1,000.
    const MOST: usize;
    /// Longest that a call waits for more jobs while it has fewer than [`Self::MOST`].
    const LONGEST_WAIT: Duration;
    /// What the handler needs beside the payloads.
    type App: Send + Sync + 'static;
    /// Becomes a [`JobError`], which carries the class.
    type Error: Into<JobError> + Send;

    /// What has come too late to be accepted, although it fits the schema: such a job is neither enqueued nor replayed.
    const LATE: Option<LateCheck> = None;

    /// Makes one attempt of each job. Answers as many outcomes as it was given jobs, in their order; a missing one
    /// fails its job with class `internal`.
    fn run(
        batch: Vec<(Self, JobContext<Self::App>)>,
    ) -> impl Future<Output = Vec<Result<Outcome, Self::Error>>> + Send;
}

/// A handler for kinds that are known only at run time, such as those declared with a `target`.
pub trait RawJob<A>: Send + Sync + 'static {
    /// Makes one attempt with the payload as it was sent.
    fn run<'a>(
        &'a self,
        payload: &'a RawValue,
        ctx: &'a JobContext<A>,
    ) -> futures::future::BoxFuture<'a, Result<Outcome, JobError>>;
}

/// A shared [`RawJob`].
pub type SharedRawJob<A> = Arc<dyn RawJob<A>>;
