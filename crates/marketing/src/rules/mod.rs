//! Rules that recommend or make changes, and alerts on figures: what they watch, what they find, and what becomes of it. What
//! is decided is decided by pure functions; what a rule does is done by jobs of kind `campaign.update`.

mod alert;
mod alerts;
mod due;
mod figures;
mod firing;
mod metric;
mod order;
mod owner;
mod prune;
mod raise;
mod recommend;
mod recommendations;
mod scope;
mod strategies;
mod strategy;
#[cfg(test)]
mod tests;

use queue::{AdminError, Queue};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::PgPool;

pub use alert::{AlertRule, Comparison, QuietHours};
pub use alerts::{Alert, AlertChange, AlertStatus, NewAlert};
pub use firing::{AlertEntry, Became, DueMail};
pub use metric::{Metric, Sums};
pub use raise::AlertsFound;
pub use recommend::StrategyFound;
pub use recommendations::{Recommendation, RecommendationFilter, RecommendationState};
pub use scope::RuleScope;
pub use strategies::{NewStrategy, Strategy, StrategyChange, StrategyStatus};
pub use strategy::{Act, Mode, Reason, StrategyRule};

pub use crate::ids::{AlertId, StrategyId};
use crate::{
    store::StoreError,
    tenant::{shown_tenant, stored_tenant},
    words::stored_word,
};

/// Why something of rules and alerts was not done or read.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// There is no such thing, or it belongs to another tenant.
    #[error("there is no such thing")]
    NotFound,
    /// A part of the request is wrong.
    #[error("{pointer} {message}")]
    Invalid {
        /// JSON Pointer into the request.
        pointer: &'static str,
        /// What is wrong.
        message: String,
    },
    /// Its state does not allow it.
    #[error("it is {state}: {message}")]
    State {
        /// The present state.
        state: &'static str,
        /// What would be needed.
        message: &'static str,
    },
    /// The database did not take part; whether it stored anything is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cursor of another list, or a job that was not taken.
    #[error(transparent)]
    Engine(#[from] AdminError),
}

impl RulesError {
    pub(super) fn invalid(pointer: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid {
            pointer,
            message: message.into(),
        }
    }
}

/// Rules and alerts; cheap to make and to clone.
#[derive(Clone)]
pub struct Rules {
    queue: Queue,
}

impl Rules {
    /// In the queue's database.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    fn db(&self) -> PgPool {
        self.queue.database().pool()
    }
}

/// A document that is stored, as what it means.
fn stored_document<T: DeserializeOwned>(document: Value) -> Result<T, sqlx::Error> {
    serde_json::from_value(document).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A document as it is stored; what cannot be written as JSON is `null`, and our own types all can.
fn document(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// Checks a name that people choose.
fn check_name(name: &str) -> Result<(), RulesError> {
    let is_name = (1..=LONGEST_NAME).contains(&name.trim().chars().count())
        && !name.chars().any(char::is_control);
    if is_name {
        return Ok(());
    }
    Err(RulesError::invalid(
        "/name",
        "must be 1 to 200 characters in one line",
    ))
}

/// Most characters of a name.
const LONGEST_NAME: usize = 200;
