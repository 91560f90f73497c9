//! Changes as others see them.

use std::fmt;

use chrono::{DateTime, Utc};
use providers::platform::EntityType;
use queue::JobId;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, value::StrDeserializer},
};
use uuid::Uuid;

use super::{
    claim::Order,
    decide::{Decision, Plan, Wanted},
};
use crate::{accounts::AccountId, store::campaign_changes::ChangeRow};

/// How a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// An attempt is at it; in a dry run: it would be made.
    Sending,
    /// It failed in passing and is tried again.
    Waiting,
    /// The platform made it.
    Done,
    /// It was so already.
    Unchanged,
    /// It must not be made, or the platform refuses it.
    Refused,
    /// The attempt ended without telling how.
    Unknown,
}

impl ChangeState {
    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ChangeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change that a job was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MadeChange {
    /// Grows with every change; 0 in a dry run.
    pub id: i64,
    /// The job, or the one that it replays.
    pub job: JobId,
    /// Its place in the job's payload.
    pub place: usize,
    /// Whose entity.
    pub account: AccountId,
    /// What the entity is.
    pub kind: EntityType,
    /// The platform's id of it.
    pub entity_id: String,
    /// `status`, `daily_budget` or `lifetime_budget`.
    pub field: String,
    /// What it was; `None`: nothing that is known.
    pub before: Option<String>,
    /// What it is set to.
    pub after: String,
    /// How it stands.
    pub state: ChangeState,
    /// Why it was asked for.
    pub reason: Option<String>,
    /// By whom, by the word of whoever ordered it.
    pub requested_by: Option<String>,
    /// Which rule asked for it.
    pub strategy: Option<Uuid>,
    /// The class of what went wrong.
    pub error_class: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// When it was begun.
    pub begun_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl MadeChange {
    /// What a change would come to.
    pub(super) fn planned(
        order: Order,
        (place, wanted): (usize, &Wanted),
        plan: Plan,
        now: DateTime<Utc>,
    ) -> Self {
        let (state, error) = match plan.decision {
            Decision::Send => (ChangeState::Sending, None),
            Decision::Unchanged => (ChangeState::Unchanged, None),
            Decision::Refused(why) => (ChangeState::Refused, Some(why.to_owned())),
        };
        Self {
            id: 0,
            job: order.job,
            place,
            account: order.account,
            kind: wanted.kind,
            entity_id: wanted.id.clone(),
            field: plan.field.to_owned(),
            before: plan.before,
            after: plan.after,
            state,
            reason: wanted.reason.clone(),
            requested_by: wanted.requested_by.clone(),
            strategy: order.strategy,
            error_class: error.as_ref().map(|_| "invalid".to_owned()),
            error,
            begun_at: now,
            ended_at: None,
        }
    }
}

/// A stored row as others see it.
pub(super) fn made(row: ChangeRow) -> Result<MadeChange, sqlx::Error> {
    Ok(MadeChange {
        id: row.id,
        job: JobId(row.job),
        place: usize::try_from(row.place).unwrap_or_default(),
        account: AccountId(row.account),
        kind: state_of(&row.kind)?,
        entity_id: row.entity_id,
        field: row.field,
        before: row.before,
        after: row.after,
        state: state_of(&row.state)?,
        reason: row.reason,
        requested_by: row.requested_by,
        strategy: row.strategy,
        error_class: row.error_class,
        error: row.error,
        begun_at: row.begun_at,
        ended_at: row.ended_at,
    })
}

/// A word that is stored, as what it means.
pub(super) fn state_of<T: DeserializeOwned>(word: &str) -> Result<T, sqlx::Error> {
    let read = T::deserialize(StrDeserializer::<serde::de::value::Error>::new(word));
    read.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
