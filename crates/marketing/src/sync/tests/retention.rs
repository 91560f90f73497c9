//! What goes when it is old, and what has to stay.

use chrono::{TimeDelta, Utc};

use super::*;
use crate::sync::{CacheKey, CacheOf, Cached, Retention, SyncOutcome};

/// Reads the same days by the hour and by the day.
async fn read(scene: &Scene, day: NaiveDate) -> anyhow::Result<()> {
    let days = Days { from: day, to: day };
    for granularity in [Granularity::Hour, Granularity::Day] {
        let mut sync = scene.begin(&scope(granularity, days)).await?;
        let hour = (granularity == Granularity::Hour).then_some(3);
        let row = InsightRow {
            hour,
            ..figures(&day.to_string(), "7", 1)
        };
        scene
            .syncs
            .replace_insights(&mut sync, days, &[row], &cursor(1))
            .await?;
        scene.syncs.finish(sync, &SyncOutcome::Succeeded).await?;
    }
    Ok(())
}

// Fails when hours are deleted whose day was not read after its end, or that are not old enough.
#[sqlx::test(migrations = "../../migrations")]
async fn old_hours_go_when_the_figures_of_their_day_are_there(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let today = Utc::now().date_naive();
    let [kept, without_day, too_early, old] =
        [7, 9, 10, 11].map(|ago| today - TimeDelta::days(ago));
    for day in [kept, without_day, too_early, old] {
        read(&scene, day).await?;
    }
    let unread = format!(
        "DELETE FROM marketing.insight_days WHERE granularity = 'day' AND date = '{without_day}';
         UPDATE marketing.insight_days SET read_at = date + interval '1 day'
          WHERE granularity = 'day' AND date = '{too_early}'"
    );
    scene.run(&unread).await?;

    let pruned = scene.syncs.prune(&Retention::default()).await?;
    let again = scene.syncs.prune(&Retention::default()).await?;

    assert_eq!((pruned.hours, pruned.is_done), (1, true));
    assert_eq!(again.hours, 0);
    let left = "SELECT date::text FROM marketing.insights_hourly ORDER BY date DESC";
    let expected = [kept, without_day, too_early].map(|day| day.to_string());
    assert_eq!(scene.texts(left).await?, expected);
    assert_eq!(scene.count("insights_daily").await?, 4);
    Ok(())
}

