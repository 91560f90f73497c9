//! Objectives for freshness, and which accounts are most behind.

use queue::ErrorClass;

use super::*;
use crate::{
    accounts::{AccountFilter, AccountOrder, Accounts, ListedAccount},
    sync::{SyncFailure, SyncOutcome, slo::good_ratios},
};

const ACCOUNTS: &str =
    "[slo.s]\nkind = \"sync.account\"\nbudget = \"meta\"\nwithin = \"1h\"\ntarget = 0.9\n";
const FIGURES: &str = "[slo.s]\nkind = \"sync.insights\"\nwithin = \"1h\"\ntarget = 0.9\n";

/// For which share of the accounts the objective `s` is met.
async fn share(db: &PgPool, objectives: &str) -> anyhow::Result<Option<f64>> {
    let parsed = Config::parse(objectives, &[]).expect("the objectives are right");
    let mut conn = db.acquire().await?;
    let ratios = good_ratios(&mut conn, &parsed.config.slos).await?;
    Ok(ratios.get("s").copied())
}

/// Accounts of which nothing was ever read, found a week ago.
async fn found_long_ago(scene: &Scene) -> anyhow::Result<()> {
    scene
        .run("UPDATE marketing.accounts SET discovered_at = now() - interval '7 days'")
        .await
}

async fn read_entities(scene: &Scene, outcome: &SyncOutcome) -> anyhow::Result<()> {
    let sync = scene.begin(&FULL).await?;
    Ok(scene.syncs.finish(sync, outcome).await?)
}

/// Reads figures of a day at all levels but these.
async fn read_figures(scene: &Scene, days: Days, but: &[Level]) -> anyhow::Result<()> {
    for level in Level::ALL.into_iter().filter(|level| !but.contains(level)) {
        let what = SyncWhat::Insights(InsightScope {
            level,
            granularity: Granularity::Hour,
            from: days.from,
            to: days.to,
            breakdowns: Vec::new(),
        });
        let mut sync = scene.begin(&what).await?;
        let syncs = &scene.syncs;
        syncs
            .replace_insights(&mut sync, days, &[], &cursor(1))
            .await?;
    }
    Ok(())
}

fn no(class: ErrorClass) -> SyncFailure {
    SyncFailure {
        class,
        message: "no".to_owned(),
    }
}

fn until_today() -> Days {
    let today = chrono::Utc::now().date_naive();
    Days {
        from: today - chrono::Days::new(1),
        to: today,
    }
}

// Fails when a job that ended is taken for something that was stored.
#[sqlx::test(migrations = "../../migrations")]
async fn an_account_is_good_when_it_was_read_whole_within_the_time(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    found_long_ago(&scene).await?;

    let unread = share(&db, ACCOUNTS).await?;
    read_entities(&scene, &SyncOutcome::Partial(no(ErrorClass::Invalid))).await?;
    read_entities(&scene, &SyncOutcome::Failed(no(ErrorClass::Permission))).await?;
    let in_part = share(&db, ACCOUNTS).await?;
    read_entities(&scene, &SyncOutcome::Succeeded).await?;
    let read = share(&db, ACCOUNTS).await?;
    scene
        .run("UPDATE marketing.syncs SET started_at = now() - interval '61 minutes'")
        .await?;
    let read_long_ago = share(&db, ACCOUNTS).await?;

    assert_eq!((unread, in_part), (Some(0.0), Some(0.0)));
    assert_eq!((read, read_long_ago), (Some(1.0), Some(0.0)));
    Ok(())
}

