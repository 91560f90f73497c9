//! `[defaults]`: the settings that layer, from Millpond's own over `[defaults]` and a queue to a kind.

use std::time::Duration;

use super::{
    backoff::{Backoff, BackoffShape, Jitter},
    key::Given,
    section::Section,
    shape::{integer, time},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// The priority after which there is none.
const LAST: i16 = 9;

/// What holds for jobs where neither their queue nor their kind says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// 0 (first) to 9.
    pub priority: i16,
    /// Longest single attempt, one second to one day.
    pub timeout: Duration,
    /// Attempts before a job is dead, 1 to 100.
    pub max_attempts: u32,
    /// How long a job waits after a failed attempt.
    pub backoff: Backoff,
    /// How long succeeded jobs are kept, up to ten years; zero keeps none.
    pub retain_succeeded: Duration,
}

/// The same with where each value comes from.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    priority: Given<i16>,
    timeout: Given<Duration>,
    max_attempts: Given<u32>,
    backoff: Given<Backoff>,
    retain_succeeded: Given<Duration>,
}

impl Layer {
    pub(super) fn built_in() -> Self {
        Self {
            priority: Given::built_in(5),
            timeout: Given::built_in(15 * MINUTE),
            max_attempts: Given::built_in(8),
            backoff: Given::built_in(Backoff::built_in()),
            retain_succeeded: Given::built_in(DAY),
        }
    }

    /// This section over the layer below it.
    pub(super) fn read(section: &mut Section<'_>, below: &Self) -> Self {
        Self {
            priority: section
                .key("priority", "0 (first) to 9.")
                .inherit(integer(0..=9), &below.priority),
            timeout: section
                .key("timeout", "Longest single attempt, 1s to 24h.")
                .inherit(time(SECOND..=DAY), &below.timeout),
            max_attempts: section
                .key("max_attempts", "Attempts before a job is dead, 1 to 100.")
                .inherit(integer(1..=100), &below.max_attempts),
            backoff: section
                .key("backoff", "How long a job waits after a failed attempt.")
                .inherit(BackoffShape, &below.backoff),
            retain_succeeded: section
                .key(
                    "retain_succeeded",
                    "How long succeeded jobs are kept, up to 3650d; \"0s\" keeps none.",
                )
                .inherit(time(Duration::ZERO..=3_650 * DAY), &below.retain_succeeded),
        }
    }

    /// The same for a kind that has a plan of its own: its attempts and the waits between them, each up to a fifth longer, where
    /// no file says anything else than what is built in. What may go on for days comes after the rest of its queue.
    pub(super) fn with_plan(&self, waits: &[Duration]) -> Self {
        let built_in = Self::built_in();
        let attempts = u32::try_from(waits.len()).unwrap_or(u32::MAX);
        let backoff = Backoff::Delays {
            delays: waits.to_vec(),
            jitter: Jitter::Late,
        };
        Self {
            priority: Given::built_in((self.priority.value + 1).min(LAST)),
            max_attempts: self
                .max_attempts
                .said_or(&built_in.max_attempts, attempts.saturating_add(1)),
            backoff: self.backoff.said_or(&built_in.backoff, backoff),
            ..self.clone()
        }
    }

    pub(super) fn values(&self) -> Defaults {
        Defaults {
            priority: self.priority.value,
            timeout: self.timeout.value,
            max_attempts: self.max_attempts.value,
            backoff: self.backoff.value.clone(),
            retain_succeeded: self.retain_succeeded.value,
        }
    }
}
