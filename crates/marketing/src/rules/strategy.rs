//! What a rule finds of one entity: pure. It fires for all of its reasons together, which are kept.

use providers::platform::{EntityStatus, Level};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    RulesError,
    metric::{Metric, Sums},
    scope::RuleScope,
};
use crate::{ratios::ratio, words::words};

/// Longest look-back, in days.
const LONGEST_LOOK_BACK: u32 = 90;

/// Most a budget is raised at once, in per cent.
const MOST_RAISE_PCT: u32 = 100;

/// Currencies without a smaller unit, or whose budgets have none at some platform.
const WITHOUT_CENTS: [&str; 21] = [
    "BIF", "CLP", "COP", "CRC", "DJF", "GNF", "HUF", "IDR", "ISK", "JPY", "KMF", "KRW", "MGA",
    "PYG", "RWF", "TWD", "UGX", "VND", "VUV", "XAF", "XOF",
];

/// Most changes that a rule makes in 24 hours.
const MOST_A_DAY: u32 = 500;

words! {
    /// Whether a rule acts by itself.
    Mode ["recommend and act"] {
        /// What it finds is listed, for somebody to accept or dismiss.
        Recommend = "recommend",
        /// What it finds is done, up to its daily cap.
        Act = "act",
    }
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// It stops what misses a threshold.
    Pause,
    /// It raises the budget of what keeps all thresholds and uses its budget up.
    RaiseBudget,
    /// It tells of what misses a threshold.
    Notify,
}

/// What a rule watches, and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyRule {
    /// What it looks at.
    pub scope: RuleScope,
    /// What it does.
    pub action: Act,
    /// How many days count, today among them: 1 to 90.
    pub look_back_days: u32,
    /// Nothing is found of what was shown less often.
    #[serde(default)]
    pub min_impressions: u64,
    /// Nothing is found of what was clicked less often.
    #[serde(default)]
    pub min_clicks: u64,
    /// Clicks per impression below which something misses, in per cent.
    #[serde(default)]
    pub min_ctr_pct: Option<Decimal>,
    /// Spend per click above which something misses, in the account's currency.
    #[serde(default)]
    pub max_cpc: Option<Decimal>,
    /// Spend per thousand impressions above which something misses.
    #[serde(default)]
    pub target_cpm: Option<Decimal>,
    /// Share of the budget a day that is spent, in per cent, from which on something misses, or is raised.
    #[serde(default)]
    pub budget_threshold_pct: Option<Decimal>,
    /// By how many per cent a budget is raised at most: 1 to 100.
    #[serde(default)]
    pub raise_pct: Option<u32>,
    /// No budget is raised beyond this.
    #[serde(default)]
    pub max_daily_budget: Option<Decimal>,
    /// Most changes in 24 hours: 1 to 500.
    #[serde(default = "usual_cap")]
    pub daily_cap: u32,
}

fn usual_cap() -> u32 {
    10
}

/// Why something was found: a metric, what it was and what it was held against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A metric's word, or `budget_used_pct`.
    pub metric: String,
    /// What it was.
    pub value: Decimal,
    /// `below`, `above` or `at_least` the threshold, `keeps` where it is met.
    pub comparison: String,
    /// What it was held against.
    pub threshold: Decimal,
}

/// An entity as a rule sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: EntityStatus,
    pub(super) daily_budget: Option<Decimal>,
    /// Whether budgets of its account may have cents.
    pub(super) has_cents: bool,
    pub(super) sums: Sums,
}

/// What a rule finds of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) reasons: Vec<Reason>,
}

impl StrategyRule {
    /// # Errors
    /// [`RulesError::Invalid`] for what could find nothing, or would do too much.
    pub(super) fn check(&self) -> Result<(), RulesError> {
        self.scope.check()?;
        let refuse = |pointer, message: &str| Err(RulesError::invalid(pointer, message));
        if self.scope.level == Level::Account {
            return refuse("/rule/scope/level", "must be campaign, ad_set or ad");
        }
        if self.scope.level == Level::Ad && self.action == Act::RaiseBudget {
            return refuse(
                "/rule/scope/level",
                "must be campaign or ad_set: ads have no budgets",
            );
        }
        if !(1..=LONGEST_LOOK_BACK).contains(&self.look_back_days) {
            return refuse("/rule/look_back_days", "must be 1 to 90");
        }
        let amounts = [
            ("/rule/min_ctr_pct", self.min_ctr_pct),
            ("/rule/max_cpc", self.max_cpc),
            ("/rule/target_cpm", self.target_cpm),
            ("/rule/budget_threshold_pct", self.budget_threshold_pct),
            ("/rule/max_daily_budget", self.max_daily_budget),
        ];
        let wrong = amounts
            .into_iter()
            .find(|(_, amount)| amount.is_some_and(|amount| amount <= Decimal::ZERO));
        if let Some((pointer, _)) = wrong {
            return refuse(pointer, "must be more than 0");
        }
        if amounts[..4].iter().all(|(_, amount)| amount.is_none()) {
            return refuse("/rule", "must have at least one threshold");
        }
        match (self.action, self.raise_pct) {
            (Act::RaiseBudget, Some(1..=MOST_RAISE_PCT)) | (Act::Pause | Act::Notify, None) => {}
            (Act::RaiseBudget, _) => {
                return refuse("/rule/raise_pct", "must be 1 to 100 to raise a budget");
            }
            (Act::Pause | Act::Notify, Some(_)) => {
                return refuse("/rule/raise_pct", "belongs to raise_budget alone");
            }
        }
        if self.action == Act::RaiseBudget && self.budget_threshold_pct.is_none() {
            return refuse(
                "/rule/budget_threshold_pct",
                "is required to raise a budget",
            );
        }
        if !(1..=MOST_A_DAY).contains(&self.daily_cap) {
            return refuse("/rule/daily_cap", "must be 1 to 500");
        }
        Ok(())
    }

