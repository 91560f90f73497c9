//! What rolling up leaves behind, against a database of its own.

use std::sync::Arc;

use queue::{Database, config::Config};
use sqlx::PgPool;

use super::*;
use crate::rates::{RateFile, Rates};

const DAYS: &str = "SELECT concat_ws(' ', date, entity_id, impressions, spend, origin)
                      FROM marketing.insights_daily ORDER BY date, entity_id";

/// An account in Berlin that counts in euros.
struct Scene {
    db: PgPool,
    rollups: Rollups,
}

impl Scene {
    async fn new(db: &PgPool) -> anyhow::Result<Self> {
        let config = Arc::new(Config::builtin());
        let queue = Queue::new(Database::from_pool(db.clone()), config, [])?;
        let scene = Self {
            db: db.clone(),
            rollups: Rollups::new(queue),
        };
        scene
            .run(
                "INSERT INTO marketing.connections (id, platform, tenant, access_token)
                 VALUES ('00000000-0000-0000-0000-000000000001', 'meta', 'acme', 'sealed');
                 INSERT INTO marketing.accounts
                        (id, connection, platform, tenant, external_id, kind, name, currency, time_zone)
                 VALUES ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-000000000001', 'meta', 'acme', '101',
                         'ad_account', 'Account', 'EUR', 'Europe/Berlin');
                 SELECT marketing.make_insight_months('insights_hourly', '2026-03-01', '2026-11-30');
                 SELECT marketing.make_insight_months('insights_daily', '2026-03-01', '2026-11-30');
                 CREATE FUNCTION hour(day date, hour integer, entity text, impressions bigint) RETURNS void LANGUAGE sql AS $$
                     INSERT INTO marketing.insights_hourly
                            (account, level, date, hour, entity_id, impressions, clicks, link_clicks, views, likes, comments,
                             shares, spend, conversions, revenue, leads, reach, currency)
                     VALUES ('00000000-0000-0000-0000-00000000000a', 'campaign', day, hour, entity, impressions, 1, 0, 0, 0, 0,
                             0, 0.10, 0, 0, 0, 7, 'EUR') $$;
                 CREATE FUNCTION day(day date, entity text, impressions bigint, currency text) RETURNS void LANGUAGE sql AS $$
                     INSERT INTO marketing.insights_daily
                            (account, level, date, entity_id, impressions, clicks, link_clicks, views, likes, comments, shares,
                             spend, conversions, revenue, leads, reach, currency)
                     VALUES ('00000000-0000-0000-0000-00000000000a', 'campaign', day, entity, impressions, 1, 0, 0, 0, 0, 0,
                             10, 0, 0, 0, 7, currency) $$;
                 CREATE FUNCTION read(day date, granularity text, at timestamptz) RETURNS void LANGUAGE sql AS $$
                     INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
                     VALUES ('00000000-0000-0000-0000-00000000000a', 'campaign', granularity, '', day, at)
                     ON CONFLICT ON CONSTRAINT insight_days_pkey DO UPDATE SET read_at = excluded.read_at $$;",
            )
            .await?;
        Ok(scene)
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(sql).execute(&self.db).await?;
        Ok(())
    }

    async fn texts(&self, sql: &str) -> anyhow::Result<Vec<String>> {
        Ok(sqlx::query_scalar(sql).fetch_all(&self.db).await?)
    }

    /// All that is due.
    async fn roll_up(&self, grain: Grain) -> anyhow::Result<RolledUp> {
        let mut place = Place::default();
        let mut rolled = RolledUp::default();
        while let Some(more) = self.rollups.roll_up_next(grain, &mut place).await? {
            rolled = rolled.and_then(more);
        }
        Ok(rolled)
    }
}

