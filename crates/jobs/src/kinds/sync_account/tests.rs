//! How what an account holds is read: page by page, on behind what was read before, and in parts where not all can be.

use std::sync::{Arc, Mutex, PoisonError};

use marketing::{
    PgPool,
    accounts::{AccountId, AccountStatus},
    sync::{SyncRecord, SyncState},
};
use providers::platform::EntityType::{self, Ad, AdSet, Audience, Campaign};
use queue::{ErrorClass, JobError, PageRequest};
use serde_json::json;

use super::*;
use crate::kinds::{
    scene::{Scene, held},
    scripted::{WITHHELD, down, entity, forbidden, more, no_more, rejected, spent, too_large},
    testing::schema_accepts,
};

async fn run(scene: &Scene, mode: SyncMode) -> Result<Outcome, Error> {
    let reached = scene.reached().await.expect("it is connected");
    settled(read(&scene.attempt(&reached), mode).await)
}

async fn newest(scene: &Scene, account: AccountId) -> anyhow::Result<SyncRecord> {
    let page = PageRequest::new(Some(1), None)?;
    let listed = scene.app.syncs.list(account, &page).await?;
    Ok(listed.items.into_iter().next().expect("a sync"))
}

async fn stored(db: &PgPool) -> anyhow::Result<Vec<String>> {
    let stored = "SELECT kind || ' ' || id FROM marketing.entities WHERE vanished_at IS NULL ORDER BY kind, id";
    Ok(sqlx::query_scalar(stored).fetch_all(db).await?)
}

#[test]
fn the_schema_takes_an_account_and_a_mode() {
    let id = "01920000-0000-7000-8000-00000000abcd";
    let accepts = |payload| schema_accepts::<SyncAccount>(&payload);

    assert!(accepts(json!({ "account_id": id, "mode": "full" })));
    assert!(accepts(json!({ "account_id": id, "mode": "incremental" })));
    assert!(!accepts(json!({ "account_id": id })));
    assert!(!accepts(json!({ "account_id": id, "mode": "Full" })));
    assert!(!accepts(json!({ "account_id": "101", "mode": "full" })));
    assert!(!accepts(
        json!({ "account_id": id, "mode": "full", "level": "ad" })
    ));
}

#[sqlx::test(migrations = "../../migrations")]
async fn everything_is_read_parents_first_and_its_history_is_asked_for_once(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    scene.platform.answer_entities(|query, after| {
        Ok(match (query.kind, after) {
            (Campaign, None) => more(vec![entity(Campaign, "c1")], "2"),
            (Campaign, Some(_)) => no_more(vec![entity(Campaign, "c2")]),
            (kind, _) => no_more(vec![entity(kind, "x1")]),
        })
    });

    let first = run(&scene, SyncMode::Full).await;
    let asked = scene.payloads("sync.insights").await?.len();
    run(&scene, SyncMode::Full).await.expect("it is read again");

    let Ok(Outcome::SucceededWith(result)) = first else {
        panic!("it is read: {first:?}");
    };
    assert_eq!(
        (&result["entities"], &result["left_out"]),
        (&json!(5), &json!([]))
    );
    let kinds: Vec<_> = scene.platform.listed().iter().map(|it| it.0).collect();
    assert_eq!(kinds[..5], [Campaign, Campaign, AdSet, Ad, Audience]);
    assert_eq!(
        stored(&db).await?,
        [
            "ad x1",
            "ad_set x1",
            "audience x1",
            "campaign c1",
            "campaign c2"
        ]
    );
    assert_eq!(newest(&scene, account).await?.state, SyncState::Succeeded);
    assert!(asked > 0);
    assert_eq!(scene.payloads("sync.insights").await?.len(), asked);
    Ok(())
}

