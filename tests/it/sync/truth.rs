//! Whether what is stored is what the sandbox exports of its world: every entity, and every row of figures.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::Value;
use sqlx::{
    PgConnection,
    types::{Uuid, chrono::NaiveDate},
};

use super::scene::{Account, Scene};
use crate::harness::World;

/// From the account down.
pub(super) const LEVELS: [&str; 4] = ["account", "campaign", "ad_set", "ad"];
/// Everything that an account may hold.
const KINDS: [&str; 9] = [
    "campaign",
    "ad_set",
    "ad",
    "creative",
    "audience",
    "lead_form",
    "pixel",
    "page",
    "instagram_account",
];

/// Of what a row is, the day, and the hour.
type Key = (String, NaiveDate, Option<i16>);
type Rows = BTreeMap<Key, Told>;
/// A row as it is stored.
type StoredRow = (String, NaiveDate, Option<i16>, i64, i64, i64, i64, i64, i64);

/// What is compared of a row: money in millionths, conversions in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) impressions: i64,
    clicks: i64,
    pub(super) spend: i64,
    pub(super) conversions: i64,
    leads: i64,
    revenue: i64,
}

impl Told {
    fn add(&mut self, other: &Self) {
        self.impressions += other.impressions;
        self.clicks += other.clicks;
        self.spend += other.spend;
        self.conversions += other.conversions;
        self.leads += other.leads;
        self.revenue += other.revenue;
    }
}

/// Figures of an account that were found to be right.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Days that were read, by level, and by level the days whose hours were.
    pub(super) days: BTreeMap<&'static str, i64>,
    pub(super) days_by_hour: BTreeMap<&'static str, i64>,
    pub(super) rows: usize,
    /// The sum of the account's days.
    pub(super) sum: Told,
}

/// Compares all figures of an account that were read, of the days from the first to the last one.
pub(super) async fn figures(world: &World, account: &Account) -> anyhow::Result<Figures> {
    let mut db = world.sql().await?;
    let mut found = Figures::default();
    for (granularity, days) in [("day", &mut found.days), ("hour", &mut found.days_by_hour)] {
        for level in LEVELS {
            let Some((first, last, read)) = span(&mut db, account.id, level, granularity).await?
            else {
                continue;
            };
            let stored = stored(&mut db, account.id, level, granularity).await?;
            let path = format!(
                "/_control/world/export?platform={}&account={}&level={level}&granularity={granularity}&from={first}&to={last}",
                account.platform, account.external_id
            );
            let exported = exported(account.platform, &world.sandbox.get(&path).await?.body)?;
            same(&stored, &exported).with_context(|| {
                format!("{} by the {granularity} of {level}s", account.platform)
            })?;
            days.insert(level, read);
            found.rows += stored.len();
            if (level, granularity) == ("account", "day") {
                stored.values().for_each(|row| found.sum.add(row));
            }
        }
    }
    Ok(found)
}

/// The first day that was read, the last one, and how many.
async fn span(
    db: &mut PgConnection,
    account: Uuid,
    level: &str,
    granularity: &str,
) -> anyhow::Result<Option<(NaiveDate, NaiveDate, i64)>> {
    let read: (Option<NaiveDate>, Option<NaiveDate>, i64) = sqlx::query_as(
        "SELECT min(date), max(date), count(*) FROM marketing.insight_days
          WHERE account = $1 AND level = $2 AND granularity = $3",
    )
    .bind(account)
    .bind(level)
    .bind(granularity)
    .fetch_one(db)
    .await?;
    let ends = read.0.zip(read.1);
    Ok(ends.map(|(first, last)| (first, last, read.2)))
}

/// What the platform has told. A round of roll-ups may strike meanwhile, which adds today as the sum of its hours.
async fn stored(
    db: &mut PgConnection,
    account: Uuid,
    level: &str,
    granularity: &str,
) -> anyhow::Result<Rows> {
    let (hour, table) = match granularity {
        "hour" => ("hour", "insights_hourly"),
        _ => ("NULL::int2", "insights_daily"),
    };
    let rows = format!(
        "SELECT entity_id, date, {hour}, impressions, clicks, (spend * 1000000)::int8, (conversions * 1000)::int8,
                (leads * 1000)::int8, (revenue * 1000000)::int8
           FROM marketing.{table} WHERE account = $1 AND level = $2 AND origin = 'platform'"
    );
    let rows: Vec<StoredRow> = sqlx::query_as(&rows)
        .bind(account)
        .bind(level)
        .fetch_all(db)
        .await?;
    let rows = rows.into_iter().map(|row| {
        let (entity, date, hour, impressions, clicks, spend, conversions, leads, revenue) = row;
        let told = Told {
            impressions,
            clicks,
            spend,
            conversions,
            leads,
            revenue,
        };
        ((entity, date, hour), told)
    });
    Ok(rows.collect())
}

