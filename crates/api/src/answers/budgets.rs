//! Budgets.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// How a budget stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct BudgetStatus {
    #[schema(example = "google_ads")]
    name: String,
    /// Null: the provider as a whole. `-`: calls that name no account, where each account has a budget.
    account: Option<String>,
    /// What has the quota: `account` or `provider`.
    per: &'static str,
    /// Calls in flight at a time; null: no limit.
    concurrent: Option<u32>,
    /// Calls in flight, and places that are kept for the next ones.
    in_flight: i64,
    /// Calls in a span of time; null: no limit.
    #[schema(example = "5/s")]
    rate: Option<String>,
    /// Calls a day; null: no limit.
    daily: Option<u64>,
    /// Calls that count against the day now, those that are leased and not yet made included; null: not counted.
    used: Option<u64>,
    /// Calls that are left of the day, those that are reserved for jobs of priority 0 and 1 included.
    remaining: Option<u64>,
    /// The share that the provider says is used, 0 to 1.
    used_share: Option<f64>,
    /// The calls that the provider says are left.
    told_remaining: Option<i64>,
    /// Until when that means something.
    told_until: Option<DateTime<Utc>>,
    /// Until then nothing is called; null: it is not paused.
    paused_until: Option<DateTime<Utc>>,
    pause_reason: Option<String>,
    /// Until then there is nothing for jobs of ordinary priority; null: there is, or nobody has asked.
    dry_until: Option<DateTime<Utc>>,
    dry_detail: Option<String>,
}

impl From<queue::BudgetStatus> for BudgetStatus {
    fn from(budget: queue::BudgetStatus) -> Self {
        Self {
            name: budget.name,
            account: budget.account,
            per: budget.per,
            concurrent: budget.concurrent,
            in_flight: budget.in_flight,
            rate: budget.rate,
            daily: budget.daily,
            used: budget.used,
            remaining: budget.remaining,
            used_share: budget.used_share,
            told_remaining: budget.told_remaining,
            told_until: budget.told_until,
            paused_until: budget.paused_until,
            pause_reason: budget.pause_reason,
            dry_until: budget.dry_until,
            dry_detail: budget.dry_detail,
        }
    }
}
