//! Changes of campaigns, made at a platform that does as it is told.

use std::collections::VecDeque;

use marketing::PgPool;
use providers::platform::{Edited, Entity, Page, SetTo};
use queue::{ErrorClass, Outcome};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{CampaignUpdate, make, preview};
use crate::{
    error::Error,
    kinds::{
        scene::Scene,
        scripted::{down, entity, forbidden},
        testing::schema_accepts,
    },
};

/// A scene with an account that has campaigns of these ids, all of them active.
async fn connected(db: &PgPool, ids: &[&str]) -> anyhow::Result<(Scene, String)> {
    let scene = Scene::new(db);
    let account = scene.connected().await?;
    for id in ids {
        let sql = "INSERT INTO marketing.entities (account, kind, id, name, status, platform_status, daily_budget, raw)
                   VALUES ($1, 'campaign', $2, 'Campaign', 'active', 'ACTIVE', 50.00, '{}')";
        sqlx::query(sql)
            .bind(account.0)
            .bind(id)
            .execute(db)
            .await?;
    }
    Ok((scene, account.to_string()))
}

fn pause(id: &str) -> Value {
    json!({ "type": "campaign", "id": id, "action": "pause" })
}

async fn run(scene: &Scene, payload: Value) -> anyhow::Result<Result<Outcome, Error>> {
    let update: CampaignUpdate = serde_json::from_value(payload)?;
    let reached = scene.reached().await?;
    let attempt = scene.attempt(&reached);
    let (order, wanted) = (update.order(&scene.job), update.wanted()?);
    Ok(if update.dry_run {
        preview(&attempt, order, &wanted).await
    } else {
        Box::pin(make(&attempt, order, &wanted)).await
    })
}

fn result(outcome: Result<Outcome, Error>) -> Value {
    match outcome {
        Ok(Outcome::SucceededWith(result)) => result,
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn each_change_has_a_result_of_its_own(db: PgPool) -> anyhow::Result<()> {
    let (scene, account) = connected(&db, &["1", "2"]).await?;
    scene.platform.known().edits = VecDeque::from([Edited::Done, Edited::Failed(forbidden())]);
    let changes = json!([pause("1"), pause("2"), pause("404")]);

    let told = run(&scene, json!({ "account_id": account, "changes": changes })).await?;

    let told = result(told);
    let outcomes: Vec<_> = (0..3).map(|at| &told["results"][at]["outcome"]).collect();
    assert_eq!(outcomes, ["done", "refused", "refused"]);
    assert_eq!(told["changed"], 1);
    assert_eq!(told["results"][0]["before"], "active");
    Ok(())
}

// Fails when what was done is done again by the next attempt.
#[sqlx::test(migrations = "../../migrations")]
async fn the_next_attempt_makes_what_is_left(db: PgPool) -> anyhow::Result<()> {
    let (scene, account) = connected(&db, &["1", "2"]).await?;
    scene.platform.known().edits =
        VecDeque::from([Edited::Done, Edited::Failed(down()), Edited::Done]);
    let payload = json!({ "account_id": account, "changes": [pause("1"), pause("2")] });

    let first = run(&scene, payload.clone()).await?;
    let second = run(&scene, payload).await?;

    assert!(first.is_err_and(|error| error.class() == ErrorClass::Transient));
    assert_eq!(result(second)["changed"], 2);
    let edited = scene.platform.known().edited.clone();
    let ids: Vec<_> = edited.iter().map(|edit| edit.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "2"]);
    assert!(edited.iter().all(|edit| edit.set_to == SetTo::Paused));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_dry_run_tells_and_changes_nothing(db: PgPool) -> anyhow::Result<()> {
    let (scene, account) = connected(&db, &["1"]).await?;
    let payload = json!({ "account_id": account, "changes": [pause("1")], "dry_run": true });

    let told = run(&scene, payload).await?;

    assert_eq!(result(told)["results"][0]["outcome"], "would_change");
    assert!(scene.platform.known().edited.is_empty());
    Ok(())
}

// Fails when what somebody set at the platform since the last sync is overwritten by whoever expects something else, and when
// the history tells what sync knew where the platform said another thing.
#[sqlx::test(migrations = "../../migrations")]
async fn what_was_changed_at_the_platform_since_the_last_sync_is_left_alone(
    db: PgPool,
) -> anyhow::Result<()> {
    let (scene, account) = connected(&db, &["1", "2"]).await?;
    scene.platform.answer_entities(|query, _| {
        let raised = ["1", "2"].map(|id| Entity {
            daily_budget: Some(Decimal::from(80)),
            ..entity(query.kind, id)
        });
        Ok(Page {
            items: raised.to_vec(),
            next: None,
        })
    });
    let budget = |id: &str, expect: Value| json!({ "type": "campaign", "id": id, "action": "set_daily_budget", "amount": "60.00", "expect": expect });
    let changes = json!([
        budget("1", json!({ "daily_budget": "50.00" })),
        budget("2", Value::Null)
    ]);

    let told = run(&scene, json!({ "account_id": account, "changes": changes })).await?;

    let told = result(told);
    let outcomes: Vec<_> = (0..2).map(|at| &told["results"][at]["outcome"]).collect();
    assert_eq!(outcomes, ["refused", "done"], "{told}");
    let before: Vec<_> = (0..2).map(|at| &told["results"][at]["before"]).collect();
    assert_eq!(before, ["80", "80"]);
    let edited = scene.platform.known().edited.clone();
    let ids: Vec<_> = edited.iter().map(|edit| edit.id.as_str()).collect();
    assert_eq!(ids, ["2"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_whose_changes_are_all_refused_fails(db: PgPool) -> anyhow::Result<()> {
    let (scene, account) = connected(&db, &["1"]).await?;
    let change = json!({ "type": "campaign", "id": "1", "action": "set_daily_budget", "amount": "60.00",
        "expect": { "daily_budget": "40.00" } });

    let told = run(
        &scene,
        json!({ "account_id": account, "changes": [change] }),
    )
    .await?;

    assert!(matches!(told, Err(Error::NothingChanged(_))), "{told:?}");
    assert!(scene.platform.known().edited.is_empty());
    Ok(())
}

#[test]
fn a_payload_names_each_entity_once_and_budgets_with_amounts() {
    let account = "01920000-0000-7000-8000-00000000abcd";
    let accepts = |changes: Value| {
        let payload = json!({ "account_id": account, "changes": changes });
        let fits = schema_accepts::<CampaignUpdate>(&payload);
        let read = serde_json::from_value::<CampaignUpdate>(payload);
        fits && read.is_ok_and(|update| update.wanted().is_ok())
    };
    let budget = |amount: Value| json!([{ "type": "campaign", "id": "1", "action": "set_daily_budget", "amount": amount }]);

    let expecting = |status: &str| json!([{ "type": "campaign", "id": "1", "action": "pause", "expect": { "status": status } }]);

    assert!(accepts(json!([pause("1"), pause("2")])));
    assert!(accepts(expecting("active")));
    assert!(!accepts(expecting("running")));
    assert!(accepts(budget(json!("50.00"))));
    assert!(!accepts(json!([pause("1"), pause("1")])));
    assert!(!accepts(json!([])));
    assert!(!accepts(Value::Array(
        (0..51).map(|n| pause(&n.to_string())).collect()
    )));
    assert!(!accepts(budget(json!("-5"))));
    assert!(!accepts(budget(Value::Null)));
}
