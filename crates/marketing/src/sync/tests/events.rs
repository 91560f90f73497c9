//! What is to be told to others: what was changed, once, and nothing that was not stored.

use super::*;
use crate::sync::SyncError;

/// All events, in the order of their writing.
async fn events(scene: &Scene) -> anyhow::Result<Vec<Value>> {
    let sql = "SELECT jsonb_build_object('kind', kind, 'tenant', tenant, 'account', account, 'data', data)
                 FROM marketing.events ORDER BY id";
    Ok(sqlx::query_scalar(sql).fetch_all(&scene.db).await?)
}

fn changed() -> Entity {
    Entity {
        name: "Another name".to_owned(),
        status: EntityStatus::Paused,
        ..campaign("1")
    }
}

// Fails when a change is not told, is told in pieces or twice, or the first sight of something counts as one.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_changed_of_an_entity_is_one_event(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let mut sync = scene.begin(&FULL).await?;
    let new = [campaign("1"), campaign("2")];
    scene
        .syncs
        .store_entities(&mut sync, &new, &cursor(1))
        .await?;
    let of_new = events(&scene).await?;

    let page = [changed(), campaign("2")];
    for at in 2..4 {
        scene
            .syncs
            .store_entities(&mut sync, &page, &cursor(at))
            .await?;
    }

    assert!(of_new.is_empty());
    let event = json!({
        "kind": "entity.changed",
        "tenant": "acme",
        "account": scene.account,
        "data": {
            "type": "campaign",
            "id": "1",
            "changes": [
                { "field": "name", "before": "Name of 1", "after": "Another name" },
                { "field": "status", "before": "active", "after": "paused" },
            ],
        },
    });
    assert_eq!(events(&scene).await?, [event]);
    Ok(())
}

// Fails when an event is written beside the transaction of its change.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_not_stored_is_not_told(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let mut old = scene.begin(&FULL).await?;
    scene
        .syncs
        .store_entities(&mut old, &[campaign("1")], &cursor(1))
        .await?;
    scene.begin(&FULL).await?;

    let refused = scene
        .syncs
        .store_entities(&mut old, &[changed()], &cursor(2))
        .await;

    assert!(matches!(refused, Err(SyncError::Superseded)), "{refused:?}");
    assert!(events(&scene).await?.is_empty());
    Ok(())
}
