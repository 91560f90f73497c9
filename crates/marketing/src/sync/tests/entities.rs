//! Storing what accounts hold: what is noted, what is marked, and what lists find.

use super::*;
use crate::sync::{EntityChange, EntityFilter, SyncOutcome};

/// Runs a whole sync of campaigns and ad sets, one page each.
async fn sync(scene: &Scene, mode: SyncMode, page: &[Entity]) -> anyhow::Result<Vec<EntityChange>> {
    let mut sync = scene.begin(&SyncWhat::Entities(mode)).await?;
    let (next, last) = (cursor(1), cursor(2));
    let stored = scene.syncs.store_entities(&mut sync, page, &next);
    let mut changes = stored.await?.changes;
    for kind in [EntityType::Campaign, EntityType::AdSet] {
        let finished = scene.syncs.finish_entities(&mut sync, kind, &last);
        changes.extend(finished.await?);
    }
    scene.syncs.finish(sync, &SyncOutcome::Succeeded).await?;
    Ok(changes)
}

fn told(changes: &[EntityChange]) -> Vec<(&str, &str, Option<&str>, Option<&str>)> {
    let changes = changes.iter();
    changes
        .map(|change| {
            let (before, after) = (change.before.as_deref(), change.after.as_deref());
            let id = change.entity_id.as_str();
            (id, change.field.as_str(), before, after)
        })
        .collect()
}

// Fails when what is the same is noted, or a change twice.
#[sqlx::test(migrations = "../../migrations")]
async fn what_somebody_changed_is_noted_once(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let mut changed = campaign("1");
    changed.name = "Another name".to_owned();
    changed.status = EntityStatus::Paused;
    changed.daily_budget = Some(Decimal::new(7550, 2));
    let mut other_words = campaign("2");
    other_words.platform_status = "CAMPAIGN_ACTIVE".to_owned();
    other_words.daily_budget = Some(Decimal::new(50, 0));
    other_words.raw = json!({"id": "2", "more": true});

    let first = sync(&scene, SyncMode::Full, &[campaign("1"), campaign("2")]).await?;
    let page = [changed, other_words];
    let second = sync(&scene, SyncMode::Incremental, &page).await?;
    let third = sync(&scene, SyncMode::Full, &page).await?;

    assert!(first.is_empty() && third.is_empty());
    assert_eq!(
        told(&second),
        [
            ("1", "name", Some("Name of 1"), Some("Another name")),
            ("1", "daily_budget", Some("50"), Some("75.5")),
            ("1", "status", Some("active"), Some("paused")),
        ]
    );
    let mut kept = scene.syncs.changes(scene.account, &first_page(10)).await?;
    kept.items.reverse();
    assert_eq!(kept.items, second);
    let log = scene.syncs.list(scene.account, &first_page(10)).await?;
    let counts = log.items.iter().map(|record| record.counts);
    let counts: Vec<_> = counts.map(|of| (of.created, of.changed)).collect();
    assert_eq!(counts, [(0, 0), (0, 1), (2, 0)]);
    let raw = scene.texts("SELECT raw ->> 'more' FROM marketing.entities WHERE id = '2'");
    assert_eq!(raw.await?, ["true"]);
    Ok(())
}

// Fails when what vanished is deleted, is marked by an incremental sync or in another account, or stays marked.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_full_sync_does_not_find_is_marked_until_it_is_there_again(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let other = scene.of(account(&db, "umbrella", "102").await?);
    let all = [campaign("1"), campaign("2")];
    sync(&other, SyncMode::Full, &all).await?;
    sync(&scene, SyncMode::Full, &all).await?;

    let incremental = sync(&scene, SyncMode::Incremental, &[campaign("1")]).await?;
    let gone = sync(&scene, SyncMode::Full, &[campaign("1")]).await?;
    let still_gone = sync(&scene, SyncMode::Full, &[campaign("1")]).await?;
    let marked = scene.texts(
        "SELECT id FROM marketing.entities WHERE vanished_at IS NOT NULL AND status = 'deleted'",
    );
    let marked = marked.await?;
    let back = sync(&scene, SyncMode::Incremental, &all).await?;

    assert!(incremental.is_empty() && still_gone.is_empty());
    assert_eq!(
        told(&gone),
        [("2", "vanished", Some("false"), Some("true"))]
    );
    assert_eq!(marked, ["2"]);
    assert_eq!(
        told(&back),
        [("2", "vanished", Some("true"), Some("false"))]
    );
    let found = "entities WHERE vanished_at IS NULL AND status = 'active'";
    assert_eq!(scene.count(found).await?, 4);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_text_that_cannot_be_stored_keeps_no_page_from_being_stored(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let mut odd = campaign("1\0");
    odd.name = "a\0b".to_owned();
    odd.raw = json!({"na\0me": "\0"});
    let twice = [odd, campaign("2"), campaign("2")];

    let changes = sync(&scene, SyncMode::Full, &twice).await?;

    assert!(changes.is_empty());
    let names = "SELECT id || ' ' || name FROM marketing.entities ORDER BY id";
    assert_eq!(scene.texts(names).await?, ["1 ab", "2 Name of 2"]);
    Ok(())
}

