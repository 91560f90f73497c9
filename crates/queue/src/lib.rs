//! The engine: jobs, leases, retries, dead letters, replays, configuration, fleet metrics. It knows nothing of what a
//! job is about, of HTTP, or of any provider.

mod admin;
pub mod bench;
mod budgets;
mod cipher;
mod client;
pub mod config;
mod db;
mod doctor;
mod doorbell;
mod error_chain;
mod gates;
mod handler;
mod job;
mod leader;
mod live;
pub mod metrics;
pub mod plan;
mod schedules;
mod sealing;
mod store;
#[cfg(test)]
mod tests;
mod worker;

pub use admin::{
    Actor, AdminError, Attempt, ConfigApplied, ConfigRequest, ConfigStatus, ConfigText, DeadFilter,
    DeadLetterDetail, DeadLetterSummary, Deed, ForgottenInJobs, GroupChange, GroupState, JobAbout,
    JobDetail, JobFilter, JobSummary, JobsAbout, LastTick, LimitsPruned, NewHold, NewKey,
    NewOverride, OverrideEnd, Page, PageRequest, Paused, PayloadFault, PayloadKeysError,
    PayloadsRotated, PayloadsVerified, Person, ProcessesOfRevision, QueueStatus, Released,
    ReplayAnswer, ReplayDetail, ReplayRequest, Resolution, ScheduleState, ScheduleStatus,
    Selection, Skipped,
};
pub use budgets::{BudgetError, BudgetHandle, BudgetPermit, BudgetStatus, QuotaReport};
pub use cipher::{Cipher, CipherError, KeyProblem, KeysError, SealedPlace};
pub use client::{
    AuthenticatedKey, EnqueueError, Health, JoinedJob, Kind, Queue, SchemaError, WhereOneWaits,
};
pub use db::{Database, DatabaseError, DatabaseSettings, MigrationInfo};
pub use doctor::{Finding, Severity, Surroundings, diagnose};
pub use error_chain::error_chain;
pub use gates::{Explanation, Gate, GateAnswer};
pub use handler::{
    BatchJob, Job, JobContext, JobError, JobInfo, KindInfo, LateCheck, LogLevel, Outcome, RawJob,
    Registry, SharedRawJob, TooManyFollowUps,
};
pub use job::{
    AttemptOutcome, EnqueueOutcome, Enqueued, ErrorClass, Idempotency, JobId, JobState, NewJob,
    OnConflict, PayloadProblem, Source, Start, TickOutcome, Unique, UnknownWord,
};
pub use leader::{FleetGauges, Leader};
pub use live::{
    CheckConfig, ConfigStart, ConfigStartError, FileSource, Follower, InForce, Rejected,
    RevisionSource,
};
pub use plan::ConfigPlan;
pub use store::{
    audit::AuditEntry,
    config::Revision,
    dead::DeadGroup,
    keys::ApiKey,
    logs::LogEntry,
    replays::{Replay, ReplayItem},
    workers::WorkerStatus,
};
pub use worker::{JobStorage, StorageError, WorkerSettings, Workers};
