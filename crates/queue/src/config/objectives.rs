//! `[slo.NAME]`: freshness objectives, and `[kpis]`: metrics that people make up of others.

use std::time::Duration;

use super::{
    formula::{Formula, FormulaError},
    names::BUDGETS,
    problem::Refusal,
    section::Section,
    shape::{Text, choice, named, number, time},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

const MEASURED: &[(&str, Measured)] = &[
    ("sync.account", Measured::SyncAccount),
    ("sync.insights", Measured::SyncInsights),
];

/// A freshness objective: what jobs of a kind have stored is young enough, for a share of the accounts.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// Of whose results the age is told.
    pub kind: Measured,
    /// Only accounts under this provider's budget count; `None`: all.
    pub budget: Option<String>,
    /// How old what is stored may be; one second to 90 days.
    pub within: Duration,
    /// The share of the accounts for which it is as young as that, 0.5 to 1.
    pub target: f64,
}

/// A kind of jobs that leave something behind whose age is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// `sync.account`.
    SyncAccount,
    /// `sync.insights`.
    SyncInsights,
}

impl Slo {
    /// `None` when a key is missing or wrong, which is then reported.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let kind = section
            .key("kind", "What must be young: what jobs of this kind store.")
            .required(choice(MEASURED));
        let budget = section
            .key(
                "budget",
                "Only accounts under this provider's budget count; unset: all.",
            )
            .optional(named("provider's budget", &BUDGETS));
        let within = section
            .key("within", "How old it may be, 1s to 90d.")
            .required(time(SECOND..=90 * DAY));
        let target = section
            .key(
                "target",
                "The share of the accounts for which it is as young as that, 0.5 to 1.",
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

/// The formula of a metric.
pub(super) fn kpi() -> Text {
    Text {
        expected: "a formula such as \"spend / nullif(leads, 0)\"",
        check: |text| match Formula::parse(text) {
            Ok(_) => Ok(()),
            Err(FormulaError::UnknownFigure { name, suggestion }) => Err(Refusal::new(format!(
                "{name:?} is no figure that may be added up"
            ))
            .suggesting(suggestion)),
            Err(error) => Err(Refusal::new(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    const TWO: &str = "[slo.meta-freshness]\nkind = \"sync.account\"\nbudget = \"meta\"\nwithin = \"1h\"\n\
                       target = 0.99\n[slo.figures]\nkind = \"sync.insights\"\nwithin = \"90m\"\ntarget = 1.0\n";

    #[test]
    fn an_objective_says_of_what_how_young_and_for_how_many() {
        let parsed = Config::parse(TWO, &[]).expect("the objectives are right");

        let meta = Slo {
            kind: Measured::SyncAccount,
            budget: Some("meta".to_owned()),
            within: Duration::from_secs(3_600),
            target: 0.99,
        };
        let figures = Slo {
            kind: Measured::SyncInsights,
            budget: None,
            within: Duration::from_secs(5_400),
            target: 1.0,
        };
        assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
        assert_eq!(
            parsed.config.slos.into_iter().collect::<Vec<_>>(),
            [
                ("figures".to_owned(), figures),
                ("meta-freshness".to_owned(), meta)
            ]
        );
    }

    #[test]
    fn what_holds_for_an_objective_is_listed() {
        let parsed = Config::parse(TWO, &[]).expect("the objectives are right");

        let listed = parsed.config.effective().into_iter();
        let listed: Vec<_> = listed
            .filter(|value| value.key.starts_with("slo."))
            .map(|value| (value.key, value.value))
            .collect();

        let expected = [
            ("slo.figures.kind", json!("sync.insights")),
            ("slo.figures.within", json!("1h30m")),
            ("slo.figures.target", json!(1.0)),
            ("slo.meta-freshness.kind", json!("sync.account")),
            ("slo.meta-freshness.budget", json!("meta")),
            ("slo.meta-freshness.within", json!("1h")),
            ("slo.meta-freshness.target", json!(0.99)),
        ];
        assert_eq!(listed, expected.map(|(key, value)| (key.to_owned(), value)));
    }
}
