//! Why something about an account was not done, as what a caller decides on.

use providers::{Detail, Error as ProviderError, platform::Platform};
use queue::{AdminError, CipherError};

use crate::store::StoreError;

/// Why something about an account was not done. Never tells a token.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// There is no such account, or it belongs to another tenant.
    #[error("there is no such account")]
    NotFound,
    /// A part of the request is wrong.
    #[error("{pointer} {message}")]
    Invalid {
        /// JSON Pointer into the request.
        pointer: &'static str,
        /// What is wrong.
        message: String,
    },
    /// Nothing can be sealed or opened: our own set-up.
    #[error("no encryption key is configured: set MILLPOND_ENCRYPTION_KEYS")]
    NoKeys,
    /// A stored secret does not open: our own set-up, or somebody changed it.
    #[error("the secret at {place} does not open")]
    Sealed {
        /// `schema.table:id:column`.
        place: String,
        /// Why.
        #[source]
        source: CipherError,
    },
    /// Part of our own set-up is missing; the text says what to set.
    #[error("{0}")]
    NotSetUp(&'static str),
    /// This process knows no client for the platform.
    #[error("{0} is not set up in this process")]
    NoPlatform(Platform),
    /// The account was disconnected: it has no token any more.
    #[error("the account is disconnected: connect it again")]
    Disconnected,
    /// Somebody else is refreshing the token; ask again.
    #[error("the token is being refreshed by another process")]
    RefreshUnderway,
    /// What a person came back with belongs to no question of ours, or to one that was answered or is too old.
    #[error("the state is unknown, was used, or is too old: begin again")]
    UnknownState,
    /// The person did not give access.
    #[error("the person did not give access")]
    Refused,
    /// A request that should be a platform's is not signed by it.
    #[error("the request is not signed by the platform")]
    NotSigned,
    /// The platform did not do what it was asked for.
    #[error("the platform did not do what it was asked for")]
    Platform(#[from] ProviderError),
    /// The database did not take part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cursor of another list, or the engine did not take part.
    #[error(transparent)]
    Engine(#[from] AdminError),
}

impl AccountsError {
    pub(super) fn invalid(pointer: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid {
            pointer,
            message: message.into(),
        }
    }

    /// Whether it is the customer's grant that does not work, so that only its owner can help.
    #[must_use]
    pub fn is_spent_grant(&self) -> bool {
        matches!(self, Self::Platform(ProviderError::AuthExpired { .. }))
    }
}

/// A platform did not answer in the time that it has.
pub(super) fn too_slow(platform: Platform, waited_for: &str) -> ProviderError {
    ProviderError::TimedOut {
        detail: Detail {
            provider: platform.as_str(),
            message: format!("no {waited_for} in time"),
            ..Detail::default()
        },
        maybe_received: true,
    }
}