// Fails when a day is thought to have 24 hours: Berlin's had 23 on one of these and 25 on the other.
#[sqlx::test(migrations = "../../migrations")]
async fn a_day_is_all_its_hours_however_many_it_has(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene
        .run(
            "SELECT hour('2026-03-29', hour, '7', 100) FROM generate_series(0, 23) AS hour WHERE hour <> 2;
             SELECT hour('2026-10-25', hour, '7', CASE hour WHEN 2 THEN 200 ELSE 100 END) FROM generate_series(0, 23) AS hour;
             SELECT read('2026-03-29', 'hour', now()), read('2026-10-25', 'hour', now())",
        )
        .await?;

    let rolled = scene.roll_up(Grain::Days).await?;

    assert_eq!((rolled.buckets, rolled.written), (2, 2));
    assert_eq!(
        scene.texts(DAYS).await?,
        [
            "2026-03-29 7 2300 2.30 hours",
            "2026-10-25 7 2500 2.40 hours"
        ]
    );
    let reach = "SELECT count(*)::text FROM marketing.insights_daily WHERE reach IS NOT NULL";
    assert_eq!(scene.texts(reach).await?, ["0"]);
    Ok(())
}

// Fails when the sum of hours takes the place of what the platform told of a day that is over, or of what it told later.
#[sqlx::test(migrations = "../../migrations")]
async fn what_the_platform_tells_of_a_day_stays(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    // Both days end at 23:00 UTC: the first was read whole, the second a moment too early, and its hours even earlier.
    scene
        .run(
            "SELECT day('2026-11-02', '7', 999, 'EUR'), day('2026-11-03', '7', 999, 'EUR');
             SELECT read('2026-11-02', 'day', '2026-11-02 23:00Z'), read('2026-11-03', 'day', '2026-11-03 22:59:59Z');
             SELECT hour(day, 5, entity, 1)
               FROM unnest(ARRAY['2026-11-02', '2026-11-03']::date[]) AS day, unnest(ARRAY['7', '8']) AS entity;
             SELECT read('2026-11-02', 'hour', now()), read('2026-11-03', 'hour', '2026-11-03 22:00Z')",
        )
        .await?;

    scene.roll_up(Grain::Days).await?;

    assert_eq!(
        scene.texts(DAYS).await?,
        [
            "2026-11-02 7 999 10 platform",
            "2026-11-03 7 999 10 platform",
            "2026-11-03 8 1 0.10 hours"
        ]
    );
    Ok(())
}

// Fails when the first hours of a day, once told as a day, stand for all of it, or when its hours stand for it when it is over.
#[sqlx::test(migrations = "../../migrations")]
async fn hours_read_later_take_the_place_of_a_day_that_was_told_before_its_end(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene
        .run(
            "SELECT day('2026-11-03', '7', 2, 'EUR'), read('2026-11-03', 'day', '2026-11-03 01:00Z');
             SELECT hour('2026-11-03', hour, '7', 1) FROM generate_series(0, 9) AS hour;
             SELECT read('2026-11-03', 'hour', '2026-11-03 09:00Z')",
        )
        .await?;

    scene.roll_up(Grain::Days).await?;
    let by_hour = scene.texts(DAYS).await?;
    let reach = "SELECT count(*)::text FROM marketing.insights_daily WHERE reach IS NOT NULL";
    let reach = scene.texts(reach).await?;
    let left = scene.rollups.left(Grain::AccountDays).await?;
    scene
        .run("SELECT read('2026-11-03', 'hour', '2026-11-03 10:00Z')")
        .await?;
    let again = scene.roll_up(Grain::Days).await?;
    scene
        .run(
            "UPDATE marketing.insights_daily SET impressions = 24, spend = 3, origin = 'platform';
             SELECT read('2026-11-03', 'day', '2026-11-04 01:00Z'), read('2026-11-03', 'hour', '2026-11-04 02:00Z')",
        )
        .await?;
    scene.roll_up(Grain::Days).await?;

    assert_eq!(by_hour, ["2026-11-03 7 10 1.00 hours"]);
    assert_eq!((reach, left), (vec!["0".to_owned()], 1));
    assert_eq!((again.buckets, again.written), (1, 0));
    assert_eq!(scene.texts(DAYS).await?, ["2026-11-03 7 24 3 platform"]);
    Ok(())
}

