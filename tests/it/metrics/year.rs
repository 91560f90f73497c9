//! A year of accounts in many time zones: what months and days come to is what the sandbox's hours come to, to the last digit,
//! also where clocks change and where platforms restate what they told.

use std::collections::BTreeMap;

use serde_json::json;
use sqlx::types::{
    Uuid,
    chrono::{DateTime, NaiveDate, Utc},
};

use super::{
    scene::{Asked, Stretch, WITHOUT_HOURS, ask, items, roll_up, setting, told},
    truth::{self, Sums},
};
use crate::{
    harness::World,
    sync::scene::{PLATFORMS, Pace, Plan, Scene, begin_quarter, nothing_failed, set_clock},
};

/// How many accounts there are, as many of each platform. `scripts/metrics` has 50, by `MILLPOND_METRICS_ACCOUNTS`.
const ACCOUNTS: usize = 5;
/// Figures of accounts, and of what has to come to the same.
const LEVELS: [&str; 2] = ["account", "campaign"];
const TWO_DAYS_S: i64 = 2 * 24 * 60 * 60;
/// Days whose clocks change, by account.
type Changes = BTreeMap<Uuid, Vec<NaiveDate>>;

/// Days as seen from today.
#[derive(sqlx::FromRow)]
struct Calendar {
    /// The first of the month a year ago.
    first: NaiveDate,
    /// From here on platforms restate.
    restated: NaiveDate,
    recent: NaiveDate,
    /// It has begun everywhere on earth, and is not over for most.
    last: NaiveDate,
    /// Of the month that goes on.
    month_ends: NaiveDate,
}

impl Calendar {
    async fn of(world: &World) -> anyhow::Result<Self> {
        let days = "SELECT (date_trunc('month', last::timestamp) - interval '12 months')::date AS first, last - 95 AS restated,
                           last - 10 AS recent, last,
                           (date_trunc('month', last::timestamp) + interval '1 month')::date - 1 AS month_ends
                      FROM (SELECT (now() AT TIME ZONE 'UTC' - interval '12 hours')::date AS last) AS t";
        Ok(sqlx::query_as(days)
            .fetch_one(&mut world.sql().await?)
            .await?)
    }
}

/// The days of 23 and of 25 hours, by the clocks of the accounts.
async fn changes(world: &World, calendar: &Calendar) -> anyhow::Result<Changes> {
    let days = "SELECT a.id, day::date
                  FROM marketing.accounts a, generate_series($1::date::timestamp, $2::date::timestamp, '1 day') AS day
                 WHERE (day + interval '1 day') AT TIME ZONE a.time_zone - day AT TIME ZONE a.time_zone <> interval '24 hours'
                 ORDER BY 1, 2";
    let days: Vec<(Uuid, NaiveDate)> = sqlx::query_as(days)
        .bind(calendar.first)
        .bind(calendar.last)
        .fetch_all(&mut world.sql().await?)
        .await?;
    let mut changes = Changes::new();
    for (account, day) in days {
        changes.entry(account).or_default().push(day);
    }
    Ok(changes)
}

/// What is left of days without some of them.
fn between((first, last): Stretch, without: &[NaiveDate]) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut from = first;
    for day in without.iter().filter(|day| (first..=last).contains(*day)) {
        let before = day.pred_opt().unwrap_or(*day);
        if from <= before {
            stretches.push((from, before));
        }
        from = day.succ_opt().unwrap_or(*day);
    }
    if from <= last {
        stretches.push((from, last));
    }
    stretches
}

/// Has these days read: those whose clocks change by the hour alone, and all others by the day alone.
async fn read(scene: &Scene, changes: &Changes, days: Stretch, pace: Pace) -> anyhow::Result<()> {
    for account in &scene.accounts {
        let by_hour = changes.get(&account.id).map_or(&[][..], Vec::as_slice);
        for level in LEVELS {
            for days in between(days, by_hour) {
                let granularity = "day";
                let asked = Asked {
                    level,
                    granularity,
                    days,
                };
                ask(scene, account, asked).await?;
            }
            for day in by_hour
                .iter()
                .filter(|day| (days.0..=days.1).contains(*day))
            {
                let granularity = "hour";
                let days = (*day, *day);
                let asked = Asked {
                    level,
                    granularity,
                    days,
                };
                ask(scene, account, asked).await?;
            }
        }
    }
    scene.work_off(pace).await?;
    nothing_failed(&scene.world).await
}

/// Has the last days read by the hour too, which leaves hours behind that are older than the days that are read after them.
async fn read_hours(scene: &Scene, days: Stretch) -> anyhow::Result<()> {
    let with_hours = scene.accounts.iter();
    for account in with_hours.filter(|account| account.platform != WITHOUT_HOURS) {
        let (level, granularity) = ("account", "hour");
        let asked = Asked {
            level,
            granularity,
            days,
        };
        ask(scene, account, asked).await?;
    }
    scene.work_off(Pace::Steady).await?;
    nothing_failed(&scene.world).await
}

