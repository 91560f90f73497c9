//! What is to be told to others: what was changed, once, and nothing that was not stored.

use queue::ErrorClass;

use super::*;
use crate::sync::{SyncError, SyncFailure, SyncOutcome};

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

// Fails when nobody can be told that figures are there, or that they are not.
#[sqlx::test(migrations = "../../migrations")]
async fn a_sync_that_ends_is_an_event(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    let failure = SyncFailure {
        class: ErrorClass::Permission,
        message: "no right to this".to_owned(),
    };
    let outcomes = [
        SyncOutcome::Succeeded,
        SyncOutcome::Partial(failure.clone()),
        SyncOutcome::Failed(failure),
    ];

    let mut ids = Vec::new();
    for outcome in &outcomes {
        let sync = scene.begin(&FULL).await?;
        ids.push(json!(sync.id.0));
        scene.syncs.finish(sync, outcome).await?;
    }

    let told = events(&scene).await?;
    let sorts: Vec<&Value> = told.iter().map(|event| &event["kind"]).collect();
    let of: Vec<Value> = told
        .iter()
        .map(|event| event["data"]["sync_id"].clone())
        .collect();
    assert_eq!(sorts, ["sync.completed", "sync.completed", "sync.failed"]);
    assert_eq!(of, ids);
    assert_eq!(told[0]["tenant"], "acme");
    assert_eq!(told[0]["data"]["error"], Value::Null);
    let last = &told[2]["data"];
    assert_eq!(
        (&last["mode"], &last["state"], &last["error_class"]),
        (&json!("full"), &json!("failed"), &json!("permission"))
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_sync_that_nobody_goes_on_with_is_told_of_as_failed(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db).await?;
    scene.begin(&FULL).await?;
    scene
        .run("UPDATE marketing.syncs SET progressed_at = now() - interval '31 hours'")
        .await?;

    scene.begin(&FULL).await?;

    let told = events(&scene).await?;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["kind"], "sync.failed");
    assert_eq!(told[0]["data"]["error_class"], "lost");
    Ok(())
}