    /// What the rule finds of an entity. Only what delivers is looked at, and only what has the volume that was asked for.
    pub(super) fn find(&self, seen: &Seen) -> Option<Finding> {
        if seen.status != EntityStatus::Active || !self.has_volume(&seen.sums) {
            return None;
        }
        match self.action {
            Act::Pause => {
                let reasons = self.misses(seen);
                (!reasons.is_empty()).then(|| Finding {
                    before: Some(EntityStatus::Active.as_str().to_owned()),
                    after: Some(EntityStatus::Paused.as_str().to_owned()),
                    reasons,
                })
            }
            Act::Notify => {
                let reasons = self.misses(seen);
                (!reasons.is_empty()).then_some(Finding {
                    before: None,
                    after: None,
                    reasons,
                })
            }
            Act::RaiseBudget => self.raise(seen),
        }
    }

    fn has_volume(&self, sums: &Sums) -> bool {
        sums.impressions >= Decimal::from(self.min_impressions)
            && sums.clicks >= Decimal::from(self.min_clicks)
    }

    /// The performance thresholds, each with its metric and whether less than it misses.
    fn thresholds(&self) -> impl Iterator<Item = (Metric, Decimal, bool)> {
        [
            (Metric::CtrPct, self.min_ctr_pct, true),
            (Metric::Cpc, self.max_cpc, false),
            (Metric::Cpm, self.target_cpm, false),
        ]
        .into_iter()
        .filter_map(|(metric, threshold, less)| Some((metric, threshold?, less)))
    }

    /// The thresholds that are missed. Where a metric has no value, nothing is known to be missed.
    fn misses(&self, seen: &Seen) -> Vec<Reason> {
        let missed = self.thresholds().filter_map(|(metric, threshold, less)| {
            let value = metric.of(&seen.sums)?;
            let is_missed = if less {
                value < threshold
            } else {
                value > threshold
            };
            let comparison = if less { "below" } else { "above" };
            is_missed.then(|| reason(metric.as_str(), value, comparison, threshold))
        });
        missed.chain(self.used_up(seen)).collect()
    }

    /// That the budget is used up to its threshold.
    fn used_up(&self, seen: &Seen) -> Option<Reason> {
        let threshold = self.budget_threshold_pct?;
        let budget = seen.daily_budget?;
        let days = Decimal::from(self.look_back_days);
        let used = ratio(
            Decimal::ONE_HUNDRED,
            Some(seen.sums.spend),
            budget.checked_mul(days),
        )?;
        (used >= threshold).then(|| reason("budget_used_pct", used, "at_least", threshold))
    }

    /// A budget is raised where all thresholds are kept and it is used up.
    fn raise(&self, seen: &Seen) -> Option<Finding> {
        let mut reasons = vec![self.used_up(seen)?];
        for (metric, threshold, less) in self.thresholds() {
            let value = metric.of(&seen.sums)?;
            let is_kept = if less {
                value >= threshold
            } else {
                value <= threshold
            };
            if !is_kept {
                return None;
            }
            reasons.push(reason(metric.as_str(), value, "keeps", threshold));
        }
        let before = seen.daily_budget?;
        let places = match seen.has_cents {
            true => 2,
            false => before.scale(),
        };
        let after = self.raised(before, places)?;
        Some(Finding {
            before: Some(before.to_string()),
            after: Some(after.to_string()),
            reasons,
        })
    }

    /// A budget with its raise, to so many places and not above the bound; `None` where that is no raise.
    fn raised(&self, budget: Decimal, places: u32) -> Option<Decimal> {
        let factor = Decimal::from(100 + self.raise_pct?) / Decimal::ONE_HUNDRED;
        let raised = budget.checked_mul(factor)?;
        let raised = raised.trunc_with_scale(places);
        let raised = match self.max_daily_budget {
            Some(most) => raised.min(most.trunc_with_scale(places)),
            None => raised,
        };
        (raised > budget).then_some(raised)
    }
}

/// Whether amounts of a currency may have cents, at every platform; not where that is not known.
pub(super) fn has_cents(currency: Option<&str>) -> bool {
    currency.is_some_and(|currency| !WITHOUT_CENTS.contains(&currency))
}