// Fails when the last hours of whoever leaves stay for ever, and their month with them.
#[sqlx::test(migrations = "../../migrations")]
async fn old_hours_of_a_disconnected_account_go_without_the_figures_of_their_day(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let today = Utc::now().date_naive();
    let [kept, old] = [7, 9].map(|ago| today - TimeDelta::days(ago));
    for day in [kept, old] {
        read(&scene, day).await?;
    }
    scene
        .run(
            "DELETE FROM marketing.insight_days WHERE granularity = 'day';
             UPDATE marketing.accounts SET status = 'disconnected'",
        )
        .await?;

    let before = scene.syncs.prune(&Retention::default()).await?;
    scene.run("DELETE FROM marketing.rollups_due").await?;
    let pruned = scene.syncs.prune(&Retention::default()).await?;

    assert_eq!(before.hours, 0, "they are not added up yet");

    assert_eq!((pruned.hours, pruned.is_done), (1, true));
    let left = "SELECT date::text FROM marketing.insights_hourly";
    assert_eq!(scene.texts(left).await?, [kept.to_string()]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_old_goes_and_what_is_to_come_has_a_place(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    for _ in 0..2 {
        let sync = scene.begin(&FULL).await?;
        scene.syncs.finish(sync, &SyncOutcome::Succeeded).await?;
    }
    scene
        .begin(&SyncWhat::Entities(SyncMode::Incremental))
        .await?;
    let key = CacheKey {
        of: CacheOf::Account(scene.account),
        sort: Cached::UserData,
        name: "7".to_owned(),
    };
    scene.syncs.cache_put(&key, &json!(1)).await?;
    scene
        .run(
            "UPDATE marketing.syncs SET finished_at = now() - interval '91 days'
              WHERE id = (SELECT id FROM marketing.syncs WHERE state = 'succeeded' ORDER BY id LIMIT 1);
             UPDATE marketing.syncs SET progressed_at = now() - interval '31 hours' WHERE state = 'running';
             UPDATE marketing.cache SET expires_at = now();
             INSERT INTO marketing.watches SELECT id, now() FROM marketing.accounts;
             DROP TABLE marketing.api_calls_default;
             CREATE TABLE marketing.api_calls_20260101 PARTITION OF marketing.api_calls
                FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
             CREATE TABLE marketing.api_calls_default PARTITION OF marketing.api_calls DEFAULT;
             INSERT INTO marketing.api_calls (at, platform, endpoint, took_ms) VALUES
                ('2026-01-01', 'meta', 'GET me', 1), ('2025-01-01', 'meta', 'GET me', 1), (now(), 'meta', 'GET me', 1);
             SELECT marketing.make_insight_months('insights_hourly', '2026-01-01', '2026-01-01');",
        )
        .await?;

    let pruned = scene.syncs.prune(&Retention::default()).await?;

    assert_eq!((pruned.syncs, pruned.lost_syncs), (1, 1));
    assert_eq!(
        (pruned.answers, pruned.watches, pruned.call_days),
        (1, 1, 1)
    );
    assert_eq!(scene.count("api_calls").await?, 1);
    assert_eq!(scene.count("syncs").await?, 2);
    let gone = "SELECT to_regclass('marketing.insights_hourly_202601') IS NULL";
    let is_gone: bool = sqlx::query_scalar(gone).fetch_one(&db).await?;
    assert!(is_gone);
    let ahead = (Utc::now() + TimeDelta::days(40)).format("%Y%m");
    let ahead = format!("SELECT to_regclass('marketing.insights_daily_{ahead}') IS NOT NULL");
    let is_there: bool = sqlx::query_scalar(&ahead).fetch_one(&db).await?;
    assert!(is_there);
    Ok(())
}

// Fails when the history of changes, or events that nobody takes, grow for ever or go too soon.
#[sqlx::test(migrations = "../../migrations")]
async fn changes_go_after_a_year_and_events_after_a_week(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene
        .run(
            "INSERT INTO marketing.entity_changes (account, kind, entity_id, field, before, after, seen_at, sync)
             SELECT id, 'campaign', '7', 'name', 'a', 'b', now() - make_interval(days => ago), id
               FROM marketing.accounts, unnest(ARRAY[366, 364]) AS ago;
             INSERT INTO marketing.events (kind, tenant, account, data, occurred_at)
             SELECT 'entity.changed', tenant, id, '{}', now() - make_interval(days => ago)
               FROM marketing.accounts, unnest(ARRAY[8, 6]) AS ago;",
        )
        .await?;

    let pruned = scene.syncs.prune(&Retention::default()).await?;
    let again = scene.syncs.prune(&Retention::default()).await?;

    assert_eq!((pruned.changes, pruned.events), (1, 1));
    assert!(!pruned.is_done && again.is_done);
    assert_eq!(scene.count("entity_changes").await?, 1);
    assert_eq!(scene.count("events").await?, 1);
    Ok(())
}

// Fails when a process that was away for longer than there are partitions writes beside them, which keeps them from being
// made.
#[sqlx::test(migrations = "../../migrations")]
async fn room_is_made_where_there_is_none_any_more(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let days = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = 'marketing.api_calls'::regclass AND c.relname ~ '_[0-9]{8}$' ORDER BY 1";
    let before = scene.texts(days).await?;
    for day in &before {
        scene.run(&format!("DROP TABLE marketing.{day}")).await?;
    }

    scene.syncs.make_room().await?;
    scene.syncs.make_room().await?;

    assert_eq!(before.len(), 8);
    assert_eq!(scene.texts(days).await?, before);
    Ok(())
}