// Fails when a killed sync reads a page twice, leaves one out, or begins at its first page again.
#[sqlx::test(migrations = "../../migrations")]
async fn the_next_attempt_goes_on_behind_the_last_page(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    let fails = Arc::new(Mutex::new(true));
    let once = Arc::clone(&fails);
    scene.platform.answer_entities(move |query, after| {
        let after = after.map(|cursor| cursor.0.as_str());
        match (query.kind, after) {
            (Campaign, None) => Ok(more(vec![entity(Campaign, "c1")], "2")),
            (Campaign, Some("2")) => Ok(more(vec![entity(Campaign, "c2")], "3")),
            (Campaign, _) => {
                let mut fails = once.lock().unwrap_or_else(PoisonError::into_inner);
                if std::mem::take(&mut *fails) {
                    return Err(down());
                }
                Ok(no_more(vec![entity(Campaign, "c3")]))
            }
            _ => Ok(no_more(Vec::new())),
        }
    });

    let failed = run(&scene, SyncMode::Full).await;
    let between = newest(&scene, account).await?;
    let second = run(&scene, SyncMode::Full).await;

    let class = JobError::from(failed.expect_err("the platform failed")).class();
    assert_eq!(class, ErrorClass::Transient);
    assert_eq!(
        (between.state, between.counts.pages),
        (SyncState::Running, 2)
    );
    assert_eq!(between.error_class.as_deref(), Some("transient"));
    assert!(second.is_ok(), "{second:?}");
    let pages: Vec<_> = scene.platform.listed();
    let places: Vec<_> = pages
        .iter()
        .filter(|it| it.0 == Campaign)
        .map(|it| it.2.as_deref())
        .collect();
    assert_eq!(places, [None, Some("2"), Some("3"), Some("3")]);
    let done = newest(&scene, account).await?;
    assert_eq!(
        (done.id, done.runs, done.state),
        (between.id, 2, SyncState::Succeeded)
    );
    assert_eq!(done.counts.entities, 3);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_may_not_be_read_is_left_out_and_the_rest_goes_on(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    scene.platform.answer_entities(|query, _| match query.kind {
        AdSet => Err(forbidden()),
        kind => Ok(no_more(vec![entity(kind, "x1")])),
    });

    let read = run(&scene, SyncMode::Full).await;

    let Ok(Outcome::SucceededWith(result)) = read else {
        panic!("the rest is read: {read:?}");
    };
    assert_eq!(result["left_out"][0]["kind"], "ad_set");
    assert_eq!(result["left_out"][0]["class"], "permission");
    let record = newest(&scene, account).await?;
    assert_eq!(record.state, SyncState::Partial);
    assert_eq!(record.error_class.as_deref(), Some("permission"));
    assert_eq!(stored(&db).await?, ["ad x1", "audience x1", "campaign x1"]);
    Ok(())
}

// Fails when what could not be read counts as vanished.
#[sqlx::test(migrations = "../../migrations")]
async fn what_could_not_be_read_has_not_vanished(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    scene
        .platform
        .answer_entities(|query, _| Ok(no_more(vec![entity(query.kind, "x1")])));
    run(&scene, SyncMode::Full).await.expect("it is read");

    scene.platform.answer_entities(|query, _| match query.kind {
        AdSet => Err(forbidden()),
        _ => Ok(no_more(Vec::new())),
    });
    run(&scene, SyncMode::Full).await.expect("the rest is read");

    assert_eq!(stored(&db).await?, ["ad_set x1"]);
    Ok(())
}

// Fails when what is kept from us for a while counts as vanished, or as something that the account lacks.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_withheld_has_not_vanished_and_the_rest_was_read_whole(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    scene
        .platform
        .answer_entities(|query, after| match (query.kind, after) {
            (Campaign, None) => Ok(more(vec![entity(Campaign, "c1")], WITHHELD)),
            (Campaign, Some(_)) => Ok(no_more(vec![entity(Campaign, "c2")])),
            _ => Ok(no_more(Vec::new())),
        });
    run(&scene, SyncMode::Full).await.expect("it is read");

    for refusal in [forbidden, rejected] {
        scene
            .platform
            .answer_entities(move |query, after| match (query.kind, after) {
                (Campaign, None) => Ok(more(vec![entity(Campaign, "c1")], WITHHELD)),
                (Campaign, Some(_)) => Err(refusal()),
                (kind, _) => Ok(no_more(vec![entity(kind, "x1")])),
            });
        run(&scene, SyncMode::Full).await.expect("the rest is read");

        let record = newest(&scene, account).await?;
        assert_eq!(
            (record.state, record.counts.vanished),
            (SyncState::Succeeded, 0)
        );
        assert_eq!(
            stored(&db).await?,
            [
                "ad x1",
                "ad_set x1",
                "audience x1",
                "campaign c1",
                "campaign c2"
            ]
        );
    }
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_account_of_which_nothing_may_be_read_fails(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    scene.platform.answer_entities(|_, _| Err(forbidden()));

    let read = run(&scene, SyncMode::Full).await;

    let class = JobError::from(read.expect_err("nothing is read")).class();
    assert_eq!(class, ErrorClass::Permission);
    assert_eq!(newest(&scene, account).await?.state, SyncState::Failed);
    Ok(())
}

// Fails when a list is gone on with in pages of another size: a platform's cursor may be the number of a page.
#[sqlx::test(migrations = "../../migrations")]
async fn a_page_that_is_too_large_is_halved_and_its_list_begun_anew(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    scene
        .platform
        .answer_entities(|query, after| match (query.kind, query.page_size, after) {
            (Ad, Some(size), None) if size <= 12 => Ok(more(vec![entity(Ad, "a1")], "2")),
            (Ad, Some(size), Some(_)) if size <= 12 => Ok(no_more(vec![entity(Ad, "a2")])),
            (Ad, None, None) => Ok(more(vec![entity(Ad, "a1")], "2")),
            (Ad, _, _) => Err(too_large()),
            _ => Ok(no_more(Vec::new())),
        });

    run(&scene, SyncMode::Full)
        .await
        .expect("smaller pages pass");

    let ads: Vec<_> = scene
        .platform
        .listed()
        .into_iter()
        .filter(|it| it.0 == Ad)
        .collect();
    let asked: Vec<_> = ads.iter().map(|it| (it.1, it.2.as_deref())).collect();
    assert_eq!(
        asked,
        [
            (None, None),
            (None, Some("2")),
            (Some(25), None),
            (Some(12), None),
            (Some(12), Some("2")),
        ]
    );
    assert_eq!(stored(&db).await?, ["ad a1", "ad a2"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_cursor_that_the_platform_has_forgotten_begins_the_sync_anew(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    let is_first_attempt = Arc::new(Mutex::new(true));
    let first = Arc::clone(&is_first_attempt);
    scene.platform.answer_entities(move |query, after| {
        let is_first = *first.lock().unwrap_or_else(PoisonError::into_inner);
        match (query.kind, after) {
            (Campaign, None) if is_first => Ok(more(vec![entity(Campaign, "c1")], "old")),
            (Campaign, None) => Ok(no_more(vec![entity(Campaign, "c1")])),
            (Campaign, Some(_)) if is_first => Err(down()),
            (Campaign, Some(_)) => Err(rejected()),
            _ => Ok(no_more(Vec::new())),
        }
    });

    run(&scene, SyncMode::Full)
        .await
        .expect_err("it fails midway");
    *is_first_attempt
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = false;
    let second = run(&scene, SyncMode::Full).await;

    let Ok(Outcome::SucceededWith(result)) = second else {
        panic!("it is read from the beginning: {second:?}");
    };
    assert_eq!(result["left_out"], json!([]));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_incremental_sync_asks_for_changes_and_for_what_delivers(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    run(&scene, SyncMode::Incremental)
        .await
        .expect("the first reads everything");
    let started = newest(&scene, account).await?.started_at;
    let before = scene.platform.listed().len();

    run(&scene, SyncMode::Incremental)
        .await
        .expect("the second reads changes");

    let kinds: Vec<_> = scene.platform.listed()[before..]
        .iter()
        .map(|it| it.0)
        .collect();
    let since = scene.platform.asked_since();
    assert_eq!(before, 4);
    assert_eq!(since[0], None);
    assert_eq!(kinds, [Campaign, AdSet, Ad]);
    assert!(since[before].is_some_and(|since| since < started));
    Ok(())
}

// Fails when a right that is missing for good has everything read anew every hour.
#[sqlx::test(migrations = "../../migrations")]
async fn what_may_be_read_in_parts_alone_is_asked_for_its_changes_too(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    scene.platform.answer_entities(|query, _| match query.kind {
        Audience => Err(forbidden()),
        kind => Ok(no_more(vec![entity(kind, "x1")])),
    });
    run(&scene, SyncMode::Full).await.expect("the rest is read");
    let before = scene.platform.listed().len();
    // As many as an account has in an hour while somebody is looking.
    sqlx::query(
        "INSERT INTO marketing.syncs (id, account, level, granularity, first_day, last_day, job, state, finished_at)
         SELECT overlay('ffffffff-ffff-7fff-8fff-000000000000' PLACING lpad(n::text, 12, '0') FROM 25)::uuid, a.id,
                'campaign', 'hour', now(), now(), a.id, 'succeeded', now()
           FROM marketing.accounts a, generate_series(1, 240) AS n",
    )
    .execute(&db)
    .await?;

    run(&scene, SyncMode::Incremental)
        .await
        .expect("changes are read");

    let since = scene.platform.asked_since();
    assert!(since[before..].iter().all(Option::is_some), "{since:?}");
    assert_eq!(since.len(), before + 3);
    Ok(())
}

// Fails when every account of a grant asks for what is the same for all of them, or when what belongs to an account alone is
// not asked for.
#[sqlx::test(migrations = "../../migrations")]
async fn what_belongs_to_whoever_gave_access_is_asked_for_once(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected().await?;
    scene.platform.known().of_the_grant = Some(Audience);
    scene
        .platform
        .answer_entities(|query, after| match (query.kind, after) {
            (Audience, None) => Ok(more(vec![entity(Audience, "p1")], "2")),
            (kind, _) => Ok(no_more(vec![entity(kind, "x1")])),
        });
    let asked = |kind: EntityType| {
        let listed = scene.platform.listed();
        listed.iter().filter(|it| it.0 == kind).count()
    };

    for _ in 0..2 {
        run(&scene, SyncMode::Full).await.expect("it is read");
    }
    let in_time = (asked(Audience), asked(Campaign));
    sqlx::query("UPDATE marketing.cache SET expires_at = now()")
        .execute(&db)
        .await?;
    run(&scene, SyncMode::Full).await.expect("it is read");

    assert_eq!(in_time, (2, 2));
    assert_eq!((asked(Audience), asked(Campaign)), (4, 3));
    let audiences = ["audience p1", "audience x1"];
    assert_eq!(stored(&db).await?[2..4], audiences);
    Ok(())
}

// Fails when a grant that is spent stays unnoticed because an answer of it is looked for among those that are kept.
#[sqlx::test(migrations = "../../migrations")]
async fn a_spent_grant_is_noticed_where_answers_are_kept_too(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    {
        let mut known = scene.platform.known();
        known.of_the_grant = Some(Audience);
        known.refuses_refresh = true;
    }
    scene.platform.answer_entities(|query, _| {
        if query.kind == Audience {
            return Err(spent());
        }
        Ok(no_more(vec![entity(query.kind, "x1")]))
    });

    let read = run(&scene, SyncMode::Full).await;

    let class = JobError::from(read.expect_err("the grant is spent")).class();
    let stands = scene.app.accounts.get(account, None).await?.status;
    assert_eq!(class, ErrorClass::AuthExpired);
    assert_eq!(stands, AccountStatus::NeedsReauth);
    Ok(())
}

// Fails when a spent grant burns attempts instead of holding the jobs of its accounts.
#[sqlx::test(migrations = "../../migrations")]
async fn a_grant_that_is_spent_for_good_holds_the_account(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    {
        let mut known = scene.platform.known();
        known.is_revoked = true;
        known.refuses_refresh = true;
    }

    let read = run(&scene, SyncMode::Full).await;

    let class = JobError::from(read.expect_err("the grant is spent")).class();
    let stands = scene.app.accounts.get(account, None).await?.status;
    assert_eq!(class, ErrorClass::AuthExpired);
    assert_eq!(stands, AccountStatus::NeedsReauth);
    assert_eq!(held(&db).await?, [account.to_string()]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_that_is_told_to_stop_ends_between_two_pages(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let account = scene.connected().await?;
    let stop = scene.stop.clone();
    scene.platform.answer_entities(move |_, _| {
        stop.cancel();
        Ok(more(vec![entity(Campaign, "c1")], "2"))
    });

    let stopped = run(&scene, SyncMode::Full).await;

    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    let record = newest(&scene, account).await?;
    assert_eq!((record.state, record.counts.pages), (SyncState::Running, 1));
    assert_eq!(record.error_class, None);
    Ok(())
}
