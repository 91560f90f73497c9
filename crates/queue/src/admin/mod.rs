//! What people do: look at jobs, queues, workers and dead letters, and act on them. Every action is noted in the
//! transaction that carries it out.

mod account_budgets;
mod config;
mod dead;
mod deeds;
mod filter;
mod holds;
mod jobs;
mod keys;
mod limits;
mod page;
mod payload_keys;
mod people;
mod plan;
mod queues;
mod redact;
mod replay;
mod schedules;
mod view;

use crate::{
    EnqueueError, config::Problem, db::DatabaseError, job::JobState, store::audit::AuditRow,
};

pub use config::{
    ConfigApplied, ConfigRequest, ConfigStatus, ConfigText, NewOverride, OverrideEnd,
    ProcessesOfRevision,
};
pub use dead::{DeadFilter, GroupChange, GroupState, Resolution, Selection};
pub use deeds::Deed;
pub use filter::JobFilter;
pub use holds::{NewHold, Released};
pub use keys::NewKey;
pub use limits::LimitsPruned;
pub use page::{Page, PageRequest};
pub use payload_keys::{PayloadFault, PayloadKeysError, PayloadsRotated, PayloadsVerified};
pub use people::{ForgottenInJobs, JobAbout, JobsAbout, Person};
pub use queues::{Paused, QueueStatus};
pub(crate) use replay::advance as advance_replays;
pub use replay::{ReplayAnswer, ReplayDetail, ReplayRequest, Skipped};
pub use schedules::{LastTick, ScheduleState, ScheduleStatus};
pub use view::{Attempt, DeadLetterDetail, DeadLetterSummary, JobDetail, JobSummary};

/// Who acts.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Shown in the audit.
    pub name: String,
    /// The tenant that the caller is bound to: other tenants' things do not exist for it.
    pub tenant: Option<String>,
}

/// Why an action was not carried out, or a read not answered.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such thing, or it belongs to another tenant.
    #[error("there is no such thing")]
    NotFound,
    /// The job's state does not allow it.
    #[error("the job is {state}: {message}")]
    State {
        /// The present state.
        state: JobState,
        /// What would be needed.
        message: &'static str,
    },
    /// The run's status does not allow it.
    #[error("the replay is {status}: {message}")]
    Status {
        /// The present status.
        status: String,
        /// What would be needed.
        message: &'static str,
    },
    /// A part of the request is wrong.
    #[error("{pointer} {message}")]
    Invalid {
        /// JSON Pointer into the request, or the parameter's name.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// A job that was asked for cannot be made.
    #[error("no job was made")]
    NotEnqueued(#[source] EnqueueError),
    /// A text cannot be put in force.
    #[error("the configuration is not valid: {} problems", .0.len())]
    Configuration(Vec<Problem>),
    /// The database did not take part.
    #[error("the database did not take part")]
    Database(#[source] DatabaseError),
}

impl AdminError {
    pub(crate) fn invalid(pointer: &str, message: impl Into<String>) -> Self {
        Self::Invalid {
            pointer: pointer.to_owned(),
            message: message.into(),
        }
    }
}

impl From<DatabaseError> for AdminError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// An action to be noted, by this actor.
pub(crate) fn audit<'a>(
    actor: &'a Actor,
    action: &'static str,
    target: Option<&'a str>,
) -> AuditRow<'a> {
    AuditRow {
        actor: &actor.name,
        tenant: actor.tenant.as_deref(),
        action,
        target,
        reason: None,
        count: 1,
        detail: serde_json::json!({}),
    }
}
