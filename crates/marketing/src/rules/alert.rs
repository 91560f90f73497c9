//! When an alert is raised and when it is over: pure. It is raised at its threshold and over at another one, so that a figure
//! that trembles raises it once.

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use providers::mail::is_address;
use queue::config::Formula;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    RulesError,
    metric::{Metric, Sums},
    scope::RuleScope,
};
use crate::ratios::change_pct;

/// Longest window, in days.
const LONGEST_WINDOW: u32 = 90;

/// Most addresses that are told.
const MOST_RECIPIENTS: usize = 20;

/// What raises an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// The metric is above the threshold.
    Above,
    /// The metric is below it.
    Below,
    /// The metric is by more per cent above what it was in the window before.
    RisesPct,
    /// The metric is by more per cent below what it was in the window before.
    FallsPct,
}

/// When no mails are sent, by a clock on a wall: from a time to a time, over midnight where the end is before the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// `22:00`.
    pub from: String,
    /// `07:00`; the first minute that is not quiet.
    pub to: String,
    /// IANA time zone.
    pub time_zone: String,
}

/// What an alert watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// What it looks at.
    pub scope: RuleScope,
    /// What is watched, unless `kpi` names something.
    #[serde(default = "spend")]
    pub metric: Metric,
    /// The formula of `[kpis]` that is watched instead, by its name.
    #[serde(default)]
    pub kpi: Option<String>,
    /// What raises it.
    pub comparison: Comparison,
    /// The metric's value, or per cent for changes.
    pub threshold: Decimal,
    /// Back at which it is over; `None`: at the threshold.
    #[serde(default)]
    pub clear_at: Option<Decimal>,
    /// How many days count: 1 to 90. Thresholds go by days that end today, changes by whole days that end yesterday.
    #[serde(default = "a_day")]
    pub window_days: u32,
    /// Nothing is said of what was shown less often in the window.
    #[serde(default)]
    pub min_impressions: u64,
    /// When no mails are sent.
    #[serde(default)]
    pub quiet_hours: Option<QuietHours>,
    /// Whom mails go to; empty: the account's owner, who may not want them.
    #[serde(default)]
    pub recipients: Vec<String>,
}

fn spend() -> Metric {
    Metric::Spend
}

fn a_day() -> u32 {
    1
}

/// What is said of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) value: Decimal,
    pub(super) baseline: Option<Decimal>,
    pub(super) step: Step,
}

/// What becomes of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Fire,
    Clear,
    Stay,
}

impl Comparison {
    /// Whether it compares with the window before.
    pub(super) fn is_of_change(self) -> bool {
        matches!(self, Self::RisesPct | Self::FallsPct)
    }

    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
            Self::RisesPct => "rises_pct",
            Self::FallsPct => "falls_pct",
        }
    }
}

impl AlertRule {
    /// # Errors
    /// [`RulesError::Invalid`] for what could never be raised or never be over.
    pub(super) fn check(&self) -> Result<(), RulesError> {
        self.scope.check()?;
        if !(1..=LONGEST_WINDOW).contains(&self.window_days) {
            return Err(RulesError::invalid("/rule/window_days", "must be 1 to 90"));
        }
        if self.comparison.is_of_change() && self.threshold <= Decimal::ZERO {
            let message = "must be more than 0 per cent";
            return Err(RulesError::invalid("/rule/threshold", message));
        }
        let is_beyond = |clear: Decimal| match self.comparison {
            Comparison::Below => clear < self.threshold,
            Comparison::Above | Comparison::RisesPct | Comparison::FallsPct => {
                clear > self.threshold
            }
        };
        if self.clear_at.is_some_and(is_beyond) {
            let message = "must not lie beyond the threshold: the alert would never be over";
            return Err(RulesError::invalid("/rule/clear_at", message));
        }
        if let Some(quiet) = &self.quiet_hours {
            quiet.read()?;
        }
        let are_addresses = self.recipients.iter().all(|to| is_address(to));
        if self.recipients.len() > MOST_RECIPIENTS || !are_addresses {
            let message = "must be at most 20 addresses";
            return Err(RulesError::invalid("/rule/recipients", message));
        }
        Ok(())
    }

    /// What becomes of an alert that is raised or not, by the figures of its window and of the one before. `None`: the figures
    /// say nothing, and all stays as it is.
    pub(super) fn read(
        &self,
        is_raised: bool,
        (now, before): (&Sums, &Sums),
        formula: Option<&Formula>,
    ) -> Option<Reading> {
        if now.impressions < Decimal::from(self.min_impressions) {
            return None;
        }
        let value = self.value(now, formula)?;
        let baseline = match self.comparison.is_of_change() {
            true => Some(self.value(before, formula)?),
            false => None,
        };
        let measure = match (self.comparison, baseline) {
            (Comparison::RisesPct, Some(before)) => change_pct(Some(value), Some(before))?,
            (Comparison::FallsPct, Some(before)) => -change_pct(Some(value), Some(before))?,
            (Comparison::Below, _) => -value,
            (Comparison::Above | Comparison::RisesPct | Comparison::FallsPct, _) => value,
        };
        let sign = match self.comparison {
            Comparison::Below => Decimal::NEGATIVE_ONE,
            Comparison::Above | Comparison::RisesPct | Comparison::FallsPct => Decimal::ONE,
        };
        let raise = self.threshold * sign;
        let clear = self.clear_at.unwrap_or(self.threshold) * sign;
        let step = match is_raised {
            false if measure > raise => Step::Fire,
            true if measure <= clear => Step::Clear,
            _ => Step::Stay,
        };
        Some(Reading {
            value,
            baseline,
            step,
        })
    }

