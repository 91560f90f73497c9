//! What one answer holds: figures and ratios by platform, formulas of one's own, the period before, money of several currencies,
//! hours, campaigns, and all of it as a table.

use anyhow::Context;
use serde_json::Value;
use sqlx::types::{Decimal, Uuid, chrono::NaiveDate};

use super::{
    scene::{Asked, ask, decimal, different, items, money, roll_up, told},
    truth::{self, Figures, Sums},
};
use crate::{
    harness::Client,
    sync::scene::{Account, PLATFORMS, Pace, Plan, Scene, begin_quarter, nothing_failed},
};

const CONFIG: &str = r#"
[kpis]
cost_per_lead = "spend / nullif(leads, 0)"
gain_per_click = "(revenue - spend) / clicks"
"#;
/// The currencies that are not the reporting one, with what they are worth on the first day, in ten thousandths.
const RATES: [(&str, i64); 3] = [("USD", 8_621), ("JPY", 61), ("GBP", 11_530)];
/// Ratios have six digits behind the point.
const DIGITS: u32 = 6;

/// No length of whole months, so that the period before is as many days.
#[derive(Clone, Copy, sqlx::FromRow)]
struct Days {
    before: NaiveDate,
    first: NaiveDate,
    last: NaiveDate,
}

/// Reads 54 days of accounts and campaigns, and the last two by the hour where there are hours.
async fn read(scene: &Scene) -> anyhow::Result<Days> {
    let days = "SELECT last - 53 AS before, last - 26 AS first, last
                  FROM (SELECT (now() AT TIME ZONE 'UTC' - interval '12 hours')::date AS last) AS t";
    let days: Days = sqlx::query_as(days)
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
    scene.work_off(Pace::Hasty).await?;
    begin_quarter(&scene.world).await?;
    let all = (days.before, days.last);
    for account in &scene.accounts {
        for level in ["account", "campaign"] {
            let asked = Asked {
                level,
                granularity: "day",
                days: all,
            };
            ask(scene, account, asked).await?;
        }
    }
    let by_hour = Asked {
        level: "account",
        granularity: "hour",
        days: (days.last, days.last),
    };
    ask(scene, of(scene, "meta")?, by_hour).await?;
    scene.work_off(Pace::Steady).await?;
    nothing_failed(&scene.world).await?;
    roll_up(&scene.world, &scene.client).await?;
    Ok(days)
}

fn of<'a>(scene: &'a Scene, platform: &str) -> anyhow::Result<&'a Account> {
    let mut accounts = scene.accounts.iter();
    accounts
        .find(|account| account.platform == platform)
        .context("it has an account")
}

/// What those days come to that are not before the first one.
fn since(days: &Sums, first: NaiveDate) -> Sums {
    let since = days.iter().filter(|((_, day), _)| *day >= first);
    since.map(|(key, figures)| (*key, *figures)).collect()
}

/// The one by the other, as it is told; nothing where there is nothing to divide by.
fn ratio(times: i64, of: Decimal, by: Decimal) -> Option<Decimal> {
    (of * Decimal::from(times)).checked_div(by)
}

/// Whether a number or an amount is that, up to its last digit.
fn is_near(told: &Value, expected: Option<Decimal>) -> anyhow::Result<bool> {
    let told = match told {
        Value::Null => None,
        Value::String(_) => Some(money(told)?),
        _ => Some(decimal(told)?),
    };
    Ok(match (told, expected) {
        (Some(told), Some(expected)) => {
            told.scale() <= DIGITS && (told - expected).abs() <= Decimal::new(1, DIGITS)
        }
        (told, expected) => told == expected,
    })
}

/// Every ratio and formula of an item is made of these sums.
fn ratios_are_of(item: &Value, sums: &Figures) -> anyhow::Result<()> {
    let kpis = &item["kpis"];
    for (name, told, expected) in [
        (
            "ctr_pct",
            &item["ctr_pct"],
            ratio(100, sums.clicks, sums.impressions),
        ),
        ("cpc", &item["cpc"], ratio(1, sums.spend, sums.clicks)),
        (
            "cpm",
            &item["cpm"],
            ratio(1_000, sums.spend, sums.impressions),
        ),
        ("roas", &item["roas"], ratio(1, sums.revenue, sums.spend)),
        (
            "conversion_rate_pct",
            &item["conversion_rate_pct"],
            ratio(100, sums.conversions, sums.clicks),
        ),
        (
            "cost_per_conversion",
            &item["cost_per_conversion"],
            ratio(1, sums.spend, sums.conversions),
        ),
        (
            "cost_per_lead",
            &kpis["cost_per_lead"],
            ratio(1, sums.spend, sums.leads),
        ),
        (
            "gain_per_click",
            &kpis["gain_per_click"],
            ratio(1, sums.revenue - sums.spend, sums.clicks),
        ),
    ] {
        anyhow::ensure!(
            is_near(told, expected)?,
            "{name}: {told}, not {expected:?} of {sums:?}"
        );
    }
    Ok(())
}

