//! How syncs begin, go on and end, and who may store for them.

use std::collections::HashMap;

use queue::ErrorClass;

use super::*;
use crate::sync::{SyncError, SyncFailure, SyncOutcome, SyncState};

fn failure(message: &str) -> SyncFailure {
    SyncFailure {
        class: ErrorClass::Transient,
        message: message.to_owned(),
    }
}

// Fails when a page is stored without its cursor, or a cursor without its page.
#[sqlx::test(migrations = "../../migrations")]
async fn a_sync_that_was_killed_goes_on_behind_its_last_page(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let mut killed = scene.begin(&FULL).await?;
    let pages = [
        [campaign("1"), campaign("2")],
        [campaign("3"), campaign("4")],
    ];
    scene
        .syncs
        .store_entities(&mut killed, &pages[0], &cursor(2))
        .await?;

    let mut next = scene.begin(&FULL).await?;
    let goes_on = next.cursor.clone();
    scene
        .syncs
        .store_entities(&mut next, &pages[1], &cursor(3))
        .await?;

    assert_eq!(killed.cursor, Some(cursor(2)));
    assert_eq!((killed.run, next.run), (1, 2));
    assert_eq!((next.id, next.started_at), (killed.id, killed.started_at));
    assert_eq!(goes_on, Some(cursor(2)));
    assert_eq!((next.counts.pages, next.counts.entities), (2, 4));
    assert_eq!(scene.count("entities").await?, 4);
    assert_eq!(scene.count("syncs").await?, 1);
    Ok(())
}

// Fails when a job does not find the sync that it has ended, or takes one for it that has not read everything.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_knows_the_sync_with_which_it_has_read_everything(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let jobs = [(); 3].map(|()| JobId::new());
    let of_day = |day: &str| scope(Granularity::Day, days(day, day));
    let first = days("2026-11-01", "2026-11-01");
    let row = [figures("2026-11-01", "7", 1)];

    let begin = async |day: &str, job| scene.syncs.begin(scene.account, &of_day(day), job).await;
    let mut done = begin("2026-11-01", jobs[0]).await?;
    scene
        .syncs
        .replace_insights(&mut done, first, &row, &cursor(2))
        .await?;
    let counts = done.counts;
    scene.syncs.finish(done, &SyncOutcome::Succeeded).await?;
    let given_up = begin("2026-11-02", jobs[1]).await?;
    let failed = SyncOutcome::Failed(failure("no"));
    scene.syncs.finish(given_up, &failed).await?;
    begin("2026-11-03", jobs[2]).await?;

    let mut found = Vec::new();
    for job in jobs {
        found.push(scene.syncs.done_by(scene.account, job).await?);
    }
    assert_eq!(found, [Some(counts), None, None]);
    assert_eq!((counts.pages, counts.rows), (1, 1));
    Ok(())
}

