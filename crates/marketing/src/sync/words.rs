//! The words by which syncs are told apart.

use serde::{Deserialize, Serialize};

/// How much of what an account holds is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// All of it; what is not found has vanished.
    Full,
    /// What changed since the last time, where the platform can be asked for that.
    Incremental,
}

impl SyncMode {
    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }
}

/// How a sync stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// It is under way, or waits for its next attempt.
    Running,
    /// Everything was read.
    Succeeded,
    /// Some of it could not be read.
    Partial,
    /// It was given up.
    Failed,
}

impl SyncState {
    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}