/// Each platform's item, with the period before it.
async fn platforms_are_compared(scene: &Scene, days: Days, hours: &Sums) -> anyhow::Result<()> {
    let now = since(hours, days.first);
    let mut before = hours.clone();
    before.retain(|key, _| !now.contains_key(key));
    let query = format!(
        "from={}&to={}&granularity=total&group_by=platform&compare=previous_period",
        days.first, days.last
    );
    let report = told(&scene.client, &query).await?;
    anyhow::ensure!(items(&report)?.len() == scene.accounts.len(), "{report}");
    for item in items(&report)? {
        let account = of(scene, item["platform"].as_str().context("a platform")?)?;
        let (is, was) = (
            truth::total(&now, Some(account.id)),
            truth::total(&before, Some(account.id)),
        );
        anyhow::ensure!(truth::of(item)? == is, "{item}, and it is {is:?}");
        anyhow::ensure!(
            truth::of(&item["previous"])? == was,
            "{item}, and it was {was:?}"
        );
        ratios_are_of(item, &is)?;
        ratios_are_of(&item["previous"], &was)?;
        let more = ratio(100, is.spend - was.spend, was.spend);
        anyhow::ensure!(
            is_near(&item["change_pct"]["spend"], more)?,
            "{item}, not {more:?}"
        );
    }
    let (is, was) = (truth::total(&now, None), truth::total(&before, None));
    let counts = |of: Figures| Figures {
        spend: Decimal::ZERO,
        revenue: Decimal::ZERO,
        ..of
    };
    let (totals, previous) = (&report["totals"], &report["previous"]);
    anyhow::ensure!(
        truth::counts(totals)? == counts(is),
        "{totals}, and it is {is:?}"
    );
    anyhow::ensure!(
        truth::counts(&previous["totals"])? == counts(was),
        "{previous}, and it was {was:?}"
    );
    // Nobody has loaded what one currency is worth in another one.
    for name in [
        "currency",
        "spend",
        "revenue",
        "cpc",
        "roas",
        "reporting_spend",
    ] {
        anyhow::ensure!(totals[name].is_null(), "{name}: {totals}");
    }
    Ok(())
}

/// Loads rates that change every day, and compares what all accounts spent in one currency.
async fn currencies_become_one(scene: &Scene, days: Days, hours: &Sums) -> anyhow::Result<()> {
    let (mut file, mut worth) = (String::new(), Decimal::ZERO);
    let currencies: Vec<(Uuid, Option<String>)> =
        sqlx::query_as("SELECT id, currency FROM marketing.accounts")
            .fetch_all(&mut scene.world.sql().await?)
            .await?;
    let now = since(hours, days.first);
    for (place, day) in days
        .first
        .iter_days()
        .take_while(|day| *day <= days.last)
        .enumerate()
    {
        for (currency, first) in RATES {
            let rate = Decimal::new(first + i64::try_from(place)?, 4);
            file.push_str(&format!("{day},{currency},{rate}\n"));
            let with = currencies
                .iter()
                .filter(|(_, own)| own.as_deref() == Some(currency));
            for (account, _) in with {
                worth += now.get(&(*account, day)).copied().unwrap_or_default().spend * rate;
            }
        }
        for (account, _) in currencies
            .iter()
            .filter(|(_, own)| own.as_deref() == Some("EUR"))
        {
            worth += now.get(&(*account, day)).copied().unwrap_or_default().spend;
        }
    }
    let path = scene.world.folder.join("rates.csv");
    std::fs::write(&path, file)?;
    let path = path.display().to_string();
    scene
        .world
        .command(&["rates", "load", &path, "--reporting-currency", "EUR"])?;
    for is_rolled_up in [false, true] {
        if is_rolled_up {
            roll_up(&scene.world, &scene.client).await?;
        }
        let query = format!("from={}&to={}&granularity=total", days.first, days.last);
        let totals = told(&scene.client, &query).await?["totals"].take();
        anyhow::ensure!(totals["currency"] == "EUR", "{totals}");
        anyhow::ensure!(
            money(&totals["spend"])? == worth,
            "{totals}, and it is {worth}"
        );
        anyhow::ensure!(money(&totals["reporting_spend"])? == worth, "{totals}");
        let clicks = truth::total(&now, None).clicks;
        anyhow::ensure!(
            is_near(&totals["cpc"], ratio(1, worth, clicks))?,
            "{totals}"
        );
    }
    Ok(())
}

