//! What keeps a job from running: the one predicate that claims and explains. [`decide`] is it, on what a [`survey`] has
//! read; a [`claim()`] does what it says, and `explain` tells what it says. Queues and kinds without limits need none of
//! this: their claims are one statement, and what that asks for itself is asked here in the same way.

mod claim;
mod decide;
mod explain;
mod facts;
mod marking;
mod note;
mod survey;
mod turns;
mod window;

use std::{borrow::Cow, fmt};

use serde::Serialize;

pub(crate) use claim::{Ask, Claimed, Sweep, claim, mates};
pub use explain::{Explanation, GateAnswer};
pub(crate) use marking::Marking;
pub(crate) use window::Window;

use crate::config::Config;

/// What can keep a job from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Somebody paused the queue.
    QueuePaused,
    /// The job's time has not come.
    NotDue,
    /// As many attempts of the queue run in the fleet as may.
    QueueFull,
    /// As many attempts of the queue were started lately as may.
    QueueRate,
    /// As many attempts with the job's key run as may.
    KeyLimit,
    /// Nothing is left of the budget that the job draws on: its kind's, or else its account's.
    Budget,
    /// The job's account is held.
    AccountHeld,
    /// No live worker of the queue has registered the kind.
    NoWorker,
    /// Other jobs go first.
    Backlog,
}

impl Gate {
    /// Every gate, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::QueuePaused,
        Self::NotDue,
        Self::QueueFull,
        Self::QueueRate,
        Self::KeyLimit,
        Self::Budget,
        Self::AccountHeld,
        Self::NoWorker,
        Self::Backlog,
    ];

    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueuePaused => "queue_paused",
            Self::NotDue => "not_due",
            Self::QueueFull => "queue_full",
            Self::QueueRate => "queue_rate",
            Self::KeyLimit => "key_limit",
            Self::Budget => "budget",
            Self::AccountHeld => "account_held",
            Self::NoWorker => "no_worker",
            Self::Backlog => "backlog",
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How jobs of a queue are claimed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Manner<'a> {
    /// By one statement, which names these kinds.
    Plain {
        /// Those without limits.
        kinds: Cow<'a, [String]>,
        /// The others, whose jobs are here only where somebody put them.
        strays: Vec<String>,
    },
    /// Under the eyes of every gate.
    Gated,
}

impl<'a> Manner<'a> {
    /// Of a queue for a process that has registered these kinds.
    pub(crate) fn of(config: &Config, queue: &str, kinds: &'a [String]) -> Self {
        let has_limits = config.queues.get(queue).is_some_and(|it| it.is_limited());
        let is_limited = |kind: &&String| {
            let kind = config.kinds.get(kind.as_str());
            kind.is_some_and(|kind| kind.is_limited())
        };
        let lives_here = |kind: &String| config.policy(kind).queue == queue;
        if has_limits || kinds.iter().filter(is_limited).any(lives_here) {
            return Self::Gated;
        }
        if !kinds.iter().any(|kind| is_limited(&kind)) {
            return Self::Plain {
                kinds: Cow::Borrowed(kinds),
                strays: Vec::new(),
            };
        }
        let (strays, plain) = kinds.iter().cloned().partition(|kind| is_limited(&kind));
        Self::Plain {
            kinds: Cow::Owned(plain),
            strays,
        }
    }
}

/// Whether the end of an attempt may let another job of its queue start that no free slot alone would: then whoever waits
/// is to hear of it.
pub(crate) fn frees_a_place(config: &Config, queue: &str, kind: &str) -> bool {
    let queue = config.queues.get(queue);
    let kind = config.kinds.get(kind);
    queue.is_some_and(|queue| queue.global_concurrency.is_some())
        || kind.is_some_and(|kind| kind.per_key_concurrency.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [&str; 2] = ["test.plain", "test.keyed"];

    fn manner_of(text: &str, queue: &str) -> String {
        let config = Config::parse(text, &KINDS).expect("it is right").config;
        let kinds = KINDS.map(str::to_owned);
        format!("{:?}", Manner::of(&config, queue, &kinds))
    }

    #[test]
    fn what_has_no_limits_is_claimed_by_one_statement() {
        assert_eq!(
            manner_of("", "default"),
            "Plain { kinds: [\"test.plain\", \"test.keyed\"], strays: [] }"
        );
    }

    #[test]
    fn every_limit_of_a_queue_opens_the_eyes_of_its_claims_and_of_no_others() {
        for limit in [
            "global_concurrency = 1",
            "rate = \"1/s\"",
            "fair_by = \"tenant\"",
        ] {
            let text = format!("[queues.default]\n{limit}");

            assert_eq!(manner_of(&text, "default"), "Gated", "{limit}");
            assert!(manner_of(&text, "http").starts_with("Plain"), "{limit}");
        }
    }

    #[test]
    fn a_kind_with_limits_is_left_out_of_plain_claims_wherever_it_does_not_live() {
        let text = "[kinds.\"test.keyed\"]\nkey = \"account_id\"\nper_key_concurrency = 1";

        assert_eq!(manner_of(text, "default"), "Gated");
        assert_eq!(
            manner_of(text, "http"),
            "Plain { kinds: [\"test.plain\"], strays: [\"test.keyed\"] }"
        );
    }
}
