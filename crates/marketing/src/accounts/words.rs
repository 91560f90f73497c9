//! The words that accounts are told apart by, and their ids.

use std::{fmt, str::FromStr};

use serde::Serialize;
use uuid::Uuid;

/// There is no such word.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be one of {known}")]
pub struct UnknownWord {
    known: &'static str,
}

macro_rules! words {
    ($(#[$about:meta])* $name:ident [$known:literal] { $($(#[$of_word:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$of_word])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that is shown and stored.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                let mut words = Self::ALL.iter().copied();
                words.find(|word| word.as_str() == text).ok_or(UnknownWord { known: $known })
            }
        }
    };
}

words! {
    /// How an account stands.
    AccountStatus ["active, expiring, needs_reauth and disconnected"] {
        /// It can be used.
        Active = "active",
        /// It can be used, but its owner must renew the grant soon.
        Expiring = "expiring",
        /// Its grant is spent: its jobs wait until it is connected again.
        NeedsReauth = "needs_reauth",
        /// Somebody disconnected it.
        Disconnected = "disconnected",
    }
}

words! {
    /// What sort of account it is.
    AccountKind ["ad_account, page, instagram_account and business"] {
        /// An ad account.
        AdAccount = "ad_account",
        /// A page (Meta).
        Page = "page",
        /// A business account of Instagram (Meta).
        InstagramAccount = "instagram_account",
        /// A business that others belong to.
        Business = "business",
    }
}

words! {
    /// In which order accounts are listed.
    AccountOrder ["found and behind"] {
        /// As they were found.
        Found = "found",
        /// Those that are synced, the ones most behind first.
        Behind = "behind",
    }
}

macro_rules! id {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
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
    };
}

id! {
    /// An account of ours; its text is what payloads and holds name it by.
    AccountId
}

id! {
    /// A grant.
    ConnectionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_written() {
        for status in AccountStatus::ALL {
            let told = serde_json::to_value(status).expect("a word");

            assert_eq!(told, status.as_str());
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        for kind in AccountKind::ALL {
            let told = serde_json::to_value(kind).expect("a word");

            assert_eq!(told, kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        let refused = "gone".parse::<AccountStatus>().map_err(|e| e.to_string());
        assert_eq!(
            refused,
            Err("must be one of active, expiring, needs_reauth and disconnected".to_owned())
        );
    }
}
