//! Which jobs a tick makes for which accounts, and when they begin.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::DateTime;
use marketing::{PgPool, accounts::Account};
use providers::platform::{Granularity, OpenDoor};
use queue::{Start, config::Config};
use serde_json::Value;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use super::*;
use crate::kinds::{scene::Scene, testing::schema_accepts};

fn night() -> DateTime<Utc> {
    "2026-11-21T23:30:00Z".parse().expect("a time")
}

/// The account as it is in that night, in Berlin.
async fn account(scene: &Scene) -> anyhow::Result<Account> {
    scene.connected().await?;
    Ok(scene.reached().await?.account)
}

/// How many jobs there are of each kind, and their first and last days.
fn told(jobs: &[NewJob]) -> BTreeMap<(String, String, String), usize> {
    let mut told = BTreeMap::new();
    for job in jobs {
        let payload: Value = serde_json::from_str(job.payload.get()).expect("JSON");
        let text = |name: &str| payload[name].as_str().unwrap_or("-").to_owned();
        let key = (
            format!("{} {} {}", job.kind, text("mode"), text("granularity")),
            text("from"),
            text("to"),
        );
        *told.entry(key).or_default() += 1;
    }
    told
}

fn expected(of: &[(&str, &str, &str, usize)]) -> BTreeMap<(String, String, String), usize> {
    let of = of.iter().map(|(kind, from, to, count)| {
        let key = ((*kind).to_owned(), (*from).to_owned(), (*to).to_owned());
        (key, *count)
    });
    of.collect()
}

#[test]
fn the_schema_takes_what_the_built_in_schedules_say() {
    let config = Config::builtin();

    for name in ["sync-full", "sync-incremental"] {
        let schedule = &config.schedules[name];
        assert_eq!(schedule.kind, SyncFanout::KIND);
        assert!(schema_accepts::<SyncFanout>(&schedule.payload), "{name}");
    }
    assert!(!schema_accepts::<SyncFanout>(&json!({ "mode": "all" })));
}

#[sqlx::test(migrations = "../../migrations")]
async fn every_hour_has_changes_and_the_hours_of_two_days_by_the_accounts_clock(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = account(&scene).await?;

    let jobs = orders(
        &account,
        &*scene.platform,
        (Mode::Incremental, true),
        night(),
    );

    assert_eq!(
        told(&jobs),
        expected(&[
            ("sync.account incremental -", "-", "-", 1),
            ("sync.insights - hour", "2026-11-21", "2026-11-22", 4),
        ])
    );
    Ok(())
}