// Fails when what is restated is added to what was there, is missed, or is done again for nothing.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_restated_is_made_anew_and_only_that(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene
        .run(
            "SELECT hour('2026-11-02', 5, '7', 10), hour('2026-11-02', 6, '7', 10), hour('2026-11-02', 6, '8', 10);
             SELECT read('2026-11-02', 'hour', now())",
        )
        .await?;
    let first = scene.roll_up(Grain::Days).await?;
    let idle = scene.roll_up(Grain::Days).await?;
    scene
        .run(
            "UPDATE marketing.insights_hourly SET impressions = 15 WHERE hour = 5;
             DELETE FROM marketing.insights_hourly WHERE entity_id = '8';
             SELECT read('2026-11-02', 'hour', now())",
        )
        .await?;

    let second = scene.roll_up(Grain::Days).await?;

    assert_eq!((first.written, idle), (2, RolledUp::default()));
    assert_eq!((second.written, second.removed), (1, 1));
    assert_eq!(scene.texts(DAYS).await?, ["2026-11-02 7 25 0.20 hours"]);
    assert_eq!(scene.rollups.left(Grain::Days).await?, 0);
    assert_eq!(scene.rollups.left(Grain::Months).await?, 1);
    assert_eq!(scene.rollups.left(Grain::AccountDays).await?, 1);
    Ok(())
}

