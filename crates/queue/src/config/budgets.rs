//! `[budgets.NAME]`: a provider's quota, shared by every worker of the fleet. Those of the providers hold without a file.

use super::{
    Rate,
    key::Key,
    names::{BUDGETS, Names},
    problem::Refusal,
    section::Section,
    shape::{Shape, choice, integer, number, rate},
    suggest::closest,
};

const DEFAULT_SLOW_DOWN_AT: f64 = 0.75;
const DEFAULT_STOP_AT: f64 = 0.95;

const SCOPES: &[(&str, BudgetScope)] = &[
    ("account", BudgetScope::Account),
    ("provider", BudgetScope::Provider),
];
const FEEDBACKS: &[(&str, Feedback)] = &[
    ("meta_usage", Feedback::MetaUsage),
    ("x_limits", Feedback::XLimits),
];

/// A quota.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Calls in flight at a time, 1 to 10,000; `None`: no limit.
    pub concurrent: Option<u32>,
    /// Calls in a span of time; `None`: no limit.
    pub rate: Option<Rate>,
    /// Calls a day, 1 to 1,000,000,000; `None`: no limit.
    pub daily: Option<u64>,
    /// What has the quota.
    pub per: BudgetScope,
    /// Where the provider says how much of it is used; `None`: nowhere, or it is not heeded. That a call was refused for want
    /// of quota is heeded whatever stands here.
    pub feedback: Option<Feedback>,
    /// The used share, up to 1, from which calls are spaced out.
    pub slow_down_at: f64,
    /// The used share, up to 1, from which no call is made.
    pub stop_at: f64,
}

/// What has a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetScope {
    /// Each account.
    Account,
    /// All accounts of the provider together.
    Provider,
}

/// Where a provider says how much of a quota is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// In `X-Business-Use-Case-Usage` and its kin.
    MetaUsage,
    /// In `x-account-rate-limit-remaining` and its kin.
    XLimits,
}

impl Budget {
    pub(super) fn read(name: &str, section: &mut Section<'_>, names: &Names<'_>) -> Self {
        if !BUDGETS.contains(&name) && !names.used_budgets.contains(&name) {
            let refusal = Refusal::new(format!(
                "unknown budget {name:?}: it is no provider's, and no kind names it"
            ));
            section.refuse_whole(refusal.suggesting(closest(name, BUDGETS)));
        }

        let built_in = Self::built_in(name);
        let budget = Self {
            concurrent: limit(
                section.key("concurrent", "Calls in flight at a time, 1 to 10000."),
                integer(1..=10_000),
                built_in.concurrent,
            ),
            rate: limit(
                section.key("rate", "Calls in a span of time."),
                rate(),
                built_in.rate,
            ),
            daily: limit(
                section.key(
                    "daily",
                    "Calls a day, 1 to 1000000000. A tenth is for jobs of priority 0 and 1 alone.",
                ),
                integer(1..=1_000_000_000),
                built_in.daily,
            ),
            per: section
                .key("per", "What has the quota.")
                .or(choice(SCOPES), built_in.per),
            feedback: limit(
                section.key(
                    "feedback",
                    "Where the provider says how much of it is used.",
                ),
                choice(FEEDBACKS),
                built_in.feedback,
            ),
            slow_down_at: section
                .key(
                    "slow_down_at",
                    "The used share from which calls are spaced out, 0 to 1.",
                )
                .or(number(0.0..=1.0), built_in.slow_down_at),
            stop_at: section
                .key(
                    "stop_at",
                    "The used share from which no call is made, 0 to 1.",
                )
                .or(number(0.0..=1.0), built_in.stop_at),
        };
        if budget.slow_down_at > budget.stop_at {
            let most = budget.stop_at;
            section.refuse("slow_down_at", format!("must be at most stop_at ({most})"));
        }
        budget
    }

    /// What holds for a budget of this name without a file.
    fn built_in(name: &str) -> Self {
        use BudgetScope::{Account, Provider};
        let (concurrent, calls_a_second, daily, per) = match name {
            "meta" => (Some(10), Some(10), None, Account),
            // A day's operations belong to the project, whatever account they are for.
            "google_ads" => (Some(5), Some(5), Some(15_000), Provider),
            "linkedin" => (Some(5), Some(3), None, Provider),
            // Its smallest tier has 10 a second, which are the app's.
            "tiktok" => (Some(5), Some(8), None, Provider),
            "x" => (Some(5), Some(5), None, Account),
            _ => (None, None, None, Account),
        };
        Self {
            concurrent,
            rate: calls_a_second.map(Rate::per_second),
            daily,
            per,
            feedback: match name {
                "meta" => Some(Feedback::MetaUsage),
                "x" => Some(Feedback::XLimits),
                // The others say nothing before they refuse a call.
                _ => None,
            },
            slow_down_at: DEFAULT_SLOW_DOWN_AT,
            stop_at: DEFAULT_STOP_AT,
        }
    }
}

/// Reads a limit that may be built in; one that is cannot be unset, only set higher.
fn limit<S: Shape>(key: Key<'_, '_>, shape: S, built_in: Option<S::Value>) -> Option<S::Value> {
    match built_in {
        Some(built_in) => Some(key.or(shape, built_in)),
        None => key.optional(shape),
    }
}
