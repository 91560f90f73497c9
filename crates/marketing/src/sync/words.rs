//! The words by which syncs are told apart, and words that are stored as what they mean.

use std::fmt;

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, value::StrDeserializer},
};
use uuid::Uuid;

/// A sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct SyncId(pub Uuid);

impl fmt::Display for SyncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

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

/// A word that is stored, as what it means.
pub(super) fn stored_word<T: DeserializeOwned>(word: &str) -> Result<T, sqlx::Error> {
    let reader = StrDeserializer::<serde::de::value::Error>::new(word);
    T::deserialize(reader).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use providers::platform::{EntityType, Level};

    use super::*;

    #[test]
    fn a_stored_word_is_read_as_it_was_written() {
        for kind in EntityType::ALL {
            assert_eq!(stored_word::<EntityType>(kind.as_str()).ok(), Some(kind));
        }
        for level in Level::ALL {
            assert_eq!(stored_word::<Level>(level.as_str()).ok(), Some(level));
        }
        for mode in [SyncMode::Full, SyncMode::Incremental] {
            assert_eq!(stored_word::<SyncMode>(mode.as_str()).ok(), Some(mode));
        }
        assert!(stored_word::<SyncState>("paused").is_err());
    }
}
