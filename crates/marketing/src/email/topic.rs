//! What mails are about, of which each recipient may end each: the names are those of an owner's preferences.

use std::{fmt, str::FromStr};

/// What a mail is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// That a grant ends soon, or has ended.
    TokenExpiry,
    /// That an account could not be synced.
    SyncErrors,
    /// That an alert was raised.
    Alerts,
    /// Digests.
    Digest,
}

/// It is no such word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no topic: token_expiry, sync_errors, alerts and digest are")]
pub struct UnknownTopic;

impl Topic {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::TokenExpiry,
        Self::SyncErrors,
        Self::Alerts,
        Self::Digest,
    ];

    /// Its name in payloads and preferences.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenExpiry => "token_expiry",
            Self::SyncErrors => "sync_errors",
            Self::Alerts => "alerts",
            Self::Digest => "digest",
        }
    }

    /// What its mails are, to people.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::TokenExpiry => "mails about connections that end",
            Self::SyncErrors => "mails about accounts that could not be read",
            Self::Alerts => "alerts",
            Self::Digest => "weekly digests",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Topic {
    type Err = UnknownTopic;

    fn from_str(word: &str) -> Result<Self, UnknownTopic> {
        let found = Self::ALL.into_iter().find(|topic| topic.as_str() == word);
        found.ok_or(UnknownTopic)
    }
}
