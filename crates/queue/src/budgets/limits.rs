//! What `[budgets.NAME]` means for calls: how many at a time, how far apart, how many a day.

use std::time::Duration;

use super::window::Day;
use crate::config::{Budget, BudgetScope, Rate};

/// The share of a day's calls that is kept for urgent jobs: enough to serve people who wait all day, and small enough
/// that hourly work seldom misses it.
const RESERVED: u64 = 10;
/// Of rates over a minute or more, the share that may be called in one go: jobs make calls in a row and then none, and
/// would else wait seconds for each. Rates by the second are kept to the call: providers count those in small windows.
const BURST: u32 = 10;
/// The shortest span that has bursts.
const LEAST_SPAN_OF_BURSTS: Duration = Duration::from_secs(60);
/// What calls are spaced out from that have no rate of their own.
const UNPACED: Duration = Duration::from_millis(100);
/// How much of the rate is gone where the provider has nearly nothing left.
const MOST_SLOWED: f64 = 0.9;

/// The limits of a budget.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Calls in flight at a time.
    pub(super) places: Option<u32>,
    pub(super) pace: Option<Pace>,
    pub(super) day: Option<DayLimit>,
    /// Whether what the provider says of its usage counts.
    pub(super) listens: bool,
    pub(super) slow_down_at: f64,
    pub(super) stop_at: f64,
    /// The same limits have the same text.
    pub(super) text: String,
}

/// Calls a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DayLimit {
    pub(super) most: u64,
    pub(super) day: Day,
}

/// How far apart calls are, and how many may be made in one go after a rest. In no span of the rate are there more than
/// it allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    pub(super) burst: u32,
}

impl Limits {
    pub(super) fn of(name: &str, budget: &Budget) -> Self {
        let day = budget.daily.map(|most| DayLimit {
            most,
            day: Day::of(name),
        });
        Self {
            places: budget.concurrent,
            pace: budget.rate.map(Pace::of),
            day,
            listens: budget.feedback.is_some(),
            slow_down_at: budget.slow_down_at,
            stop_at: budget.stop_at,
            text: text(budget),
        }
    }

    /// The pace where the provider says that such a share is used: from `slow_down_at` on calls are spaced out, up to ten
    /// times at `stop_at`.
    pub(super) fn pace_at(&self, used_share: Option<f64>) -> Option<Pace> {
        let Some(share) = used_share.filter(|share| *share >= self.slow_down_at) else {
            return self.pace;
        };
        let span = self.stop_at - self.slow_down_at;
        let progress = if span > 0.0 {
            ((share - self.slow_down_at) / span).clamp(0.0, 1.0)
        } else {
            1.0
        };
        let interval = self.pace.map_or(UNPACED, |pace| pace.interval);
        Some(Pace {
            interval: interval.mul_f64(1.0 / (1.0 - MOST_SLOWED * progress)),
            burst: 1,
        })
    }

    /// The most that a single call may weigh; `None`: no limit.
    pub(super) fn heaviest(&self, urgent: bool) -> Option<u64> {
        self.day.map(|day| day.left(0, urgent))
    }
}

impl DayLimit {
    /// The calls that are left of the day. Some of them are for urgent jobs alone.
    pub(super) fn left(self, used: u64, urgent: bool) -> u64 {
        self.allowed(urgent).saturating_sub(used)
    }

    /// How many calls must be forgotten before one of this weight can be made.
    pub(super) fn lacks(self, used: u64, weight: u64, urgent: bool) -> u64 {
        used.saturating_add(weight)
            .saturating_sub(self.allowed(urgent))
    }

    fn allowed(self, urgent: bool) -> u64 {
        let reserved = if urgent { 0 } else { self.most / RESERVED };
        self.most - reserved
    }
}

impl Pace {
    fn of(rate: Rate) -> Self {
        let burst = if rate.per >= LEAST_SPAN_OF_BURSTS {
            (rate.count / BURST).max(1)
        } else {
            1
        };
        // A span that begins with a burst has room for so many calls fewer after it.
        Self {
            interval: rate.per / (rate.count - burst + 1),
            burst,
        }
    }
}

fn text(budget: &Budget) -> String {
    let or_any = |limit: Option<String>| limit.unwrap_or_else(|| "any".to_owned());
    let per = match budget.per {
        BudgetScope::Account => "account",
        BudgetScope::Provider => "provider",
    };
    let heeds = match budget.feedback {
        Some(_) => "heeding the provider",
        None => "whatever the provider says",
    };
    format!(
        "{} at a time, {}, {} a day, per {per}, {} to {}, {heeds}",
        or_any(budget.concurrent.map(|limit| limit.to_string())),
        or_any(budget.rate.map(|rate| rate.to_string())),
        or_any(budget.daily.map(|limit| limit.to_string())),
        budget.slow_down_at,
        budget.stop_at,
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::config::{Config, Feedback};

    fn limits(section: &str) -> Limits {
        let text = format!("[budgets.meta]\n{section}");
        let config = Config::parse(&text, &[])
            .expect("the section is right")
            .config;
        Limits::of("meta", &config.budgets["meta"])
    }

    #[test]
    fn a_tenth_of_the_day_is_for_urgent_jobs() {
        let day = limits("daily = 15000").day.expect("there is a limit");

        assert_eq!((day.left(0, false), day.left(0, true)), (13_500, 15_000));
        assert_eq!(
            (day.left(14_000, false), day.left(14_000, true)),
            (0, 1_000)
        );
    }

    #[test]
    fn calls_are_spaced_out_between_slow_down_and_stop() {
        let limits = limits("rate = \"10/s\"\nslow_down_at = 0.5\nstop_at = 0.9");

        let interval = |share| limits.pace_at(share).map(|pace| pace.interval.as_millis());

        assert_eq!(interval(None), Some(100));
        assert_eq!(interval(Some(0.49)), Some(100));
        assert_eq!(interval(Some(0.7)), Some(181));
        assert_eq!(interval(Some(0.9)), Some(1_000));
    }

    #[test]
    fn other_limits_have_another_text() {
        let sections = [
            "daily = 5",
            "daily = 6",
            "rate = \"5/s\"",
            "per = \"provider\"",
        ];
        let heeded = |feedback| {
            let budget = Budget {
                feedback,
                ..Config::builtin().budgets["meta"].clone()
            };
            Limits::of("meta", &budget).text
        };

        let mut texts: BTreeSet<String> = sections.map(|it| limits(it).text).into();
        texts.extend([heeded(None), heeded(Some(Feedback::MetaUsage))]);

        assert_eq!(texts.len(), 6);
    }

    proptest! {
        // Fails when a burst comes on top of the rate.
        #[test]
        fn no_span_has_more_calls_than_the_rate_allows(count in 1_u32..2_000, minutes in any::<bool>()) {
            let per = Duration::from_secs(if minutes { 60 } else { 1 });
            let pace = Pace::of(Rate { count, per });

            // The worst span: a burst at once, then a call an interval.
            let spaced = per.as_secs_f64() / pace.interval.as_secs_f64();
            let calls = f64::from(pace.burst - 1) + (spaced - 1e-2).ceil();

            prop_assert!(calls <= f64::from(count) + 1e-3, "{calls} of {count}");
        }
    }
}