fn reason(metric: &str, value: Decimal, comparison: &str, threshold: Decimal) -> Reason {
    Reason {
        metric: metric.to_owned(),
        value,
        comparison: comparison.to_owned(),
        threshold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Act) -> StrategyRule {
        StrategyRule {
            scope: RuleScope {
                account_id: None,
                platform: None,
                level: Level::Campaign,
                entity_ids: Vec::new(),
            },
            action,
            look_back_days: 2,
            min_impressions: 1_000,
            min_clicks: 0,
            min_ctr_pct: Some(Decimal::ONE),
            max_cpc: Some(Decimal::TWO),
            target_cpm: None,
            budget_threshold_pct: None,
            raise_pct: None,
            max_daily_budget: None,
            daily_cap: 10,
        }
    }

    fn seen(impressions: i64, clicks: i64, spend: i64) -> Seen {
        Seen {
            status: EntityStatus::Active,
            daily_budget: Some(Decimal::new(5_000, 2)),
            has_cents: true,
            sums: Sums {
                impressions: Decimal::from(impressions),
                clicks: Decimal::from(clicks),
                spend: Decimal::from(spend),
                ..Sums::default()
            },
        }
    }

    #[test]
    fn what_misses_a_threshold_is_found_with_every_reason() {
        let found = rule(Act::Pause).find(&seen(10_000, 50, 150));

        let found = found.expect("it misses both");
        let told: Vec<(&str, String, &str)> = found
            .reasons
            .iter()
            .map(|it| {
                (
                    it.metric.as_str(),
                    it.value.to_string(),
                    it.comparison.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("ctr_pct", "0.5".to_owned(), "below"),
                ("cpc", "3".to_owned(), "above")
            ]
        );
        assert_eq!(found.after.as_deref(), Some("paused"));
    }

    #[test]
    fn what_keeps_them_is_left_alone_and_so_is_what_has_no_volume_or_does_not_deliver() {
        let rule = rule(Act::Pause);
        let paused = Seen {
            status: EntityStatus::Paused,
            ..seen(10_000, 50, 150)
        };

        assert_eq!(rule.find(&seen(10_000, 200, 150)), None);
        assert_eq!(rule.find(&seen(999, 0, 150)), None);
        assert_eq!(rule.find(&paused), None);
    }

    #[test]
    fn a_metric_without_a_value_misses_nothing() {
        let mut rule = rule(Act::Pause);
        rule.min_ctr_pct = None;

        assert_eq!(rule.find(&seen(10_000, 0, 150)), None);
    }

    #[test]
    fn a_budget_is_raised_where_all_is_kept_and_it_is_used_up() {
        let mut raise = rule(Act::RaiseBudget);
        raise.raise_pct = Some(15);
        raise.budget_threshold_pct = Some(Decimal::from(90));

        let used_up = raise.find(&seen(10_000, 200, 95)).expect("95 of 100");
        let idle = raise.find(&seen(10_000, 200, 50));
        let dear = raise.find(&seen(10_000, 40, 95));
        raise.max_daily_budget = Some(Decimal::from(50));
        let bounded = raise.find(&seen(10_000, 200, 95));

        assert_eq!(used_up.before.as_deref(), Some("50.00"));
        assert_eq!(used_up.after.as_deref(), Some("57.50"));
        assert_eq!((idle, dear, bounded), (None, None, None));
    }

    // Fails when a budget that is stored without cents is raised by less than it may, or not at all.
    #[test]
    fn a_budget_is_raised_by_cents_where_its_currency_has_them() {
        let mut raise = rule(Act::RaiseBudget);
        raise.raise_pct = Some(15);
        raise.budget_threshold_pct = Some(Decimal::from(90));
        let five = Seen {
            daily_budget: Some(Decimal::from(5)),
            ..seen(10_000, 200, 10)
        };
        let yen = Seen {
            has_cents: has_cents(Some("JPY")),
            ..five.clone()
        };
        let after = |seen: &Seen| raise.find(seen).and_then(|found| found.after);

        assert_eq!(after(&five).as_deref(), Some("5.75"));
        assert_eq!(after(&yen), None);
        assert!(has_cents(Some("EUR")) && !has_cents(None));
    }

    #[test]
    fn a_rule_that_could_find_nothing_or_do_too_much_is_refused() {
        let none = StrategyRule {
            min_ctr_pct: None,
            max_cpc: None,
            ..rule(Act::Pause)
        };
        let boundless = StrategyRule {
            raise_pct: Some(101),
            budget_threshold_pct: Some(Decimal::from(90)),
            ..rule(Act::RaiseBudget)
        };
        let blind = StrategyRule {
            raise_pct: Some(10),
            ..rule(Act::RaiseBudget)
        };
        let negative = StrategyRule {
            max_cpc: Some(Decimal::NEGATIVE_ONE),
            ..rule(Act::Pause)
        };

        for wrong in [none, boundless, blind, negative] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert!(rule(Act::Pause).check().is_ok());
    }
}