// Fails when a page is stored without a look at whose the sync is.
#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_that_was_superseded_stores_nothing(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-01", "2026-11-02");
    let what = scope(Granularity::Day, asked);
    let mut slow = scene.begin(&what).await?;
    let mut slow_full = scene.begin(&FULL).await?;
    scene.begin(&what).await?;
    scene.begin(&FULL).await?;
    let row = [figures("2026-11-01", "7", 1)];
    let failed = SyncOutcome::Failed(failure("too late"));

    let syncs = &scene.syncs;
    let refused = [
        syncs
            .stage_insights(&mut slow, asked, &row, &cursor(2))
            .await
            .err(),
        syncs
            .replace_insights(&mut slow, asked, &row, &cursor(2))
            .await
            .err(),
        syncs.move_on(&mut slow, &cursor(2)).await.err(),
        syncs.set_back(&slow, &failure("too late")).await.err(),
        syncs.start_over(&mut slow).await.err(),
        syncs.finish(slow, &failed).await.err(),
        syncs
            .store_entities(&mut slow_full, &[campaign("1")], &cursor(2))
            .await
            .err(),
        syncs
            .finish_entities(&mut slow_full, EntityType::Campaign, &cursor(2))
            .await
            .err(),
    ];

    for error in refused {
        assert!(matches!(error, Some(SyncError::Superseded)), "{error:?}");
    }
    for table in [
        "entities",
        "insights_daily",
        "insights_staged",
        "insight_days",
    ] {
        assert_eq!(scene.count(table).await?, 0, "{table}");
    }
    let open = "syncs WHERE state = 'running' AND cursor IS NULL AND error IS NULL";
    assert_eq!(scene.count(open).await?, 2);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn syncs_of_other_sorts_do_not_touch_one_another(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let november = days("2026-11-01", "2026-11-30");
    let by_age = SyncWhat::Insights(InsightScope {
        level: Level::Campaign,
        granularity: Granularity::Day,
        from: november.from,
        to: november.to,
        breakdowns: vec!["age".to_owned()],
    });
    let sorts = [
        FULL,
        SyncWhat::Entities(SyncMode::Incremental),
        scope(Granularity::Day, november),
        scope(Granularity::Hour, november),
        scope(Granularity::Day, days("2026-11-01", "2026-11-29")),
        by_age,
    ];

    let mut ids = Vec::new();
    for what in &sorts {
        ids.push(scene.begin(what).await?.id);
    }
    let listed = scene.syncs.list(scene.account, &first_page(10)).await?;

    ids.reverse();
    let found: Vec<_> = listed.items.iter().map(|record| record.id).collect();
    assert_eq!(found, ids);
    let mut told: Vec<_> = listed.items.into_iter().map(|record| record.what).collect();
    told.reverse();
    assert_eq!(told, sorts);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_sync_that_nobody_went_on_with_for_long_begins_anew(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-01", "2026-11-02");
    let what = scope(Granularity::Day, asked);
    let mut left = scene.begin(&what).await?;
    let row = [figures("2026-11-01", "7", 1)];
    scene
        .syncs
        .stage_insights(&mut left, asked, &row, &cursor(2))
        .await?;
    scene
        .run("UPDATE marketing.syncs SET progressed_at = now() - interval '30 hours 1 second'")
        .await?;

    let new = scene.begin(&what).await?;

    assert_ne!(new.id, left.id);
    assert_eq!((new.cursor, new.run), (None, 1));
    assert_eq!(scene.count("insights_staged").await?, 0);
    let listed = scene.syncs.list(scene.account, &first_page(10)).await?;
    let closed = &listed.items[1];
    assert_eq!(closed.state, SyncState::Failed);
    assert_eq!(closed.error_class.as_deref(), Some("lost"));
    Ok(())
}

// Fails when a place that fails again and again keeps every later job of the sync from getting on, or when failures that say
// nothing of a place, or failures at several places, lose what was read.
#[sqlx::test(migrations = "../../migrations")]
async fn a_place_that_fails_again_and_again_is_given_up(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let asked = days("2026-11-01", "2026-11-30");
    let what = scope(Granularity::Day, asked);
    let row = [figures("2026-11-01", "7", 1)];
    let mut sync = scene.begin(&what).await?;
    let away = failure("the platform is away");
    let full = SyncFailure {
        class: ErrorClass::RateLimited,
        message: "later".to_owned(),
    };

    let mut cursors = Vec::new();
    for page in [2, 3] {
        scene
            .syncs
            .stage_insights(&mut sync, asked, &row, &cursor(page))
            .await?;
        for failure in std::iter::repeat_n(&away, 15).chain([&full]) {
            scene.syncs.set_back(&sync, failure).await?;
        }
        cursors.push(scene.begin(&what).await?.cursor);
        sync = scene.begin(&what).await?;
    }
    let staged = scene.count("insights_staged").await?;
    scene.syncs.set_back(&sync, &away).await?;
    let anew = scene.begin(&what).await?;

    assert_eq!(cursors, [Some(cursor(2)), Some(cursor(3))]);
    assert_eq!(staged, 1);
    assert_eq!((anew.id, anew.cursor), (sync.id, None));
    assert_eq!(scene.count("insights_staged").await?, 0);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_sync_ends_with_what_became_of_it(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let unknown = AccountId(Uuid::now_v7());
    let sync = scene.begin(&FULL).await?;
    scene
        .syncs
        .set_back(&sync, &failure("the platform is away"))
        .await?;
    let meanwhile = scene.syncs.list(scene.account, &first_page(10)).await?;
    scene.syncs.finish(sync, &SyncOutcome::Succeeded).await?;
    let sync = scene.begin(&FULL).await?;
    let long = failure(&"no right to its ads ".repeat(100));
    scene
        .syncs
        .finish(sync, &SyncOutcome::Partial(long))
        .await?;

    let listed = scene.syncs.list(scene.account, &first_page(10)).await?;
    let of_nobody = scene.syncs.begin(unknown, &FULL, JobId::new()).await;

    let before = &meanwhile.items[0];
    assert_eq!(before.state, SyncState::Running);
    assert_eq!(before.error.as_deref(), Some("the platform is away"));
    let states: Vec<_> = listed.items.iter().map(|record| record.state).collect();
    assert_eq!(states, [SyncState::Partial, SyncState::Succeeded]);
    let error = listed.items[0].error.as_deref().map(str::len);
    assert_eq!(error, Some(1_000));
    assert_eq!(listed.items[1].error, None);
    assert!(
        listed
            .items
            .iter()
            .all(|record| record.finished_at.is_some())
    );
    assert!(matches!(of_nobody, Err(SyncError::NotFound)));
    Ok(())
}

// Fails when a right that was lost some time ago has all be asked for that changed since then, every hour.
#[sqlx::test(migrations = "../../migrations")]
async fn changes_are_asked_for_since_what_could_be_read_was_read(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let never_read = account(&db, "acme", "102").await?;
    let in_parts = SyncOutcome::Partial(failure("no right to its audiences"));
    for outcome in [SyncOutcome::Succeeded, in_parts] {
        let sync = scene.begin(&FULL).await?;
        scene.syncs.finish(sync, &outcome).await?;
    }
    let listed = scene.syncs.list(scene.account, &first_page(10)).await?;
    let of_both = [scene.account, never_read];

    let soon = scene.syncs.entities_read_at(&of_both).await?;
    scene
        .run("UPDATE marketing.syncs SET started_at = now() - interval '2 days' WHERE state = 'succeeded'")
        .await?;
    let later = scene.syncs.entities_read_at(&of_both).await?;

    let (parts, whole) = (&listed.items[0], &listed.items[1]);
    let of_it = |started_at| HashMap::from([(scene.account, started_at)]);
    assert_eq!(soon, of_it(whole.started_at));
    assert_eq!(later, of_it(parts.started_at));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_log_is_read_page_by_page(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    for _ in 0..3 {
        let sync = scene.begin(&FULL).await?;
        scene.syncs.finish(sync, &SyncOutcome::Succeeded).await?;
    }

    let first = scene.syncs.list(scene.account, &first_page(2)).await?;
    let next = PageRequest::new(Some(2), first.next.clone())?;
    let second = scene.syncs.list(scene.account, &next).await?;
    let foreign = scene.syncs.entities(&Default::default(), &next).await;

    assert_eq!((first.items.len(), second.items.len()), (2, 1));
    assert!(first.items[1].id > second.items[0].id);
    assert_eq!(second.next, None);
    assert!(matches!(foreign, Err(SyncError::Engine(_))));
    Ok(())
}