/// The campaigns of an account, and its hours, come to what the account does.
async fn parts_are_the_whole(scene: &Scene, days: Days, hours: &Sums) -> anyhow::Result<()> {
    let account = of(scene, "meta")?;
    let whole = truth::total(&since(hours, days.first), Some(account.id));
    let (id, first, last) = (account.id, days.first, days.last);
    let query = format!("account={id}&from={first}&to={last}&granularity=total&group_by=campaign");
    let report = told(&scene.client, &query).await?;
    let mut sum = Figures::default();
    for item in items(&report)? {
        sum += truth::of(item)?;
        anyhow::ensure!(item["entity_name"].is_string(), "{item}");
    }
    anyhow::ensure!(items(&report)?.len() > 1, "{report}");
    anyhow::ensure!(
        sum == whole && truth::of(&report["totals"])? == whole,
        "{report}"
    );

    let of_day = truth::total(&since(hours, last), Some(account.id));
    let query = format!("account={id}&from={last}&to={last}&granularity=hour");
    let report = told(&scene.client, &query).await?;
    anyhow::ensure!(
        truth::of(&report["totals"])? == of_day,
        "{report}, and it is {of_day:?}"
    );
    let hour = format!("{last}T");
    let are_hours = items(&report)?.iter().all(|item| {
        item["period"]
            .as_str()
            .is_some_and(|it| it.starts_with(&hour))
    });
    anyhow::ensure!(are_hours, "{report}");
    Ok(())
}

/// A table has the items of a report, a line each.
async fn a_table_says_the_same(scene: &Scene, days: Days) -> anyhow::Result<()> {
    let query = format!("from={}&to={}&group_by=platform", days.first, days.last);
    let report = told(&scene.client, &query).await?;
    let table = told(&scene.client, &format!("{query}&format=csv")).await?;
    let mut lines = table.as_str().context("a table")?.lines();
    let columns: Vec<&str> = lines.next().context("a header")?.split(',').collect();
    let mut lines = lines.map(|line| line.split(',').collect::<Vec<_>>());
    for item in items(&report)? {
        let cells = lines.next().context("a line an item")?;
        anyhow::ensure!(cells.len() == columns.len(), "{cells:?}");
        let row: Value = columns
            .iter()
            .zip(cells)
            .map(|(name, cell)| (*name, cell))
            .collect();
        let mut flat = item.clone();
        let kpis = flat["kpis"].take();
        for (name, value) in kpis.as_object().context("formulas")? {
            flat[name.as_str()] = value.clone();
        }
        let flat: Value = columns
            .iter()
            .map(|name| (*name, as_cell(&flat[*name])))
            .collect();
        anyhow::ensure!(row == flat, "{:?}: {row} {flat}", different(&row, &flat));
    }
    anyhow::ensure!(lines.next().is_none(), "there are more lines than items");
    anyhow::ensure!(
        columns.ends_with(&["cost_per_lead", "gain_per_click"]),
        "{columns:?}"
    );
    Ok(())
}

fn as_cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

// Fails when a ratio is anything but the ratio of sums, when a formula is reckoned otherwise than it is written, when money of two
// currencies is added up without a rate or at another day's, when something is compared with other days than those before it,
// when a table and a report differ, and when somebody else's accounts are told.
#[tokio::test]
async fn answers_are_what_the_sandbox_exports_in_every_form() -> anyhow::Result<()> {
    let plan = Plan {
        platforms: &PLATFORMS,
        campaigns: 8,
        has_history: false,
        config: CONFIG,
    };
    let scene = Box::pin(Scene::without_a_past(1, &plan)).await?;
    let days = read(&scene).await?;
    let hours = truth::days(&scene.world, &scene.accounts, (days.before, days.last)).await?;

    platforms_are_compared(&scene, days, &hours).await?;
    parts_are_the_whole(&scene, days, &hours).await?;
    a_table_says_the_same(&scene, days).await?;
    currencies_become_one(&scene, days, &hours).await?;
    let nothing = told(&scene.client, "from=2020-01-01&to=2020-01-31").await?;
    let key = scene.world.key(&["read"], Some("another"))?;
    let stranger = Client::new(scene.client.base().to_owned(), key)?;
    let query = format!("from={}&to={}", days.first, days.last);
    let strange = told(&stranger, &query).await?;

    for empty in [nothing, strange] {
        assert!(items(&empty)?.is_empty(), "{empty}");
        assert_eq!(empty["totals"]["impressions"], 0);
        ratios_are_of(&empty["totals"], &Figures::default())?;
    }
    Ok(())
}
