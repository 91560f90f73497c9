//! Endpoints and deliveries as others see them: without a secret.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::{
    ids::{DeliveryId, EndpointId},
    words::words,
};

words! {
    /// How a delivery stands.
    DeliveryState ["pending, succeeded, failed and missed"] {
        /// It is to be sent, or sent again.
        Pending = "pending",
        /// The endpoint took it.
        Succeeded = "succeeded",
        /// It was given up.
        Failed = "failed",
        /// It was not sent because the endpoint was switched off.
        Missed = "missed",
    }
}

words! {
    /// Why an endpoint is switched off.
    DisabledBy ["request, failures and gone"] {
        /// Somebody wanted it.
        Request = "request",
        /// A delivery was given up, and nothing else got through meanwhile.
        Failures = "failures",
        /// It answered that it is gone.
        Gone = "gone",
    }
}

/// An endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose events it is told; `None`: those that belong to no tenant.
    pub tenant: Option<String>,
    /// Where it is.
    pub url: String,
    /// What people call it.
    pub description: String,
    /// What it wants to hear of, of [`super::EVENTS`]; empty: everything.
    pub events: Vec<String>,
    /// Who is told when it is switched off.
    pub owner_email: Option<String>,
    /// Whether it is told anything.
    pub is_enabled: bool,
    /// When, by whom and why it was switched off.
    pub disabled: Option<(DateTime<Utc>, DisabledBy, String)>,
    /// Failures in a row.
    pub failures: i32,
    /// Since when nothing gets through; `None`: the last message did.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When somebody changed it last.
    pub updated_at: DateTime<Utc>,
}

/// An endpoint to be made.
#[derive(Debug, Clone, Default)]
pub struct NewEndpoint {
    /// Whose events it is told; `None`: those that belong to no tenant.
    pub tenant: Option<String>,
    /// Where it is.
    pub url: String,
    /// What people call it.
    pub description: String,
    /// What it wants to hear of; empty: everything.
    pub events: Vec<String>,
    /// Who is told when it is switched off.
    pub owner_email: Option<String>,
}

/// What changes about an endpoint; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct EndpointChange {
    /// Where it is.
    pub url: Option<String>,
    /// What people call it.
    pub description: Option<String>,
    /// What it wants to hear of; empty: everything.
    pub events: Option<Vec<String>>,
    /// Who is told when it is switched off; empty: nobody.
    pub owner_email: Option<String>,
    /// Whether it is told anything. What was held against it is forgotten when it is switched on.
    pub is_enabled: Option<bool>,
}

/// An event for an endpoint, and how telling it went.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its id; messages bear it as [`DeliveryId::message_id`] has it.
    pub id: DeliveryId,
    /// Its place in the list.
    pub(super) seq: i64,
    /// Of what sort the event is.
    pub event: String,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i32,
    /// The newest 20 attempts, the last one last.
    pub log: Vec<DeliveryAttempt>,
    /// When the event was taken up.
    pub created_at: DateTime<Utc>,
    /// Since when it is not pending any more.
    pub ended_at: Option<DateTime<Utc>>,
}

/// An attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeliveryAttempt {
    /// From 1.
    pub number: i32,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// What the endpoint answered; `None`: nothing.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The beginning of the answer, or why there was none; at most 1 KiB.
    pub excerpt: String,
}

/// What is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentAgain {
    /// How many deliveries.
    pub count: u64,
    /// Whether that is all of the span of time.
    pub is_all: bool,
}
