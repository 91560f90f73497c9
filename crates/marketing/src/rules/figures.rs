//! What entities did, as rules and alerts see it.

use std::str::FromStr as _;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use providers::platform::{EntityStatus, Level};
use rust_decimal::Decimal;

use super::{metric::Sums, scope::RuleScope, stored_word};
use crate::store::{
    insight_days,
    rule_figures::{self, Asked, SumRow},
    strategies::ScopedAccount,
};

/// Days, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
}

/// An entity and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Figured {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: EntityStatus,
    pub(super) daily_budget: Option<Decimal>,
    pub(super) sums: Sums,
}

impl Window {
    /// So many days that end with this one.
    pub(super) fn ending(to: NaiveDate, days: u32) -> Self {
        let back = Days::new(u64::from(days.saturating_sub(1)));
        Self {
            from: to.checked_sub_days(back).unwrap_or(to),
            to,
        }
    }

    /// The window of the same length before this one.
    pub(super) fn before(self, days: u32) -> Self {
        let to = self.from.pred_opt().unwrap_or(self.from);
        Self::ending(to, days)
    }
}

/// The day that it is for an account.
pub(super) fn today(account: &ScopedAccount, now: DateTime<Utc>) -> NaiveDate {
    let zone = account.time_zone.as_deref();
    let zone = zone.and_then(|zone| Tz::from_str(zone).ok());
    now.with_timezone(&zone.unwrap_or(Tz::UTC)).date_naive()
}

/// Whether an account's last whole day was read after its end: what was read before lacks its last hours.
pub(super) async fn is_yesterday_whole(
    db: &mut sqlx::PgConnection,
    account: &ScopedAccount,
    (scope, now): (&RuleScope, DateTime<Utc>),
) -> Result<bool, sqlx::Error> {
    let Some(yesterday) = today(account, now).pred_opt() else {
        return Ok(false);
    };
    let whose = (account.id, scope.level.as_str());
    let read_at = insight_days::read_at(db, whose, yesterday).await?;
    Ok(read_at.is_some_and(|at| today(account, at) > yesterday))
}

/// What an account's entities did at the level of a scope, those that spent most first.
pub(super) async fn of(
    db: &mut sqlx::PgConnection,
    account: &ScopedAccount,
    scope: &RuleScope,
    window: Window,
) -> Result<Vec<Figured>, sqlx::Error> {
    let asked = Asked {
        account: account.id,
        level: scope.level.as_str(),
        entities: &scope.entity_ids,
        from: window.from,
        to: window.to,
    };
    if scope.level == Level::Account {
        let row = rule_figures::of_account(db, &asked).await?;
        return row.into_iter().map(figured).collect();
    }
    let rows = rule_figures::of_entities(db, &asked).await?;
    rows.into_iter().map(figured).collect()
}

fn figured(row: SumRow) -> Result<Figured, sqlx::Error> {
    Ok(Figured {
        id: row.entity_id,
        name: row.name,
        status: stored_word(&row.status)?,
        daily_budget: row.daily_budget,
        sums: Sums {
            impressions: row.impressions,
            clicks: row.clicks,
            link_clicks: row.link_clicks,
            views: row.views,
            likes: row.likes,
            comments: row.comments,
            shares: row.shares,
            spend: row.spend,
            conversions: row.conversions,
            revenue: row.revenue,
            leads: row.leads,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_beside_each_other() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");

        let week = Window::ending(day("2026-11-20"), 7);
        let before = week.before(7);

        assert_eq!((week.from, week.to), (day("2026-11-14"), day("2026-11-20")));
        assert_eq!(
            (before.from, before.to),
            (day("2026-11-07"), day("2026-11-13"))
        );
    }
}
