//! `[slo.NAME]`: freshness objectives, and `[kpis]`: metrics that people make up of others.

use std::time::Duration;

use super::{
    names::Names,
    problem::Refusal,
    section::Section,
    shape::{Text, named, number, time},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// A freshness objective: a share of the jobs of a kind succeeds within a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// The kind whose successes count.
    pub kind: String,
    /// Only accounts under this budget count; `None`: all.
    pub budget: Option<String>,
    /// How old the last success may be; one second to 90 days.
    pub within: Duration,
    /// The share that must be as fresh as that, 0.5 to 1.
    pub target: f64,
}

impl Slo {
    /// `None` when a key is missing or wrong, which is then reported.
    pub(super) fn read(section: &mut Section<'_>, names: &Names<'_>) -> Option<Self> {
        let kind = section
            .key("kind", "The kind whose successes count.")
            .required(named("kind", &names.kinds));
        let budget = section
            .key(
                "budget",
                "Only accounts under this budget count; unset: all.",
            )
            .optional(named("budget", &names.budgets));
        let within = section
            .key("within", "How old the last success may be, 1s to 90d.")
            .required(time(SECOND..=90 * DAY));
        let target = section
            .key(
                "target",
                "The share that must be as fresh as that, 0.5 to 1.",
            )
            .required(number(0.5..=1.0));

        Some(Self {
            kind: kind?,
            budget,
            within: within?,
            target: target?,
        })
    }
}

/// The formula of a metric. Only its presence is checked here.
pub(super) fn formula() -> Text {
    Text {
        expected: "a formula such as \"spend / nullif(leads, 0)\"",
        check: |text| match text.trim() {
            "" => Err(Refusal::new("must not be empty")),
            _ => Ok(()),
        },
    }
}
