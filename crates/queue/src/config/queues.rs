//! `[queues.NAME]`: where jobs wait, and how many of them may run.

use super::{
    Rate,
    defaults::{Defaults, Layer},
    section::Section,
    shape::{choice, integer, rate},
};

const DEFAULT_CONCURRENCY: u32 = 10;

const FAIRNESS: &[(&str, FairBy)] = &[("tenant", FairBy::Tenant)];

/// A queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Attempts that one process runs at a time, 1 to 10,000.
    pub concurrency: u32,
    /// Attempts that the whole fleet runs at a time; `None`: no limit.
    pub global_concurrency: Option<u32>,
    /// Ready jobs beyond which an enqueue is refused; `None`: no limit.
    pub max_ready: Option<u64>,
    /// Attempts that the whole fleet starts in a span of time; `None`: no limit.
    pub rate: Option<Rate>,
    /// Whose jobs take turns; `None`: first come, first served.
    pub fair_by: Option<FairBy>,
    /// What holds for its jobs where their kind says nothing.
    pub defaults: Defaults,
}

impl Queue {
    /// Whether the whole fleet keeps a limit on how its jobs start, or an order of turns.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.global_concurrency.is_some() || self.rate.is_some() || self.fair_by.is_some()
    }
}

/// Whose jobs take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FairBy {
    /// Those of each tenant.
    Tenant,
}

impl FairBy {
    /// The word of the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
        }
    }
}

/// A queue, and the layer that its kinds build on.
pub(super) struct QueueLayer {
    pub(super) queue: Queue,
    pub(super) layer: Layer,
}

impl QueueLayer {
    pub(super) fn read(section: &mut Section<'_>, below: &Layer) -> Self {
        let layer = Layer::read(section, below);
        let queue = Queue {
            concurrency: section
                .key(
                    "concurrency",
                    "Attempts that one process runs at a time, 1 to 10000.",
                )
                .or(integer(1..=10_000), DEFAULT_CONCURRENCY),
            global_concurrency: section
                .key(
                    "global_concurrency",
                    "Attempts that the fleet runs at a time, 1 to 1000000.",
                )
                .optional(integer(1..=1_000_000)),
            max_ready: section
                .key(
                    "max_ready",
                    "Ready jobs beyond which an enqueue is answered 429.",
                )
                .optional(integer(1..=1_000_000_000)),
            rate: section
                .key("rate", "Attempts that the fleet starts in a span of time.")
                .optional(rate()),
            fair_by: section
                .key(
                    "fair_by",
                    "Whose jobs take turns; unset: first come, first served.",
                )
                .optional(choice(FAIRNESS)),
            defaults: layer.values(),
        };
        Self { queue, layer }
    }
}