// Fails when sums go with the hours that they are made of.
#[sqlx::test(migrations = "../../migrations")]
async fn hours_that_were_deleted_for_their_age_leave_their_day(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene
        .run("SELECT hour('2026-11-02', 5, '7', 10); SELECT read('2026-11-02', 'hour', now())")
        .await?;
    scene.roll_up(Grain::Days).await?;
    scene
        .run(
            "DELETE FROM marketing.insights_hourly;
             UPDATE marketing.insight_days SET pruned = true;
             INSERT INTO marketing.rollups_due (grain, account, level, bucket)
             VALUES ('day', '00000000-0000-0000-0000-00000000000a', 'campaign', '2026-11-02')",
        )
        .await?;

    let rolled = scene.roll_up(Grain::Days).await?;

    assert_eq!((rolled.buckets, rolled.removed), (1, 0));
    assert_eq!(scene.texts(DAYS).await?, ["2026-11-02 7 10 0.10 hours"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_month_is_the_sum_of_its_days(db: PgPool) -> anyhow::Result<()> {
    const MONTHS: &str =
        "SELECT concat_ws(' ', month, entity_id, currency, days, impressions, spend)
           FROM marketing.insights_monthly ORDER BY month, entity_id";
    let scene = Scene::new(&db).await?;
    scene
        .run(
            "SELECT day(day::date, '7', 10, 'EUR') FROM generate_series('2026-09-30', '2026-11-01', interval '1 day') AS day;
             SELECT day('2026-10-05', '8', 10, NULL);
             SELECT read(day::date, 'day', now()) FROM generate_series('2026-09-30', '2026-11-01', interval '1 day') AS day",
        )
        .await?;
    scene.roll_up(Grain::Months).await?;
    let before = scene.texts(MONTHS).await?;
    scene
        .run(
            "DELETE FROM marketing.insights_daily WHERE entity_id = '8' OR date = '2026-11-01';
             SELECT read('2026-10-05', 'day', now()), read('2026-11-01', 'day', now())",
        )
        .await?;

    let rolled = scene.roll_up(Grain::Months).await?;

    assert_eq!(
        before,
        [
            "2026-09-01 7 EUR 1 10 10",
            "2026-10-01 7 EUR 31 310 310",
            "2026-10-01 8  1 10 10",
            "2026-11-01 7 EUR 1 10 10",
        ]
    );
    assert_eq!((rolled.buckets, rolled.written, rolled.removed), (2, 0, 2));
    assert_eq!(
        scene.texts(MONTHS).await?,
        ["2026-09-01 7 EUR 1 10 10", "2026-10-01 7 EUR 31 310 310"]
    );
    Ok(())
}

// Fails when people are added up, when a missing rate counts as nothing, or when rates do not last over a weekend.
#[sqlx::test(migrations = "../../migrations")]
async fn an_account_has_one_row_a_day_in_its_own_and_in_the_reporting_currency(
    db: PgPool,
) -> anyhow::Result<()> {
    const ACCOUNTS: &str =
        "SELECT concat_ws(' ', date, entities, impressions, spend, COALESCE(reach::text, '-'),
                          COALESCE(trim_scale(reporting_spend)::text, '-'))
           FROM marketing.account_days ORDER BY date";
    let scene = Scene::new(&db).await?;
    scene
        .run(
            "INSERT INTO marketing.reporting (currency) VALUES ('USD');
             INSERT INTO marketing.rates (currency, day, rate) VALUES ('EUR', '2026-11-06', 1.1);
             SELECT day('2026-11-05', '7', 10, 'EUR'), day('2026-11-06', '7', 10, 'EUR'), day('2026-11-08', '7', 10, 'EUR'),
                    day('2026-11-08', '8', 10, 'EUR'), day('2026-11-14', '7', 10, 'EUR');
             SELECT read(day::date, 'day', now()) FROM generate_series('2026-11-05', '2026-11-14', interval '1 day') AS day",
        )
        .await?;

    let rolled = scene.roll_up(Grain::AccountDays).await?;

    assert_eq!((rolled.buckets, rolled.written), (10, 4));
    assert_eq!(
        scene.texts(ACCOUNTS).await?,
        [
            "2026-11-05 1 10 10 7 -",
            "2026-11-06 1 10 10 7 11",
            "2026-11-08 2 20 20 - 22",
            "2026-11-14 1 10 10 7 -"
        ]
    );
    Ok(())
}

// Fails when only months of which an account's days are there already are reckoned at rates that come later.
#[sqlx::test(migrations = "../../migrations")]
async fn a_month_ahead_of_its_accounts_days_is_reckoned_at_new_rates(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene
        .run("SELECT day('2026-11-05', '7', 10, 'EUR'); SELECT read('2026-11-05', 'day', now())")
        .await?;
    scene.roll_up(Grain::Months).await?;
    let file = RateFile::parse("2026-11-05,EUR,1.1\n")?;

    let rates = Rates::new(scene.rollups.queue.clone());
    rates.load(&file, Some("USD"), false).await?;
    scene.roll_up(Grain::Months).await?;

    let spend =
        "SELECT COALESCE(trim_scale(reporting_spend)::text, '-') FROM marketing.insights_monthly";
    assert_eq!(scene.texts(spend).await?, ["11"]);
    Ok(())
}

// Fails when months that nobody rolls up never wait for long, since their days are read again and again.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_marked_again_has_waited_since_it_was_marked_first(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene
        .run(
            "SELECT read('2026-11-02', 'day', now()), read('2026-11-02', 'hour', now());
             UPDATE marketing.rollups_due SET marked_at = now() - interval '2 hours'",
        )
        .await?;

    scene
        .run(
            "SELECT hour('2026-11-02', 5, '7', 10), read('2026-11-02', 'day', '2026-11-02 01:00Z'),
                    read('2026-11-02', 'hour', now())",
        )
        .await?;
    scene.roll_up(Grain::Days).await?;

    let waiting = "SELECT grain FROM marketing.rollups_due WHERE marked_at < now() - interval '1 hour' ORDER BY grain";
    assert_eq!(scene.texts(waiting).await?, ["account_day", "month"]);
    Ok(())
}

#[test]
fn days_end_by_the_clock_of_their_account() {
    let zone = Tz::Europe__Berlin;
    let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
    let hours = |text: &str| {
        let day = day(text);
        let began = start_of(zone, day).expect("it begins");
        (end_of(zone, day) - began).num_hours()
    };

    assert_eq!(hours("2026-03-29"), 23);
    assert_eq!(hours("2026-10-25"), 25);
    assert_eq!(hours("2026-11-02"), 24);
}
