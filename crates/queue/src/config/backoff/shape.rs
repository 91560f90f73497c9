//! `backoff = { … }` as a file writes it.

use std::time::Duration;

use serde_json::{Value, json};
use toml::{Spanned, de::DeValue};

use super::{Backoff, DEFAULT_BASE, DEFAULT_FACTOR, DEFAULT_MAX, Jitter};
use crate::config::{
    section::Section,
    shape::{Place, Shape, choice, format_duration, list, number, schema_of_table, time},
};

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

const STRATEGIES: &[(&str, Strategy)] = &[
    ("exponential", Strategy::Exponential),
    ("linear", Strategy::Linear),
    ("fixed", Strategy::Fixed),
];
const JITTERS: &[(&str, Jitter)] = &[
    ("none", Jitter::None),
    ("full", Jitter::Full),
    ("late", Jitter::Late),
];

/// `{ strategy = "exponential", … }` or `{ delays = […] }`.
pub(in crate::config) struct BackoffShape;

impl Shape for BackoffShape {
    type Value = Backoff;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Backoff> {
        const EXPECTED: &str = "a table such as { strategy = \"fixed\", base = \"30s\" }";
        place.table(EXPECTED, found, Backoff::read)
    }

    fn show(&self, value: &Backoff) -> Value {
        let words = |jitter: &Jitter| choice(JITTERS).show(jitter);
        match value {
            Backoff::Exponential {
                base,
                factor,
                max,
                jitter,
            } => json!({
                "strategy": "exponential",
                "base": format_duration(*base),
                "factor": factor,
                "max": format_duration(*max),
                "jitter": words(jitter),
            }),
            Backoff::Linear { base, max, jitter } => json!({
                "strategy": "linear",
                "base": format_duration(*base),
                "max": format_duration(*max),
                "jitter": words(jitter),
            }),
            Backoff::Fixed { delay, jitter } => json!({
                "strategy": "fixed",
                "base": format_duration(*delay),
                "jitter": words(jitter),
            }),
            Backoff::Delays { delays, jitter } => json!({
                "delays": delays_shape().show(delays),
                "jitter": words(jitter),
            }),
        }
    }

    fn schema(&self) -> Value {
        schema_of_table(Backoff::read)
    }
}

impl Backoff {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let strategy = section
            .key("strategy", "How waits grow from failure to failure.")
            .or(choice(STRATEGIES), Strategy::Exponential);
        let base = section
            .key("base", "The wait after the first failure, 1ms to 24h.")
            .or(time(MILLISECOND..=DAY), DEFAULT_BASE);
        let factor = section
            .key(
                "factor",
                "How many times as long each next wait is, 1 to 10; for exponential.",
            )
            .or(number(1.0..=10.0), DEFAULT_FACTOR);
        let max = section
            .key(
                "max",
                "The longest wait, 1ms to 7d; for exponential and linear.",
            )
            .or(time(MILLISECOND..=WEEK), DEFAULT_MAX);
        let jitter = section
            .key(
                "jitter",
                "What chance does to a wait: full takes a random share of it, late adds up to a fifth.",
            )
            .or(choice(JITTERS), Jitter::Full);
        let delays = section
            .key(
                "delays",
                "One wait for each failure, instead of a strategy; 1 to 100, each up to 7d.",
            )
            .given(&delays_shape());

        if section.has("delays") {
            let others = ["strategy", "base", "factor", "max"];
            refuse_idle(section, &others, "has no meaning beside delays");
            // What is written down is meant as it is, unless somebody says otherwise.
            let jitter = if section.has("jitter") {
                jitter
            } else {
                Jitter::None
            };
            return delays.map(|delays| Self::Delays {
                delays: delays.value,
                jitter,
            });
        }
        refuse_idle(
            section,
            strategy.idle_keys(),
            "has no meaning with this strategy",
        );
        if base > max && strategy != Strategy::Fixed {
            let max = format_duration(max);
            section.refuse("base", format!("must be at most max ({max})"));
        }
        Some(match strategy {
            Strategy::Exponential => Self::Exponential {
                base,
                factor,
                max,
                jitter,
            },
            Strategy::Linear => Self::Linear { base, max, jitter },
            Strategy::Fixed => Self::Fixed {
                delay: base,
                jitter,
            },
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Strategy {
    Exponential,
    Linear,
    Fixed,
}

impl Strategy {
    fn idle_keys(self) -> &'static [&'static str] {
        match self {
            Self::Exponential => &[],
            Self::Linear => &["factor"],
            Self::Fixed => &["factor", "max"],
        }
    }
}

/// A key that changes nothing here was meant to change something.
fn refuse_idle(section: &mut Section<'_>, keys: &[&str], why: &str) {
    for key in keys {
        if section.has(key) {
            section.refuse(key, why);
        }
    }
}

fn delays_shape() -> impl Shape<Value = Vec<Duration>> {
    list(time(Duration::ZERO..=WEEK), 1..=100)
}