/// The rows of an export, as the platform tells them.
fn exported(platform: &str, export: &Value) -> anyhow::Result<Rows> {
    let rows = export["rows"].as_array().context("an export")?;
    let mut exported = Rows::new();
    for row in rows {
        let number = |name: &str| row[name].as_i64().context("a number");
        let (all, leads) = (number("conversion_millis")?, number("lead_millis")?);
        let told = Told {
            impressions: number("impressions")?,
            clicks: number("clicks")?,
            spend: number("spend_micros")?,
            // These tell purchases and leads apart, and purchases are what is taken for conversions there.
            conversions: match platform {
                "meta" | "x" => all - leads,
                _ => all,
            },
            leads: match platform {
                "google_ads" | "tiktok" => 0,
                _ => leads,
            },
            revenue: number("revenue_micros")?,
        };
        let entity = row["entity_id"].as_str().context("an id")?.to_owned();
        let date: NaiveDate = row["date"].as_str().context("a day")?.parse()?;
        let hour = row["hour"].as_i64().map(i16::try_from).transpose()?;
        exported.insert((entity, date, hour), told);
    }
    anyhow::ensure!(exported.len() == rows.len(), "a row is exported twice");
    Ok(exported)
}

/// Says which row differs first.
fn same(stored: &Rows, exported: &Rows) -> anyhow::Result<()> {
    let keys: BTreeSet<&Key> = stored.keys().chain(exported.keys()).collect();
    let mut different = keys
        .into_iter()
        .filter(|key| stored.get(*key) != exported.get(*key));
    let Some(first) = different.next() else {
        return Ok(());
    };
    anyhow::bail!(
        "{} rows are stored and {} exported, and {} differ; of {first:?} {:?} is stored, and it is {:?}",
        stored.len(),
        exported.len(),
        1 + different.count(),
        stored.get(first),
        exported.get(first)
    )
}

/// Compares what all accounts hold that their platforms show: ids, and the names of campaigns. Tells how many there are.
pub(super) async fn entities(scene: &Scene) -> anyhow::Result<usize> {
    let mut db = scene.world.sql().await?;
    let mut count = 0;
    for account in &scene.accounts {
        for kind in KINDS {
            let stored: BTreeMap<String, String> = stored_names(&mut db, account.id, kind).await?;
            let path = format!(
                "/_control/world/entities?platform={}&account={}&kind={kind}",
                account.platform, account.external_id
            );
            let world = scene.world.sandbox.get(&path).await?.body;
            let shown = names(&world, shows(account.platform, kind))?;
            let (stored, shown) = if kind == "campaign" {
                (stored, shown)
            } else {
                (unnamed(stored), unnamed(shown))
            };
            anyhow::ensure!(
                stored == shown,
                "{} {kind}: {stored:?} are stored, and there are {shown:?}",
                account.platform
            );
            count += stored.len();
        }
    }
    Ok(count)
}

async fn stored_names(
    db: &mut PgConnection,
    account: Uuid,
    kind: &str,
) -> anyhow::Result<BTreeMap<String, String>> {
    let stored: Vec<(String, String)> =
        sqlx::query_as("SELECT id, name FROM marketing.entities WHERE account = $1 AND kind = $2")
            .bind(account)
            .bind(kind)
            .fetch_all(db)
            .await?;
    Ok(stored.into_iter().collect())
}

/// Names by ids; none where a platform does not show such things.
fn names(world: &Value, is_shown: bool) -> anyhow::Result<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    for entity in world["entities"].as_array().context("a list")? {
        let text = |name: &str| entity[name].as_str().context("a text");
        if is_shown {
            names.insert(text("id")?.to_owned(), text("name")?.to_owned());
        }
    }
    Ok(names)
}

fn unnamed(names: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let ids = names.into_keys();
    ids.map(|id| (id, String::new())).collect()
}

/// Whether a platform's API lists such things.
fn shows(platform: &str, kind: &str) -> bool {
    match kind {
        "campaign" | "ad_set" | "ad" | "audience" | "pixel" => true,
        "creative" => matches!(platform, "meta" | "x"),
        "lead_form" => matches!(platform, "meta" | "tiktok"),
        _ => platform == "meta",
    }
}