    /// That a raised alert is over for something that has no figures any more; `None`: it is not.
    pub(super) fn read_idle(&self, is_gone: bool, formula: Option<&Formula>) -> Option<Reading> {
        if !is_gone && self.kpi.is_some() && formula.is_none() {
            return None;
        }
        let nothing = Sums::default();
        let reading = self.read(true, (&nothing, &nothing), formula);
        if !is_gone && reading.as_ref().is_some_and(|it| it.step == Step::Stay) {
            return None;
        }
        Some(Reading {
            value: reading.map_or(Decimal::ZERO, |reading| reading.value),
            baseline: None,
            step: Step::Clear,
        })
    }

    /// Whether another rule is raised and over by the same as this one; who is told of it, and when, is not asked.
    pub(super) fn is_raised_as(&self, other: &Self) -> bool {
        let watched = |rule: &Self| Self {
            quiet_hours: None,
            recipients: Vec::new(),
            ..rule.clone()
        };
        watched(self) == watched(other)
    }

    /// What is watched, by its word.
    #[must_use]
    pub fn watched(&self) -> &str {
        self.kpi.as_deref().unwrap_or(self.metric.as_str())
    }

    /// A formula that is not there any more has no value: nothing is said until it is back.
    fn value(&self, sums: &Sums, formula: Option<&Formula>) -> Option<Decimal> {
        match self.kpi {
            Some(_) => sums.reckon(formula?),
            None => self.metric.of(sums),
        }
    }

    /// Whether no mail is sent now.
    pub(super) fn is_quiet(&self, now: DateTime<Utc>) -> bool {
        let quiet = self.quiet_hours.as_ref();
        quiet
            .and_then(|quiet| quiet.read().ok())
            .is_some_and(|(from, to, zone)| {
                let time = now.with_timezone(&zone).time();
                if from <= to {
                    from <= time && time < to
                } else {
                    from <= time || time < to
                }
            })
    }
}

impl QuietHours {
    fn read(&self) -> Result<(NaiveTime, NaiveTime, Tz), RulesError> {
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").ok();
        let refused = || {
            let message = "must have from and to as 22:00 and 07:00, and an IANA time zone";
            RulesError::invalid("/rule/quiet_hours", message)
        };
        let from = time(&self.from).ok_or_else(refused)?;
        let to = time(&self.to).ok_or_else(refused)?;
        let zone: Tz = self.time_zone.parse().map_err(|_| refused())?;
        if from == to {
            return Err(refused());
        }
        Ok((from, to, zone))
    }
}

#[cfg(test)]
mod tests {
    use providers::platform::Level;

    use super::*;

    fn rule(comparison: Comparison, threshold: i64, clear_at: Option<i64>) -> AlertRule {
        AlertRule {
            scope: RuleScope {
                account_id: None,
                platform: None,
                level: Level::Campaign,
                entity_ids: Vec::new(),
            },
            metric: Metric::Spend,
            kpi: None,
            comparison,
            threshold: Decimal::from(threshold),
            clear_at: clear_at.map(Decimal::from),
            window_days: 1,
            min_impressions: 0,
            quiet_hours: None,
            recipients: Vec::new(),
        }
    }

    fn spent(amount: i64) -> Sums {
        Sums {
            spend: Decimal::from(amount),
            ..Sums::default()
        }
    }

    fn step(rule: &AlertRule, is_raised: bool, now: i64, before: i64) -> Option<Step> {
        let reading = rule.read(is_raised, (&spent(now), &spent(before)), None);
        reading.map(|reading| reading.step)
    }

