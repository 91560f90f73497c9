//! What became of an event, and why.

use std::time::Duration;

use chrono::{DateTime, Utc};
use providers::{Error as ProviderError, meta::conversions::Refused};
use serde::{Deserialize, Serialize};

/// The destinations' codes for an event that is too old: Meta's, and Google's of uploads.
const TOO_OLD: [&str; 3] = ["100/2804003", "EXPIRED_EVENT", "CONVERSION_EXPIRED"];

/// What became of an event that a job asked to deliver.
#[derive(Debug)]
pub struct Delivered {
    /// The event's name.
    pub event_name: String,
    /// Its id, as the destination knows it.
    pub event_id: String,
    /// What the destination cannot take and did not get, as the destination's client names it.
    pub left_out: Vec<String>,
    /// What became of it.
    pub fate: Fate,
}

/// How far an event came.
#[derive(Debug)]
pub enum Fate {
    /// The destination has it.
    Sent {
        /// What the destination's support asks for.
        trace_id: Option<String>,
        /// What the destination said beside it.
        messages: Vec<String>,
    },
    /// It was sent before, by another job.
    AlreadySent {
        /// When.
        at: Option<DateTime<Utc>>,
    },
    /// It can never be sent as it is.
    Refused(Refusal),
    /// It may have been delivered so long ago that sending it again might count it twice.
    InDoubt {
        /// Since when.
        since: Option<DateTime<Utc>>,
    },
    /// The destination has put it off, or has not said yet what became of it: ask again then.
    Later {
        /// How long to wait.
        wait: Duration,
    },
    /// Another job has it in its hands at this moment: ask again.
    Contended,
    /// It was not sent, or nobody knows: worth another attempt if the failure is.
    Failed(ProviderError),
}

/// Why an event can never be sent as it is. Kept with the event, so that the job's next attempt need not ask again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// It is too old for the destination.
    pub expired: bool,
    /// What is wrong with it.
    pub reasons: Vec<Reason>,
}

/// What is wrong with an event. Never quotes what the event says of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which member, as a JSON Pointer into the event; empty where it is the event as a whole.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
    /// The destination's own code, where it was the one that refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl Refusal {
    /// A refusal of ours with a single reason.
    pub(super) fn of_member(pointer: &str, message: &str) -> Self {
        let reason = Reason {
            pointer: pointer.to_owned(),
            message: message.to_owned(),
            code: None,
        };
        Self {
            expired: false,
            reasons: vec![reason],
        }
    }

    /// What the destination said later of an event that it had accepted.
    pub(super) fn of_processing(reason: &str, expired: bool) -> Self {
        let reason = Reason {
            pointer: String::new(),
            message: "accepted and then not counted".to_owned(),
            code: Some(reason.to_owned()),
        };
        Self {
            expired,
            reasons: vec![reason],
        }
    }

    /// The destination's verdict on a single event; `None` where the failure is not about the event.
    pub(super) fn of_provider(error: &ProviderError) -> Option<Self> {
        let detail = match error {
            ProviderError::Rejected { detail } | ProviderError::TooLarge { detail } => detail,
            ProviderError::RateLimited { .. }
            | ProviderError::Postponed { .. }
            | ProviderError::AuthExpired { .. }
            | ProviderError::Permission { .. }
            | ProviderError::Config { .. }
            | ProviderError::Unavailable { .. }
            | ProviderError::TimedOut { .. } => return None,
        };
        let reason = Reason {
            pointer: String::new(),
            message: error.to_string(),
            code: detail.code.clone(),
        };
        Some(Self {
            expired: detail
                .code
                .as_deref()
                .is_some_and(|code| TOO_OLD.contains(&code)),
            reasons: vec![reason],
        })
    }

    /// The state under which the event is remembered.
    pub(super) fn state(&self) -> &'static str {
        if self.expired { "expired" } else { "rejected" }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let reasons = refused
            .reasons
            .into_iter()
            .map(|(pointer, message)| Reason {
                pointer,
                message,
                code: None,
            })
            .collect();
        Self {
            expired: refused.expired,
            reasons,
        }
    }
}
