//! Why something of a sync was not stored or read, as what a caller decides on.

use queue::AdminError;

use crate::store::StoreError;

/// Why something of a sync was not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
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
    /// The account is disconnected: nothing of it can be read.
    #[error("the account is disconnected: connect it again")]
    Disconnected,
    /// Another attempt goes on with the sync, or it was closed: nothing was stored, and nothing more will be.
    #[error("another attempt goes on with this sync, or it was closed")]
    Superseded,
    /// The database did not take part; whether it stored anything is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cursor of another list.
    #[error(transparent)]
    Engine(#[from] AdminError),
}

impl SyncError {
    pub(super) fn invalid(pointer: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid {
            pointer,
            message: message.into(),
        }
    }

    /// What a write of a run came to that may not be the sync's any more.
    pub(super) fn unless_superseded<T>(stored: Option<T>) -> Result<T, Self> {
        stored.ok_or(Self::Superseded)
    }
}
