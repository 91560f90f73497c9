//! `campaign.update` at the sandbox: many changes in one job, what they would come to, and two that want the same thing.

use anyhow::Context;
use serde_json::{Value, json};
use sqlx::types::Decimal;

use super::scene::Scene;
use crate::{harness::eventually, sync::scene::run_now};

/// What two writers want, in whole units of the currency.
const ONE: i64 = 77;
const OTHER: i64 = 88;
const MICROS: i64 = 1_000_000;

/// The campaigns that deliver.
async fn active(scene: &Scene) -> anyhow::Result<Vec<String>> {
    let things = scene.things("campaign").await?;
    let active = things
        .into_iter()
        .filter(|(_, it)| it["effective"] == "active");
    Ok(active.map(|(id, _)| id).collect())
}

/// Something that delivers with a budget a day: what it is, its id, and the budget in millionths.
async fn budgeted(scene: &Scene) -> anyhow::Result<(&'static str, String, i64)> {
    for kind in ["campaign", "ad_set"] {
        for (id, thing) in scene.things(kind).await? {
            let budget = thing["daily_budget_micros"].as_i64();
            if let Some(budget) = budget.filter(|_| thing["effective"] == "active") {
                return Ok((kind, id, budget));
            }
        }
    }
    anyhow::bail!("nothing has a budget a day")
}

/// A job once it has ended, whichever way; what waits for the other writer looks again at once.
async fn ended(scene: &Scene, id: &str) -> anyhow::Result<Value> {
    eventually(&format!("job {id} has ended"), || async {
        let job = scene.client.get(&format!("/v1/jobs/{id}")).await?.body;
        if job["state"] == "scheduled" {
            run_now(&scene.client, id).await?;
        }
        let has_ended = job["state"] == "succeeded" || job["state"] == "dead";
        Ok(has_ended.then_some(job))
    })
    .await
}

/// A job that sets a budget, where it still is what was seen.
fn budget_order(scene: &Scene, (kind, id): (&str, &str), (seen, amount): (&str, i64)) -> Value {
    let change = json!({
        "type": kind, "id": id, "action": "set_daily_budget", "amount": format!("{amount}.00"),
        "expect": {"daily_budget": seen},
    });
    json!({"kind": "campaign.update", "payload": {"account_id": scene.account, "changes": [change]}})
}

fn outcomes(result: &Value) -> Vec<&str> {
    let results = result["results"].as_array().into_iter().flatten();
    results.filter_map(|it| it["outcome"].as_str()).collect()
}

// Fails when a dry run changes anything, when one bad item takes the others along or passes for a good one, and when what was
// refused is not told with its reason.
#[tokio::test]
async fn each_of_many_changes_has_its_own_outcome_and_a_dry_run_changes_nothing()
-> anyhow::Result<()> {
    let scene = Scene::begin(24).await?;
    let active = active(&scene).await?;
    let [first, second, archived, ..] = active.as_slice() else {
        anyhow::bail!("{} deliver", active.len());
    };
    let away = json!({"platform": "meta", "id": archived, "status": "archived"});
    scene.control("world", &away).await?;
    let before = scene.things("campaign").await?;
    let changes = json!([
        {"type": "campaign", "id": first, "action": "pause"},
        {"type": "campaign", "id": "999999999999", "action": "pause"},
        {"type": "campaign", "id": archived, "action": "pause"},
        {"type": "campaign", "id": second, "action": "pause", "reason": "out of season"},
        {"type": "campaign", "id": first, "action": "archive"},
    ]);
    let (good, twice) = changes.as_array().context("a list")?.split_at(4);
    let payload = |changes: &[Value], is_dry: bool| json!({"account_id": scene.account, "changes": changes, "dry_run": is_dry, "reason": "by hand"});

    let dry = scene
        .result_of("campaign.update", &payload(good, true))
        .await?;
    let untouched = scene.things("campaign").await?;
    let unheard_of = scene.changes().await?;
    let done = scene
        .result_of("campaign.update", &payload(good, false))
        .await?;
    let after = scene.things("campaign").await?;
    let history = scene.changes().await?;
    let both = json!({"kind": "campaign.update", "payload": payload(&[&good[..1], twice].concat(), false)});
    let both = scene.client.enqueue(&both).await?;
    let both = ended(&scene, &both).await?;

    assert_eq!(
        outcomes(&dry),
        ["would_change", "refused", "would_change", "would_change"]
    );
    assert_eq!(dry["changed"], 0);
    assert_eq!(untouched, before);
    assert!(unheard_of.is_empty(), "{unheard_of:?}");
    assert_eq!(
        outcomes(&done),
        ["done", "refused", "refused", "done"],
        "{done}"
    );
    assert_eq!((&done["changed"], &done["refused"]), (&json!(2), &json!(2)));
    for refused in [&done["results"][1], &done["results"][2]] {
        assert!(refused["error"].is_string(), "{refused}");
    }
    assert_eq!(after[first]["status"], "paused");
    assert_eq!(after[second]["status"], "paused");
    assert_eq!(after[archived], before[archived]);
    let mut reasons: Vec<&str> = history
        .iter()
        .filter_map(|it| it["reason"].as_str())
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["by hand", "by hand", "by hand", "out of season"]);
    assert_eq!(
        (&both["state"], &both["error_class"]),
        (&json!("dead"), &json!("invalid"))
    );
    Ok(())
}

