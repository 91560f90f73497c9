//! How fast figures are told that are many: a year of many ads, rolled up by the program itself, and a mix of questions such
//! as dashboards ask.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use sqlx::{Connection, PgConnection, types::Decimal};

use super::scene::{decimal, money, roll_up, setting};
use crate::harness::{Client, World};

/// How many rows of days of ads there are, about. `scripts/metrics --rows N` has N, by `MILLPOND_METRICS_ROWS`.
const ROWS: i64 = 20_000;
/// From this size on the goal has to be met.
const MANY_ROWS: i64 = 10_000_000;
const GOAL: Duration = Duration::from_millis(100);
const DAYS: i64 = 365;
/// How often the questions are asked, one after the other.
const ROUNDS: usize = 25;

/// What dashboards ask. `ONE` is an account's id.
const QUESTIONS: [(&str, &str); 13] = [
    ("all, 30 days", "range=last_30d"),
    (
        "all by platform, a year of months",
        "range=last_365d&granularity=month&group_by=platform",
    ),
    (
        "all by account, last month",
        "range=last_month&granularity=total&group_by=account",
    ),
    (
        "all by account, a week of days",
        "range=last_7d&group_by=account",
    ),
    (
        "all ads, a year in one figure",
        "range=last_365d&granularity=total&level=ad",
    ),
    (
        "all, compared with the month before",
        "range=last_month&granularity=total&compare=previous_period",
    ),
    ("one, a year of days", "account=ONE&range=last_365d"),
    (
        "one by campaign, a year of days",
        "account=ONE&range=last_365d&group_by=campaign",
    ),
    (
        "one by campaign, 30 days",
        "account=ONE&range=last_30d&granularity=total&group_by=campaign",
    ),
    (
        "one by campaign, last month",
        "account=ONE&range=last_month&granularity=month&group_by=campaign",
    ),
    (
        "one by ad, a week",
        "account=ONE&range=last_7d&granularity=total&group_by=ad",
    ),
    (
        "one by ad, last month",
        "account=ONE&range=last_month&granularity=total&group_by=ad",
    ),
    (
        "all by account, 30 days as CSV",
        "range=last_30d&group_by=account&format=csv",
    ),
];

/// One account with all its ads and days, at three levels that each tell the whole.
const FIGURES: &str = "
    INSERT INTO marketing.insights_daily
           (account, level, date, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares, spend,
            conversions, revenue, leads, currency)
    SELECT a.id, of.level, f.date, of.entity_id, sum(f.n + 400), sum(f.n / 40), sum(f.n / 60), 0, sum(f.n / 200), 0, 0,
           sum(round(f.n / 100.0, 2)), sum(f.n / 1000), sum(f.n / 1000 * 12.34), 0, a.currency
      FROM marketing.accounts a
     CROSS JOIN (SELECT (now() AT TIME ZONE 'UTC')::date - ago AS date, ad, (ad * 7919 + ago * 10477) % 9973 AS n
                   FROM generate_series(1, $2::int) AS ago CROSS JOIN generate_series(1, $3::int) AS ad) f
     CROSS JOIN LATERAL (VALUES ('account', a.external_id), ('campaign', 'campaign-' || f.ad / 12), ('ad', 'ad-' || f.ad))
           AS of (level, entity_id)
     WHERE a.external_id = $1
     GROUP BY a.id, of.level, f.date, of.entity_id
     ORDER BY f.date, of.level, of.entity_id";
const NAMES: &str = "
    INSERT INTO marketing.entities (account, kind, id, campaign, name, status, platform_status, raw)
    SELECT a.id, 'campaign', 'campaign-' || n, 'campaign-' || n, 'Campaign ' || n, 'active', 'ACTIVE', '{}'::jsonb
      FROM marketing.accounts a, generate_series(0, $1::int / 12) AS n
     UNION ALL
    SELECT a.id, 'ad', 'ad-' || n, 'campaign-' || n / 12, 'Ad ' || n, 'active', 'ACTIVE', '{}'::jsonb
      FROM marketing.accounts a, generate_series(1, $1::int) AS n";
/// That they were read marks what is to be rolled up.
const READ: &str = "
    INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
    SELECT a.id, level, 'day', '', (now() AT TIME ZONE 'UTC')::date - ago, now()
      FROM marketing.accounts a, unnest(ARRAY['account', 'campaign', 'ad']) AS level, generate_series(1, $1::int) AS ago";
/// Of all days and ads, in the reporting currency.
const SUM: &str = "
    SELECT sum(shown)::int8, sum(round(spend * marketing.rate_on(currency, date), 8))
      FROM (SELECT date, currency, sum(impressions) AS shown, sum(spend) AS spend FROM marketing.insights_daily
             WHERE level = 'ad' GROUP BY date, currency) d";

struct Size {
    accounts: i64,
    ads: i64,
}

impl Size {
    fn of(rows: i64) -> Self {
        let accounts = (rows / 100_000).clamp(5, 100);
        let days = accounts * DAYS;
        Self {
            accounts,
            ads: (rows + days - 1) / days,
        }
    }
}

