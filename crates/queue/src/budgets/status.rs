//! How budgets stand, for people, for gauges and for the gate of claims.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{ALL_ACCOUNTS, limits::Limits};
use crate::{
    AdminError, Queue,
    config::{Budget, BudgetScope, Config},
    db::within,
    store::budgets::{self, StandingRow},
};

/// How a budget stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetStatus {
    /// Its name in `jobs.toml`.
    pub name: String,
    /// `None`: the provider as a whole. `-`: calls that name no account, where each account has a budget.
    pub account: Option<String>,
    /// What has the quota: `account` or `provider`.
    pub per: &'static str,
    /// Calls in flight at a time; `None`: no limit.
    pub concurrent: Option<u32>,
    /// Calls in flight, and places that are kept for the next ones.
    pub in_flight: i64,
    /// Calls in a span of time, such as `10/s`; `None`: no limit.
    pub rate: Option<String>,
    /// Calls a day; `None`: no limit.
    pub daily: Option<u64>,
    /// Calls that count against the day now; those that are leased and not yet made are among them. `None`: not counted.
    pub used: Option<u64>,
    /// Calls that are left of the day, those that are reserved for urgent jobs included.
    pub remaining: Option<u64>,
    /// The share that the provider says is used.
    pub used_share: Option<f64>,
    /// The calls that the provider says are left.
    pub told_remaining: Option<i64>,
    /// How long that means something.
    pub told_until: Option<DateTime<Utc>>,
    /// Until then nothing is called; `None`: it is not paused.
    pub paused_until: Option<DateTime<Utc>>,
    /// Why.
    pub pause_reason: Option<String>,
    /// Until then there is nothing for jobs of ordinary priority; `None`: there is, or nobody has asked.
    pub dry_until: Option<DateTime<Utc>>,
    /// Why.
    pub dry_detail: Option<String>,
}

impl Queue {
    /// How the budgets stand, by name: every one of `jobs.toml`, and the accounts of each that were called lately, at most
    /// 1,000 of them, those that are stopped first.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn budgets(&self) -> Result<Vec<BudgetStatus>, AdminError> {
        let config = &*self.shared.config();
        let mut session = self.shared.db.request().await?;
        let read = within(standings(session.conn(), config)).await;
        let rows = session.end(read)?;
        let untouched = config.budgets.iter().filter(|(name, _)| {
            let is_whole = |row: &StandingRow| row.account == ALL_ACCOUNTS && row.name == **name;
            !rows.iter().any(is_whole)
        });
        let mut statuses: Vec<BudgetStatus> = untouched
            .map(|(name, budget)| untouched_status(name, budget))
            .collect();
        statuses.extend(rows.into_iter().filter_map(|row| {
            let budget = config.budgets.get(&row.name)?;
            Some(status(row, budget))
        }));
        statuses.sort_by(|a, b| (&a.name, &a.account).cmp(&(&b.name, &b.account)));
        Ok(statuses)
    }
}

/// Up to 1,000 budgets as they stand, those that are stopped first.
pub(crate) async fn standings(
    conn: &mut PgConnection,
    config: &Config,
) -> Result<Vec<StandingRow>, sqlx::Error> {
    let windows = Windows::now(&mut *conn, config).await?;
    budgets::standings(conn, &windows.names, &windows.since).await
}

/// The calls a day that jobs of ordinary priority may make; `None`: no limit.
pub(crate) fn ordinary_calls(name: &str, budget: &Budget) -> Option<u64> {
    Limits::of(name, budget).heaviest(false)
}

/// From when on calls count, for each budget that counts them.
struct Windows {
    names: Vec<String>,
    since: Vec<DateTime<Utc>>,
}

impl Windows {
    async fn now(conn: &mut PgConnection, config: &Config) -> Result<Self, sqlx::Error> {
        let now = budgets::clock(conn).await?;
        let since = config.budgets.iter().map(|(name, budget)| {
            let day = Limits::of(name, budget).day;
            day.map_or(now, |limit| limit.day.since(now))
        });
        Ok(Self {
            since: since.collect(),
            names: config.budgets.keys().cloned().collect(),
        })
    }
}

fn untouched_status(name: &str, budget: &Budget) -> BudgetStatus {
    let row = StandingRow {
        name: name.to_owned(),
        account: ALL_ACCOUNTS.to_owned(),
        used: 0,
        places: 0,
        paused_until: None,
        pause_reason: None,
        used_share: None,
        remaining: None,
        told_until: None,
        dry_until: None,
        dry_detail: None,
    };
    status(row, budget)
}

fn status(row: StandingRow, budget: &Budget) -> BudgetStatus {
    let used = u64::try_from(row.used).unwrap_or(0);
    BudgetStatus {
        name: row.name,
        account: (row.account != ALL_ACCOUNTS).then_some(row.account),
        per: match budget.per {
            BudgetScope::Account => "account",
            BudgetScope::Provider => "provider",
        },
        concurrent: budget.concurrent,
        in_flight: row.places,
        rate: budget.rate.map(|rate| rate.to_string()),
        daily: budget.daily,
        used: budget.daily.map(|_| used),
        remaining: budget.daily.map(|most| most.saturating_sub(used)),
        used_share: row.used_share,
        told_remaining: row.remaining,
        told_until: row.told_until,
        paused_until: row.paused_until,
        pause_reason: row.pause_reason,
        dry_until: row.dry_until,
        dry_detail: row.dry_detail,
    }
}

/// What the leader shows of a budget.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gauge {
    pub(crate) budget: String,
    /// The share that is left where least is: of the day, or by the provider's word.
    pub(crate) remaining_ratio: f64,
    /// The end of the last pause, in seconds since 1970; 0 where nothing is paused.
    pub(crate) paused_until: f64,
}

/// What the leader shows of every budget.
pub(crate) async fn gauges(
    conn: &mut PgConnection,
    config: &Config,
) -> Result<Vec<Gauge>, sqlx::Error> {
    let windows = Windows::now(&mut *conn, config).await?;
    let tightest = budgets::tightest(conn, &windows.names, &windows.since).await?;
    Ok(tightest
        .into_iter()
        .map(|row| {
            let daily = config.budgets.get(&row.name).and_then(|b| b.daily);
            let used = daily.map_or(0.0, |most| share(row.used.unsigned_abs(), most));
            let told = row.used_share.unwrap_or(0.0);
            Gauge {
                remaining_ratio: 1.0 - used.max(told).clamp(0.0, 1.0),
                paused_until: row.paused_until.unwrap_or(0.0),
                budget: row.name,
            }
        })
        .collect())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "calls a day stay far below 2^53"
)]
fn share(used: u64, most: u64) -> f64 {
    used as f64 / most.max(1) as f64
}

/// Lets claims look at budgets anew that were dry under other limits than those that hold now.
pub(crate) async fn announce(conn: &mut PgConnection, config: &Config) -> Result<(), sqlx::Error> {
    let limits = config.budgets.iter().map(|(name, budget)| {
        let limits = Limits::of(name, budget);
        (name.clone(), limits.text)
    });
    let (names, limits): (Vec<String>, Vec<String>) = limits.unzip();
    let forgotten = budgets::forget_other_limits(conn, &names, &limits).await?;
    if forgotten > 0 {
        tracing::info!(budgets = forgotten, "budgets have other limits now");
    }
    Ok(())
}
