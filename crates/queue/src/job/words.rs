//! The closed vocabularies of the product: states, outcomes, error classes, what to do on conflict.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A word that is none of its vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{word}\" is not one of {}", allowed.join(", "))]
pub struct UnknownWord {
    /// What was given.
    pub word: String,
    /// What is allowed.
    pub allowed: &'static [&'static str],
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every word, in the order of the documentation.
            pub const WORDS: &'static [&'static str] = &[$($word,)+];

            /// The word as it stands in tables, metrics and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { word: word.chars().take(64).collect(), allowed: Self::WORDS }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Where a job stands.
    JobState {
        /// Waits for its time.
        Scheduled = "scheduled",
        /// May be claimed.
        Ready = "ready",
        /// A worker holds its lease.
        Running = "running",
        /// Failed, waits for the next attempt.
        Retrying = "retrying",
        /// Done.
        Succeeded = "succeeded",
        /// Stopped by a person or by its handler.
        Cancelled = "cancelled",
        /// Failed for good: a dead letter.
        Dead = "dead",
    }
}

words! {
    /// How an attempt ended.
    AttemptOutcome {
        /// The job is done.
        Succeeded = "succeeded",
        /// Another attempt follows after the backoff.
        Failed = "failed",
        /// No attempt is left, or none is worth it.
        Dead = "dead",
        /// The handler asked to be called again later; uses up no attempt.
        Snoozed = "snoozed",
        /// A limit was met; uses up no attempt.
        RateLimited = "rate_limited",
        /// The job was cancelled.
        Cancelled = "cancelled",
        /// The worker died or lost its lease.
        Lost = "lost",
        /// The process shut down; uses up no attempt.
        Interrupted = "interrupted",
    }
}

words! {
    /// What sort of failure ended an attempt; what a class leads to is policy.
    ErrorClass {
        /// Likely to pass by itself.
        Transient = "transient",
        /// A limit of the other side.
        RateLimited = "rate_limited",
        /// The account's token is spent.
        AuthExpired = "auth_expired",
        /// The token is fine, the right is missing.
        Permission = "permission",
        /// The input can never work.
        Invalid = "invalid",
        /// Asked for more than the other side gives at once.
        TooLarge = "too_large",
        /// Our own secret or set-up is wrong.
        Config = "config",
        /// The attempt took longer than it may.
        Timeout = "timeout",
        /// The handler panicked.
        Panic = "panic",
        /// The worker died or lost its lease.
        Lost = "lost",
        /// A fault of ours.
        Internal = "internal",
    }
}

words! {
    /// What happens when a unique key is taken.
    OnConflict {
        /// Keep the job that is there.
        Keep = "keep",
        /// Replace the one that waits; a running one is kept.
        Replace = "replace",
        /// Refuse the new one.
        Reject = "reject",
        /// Create it behind a running one; with one waiting already, keep that.
        OneBehind = "one_behind",
    }
}

words! {
    /// What became of an enqueue.
    EnqueueOutcome {
        /// A new job.
        Created = "created",
        /// The job was there already.
        Deduplicated = "deduplicated",
        /// The waiting job took the new content.
        Replaced = "replaced",
    }
}

words! {
    /// Where a job came from: a label of the enqueue metric.
    Source {
        /// The HTTP endpoint.
        Http = "http",
        /// The command line.
        Cli = "cli",
        /// A handler, in its settling transaction.
        Handler = "handler",
        /// A replay of a dead letter.
        Replay = "replay",
        /// A tick of a schedule, or a person who triggered one.
        Schedule = "schedule",
        /// apalis' `Storage` trait.
        Apalis = "apalis",
    }
}

words! {
    /// What a tick of a schedule became.
    TickOutcome {
        /// A new job.
        Enqueued = "enqueued",
        /// A job that holds the kind's unique key stands for it.
        Deduplicated = "deduplicated",
        /// It was missed, and the job of a later one stands for it.
        Coalesced = "coalesced",
        /// Left out: a job of the schedule was not done.
        SkippedOverlap = "skipped_overlap",
        /// Left out: it was missed.
        SkippedMisfire = "skipped_misfire",
        /// Left out: the schedule was paused.
        SkippedPaused = "skipped_paused",
        /// No job could be made: the payload does not fit the kind.
        Refused = "refused",
    }
}

impl JobState {
    /// Whether nothing more will happen to the job.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled | Self::Dead)
    }

    /// This state's bit in the set of states that hold a unique key.
    pub(crate) const fn bit(self) -> i16 {
        match self {
            Self::Scheduled => 1,
            Self::Ready => 2,
            Self::Running => 4,
            Self::Retrying => 8,
            Self::Succeeded | Self::Cancelled | Self::Dead => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        for word in JobState::WORDS {
            assert_eq!(word.parse::<JobState>().map(JobState::as_str), Ok(*word));
        }
        for word in ErrorClass::WORDS {
            assert_eq!(
                word.parse::<ErrorClass>().map(ErrorClass::as_str),
                Ok(*word)
            );
        }
    }

    #[test]
    fn an_unknown_word_is_refused_with_the_list_of_known_ones() {
        let refused = "runing".parse::<JobState>().expect_err("no such state");

        assert!(
            refused
                .to_string()
                .contains("\"runing\" is not one of scheduled, ready")
        );
    }
}