// Fails when a right that is missing for good has an account miss its objective for good.
#[sqlx::test(migrations = "../../migrations")]
async fn what_there_is_no_right_to_makes_nothing_older(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    found_long_ago(&scene).await?;

    read_entities(&scene, &SyncOutcome::Succeeded).await?;
    scene
        .run("UPDATE marketing.syncs SET started_at = now() - interval '61 minutes'")
        .await?;
    let before = share(&db, ACCOUNTS).await?;
    read_entities(&scene, &SyncOutcome::Partial(no(ErrorClass::Permission))).await?;
    let after = share(&db, ACCOUNTS).await?;

    assert_eq!((before, after), (Some(0.0), Some(1.0)));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_account_that_is_new_has_the_time_too(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;

    let new = share(&db, ACCOUNTS).await?;
    scene
        .run("UPDATE marketing.accounts SET discovered_at = now() - interval '61 minutes'")
        .await?;
    let unread = share(&db, ACCOUNTS).await?;

    assert_eq!((new, unread), (Some(1.0), Some(0.0)));
    Ok(())
}

// Fails when accounts that nothing can be read of raise the alarm, or when no account at all is told as none that is good.
#[sqlx::test(migrations = "../../migrations")]
async fn accounts_that_nothing_can_be_read_of_do_not_count(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let good = scene.of(account(&db, "acme", "102").await?);
    found_long_ago(&scene).await?;
    read_entities(&good, &SyncOutcome::Succeeded).await?;
    let id = scene.account;

    let both = share(&db, ACCOUNTS).await?;

    assert_eq!(both, Some(0.5));
    for (change, undone) in [
        ("sync_enabled = false", "sync_enabled = true"),
        ("status = 'needs_reauth'", "status = 'expiring'"),
        ("vanished_at = now()", "vanished_at = NULL"),
        ("kind = 'page'", "kind = 'ad_account'"),
        ("platform = 'x'", "platform = 'meta'"),
        ("status = 'disconnected'", "status = 'active'"),
    ] {
        for (set, expected) in [(change, Some(1.0)), (undone, Some(0.5))] {
            let sql = format!("UPDATE marketing.accounts SET {set} WHERE id = '{id}'");
            scene.run(&sql).await?;
            assert_eq!(share(&db, ACCOUNTS).await?, expected, "{set}");
        }
    }
    let all_off = "UPDATE marketing.accounts SET sync_enabled = false";
    scene.run(all_off).await?;
    assert_eq!(share(&db, ACCOUNTS).await?, None);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn each_objective_counts_the_accounts_of_its_platform(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let other = scene.of(account(&db, "acme", "102").await?);
    let id = other.account;
    let of_x = format!("UPDATE marketing.accounts SET platform = 'x' WHERE id = '{id}'");
    scene.run(&of_x).await?;
    found_long_ago(&scene).await?;
    read_entities(&other, &SyncOutcome::Succeeded).await?;
    let objectives = "[slo.all]\nkind = \"sync.account\"\nwithin = \"1h\"\ntarget = 0.9\n\
                      [slo.meta]\nkind = \"sync.account\"\nbudget = \"meta\"\nwithin = \"1h\"\ntarget = 0.9\n\
                      [slo.slow]\nkind = \"sync.account\"\nbudget = \"meta\"\nwithin = \"8d\"\ntarget = 0.9\n\
                      [slo.tiktok]\nkind = \"sync.account\"\nbudget = \"tiktok\"\nwithin = \"1h\"\ntarget = 0.9\n\
                      [slo.figures]\nkind = \"sync.insights\"\nbudget = \"x\"\nwithin = \"1h\"\ntarget = 0.9\n";
    let parsed = Config::parse(objectives, &[]).expect("the objectives are right");
    let mut conn = db.acquire().await?;

    let ratios = good_ratios(&mut conn, &parsed.config.slos).await?;

    let told: Vec<(&str, f64)> = ratios
        .iter()
        .map(|(name, it)| (name.as_str(), *it))
        .collect();
    assert_eq!(
        told,
        [("all", 0.5), ("figures", 0.0), ("meta", 0.0), ("slow", 1.0)]
    );
    Ok(())
}

// Fails when figures that are read of some levels, or of days long past, hide that the others stand still.
#[sqlx::test(migrations = "../../migrations")]
async fn figures_are_as_old_as_those_of_the_oldest_level(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    found_long_ago(&scene).await?;
    let today = until_today();

    read_figures(&scene, today, &[Level::Ad]).await?;
    let but_ads = share(&db, FIGURES).await?;
    read_figures(&scene, days("2026-01-01", "2026-01-31"), &[]).await?;
    let of_the_past = share(&db, FIGURES).await?;
    read_figures(&scene, today, &[]).await?;
    let all = share(&db, FIGURES).await?;
    scene
        .run(
            "UPDATE marketing.insight_days SET read_at = now() - interval '61 minutes'
              WHERE level = 'campaign' AND date > '2026-01-31'",
        )
        .await?;
    let but_campaigns = share(&db, FIGURES).await?;

    assert_eq!((but_ads, of_the_past), (Some(0.0), Some(0.0)));
    assert_eq!((all, but_campaigns), (Some(1.0), Some(0.0)));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_was_never_read_is_behind_since_the_account_was_found(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    found_long_ago(&scene).await?;
    let accounts = Accounts::only_to_look_at(scene.syncs.0.queue.clone());
    let list = || async {
        let filter = AccountFilter::default();
        let page = first_page(10);
        let listed = accounts
            .listed(&filter, AccountOrder::Behind, &page)
            .await?;
        anyhow::Ok::<Vec<ListedAccount>>(listed.items)
    };

    let unread = list().await?;
    read_entities(&scene, &SyncOutcome::Succeeded).await?;
    let without_figures = list().await?;
    read_figures(&scene, until_today(), &[]).await?;
    let read = list().await?;

    let week_s = 7 * 24 * 60 * 60;
    let told = |listed: &[ListedAccount]| listed[0].as_of.expect("it is an ad account");
    let (unread, without_figures, read) = (told(&unread), told(&without_figures), told(&read));
    assert_eq!((unread.entities, unread.figures), (None, None));
    assert!(unread.behind_s >= week_s);
    assert!(without_figures.entities.is_some() && without_figures.behind_s >= week_s);
    assert_eq!(read.entities, without_figures.entities);
    assert!(read.figures >= read.entities && read.behind_s < 60 * 60);
    assert_eq!(Some(read.all), read.entities);
    Ok(())
}
