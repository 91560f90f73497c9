//! What mails are about, of which each recipient may end each: the names are those of an owner's preferences.

use crate::words::words;

words! {
    /// What a mail is one of.
    Topic ["token_expiry, sync_errors, alerts and digest"] {
        /// That a grant ends soon, or has ended.
        TokenExpiry = "token_expiry",
        /// That an account could not be synced.
        SyncErrors = "sync_errors",
        /// That an alert was raised.
        Alerts = "alerts",
        /// Digests.
        Digest = "digest",
    }
}

impl Topic {
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
