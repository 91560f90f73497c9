//! Freshness, watches, the log of calls, and the views.

use std::time::Duration;

use chrono::TimeDelta;
use providers::platform::{CallRecord, Platform, Usage};

use super::*;
use crate::sync::{LoggedCall, Retention, SyncError, SyncOutcome};

const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);

#[sqlx::test(migrations = "../../migrations")]
async fn freshness_is_told_of_what_is_stored(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let before = scene.syncs.freshness(scene.account, None).await?;
    let today = before.now.date_naive();
    let asked = Days {
        from: today - TimeDelta::days(3),
        to: today + TimeDelta::days(1),
    };
    let mut sync = scene.begin(&scope(Granularity::Hour, asked)).await?;

    // An account without any delivery is as fresh as others.
    scene
        .syncs
        .stage_insights(&mut sync, asked, &[], &cursor(1))
        .await?;
    let staged = scene.syncs.freshness(scene.account, None).await?;
    scene
        .syncs
        .replace_insights(&mut sync, asked, &[], &cursor(2))
        .await?;
    let after = scene.syncs.freshness(scene.account, Some("acme")).await?;
    let foreign = scene.syncs.freshness(scene.account, Some("umbrella")).await;

    assert!(before.figures.is_empty() && staged.figures.is_empty());
    assert_eq!(after.time_zone, "Europe/Berlin");
    assert_eq!(after.figures.len(), 1);
    let hours = &after.figures[0];
    assert_eq!(
        (hours.level, hours.granularity),
        (Level::Campaign, Granularity::Hour)
    );
    let until = hours.complete_until.expect("an hour is whole");
    assert!(until <= hours.read_at && hours.read_at - until < TimeDelta::hours(1));
    assert!(hours.age_s.is_some_and(|age| age < 2 * 60 * 60));
    assert!(matches!(foreign, Err(SyncError::NotFound)));
    Ok(())
}

// Fails when a read counts from its last page on, hours after its first.
#[sqlx::test(migrations = "../../migrations")]
async fn figures_are_as_old_as_the_first_page_of_them(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-01", "2026-11-01");
    let mut sync = scene.begin(&scope(Granularity::Day, asked)).await?;
    let row = [figures("2026-11-01", "7", 1)];
    scene
        .syncs
        .stage_insights(&mut sync, asked, &row, &cursor(1))
        .await?;
    scene
        .run("UPDATE marketing.insights_staged SET staged_at = '2026-11-01T20:00:00Z'")
        .await?;

    scene
        .syncs
        .replace_insights(&mut sync, asked, &[], &cursor(2))
        .await?;

    let read = scene.texts(
        "SELECT to_char(read_at AT TIME ZONE 'UTC', 'MM-DD HH24') FROM marketing.insight_days",
    );
    assert_eq!(read.await?, ["11-01 20"]);
    Ok(())
}

// Fails when whoever follows a watch that has ended takes the next one for it, be the end seen or pruned.
#[sqlx::test(migrations = "../../migrations")]
async fn a_watch_stays_the_same_until_its_end_and_is_another_one_after_it(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let (syncs, account) = (&scene.syncs, scene.account);
    let watch = || syncs.watch(account, None, HALF_AN_HOUR);
    let end = || scene.run("UPDATE marketing.watches SET until = now()");

    let first = watch().await?.id;
    end().await?;
    // Nobody has seen the end yet.
    let renewed = watch().await?.id;
    end().await?;
    let is_seen_to_end = !syncs.goes_on(account, first).await?;
    let second = watch().await?.id;
    end().await?;
    syncs.prune(&Retention::default()).await?;
    let third = watch().await?.id;

    assert_eq!(renewed, first);
    assert!(is_seen_to_end);
    for (watch, stands) in [(first, false), (second, false), (third, true)] {
        assert_eq!(syncs.goes_on(account, watch).await?, stands);
    }
    Ok(())
}

// Fails when the end is found first and noted afterwards: what was asked for in between would be lost.
#[sqlx::test(migrations = "../../migrations")]
async fn a_watch_that_is_asked_for_in_the_moment_of_its_end_goes_on(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let watched = scene.syncs.watch(scene.account, None, HALF_AN_HOUR).await?;
    scene
        .run("UPDATE marketing.watches SET until = now()")
        .await?;
    let mut asking = db.begin().await?;
    sqlx::query("UPDATE marketing.watches SET until = now() + interval '1 hour'")
        .execute(&mut *asking)
        .await?;

    let mut seeing = Box::pin(scene.syncs.goes_on(scene.account, watched.id));
    tokio::select! {
        seen = &mut seeing => panic!("it did not wait: {seen:?}"),
        waits = waits_for_a_lock(&db) => waits?,
    }
    asking.commit().await?;

    assert!(seeing.await?);
    Ok(())
}