async fn listed(scene: &Scene, filter: EntityFilter) -> anyhow::Result<Vec<String>> {
    let page = scene.syncs.entities(&filter, &first_page(50)).await?;
    Ok(page.items.into_iter().map(|entity| entity.id).collect())
}

#[sqlx::test(migrations = "../../migrations")]
async fn entities_are_found_by_every_filter(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let other = scene.of(account(&db, "umbrella", "102").await?);
    let mut paused = entity(EntityType::AdSet, "12", Some("1"));
    paused.status = EntityStatus::Paused;
    paused.name = "SPRING 100%".to_owned();
    let ad_set = entity(EntityType::AdSet, "11", Some("1"));
    let page = [campaign("1"), campaign("2"), ad_set, paused];
    sync(&scene, SyncMode::Full, &page).await?;
    sync(&other, SyncMode::Full, &[campaign("3")]).await?;
    let all = EntityFilter::default;
    let account = Some(scene.account);
    let kind = Some(EntityType::AdSet);

    for (filter, expected) in [
        (all(), vec!["11", "12", "1", "2", "3"]),
        (
            EntityFilter { account, ..all() },
            vec!["11", "12", "1", "2"],
        ),
        (EntityFilter { kind, ..all() }, vec!["11", "12"]),
        (
            EntityFilter {
                account,
                kind,
                status: Some(EntityStatus::Paused),
                ..all()
            },
            vec!["12"],
        ),
        (
            EntityFilter {
                parent: Some("1".to_owned()),
                ..all()
            },
            vec!["11", "12"],
        ),
        (
            EntityFilter {
                tenant: Some("umbrella".to_owned()),
                ..all()
            },
            vec!["3"],
        ),
        (
            EntityFilter {
                account,
                tenant: Some("umbrella".to_owned()),
                ..all()
            },
            vec![],
        ),
        (
            EntityFilter {
                search: Some("spring 100%".to_owned()),
                ..all()
            },
            vec!["12"],
        ),
        (
            EntityFilter {
                search: Some("11".to_owned()),
                ..all()
            },
            vec!["11"],
        ),
    ] {
        assert_eq!(
            listed(&scene, filter.clone()).await?,
            expected,
            "{filter:?}"
        );
    }
    Ok(())
}

// Fails when a page leaves out or repeats what the next one begins with.
#[sqlx::test(migrations = "../../migrations")]
async fn entities_are_listed_page_by_page_with_each_filter(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let parent = Some("p/1");
    let page: Vec<Entity> = (0..5)
        .map(|n| entity(EntityType::Ad, &format!("a/{n}"), parent))
        .collect();
    sync(&scene, SyncMode::Full, &page).await?;
    let account = Some(scene.account);
    let kind = Some(EntityType::Ad);

    for filter in [
        EntityFilter::default(),
        EntityFilter {
            account,
            ..EntityFilter::default()
        },
        EntityFilter {
            kind,
            ..EntityFilter::default()
        },
        EntityFilter {
            account,
            kind,
            ..EntityFilter::default()
        },
        EntityFilter {
            parent: parent.map(str::to_owned),
            ..EntityFilter::default()
        },
    ] {
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..3 {
            let request = PageRequest::new(Some(2), next)?;
            let page = scene.syncs.entities(&filter, &request).await?;
            found.extend(page.items.into_iter().map(|entity| entity.id));
            next = page.next;
        }

        assert_eq!(next, None, "{filter:?}");
        assert_eq!(found, ["a/0", "a/1", "a/2", "a/3", "a/4"], "{filter:?}");
    }
    let ids = scene
        .syncs
        .entity_ids(scene.account, EntityType::Ad, Some("a/1"), 2);
    assert_eq!(ids.await?, ["a/2", "a/3"]);
    Ok(())
}