/// Rolls up, and compares every month and every day of every account by every way to read it; tells the months.
async fn compare(scene: &Scene, calendar: &Calendar) -> anyhow::Result<Sums> {
    roll_up(&scene.world, &scene.client).await?;
    let Calendar {
        first,
        last,
        month_ends,
        ..
    } = calendar;
    let days = truth::days(&scene.world, &scene.accounts, (*first, *last)).await?;
    let (months, counted) = (truth::months(&days)?, counted(&days)?);
    for (what, query) in [
        (
            "days of accounts",
            format!("to={last}&level=account&group_by=account"),
        ),
        (
            "days of campaigns, by account",
            format!("to={last}&level=campaign&group_by=account"),
        ),
        (
            "months of accounts",
            format!("to={month_ends}&level=account&group_by=account,entity"),
        ),
        (
            "months of campaigns",
            format!("to={month_ends}&group_by=campaign"),
        ),
    ] {
        let query = format!("from={first}&granularity=month&{query}");
        let report = told(&scene.client, &query).await?;
        truth::same(what, &truth::by_account(&report)?, &months)?;
        for item in items(&report)? {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            let days = counted.get(&(text("account_id"), text("period")));
            let is_of_one = days.is_some_and(|days| *days == 1);
            anyhow::ensure!(is_of_one || item["reach"].is_null(), "{what}: {item}");
        }
    }
    for account in &scene.accounts {
        let query = format!(
            "from={first}&to={last}&account={}&group_by=account",
            account.id
        );
        let report = told(&scene.client, &query).await?;
        let mut of_account = days.clone();
        of_account.retain(|(id, _), _| *id == account.id);
        truth::same(account.platform, &truth::by_account(&report)?, &of_account)?;
        anyhow::ensure!(
            truth::of(&report["totals"])? == truth::total(&of_account, None),
            "{}: {}",
            account.platform,
            report["totals"]
        );
    }
    Ok(months)
}

/// On how many days of a month an account had figures, by their texts.
fn counted(days: &Sums) -> anyhow::Result<BTreeMap<(String, String), usize>> {
    let mut counted = BTreeMap::new();
    for (account, day) in days.keys() {
        let month = truth::month_of(*day)?;
        *counted
            .entry((account.to_string(), month.to_string()))
            .or_default() += 1;
    }
    Ok(counted)
}

/// When anything was rolled up last that was not as it should be.
async fn last_written(world: &World) -> anyhow::Result<DateTime<Utc>> {
    let last = "SELECT GREATEST((SELECT max(rolled_at) FROM marketing.insights_monthly),
                                (SELECT max(rolled_at) FROM marketing.account_days),
                                (SELECT max(synced_at) FROM marketing.insights_daily WHERE origin = 'hours'))";
    Ok(sqlx::query_scalar(last)
        .fetch_one(&mut world.sql().await?)
        .await?)
}

// Fails when a day is cut by another clock than the account's, when hours are lost or count twice where clocks change, when the
// sum of older hours takes the place of what a platform told of the day, when a month keeps what was restated, when money is
// rounded, when reach is added up, and when rolling up again changes anything.
#[tokio::test]
async fn months_are_the_sums_of_the_sandboxs_hours_where_clocks_change_and_days_are_restated()
-> anyhow::Result<()> {
    let count = setting("MILLPOND_METRICS_ACCOUNTS", ACCOUNTS)?;
    let plan = Plan {
        platforms: &PLATFORMS,
        campaigns: 8,
        has_history: false,
        config: "",
    };
    let scene = Box::pin(Scene::without_a_past(count / PLATFORMS.len(), &plan)).await?;
    scene.work_off(Pace::Hasty).await?;
    let calendar = Calendar::of(&scene.world).await?;
    let changes = changes(&scene.world, &calendar).await?;

    let year = (calendar.first, calendar.last);
    read(&scene, &changes, year, Pace::Hasty).await?;
    begin_quarter(&scene.world).await?;
    let restated = (calendar.restated, calendar.last);
    read(&scene, &changes, restated, Pace::Steady).await?;
    let before = compare(&scene, &calendar).await?;
    read_hours(&scene, (calendar.recent, calendar.last)).await?;
    set_clock(&scene.world, &json!({"advance_s": TWO_DAYS_S})).await?;
    begin_quarter(&scene.world).await?;
    read(&scene, &changes, restated, Pace::Steady).await?;
    let after = compare(&scene, &calendar).await?;
    let written = last_written(&scene.world).await?;
    sqlx::query("UPDATE marketing.insight_days SET read_at = read_at")
        .execute(&mut scene.world.sql().await?)
        .await?;
    let again = compare(&scene, &calendar).await?;

    let with_both = changes.values().filter(|days| days.len() >= 2).count();
    assert!(with_both * 3 > scene.accounts.len(), "{changes:?}");
    for account in &scene.accounts {
        let (was, is) = (
            truth::total(&before, Some(account.id)),
            truth::total(&after, Some(account.id)),
        );
        let platform = account.platform;
        assert_ne!(was, is, "{platform}: nothing was restated");
        let months = after.keys().filter(|(id, _)| *id == account.id).count();
        assert!(months > 6, "{platform}: {months} months");
    }
    // Some of the days whose clocks change are before an account's first campaign.
    let by_hour = "SELECT count(*) FROM marketing.insights_daily WHERE level = 'account' AND origin = 'hours'";
    let by_hour: i64 = sqlx::query_scalar(by_hour)
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
    assert!(by_hour > with_both as i64, "{by_hour} days of {changes:?}");
    assert_eq!(again, after);
    assert_eq!(last_written(&scene.world).await?, written);
    Ok(())
}