/// Until somebody waits for another one's transaction.
async fn waits_for_a_lock(db: &PgPool) -> anyhow::Result<()> {
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                 WHERE datname = current_database() AND wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(db).await? {}
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_gone_or_anothers_is_not_watched(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let syncs = &scene.syncs;

    let foreign = syncs
        .watch(scene.account, Some("umbrella"), HALF_AN_HOUR)
        .await;
    let short = syncs
        .watch(scene.account, None, Duration::from_secs(59))
        .await;
    scene
        .run("UPDATE marketing.accounts SET status = 'disconnected'")
        .await?;
    let gone = syncs.watch(scene.account, None, HALF_AN_HOUR).await;

    assert!(matches!(foreign, Err(SyncError::NotFound)));
    assert!(matches!(short, Err(SyncError::Invalid { .. })));
    assert!(matches!(gone, Err(SyncError::Disconnected)));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn calls_are_kept_with_what_the_platform_said_of_its_quotas(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let call = CallRecord {
        platform: Platform::Meta,
        endpoint: "GET act_{id}/campaigns",
        started_at: chrono::Utc::now(),
        took: Duration::from_millis(321),
        status: Some(400),
        class: Some("rate_limited"),
        request_id: Some("fb\0trace".to_owned()),
        usage: Usage {
            used_share: Some(0.97),
            remaining: Some(u64::MAX),
            resets_in: Some(Duration::from_secs(300)),
        },
    };
    let without_answer = CallRecord {
        status: None,
        class: None,
        request_id: None,
        usage: Usage::default(),
        ..call.clone()
    };
    let account = Some(scene.account);

    scene
        .syncs
        .record_calls(&[
            LoggedCall { account, call },
            LoggedCall {
                account: None,
                call: without_answer,
            },
        ])
        .await?;

    let kept = "SELECT concat_ws(' ', platform, status, class, took_ms, used_share, resets_in_s, request_id)
                  FROM marketing.api_calls ORDER BY account NULLS LAST";
    assert_eq!(
        scene.texts(kept).await?,
        ["meta 400 rate_limited 321 0.97 300 fbtrace", "meta 321"]
    );
    assert_eq!(scene.count("api_calls_default").await?, 0);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn views_tell_the_figures_with_the_names_that_belong_to_them(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let mut full = scene.begin(&FULL).await?;
    let ad = entity(EntityType::Ad, "9", Some("7"));
    scene
        .syncs
        .store_entities(&mut full, &[campaign("7"), ad], &cursor(1))
        .await?;
    scene.syncs.finish(full, &SyncOutcome::Succeeded).await?;
    let asked = days("2026-11-01", "2026-11-02");
    let what = scope(Granularity::Day, asked);
    let rows = [figures("2026-11-01", "7", 4), figures("2026-11-02", "7", 6)];
    let mut sync = scene.begin(&what).await?;
    scene
        .syncs
        .replace_insights(&mut sync, asked, &rows, &cursor(1))
        .await?;
    let hours = scope(Granularity::Hour, asked);
    let mut sync = scene.begin(&hours).await?;
    let hour = [figures_of_hour("2026-11-01", 13, "7", 4)];
    scene
        .syncs
        .replace_insights(&mut sync, asked, &hour, &cursor(1))
        .await?;

    for (view, expected) in [
        (
            "SELECT concat_ws(' ', platform, entity_name, sum(clicks), sum(spend), currency)
               FROM marketing.bi_insights_daily WHERE level = 'campaign' GROUP BY platform, entity_name, currency",
            "meta Name of 7 10 12.50 EUR",
        ),
        (
            "SELECT concat_ws(' ', date, hour, campaign_id, clicks) FROM marketing.bi_insights_hourly",
            "2026-11-01 13 7 4",
        ),
        (
            "SELECT concat_ws(' ', tenant, account_name, entity_id, campaign_id, daily_budget)
               FROM marketing.bi_entities WHERE entity_type = 'ad'",
            "acme Account 9 7 50.00",
        ),
        (
            "SELECT concat_ws(' ', tenant, external_id, time_zone) FROM marketing.bi_accounts",
            "acme 101 Europe/Berlin",
        ),
        (
            "SELECT concat_ws(' ', mode, state, attempts, entities, created) FROM marketing.bi_syncs WHERE sync_of = 'entities'",
            "full succeeded 1 2 2",
        ),
    ] {
        assert_eq!(scene.texts(view).await?, [expected]);
    }
    Ok(())
}
