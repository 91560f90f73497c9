//! The engine: jobs, leases, retries, dead letters, replays, configuration, fleet metrics. It knows nothing of what a
//! job is about, of HTTP, or of any provider.

mod admin;
pub mod bench;
mod client;
pub mod config;
mod db;
mod doctor;
mod doorbell;
mod handler;
mod job;
mod leader;
pub mod metrics;
mod store;
#[cfg(test)]
mod tests;
mod worker;

pub use admin::{
    Actor, AdminError, Attempt, DeadFilter, DeadLetterDetail, DeadLetterSummary, GroupChange,
    GroupState, JobDetail, JobFilter, JobSummary, NewKey, Page, PageRequest, Paused, QueueStatus,
    ReplayAnswer, ReplayDetail, ReplayRequest, Resolution, Selection, Skipped,
};
pub use client::{AuthenticatedKey, EnqueueError, Health, Kind, Queue, SchemaError};
pub use db::{Database, DatabaseError, DatabaseSettings, MigrationInfo};
pub use doctor::{Finding, Severity, diagnose};
pub use handler::{
    BatchJob, Job, JobContext, JobError, JobInfo, KindInfo, LogLevel, Outcome, RawJob, Registry,
    SharedRawJob, TooManyFollowUps,
};
pub use job::{
    AttemptOutcome, EnqueueOutcome, Enqueued, ErrorClass, Idempotency, JobId, JobState, NewJob,
    OnConflict, PayloadProblem, Source, Start, Unique, UnknownWord,
};
pub use leader::Leader;
pub use store::{
    audit::AuditEntry,
    dead::DeadGroup,
    keys::ApiKey,
    logs::LogEntry,
    replays::{Replay, ReplayItem},
    workers::WorkerStatus,
};
pub use worker::{JobStorage, StorageError, WorkerSettings, Workers};

/// An error with its chain of sources on one line, for logs and answers to operators.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
