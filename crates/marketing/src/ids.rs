//! The ids of what this crate keeps: each a type of its own, so that one is never taken for another's.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$about:meta])* $name:ident,)+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// An account of ours; its text is what payloads and holds name it by.
    AccountId,
    /// A grant.
    ConnectionId,
    /// A sync.
    SyncId,
    /// A watch of an account. Asked for again before its end it stays the same one; after it, the next one begins.
    WatchId,
    /// An event that a platform sent; ours, not the platform's.
    InboundEventId,
    /// A lead; ours, not the platform's.
    LeadId,
    /// An endpoint of a customer.
    EndpointId,
    /// An event for an endpoint.
    DeliveryId,
    /// A rule.
    StrategyId,
    /// An alert.
    AlertId,
}

impl DeliveryId {
    /// The `webhook-id` of its message, the same on every attempt.
    #[must_use]
    pub fn message_id(self) -> String {
        format!("msg_{}", self.0.simple())
    }
}
