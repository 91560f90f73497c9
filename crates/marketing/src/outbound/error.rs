//! Why something of an endpoint was not done, as what a caller decides on.

use queue::{AdminError, CipherError};

use crate::store::StoreError;

/// Why something of an endpoint was not done.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// There is no such endpoint, or it belongs to another tenant.
    #[error("there is no such endpoint")]
    NotFound,
    /// A part of the request is wrong.
    #[error("{pointer} {message}")]
    Invalid {
        /// JSON Pointer into the request.
        pointer: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The tenant has as many endpoints as it may have.
    #[error("there are {0} endpoints, and there cannot be more: delete one")]
    TooMany(i64),
    /// The endpoint is switched off.
    #[error("the endpoint is switched off: switch it on first")]
    Disabled,
    /// There is no key to seal secrets with.
    #[error("set MILLPOND_ENCRYPTION_KEYS: secrets are stored sealed alone")]
    NoKeys,
    /// A stored secret does not open.
    #[error("the secret at {place} does not open")]
    Sealed {
        /// `schema.table:id:column`.
        place: String,
        /// Why.
        #[source]
        source: CipherError,
    },
    /// The endpoint has no secret that could be used.
    #[error("the endpoint has no secret to sign with: give it a new one")]
    NoSecret,
    /// The database did not take part; whether it stored anything is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cursor of another list.
    #[error(transparent)]
    Engine(#[from] AdminError),
}

impl OutboundError {
    pub(super) fn invalid(pointer: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid {
            pointer,
            message: message.into(),
        }
    }
}
