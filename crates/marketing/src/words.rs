//! Closed vocabularies: the words by which things are told apart in tables, requests and answers.

use serde::de::{DeserializeOwned, value::StrDeserializer};

/// There is no such word.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be one of {known}")]
pub struct UnknownWord {
    pub(crate) known: &'static str,
}

/// Makes an enum of words. What is known is listed for people, as they are told it where a word is none of these.
macro_rules! words {
    ($(#[$about:meta])* $name:ident [$known:literal] { $($(#[$of_word:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
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

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::words::UnknownWord> {
                let mut words = Self::ALL.iter().copied();
                let found = words.find(|word| word.as_str() == text);
                found.ok_or($crate::words::UnknownWord { known: $known })
            }
        }
    };
}
pub(crate) use words;

/// A word that is stored, as what it means.
pub(crate) fn stored_word<T: DeserializeOwned>(word: &str) -> Result<T, sqlx::Error> {
    let reader = StrDeserializer::<serde::de::value::Error>::new(word);
    T::deserialize(reader).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};

    use providers::platform::{EntityType, Level};

    use super::*;
    use crate::{
        accounts::{AccountKind, AccountOrder, AccountStatus},
        email::Topic,
        outbound::{DeliveryState, DisabledBy},
        performance::Grain,
        rules::{AlertStatus, Mode, RecommendationState, StrategyStatus},
        sync::{SyncMode, SyncState},
    };

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

    /// Fails where a word is stored otherwise than it is shown.
    fn assert_read_back<T: Copy + PartialEq + Debug + Display + DeserializeOwned>(all: &[T]) {
        for word in all {
            assert_eq!(stored_word::<T>(&word.to_string()).ok(), Some(*word));
        }
    }

    #[test]
    fn every_word_of_a_vocabulary_is_stored_as_it_is_shown() {
        assert_read_back(AccountStatus::ALL);
        assert_read_back(AccountKind::ALL);
        assert_read_back(AccountOrder::ALL);
        assert_read_back(Topic::ALL);
        assert_read_back(DeliveryState::ALL);
        assert_read_back(DisabledBy::ALL);
        assert_read_back(Grain::ALL);
        assert_read_back(AlertStatus::ALL);
        assert_read_back(StrategyStatus::ALL);
        assert_read_back(Mode::ALL);
        assert_read_back(RecommendationState::ALL);
    }

    #[test]
    fn a_word_is_parsed_and_what_is_none_is_told_what_there_is() {
        for status in AccountStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        let refused = "gone".parse::<AccountStatus>().map_err(|e| e.to_string());

        assert_eq!(
            refused,
            Err("must be one of active, expiring, needs_reauth and disconnected".to_owned())
        );
    }
}