// Fails when the day that goes on is read by the day: its row would then stand for the whole day until the next night.
#[sqlx::test(migrations = "../../migrations")]
async fn every_day_has_everything_and_the_days_that_are_over_and_are_restated(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = account(&scene).await?;

    let jobs = orders(&account, &*scene.platform, (Mode::Full, true), night());

    assert_eq!(
        told(&jobs),
        expected(&[
            ("sync.account full -", "-", "-", 1),
            ("sync.insights - day", "2026-10-25", "2026-11-21", 4),
        ])
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn where_there_are_no_hours_today_is_read_by_the_day(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = account(&scene).await?;
    scene.platform.known().finest = Granularity::Day;

    let jobs = orders(
        &account,
        &*scene.platform,
        (Mode::InsightsDaily, true),
        night(),
    );

    assert_eq!(
        told(&jobs),
        expected(&[("sync.insights - day", "2026-10-25", "2026-11-22", 4)])
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_was_never_read_is_read_whole_and_days_stand_in_for_hours(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = account(&scene).await?;
    scene.platform.known().finest = Granularity::Day;

    let jobs = orders(
        &account,
        &*scene.platform,
        (Mode::Incremental, false),
        night(),
    );

    assert_eq!(
        told(&jobs),
        expected(&[
            ("sync.account full -", "-", "-", 1),
            ("sync.insights - day", "2026-11-21", "2026-11-22", 4),
        ])
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_account_begins_at_its_own_moment_within_ten_minutes(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = account(&scene).await?;

    let moments: Vec<Start> = [Mode::Incremental, Mode::Full]
        .into_iter()
        .flat_map(|mode| orders(&account, &*scene.platform, (mode, true), night()))
        .map(|job| job.start)
        .collect();

    let longest = Duration::from_secs(600);
    assert!(moments.iter().all(|it| *it == moments[0]));
    assert!(matches!(moments[0], Start::After(wait) if wait < longest));
    Ok(())
}

// Fails when a tick doubles the work of the tick before, or when accounts are read that nobody wants.
#[sqlx::test(migrations = "../../migrations")]
async fn a_second_tick_makes_no_second_jobs_and_what_is_switched_off_has_none(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    let stop = CancellationToken::new();
    let fan_out = async || fan_out(&scene.app, Mode::Full, &stop).await;

    let first = fan_out().await?;
    let second = fan_out().await?;
    sqlx::query("UPDATE marketing.accounts SET sync_enabled = false")
        .execute(&db)
        .await?;
    let third = fan_out().await?;

    // What was connected is read at once: that job stands for the one of the tick.
    assert_eq!(
        (first.accounts, first.created, first.deduplicated),
        (1, 4, 1)
    );
    assert_eq!((second.created, second.deduplicated), (0, 5));
    assert_eq!(third, Done::default());
    Ok(())
}

/// Meta, where a person has a Page with an Instagram account.
async fn meta_with_a_page() -> MockServer {
    let server = MockServer::start().await;
    let page = json!({"id": "201", "name": "Page", "instagram_business_account": {"id": "301"}});
    Mock::given(path("/me/accounts"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"data": [page]})))
        .mount(&server)
        .await;
    server
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_grants_reach_is_looked_at_once_a_day(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::of_google(&db);
    scene.connected().await?;
    sqlx::query("UPDATE marketing.connections SET discovered_at = now() - interval '1 day'")
        .execute(&db)
        .await?;
    sqlx::query("UPDATE marketing.accounts SET name = 'Old name'")
        .execute(&db)
        .await?;
    let stop = CancellationToken::new();
    let door = |_: Platform, _: Option<AccountId>| -> Box<dyn Door> { Box::new(OpenDoor) };

    let found = discover(&scene.app, &door, &stop).await?;

    let stale = scene
        .app
        .accounts
        .not_listed_for(Duration::from_secs(3_600), 10);
    assert_eq!(found, 0);
    assert!(stale.await?.is_empty());
    assert_eq!(scene.reached().await?.account.name, "Shop");
    Ok(())
}

// Fails when the Pages of whoever has just been connected are found a day later.
#[sqlx::test(migrations = "../../migrations")]
async fn pages_are_found_with_the_first_tick_and_then_once_a_day(db: PgPool) -> anyhow::Result<()> {
    let server = meta_with_a_page().await;
    let scene = Scene::with_meta_at(&db, &server.uri());
    scene.connected().await?;
    let stop = CancellationToken::new();
    let door = |_: Platform, _: Option<AccountId>| -> Box<dyn Door> { Box::new(OpenDoor) };

    let first = discover(&scene.app, &door, &stop).await?;
    let second = discover(&scene.app, &door, &stop).await?;

    let kinds = "SELECT kind FROM marketing.accounts WHERE status = 'active' ORDER BY 1";
    let kinds: Vec<String> = sqlx::query_scalar(kinds).fetch_all(&db).await?;
    let asked = server.received_requests().await.unwrap_or_default();
    assert_eq!((first, second), (2, 0));
    assert_eq!(kinds, ["ad_account", "instagram_account", "page"]);
    assert_eq!(asked.len(), 1);
    Ok(())
}

// Fails when a grant of whose accounts none is known yet has its Pages found a day after its ad accounts.
#[sqlx::test(migrations = "../../migrations")]
async fn a_grant_without_accounts_is_asked_for_its_pages_too(db: PgPool) -> anyhow::Result<()> {
    let server = meta_with_a_page().await;
    let scene = Scene::with_meta_at(&db, &server.uri());
    scene.connected().await?;
    for forget in [
        "UPDATE marketing.accounts SET status = 'disconnected', status_changed_at = now()",
        "UPDATE marketing.connections SET discovered_at = NULL",
    ] {
        sqlx::query(forget).execute(&db).await?;
    }
    let asked_for = Mutex::new(Vec::new());
    let door = |_: Platform, account: Option<AccountId>| -> Box<dyn Door> {
        let mut asked_for = asked_for.lock().unwrap_or_else(PoisonError::into_inner);
        asked_for.push(account);
        Box::new(OpenDoor)
    };

    let found = discover(&scene.app, &door, &CancellationToken::new()).await?;

    let kinds: Vec<String> = sqlx::query_scalar(
        "SELECT kind FROM marketing.accounts WHERE status = 'active' ORDER BY 1",
    )
    .fetch_all(&db)
    .await?;
    assert_eq!(found, 2);
    assert_eq!(kinds, ["instagram_account", "page"]);
    let asked_for = asked_for
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    assert_eq!(asked_for, [None]);
    Ok(())
}
