//! What months and days come to by the hours that the sandbox exports of its world: added up here, by another way than
//! Millpond's.

use std::{collections::BTreeMap, ops::AddAssign};

use anyhow::Context;
use serde_json::Value;
use sqlx::types::{Decimal, Uuid, chrono::NaiveDate};

use super::scene::{Stretch, decimal, items, money};
use crate::{harness::World, sync::scene::Account};

/// What is compared, to the last digit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) impressions: Decimal,
    pub(super) clicks: Decimal,
    pub(super) conversions: Decimal,
    pub(super) leads: Decimal,
    pub(super) spend: Decimal,
    pub(super) revenue: Decimal,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.impressions += other.impressions;
        self.clicks += other.clicks;
        self.conversions += other.conversions;
        self.leads += other.leads;
        self.spend += other.spend;
        self.revenue += other.revenue;
    }
}

/// Figures by account and by the first day of the time they are of.
pub(super) type Sums = BTreeMap<(Uuid, NaiveDate), Figures>;

/// The month that a day is in, by its first day.
pub(super) fn month_of(day: NaiveDate) -> anyhow::Result<NaiveDate> {
    Ok(day.format("%Y-%m-01").to_string().parse()?)
}

/// The days of accounts as the sums of their hours, as they are at this moment.
pub(super) async fn days(
    world: &World,
    accounts: &[Account],
    (from, to): Stretch,
) -> anyhow::Result<Sums> {
    let mut days = Sums::new();
    for account in accounts {
        let path = format!(
            "/_control/world/export?platform={}&account={}&level=account&granularity=hour&from={from}&to={to}",
            account.platform, account.external_id
        );
        let export = world.sandbox.get(&path).await?.body;
        for hour in export["rows"].as_array().context("an export")? {
            let day: NaiveDate = hour["date"].as_str().context("a day")?.parse()?;
            *days.entry((account.id, day)).or_default() += of_hour(account.platform, hour)?;
        }
    }
    Ok(days)
}

/// Days as their months.
pub(super) fn months(days: &Sums) -> anyhow::Result<Sums> {
    let mut months = Sums::new();
    for ((account, day), figures) in days {
        *months.entry((*account, month_of(*day)?)).or_default() += *figures;
    }
    Ok(months)
}

/// All of it together, of one account or of all.
pub(super) fn total(sums: &Sums, of: Option<Uuid>) -> Figures {
    let mut total = Figures::default();
    for ((account, _), figures) in sums {
        if of.is_none_or(|of| of == *account) {
            total += *figures;
        }
    }
    total
}

fn of_hour(platform: &str, hour: &Value) -> anyhow::Result<Figures> {
    let number = |name: &str| hour[name].as_i64().with_context(|| name.to_owned());
    let (all, leads) = (number("conversion_millis")?, number("lead_millis")?);
    Ok(Figures {
        impressions: number("impressions")?.into(),
        clicks: number("clicks")?.into(),
        // These tell purchases and leads apart, and purchases are what is taken for conversions there.
        conversions: Decimal::new(
            match platform {
                "meta" | "x" => all - leads,
                _ => all,
            },
            3,
        ),
        leads: Decimal::new(
            match platform {
                "google_ads" | "tiktok" => 0,
                _ => leads,
            },
            3,
        ),
        spend: Decimal::new(number("spend_micros")?, 6),
        revenue: Decimal::new(number("revenue_micros")?, 6),
    })
}

/// The figures of an item, of totals or of what was before.
pub(super) fn of(told: &Value) -> anyhow::Result<Figures> {
    Ok(Figures {
        spend: money(&told["spend"])?,
        revenue: money(&told["revenue"])?,
        ..counts(told)?
    })
}

/// The same without money.
pub(super) fn counts(told: &Value) -> anyhow::Result<Figures> {
    Ok(Figures {
        impressions: decimal(&told["impressions"])?,
        clicks: decimal(&told["clicks"])?,
        conversions: decimal(&told["conversions"])?,
        leads: decimal(&told["leads"])?,
        ..Figures::default()
    })
}

/// The items of a report, added up by account and time.
pub(super) fn by_account(report: &Value) -> anyhow::Result<Sums> {
    let mut sums = Sums::new();
    for item in items(report)? {
        let account = item["account_id"].as_str().context("an account")?;
        let start: NaiveDate = item["period"].as_str().context("a time")?.parse()?;
        *sums.entry((Uuid::try_parse(account)?, start)).or_default() += of(item)?;
    }
    Ok(sums)
}

/// Says which figures differ first.
pub(super) fn same(what: &str, told: &Sums, true_ones: &Sums) -> anyhow::Result<()> {
    let mut keys = told.keys().chain(true_ones.keys());
    let Some(key) = keys.find(|key| told.get(*key) != true_ones.get(*key)) else {
        return Ok(());
    };
    anyhow::bail!(
        "{what}: of {key:?} {:?} is told, and it is {:?}",
        told.get(key),
        true_ones.get(key)
    )
}