// Fails when the second of two writers that both saw the same budget overwrites what the first has made of it.
#[tokio::test]
async fn of_two_that_saw_the_same_budget_one_sets_it_and_the_other_is_refused() -> anyhow::Result<()>
{
    let scene = Scene::begin(16).await?;
    let (kind, id, budget) = budgeted(&scene).await?;
    let seen = Decimal::new(budget, 6).to_string();
    let order = |amount| budget_order(&scene, (kind, &id), (&seen, amount));

    let (one, other) = (order(ONE), order(OTHER));
    let (one, other) = tokio::try_join!(scene.client.enqueue(&one), scene.client.enqueue(&other))?;
    let (one, other) = (ended(&scene, &one).await?, ended(&scene, &other).await?);
    let set = scene.things(kind).await?[&id]["daily_budget_micros"].clone();
    let changes = scene.changes().await?;

    let (won, lost, amount) = match one["state"] == "succeeded" {
        true => (&one, &other, ONE),
        false => (&other, &one, OTHER),
    };
    assert_eq!(
        (&won["state"], &lost["state"]),
        (&json!("succeeded"), &json!("dead")),
        "{one} {other}"
    );
    assert_eq!(set, json!(amount * MICROS));
    assert!(lost.to_string().contains("changed meanwhile"), "{lost}");
    let mut states: Vec<&str> = changes
        .iter()
        .filter_map(|it| it["state"].as_str())
        .collect();
    states.sort_unstable();
    assert_eq!(states, ["done", "refused"], "{changes:#?}");
    Ok(())
}

// Fails when a budget that somebody raised at the platform since the last sync is lowered by whoever saw the one before, and when
// the history does not tell what was there.
#[tokio::test]
async fn a_budget_that_was_raised_at_the_platform_is_not_lowered() -> anyhow::Result<()> {
    let scene = Scene::begin(16).await?;
    let (kind, id, budget) = budgeted(&scene).await?;
    let raised = 10 * budget;
    let by_hand = json!({"platform": "meta", "id": id, "daily_budget_micros": raised});
    scene.control("world", &by_hand).await?;
    let seen = Decimal::new(budget, 6).to_string();

    let order = budget_order(&scene, (kind, &id), (&seen, ONE));
    let order = scene.client.enqueue(&order).await?;
    let refused = ended(&scene, &order).await?;
    let still = scene.things(kind).await?[&id]["daily_budget_micros"].clone();
    let changes = scene.changes().await?;

    assert_eq!(refused["state"], "dead", "{refused}");
    assert_eq!(still, json!(raised));
    let [change] = changes.as_slice() else {
        anyhow::bail!("{changes:#?}");
    };
    assert_eq!(change["state"], "refused");
    let before: Decimal = change["before"].as_str().context("a budget")?.parse()?;
    assert_eq!(before, Decimal::new(raised, 6));
    Ok(())
}