    // Fails when an alert is taken that cannot be mailed to whom it names.
    #[test]
    fn recipients_are_addresses_one_each() {
        let with = |to: &str| AlertRule {
            recipients: vec![to.to_owned()],
            ..rule(Comparison::Above, 100, None)
        };

        assert!(with("ada@example.com").check().is_ok());
        for wrong in [
            "ada",
            "a@example.com,b@example.com",
            "Ada <ada@example.com>",
        ] {
            assert!(with(wrong).check().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_figure_that_trembles_around_the_threshold_raises_it_once() {
        let rule = rule(Comparison::Above, 100, Some(80));

        assert_eq!(step(&rule, false, 100, 0), Some(Step::Stay));
        assert_eq!(step(&rule, false, 101, 0), Some(Step::Fire));
        assert_eq!(step(&rule, true, 99, 0), Some(Step::Stay));
        assert_eq!(step(&rule, true, 105, 0), Some(Step::Stay));
        assert_eq!(step(&rule, true, 80, 0), Some(Step::Clear));
    }

    #[test]
    fn below_is_the_same_the_other_way_round() {
        let rule = rule(Comparison::Below, 100, Some(120));

        assert_eq!(step(&rule, false, 99, 0), Some(Step::Fire));
        assert_eq!(step(&rule, true, 110, 0), Some(Step::Stay));
        assert_eq!(step(&rule, true, 120, 0), Some(Step::Clear));
    }

    #[test]
    fn changes_are_told_against_the_window_before() {
        let rises = rule(Comparison::RisesPct, 20, None);
        let falls = rule(Comparison::FallsPct, 20, Some(10));

        assert_eq!(step(&rises, false, 121, 100), Some(Step::Fire));
        assert_eq!(step(&rises, false, 120, 100), Some(Step::Stay));
        assert_eq!(step(&falls, false, 79, 100), Some(Step::Fire));
        assert_eq!(step(&falls, true, 85, 100), Some(Step::Stay));
        assert_eq!(step(&falls, true, 90, 100), Some(Step::Clear));
        // From nothing to something is no share of anything.
        assert_eq!(step(&rises, false, 50, 0), None);
    }

    #[test]
    fn figures_that_say_nothing_leave_all_as_it_is() {
        let mut rule = rule(Comparison::Below, 100, None);
        rule.min_impressions = 10;
        let mut of_clicks = rule.clone();
        of_clicks.min_impressions = 0;
        of_clicks.metric = Metric::Cpc;

        assert_eq!(step(&rule, false, 1, 0), None);
        assert_eq!(step(&of_clicks, true, 1, 0), None);
    }

    // Fails when an alert stays raised for what was stopped or deleted, and can never be raised again.
    #[test]
    fn what_has_no_figures_any_more_is_over_unless_nothing_is_still_too_little() {
        let above = rule(Comparison::Above, 100, Some(80));
        let below = rule(Comparison::Below, 100, None);
        let mut of_clicks = below.clone();
        of_clicks.metric = Metric::Cpc;
        let mut of_formula = above.clone();
        of_formula.kpi = Some("gone".to_owned());
        let step = |rule: &AlertRule, is_gone| rule.read_idle(is_gone, None).map(|it| it.step);

        assert_eq!(step(&above, false), Some(Step::Clear));
        assert_eq!(step(&of_clicks, false), Some(Step::Clear));
        assert_eq!(step(&below, false), None);
        assert_eq!(step(&below, true), Some(Step::Clear));
        assert_eq!(step(&of_formula, false), None);
    }

    #[test]
    fn a_formula_is_watched_in_the_place_of_a_metric() {
        let mut rule = rule(Comparison::Above, 10, None);
        rule.kpi = Some("cost_per_lead".to_owned());
        let formula = Formula::parse("spend / nullif(leads, 0)").expect("a formula");
        let with = |leads: i64| Sums {
            leads: Decimal::from(leads),
            ..spent(100)
        };
        let step = |sums: &Sums, formula| {
            let reading = rule.read(false, (sums, &Sums::default()), formula);
            reading.map(|reading| reading.step)
        };

        assert_eq!(step(&with(5), Some(&formula)), Some(Step::Fire));
        assert_eq!(step(&with(20), Some(&formula)), Some(Step::Stay));
        assert_eq!(step(&with(0), Some(&formula)), None);
        assert_eq!(step(&with(5), None), None);
    }

    #[test]
    fn quiet_hours_go_over_midnight_by_their_own_clock() {
        let mut rule = rule(Comparison::Above, 100, None);
        rule.quiet_hours = Some(QuietHours {
            from: "22:00".to_owned(),
            to: "07:00".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
        });
        let at = |text: &str| rule.is_quiet(text.parse().expect("a time"));

        assert!(at("2026-11-20T21:00:00Z"));
        assert!(at("2026-11-21T05:59:00Z"));
        assert!(!at("2026-11-21T06:00:00Z"));
        assert!(!at("2026-11-20T20:59:00Z"));
        assert!(rule.check().is_ok());
    }

    #[test]
    fn an_alert_that_would_never_be_over_is_refused() {
        assert!(rule(Comparison::Above, 100, Some(101)).check().is_err());
        assert!(rule(Comparison::Below, 100, Some(99)).check().is_err());
        assert!(rule(Comparison::RisesPct, 0, None).check().is_err());
        let mut zoneless = rule(Comparison::Above, 100, None);
        zoneless.quiet_hours = Some(QuietHours {
            from: "22:00".to_owned(),
            to: "07:00".to_owned(),
            time_zone: "Mars/Olympus".to_owned(),
        });
        assert!(zoneless.check().is_err());
    }
}