/// An account a number, each at one of the platforms.
async fn connect(db: &mut PgConnection, accounts: i64) -> anyhow::Result<()> {
    let connect = "
        INSERT INTO marketing.connections (id, platform, tenant, access_token)
        SELECT gen_random_uuid(), platform, 'acme', 'sealed'
          FROM unnest(ARRAY['meta', 'google_ads', 'linkedin', 'tiktok', 'x']) AS platform";
    sqlx::query(connect).execute(&mut *db).await?;
    let reach = "
        INSERT INTO marketing.accounts
               (id, connection, platform, tenant, external_id, kind, name, currency, time_zone, history_asked_at)
        SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, c.id, c.platform, 'acme', n::text, 'ad_account',
               'Account ' || n, CASE WHEN n % 3 = 0 THEN 'USD' ELSE 'EUR' END, 'UTC', now()
          FROM generate_series(1, $1::int) AS n
          JOIN (SELECT id, platform, row_number() OVER (ORDER BY platform) - 1 AS place FROM marketing.connections) c
            ON c.place = n % 5";
    sqlx::query(reach).bind(accounts).execute(&mut *db).await?;
    sqlx::raw_sql(
        "INSERT INTO marketing.reporting (currency) VALUES ('EUR');
         INSERT INTO marketing.rates (currency, day, rate)
         SELECT 'USD', (now() AT TIME ZONE 'UTC')::date - ago, 0.85 + ago % 10 / 100.0 FROM generate_series(0, 400) AS ago",
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn fill(db: &mut PgConnection, size: &Size) -> anyhow::Result<()> {
    connect(&mut *db, size.accounts).await?;
    let months = "
        SELECT marketing.make_insight_months('insights_daily', today - $1::int, today)
          FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS today) AS t";
    sqlx::query(months).bind(DAYS).execute(&mut *db).await?;
    for account in 1..=size.accounts {
        sqlx::query(FIGURES)
            .bind(account.to_string())
            .bind(DAYS)
            .bind(size.ads)
            .execute(&mut *db)
            .await?;
    }
    sqlx::query(NAMES).bind(size.ads).execute(&mut *db).await?;
    sqlx::query(READ).bind(DAYS).execute(&mut *db).await?;
    Ok(())
}

/// Has the process roll it all up, and the database know what it holds then.
async fn settle(world: &World, client: &Client) -> anyhow::Result<Duration> {
    let began = Instant::now();
    roll_up(world, client).await?;
    let took = began.elapsed();
    sqlx::query("VACUUM (ANALYZE)")
        .execute(&mut world.sql().await?)
        .await?;
    Ok(took)
}

/// How long the whole answer took, which has to be one.
async fn ask(client: &Client, question: &str) -> anyhow::Result<(Duration, usize)> {
    let path = format!("/v1/metrics?{question}");
    let began = Instant::now();
    let answer = client.request(Method::GET, &path).send().await?;
    let status = answer.status();
    let body = answer.bytes().await?;
    let took = began.elapsed();
    anyhow::ensure!(status == StatusCode::OK, "{question}: {status} {body:?}");
    Ok((took, body.len()))
}

/// So many of a hundred are no longer than this.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Asks all questions again and again; tells how long 95 of 100 answers took at most.
async fn measure(client: &Client) -> anyhow::Result<Duration> {
    let one = "00000000-0000-4000-8000-000000000001";
    let mut all = Vec::new();
    for (name, question) in QUESTIONS {
        let question = question.replace("ONE", one);
        // The first answer of a process has the statement planned.
        let (_, size) = ask(client, &question).await?;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            times.push(ask(client, &question).await?.0);
        }
        say(&format!(
            "{name:<40} {size:>9} bytes  p50 {:>7.1} ms  p95 {:>7.1} ms",
            milliseconds(percentile(&times, 50)),
            milliseconds(percentile(&times, 95))
        ))?;
        all.extend(times);
    }
    Ok(percentile(&all, 95))
}

// Fails when what is told of a year differs by the level or from the sum of its rows, when a question of a dashboard has no
// answer, and, beside ten million rows, when such answers take too long.
#[tokio::test]
async fn a_year_of_many_ads_is_told_at_once() -> anyhow::Result<()> {
    let rows = setting("MILLPOND_METRICS_ROWS", ROWS)?;
    let size = Size::of(rows);
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let mut db = world.sql().await?;

    let began = Instant::now();
    fill(&mut db, &size).await?;
    let filled = began.elapsed();
    let rolled = settle(&world, &client).await?;
    let p95 = measure(&client).await?;
    let (impressions, spend): (i64, Decimal) = sqlx::query_as(SUM).fetch_one(&mut db).await?;
    let mut told = Vec::new();
    for level in ["account", "campaign", "ad"] {
        let path = format!("/v1/metrics?range=last_365d&granularity=total&level={level}");
        told.push(client.get(&path).await?.body["totals"].clone());
    }
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM marketing.insights_daily")
        .fetch_one(&mut db)
        .await?;
    db.close().await?;

    say(&format!(
        "{} accounts with {} ads for {DAYS} days: {stored} rows, filled in {} s, rolled up in {} s",
        size.accounts,
        size.ads,
        filled.as_secs(),
        rolled.as_secs()
    ))?;
    say(&format!("GET /v1/metrics: p95 {:.1} ms", milliseconds(p95)))?;
    assert!(stored >= rows, "{stored}");
    for totals in &told {
        assert_eq!(decimal(&totals["impressions"])?, Decimal::from(impressions));
        assert_eq!(money(&totals["reporting_spend"])?, spend, "{totals}");
    }
    let goal = if rows < MANY_ROWS {
        Duration::MAX
    } else {
        GOAL
    };
    assert!(p95 <= goal, "{p95:?}");
    Ok(())
}
