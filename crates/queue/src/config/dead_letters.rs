//! `[dead_letters]`: how long they are kept, and how a replay goes about it.

use std::time::Duration;

use super::{
    Rate,
    section::Section,
    shape::{integer, number, rate, time},
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// `[dead_letters]`: what becomes of jobs that failed for good.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetters {
    /// How long they are kept, one hour to ten years.
    pub retain: Duration,
    /// How a replay goes about it, where its request says nothing.
    pub replay: Replay,
}

/// `[dead_letters.replay]`: a few first, then the rest at a set rate. No replay heeds it yet in this release.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Jobs that run before the rest, 1 to 1,000.
    pub canary: u32,
    /// The share of them that must succeed for the rest to follow, 0 to 1.
    pub canary_success: f64,
    /// How many of the rest are enqueued in a span of time.
    pub rate: Rate,
}

impl DeadLetters {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            retain: section
                .key("retain", "How long dead letters are kept, 1h to 3650d.")
                .or(time(HOUR..=3_650 * DAY), 90 * DAY),
            replay: section
                .key(
                    "replay",
                    "A few dead letters first, then the rest at a set rate.",
                )
                .later()
                .table(Replay::read),
        }
    }
}

impl Replay {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            canary: section
                .key(
                    "canary",
                    "Dead letters that are replayed before the rest, 1 to 1000.",
                )
                .or(integer(1..=1_000), 5),
            canary_success: section
                .key(
                    "canary_success",
                    "The share of them that must succeed, 0 to 1.",
                )
                .or(number(0.0..=1.0), 0.95),
            rate: section
                .key(
                    "rate",
                    "How many of the rest are enqueued in a span of time.",
                )
                .or(rate(), Rate::per_second(10)),
        }
    }
}
