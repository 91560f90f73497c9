//! Telling customers what happens, at endpoints of their own: which endpoints there are and what they want to hear of, what they
//! are to be told, and how telling them went. Calls are the jobs' matter.

mod deliveries;
mod endpoints;
mod error;
mod fan_out;
mod gauges;
mod secrets;
mod sending;
#[cfg(test)]
mod tests;
mod view;

use queue::{Actor, Cipher};
use sqlx::PgPool;

pub use error::OutboundError;
pub use fan_out::{DisabledEndpoint, FannedOut};
pub use gauges::EndpointGauges;
pub(crate) use secrets::place_of_secret;
pub use sending::{Attempted, Followed, Message, NextStep};
pub use view::{
    Delivery, DeliveryAttempt, DeliveryState, DisabledBy, Endpoint, EndpointChange, NewEndpoint,
    SentAgain,
};

pub use crate::ids::{DeliveryId, EndpointId};
use crate::{accounts::Accounts, tenant::shown_tenant, words::stored_word};

/// What customers can be told of.
pub const EVENTS: [&str; 9] = [
    "account.needs_reauth",
    "account.status_changed",
    "alert.fired",
    "conversion.rejected",
    "entity.changed",
    "job.dead",
    "lead.created",
    "sync.completed",
    "sync.failed",
];

/// The event of a message that somebody sends to try an endpoint out.
pub const TEST_EVENT: &str = "webhook.test";

/// The kind of the jobs that send messages.
pub const DELIVER: &str = "webhook.deliver";

/// Endpoints and what they are told; cheap to clone. No `Debug`: it holds keys.
#[derive(Clone)]
pub struct Outbound(Accounts);

impl Outbound {
    /// Those of the same database, under the same keys.
    #[must_use]
    pub fn new(accounts: &Accounts) -> Self {
        Self(accounts.clone())
    }

    fn db(&self) -> PgPool {
        self.0.db()
    }

    fn cipher(&self) -> Result<&Cipher, OutboundError> {
        self.0.cipher().map_err(|_no_keys| OutboundError::NoKeys)
    }
}

/// Who acts, as the audit of a tenant tells it: what is done to its endpoints is its own to see, whoever does it.
fn acting_for(actor: &Actor, tenant: &str) -> Actor {
    Actor {
        name: actor.name.clone(),
        tenant: shown_tenant(tenant.to_owned()),
    }
}
