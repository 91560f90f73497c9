//! Leads that come late: no event told of them, or nobody could read them when one did.

use anyhow::Context;
use serde_json::{Value, json};

use super::scene::{Scene, ids, sorted, tick};
use crate::{
    harness::eventually,
    sync::scene::{run_now, set_clock},
};

/// For how long nobody can read a lead.
const UNREADABLE_S: i64 = 600;

fn has(list: &Value, word: &str) -> bool {
    let mut words = list.as_array().into_iter().flatten();
    words.any(|known| known == word)
}

// Fails when a lead whose event was lost stays unknown, when it is told twice, and when a Page is not subscribed.
#[tokio::test]
async fn leads_that_no_event_told_of_are_fetched_and_told_once() -> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    let order = json!({"leads": 1, "silent_leads": 3});
    let told = scene.told(&order).await?;
    scene.nothing_is_left().await?;
    let before = scene.leads().await?;

    for _ in 0..2 {
        tick(&scene.client, "webhook-catch-up").await?;
        scene.nothing_is_left().await?;
    }

    assert_eq!(sorted(&before, "lead_id"), ids(&told, "leads"));
    let leads = scene.leads().await?;
    let is_found = |lead: &&Value| lead["source"] == "catch_up";
    let found: Vec<Value> = leads.iter().filter(is_found).cloned().collect();
    assert_eq!(leads.len(), 4);
    assert_eq!(sorted(&found, "lead_id"), ids(&told, "silent_leads"));
    let events = "SELECT count(*) FROM marketing.events WHERE kind = 'lead.created'";
    assert_eq!(scene.count(events).await?, 4);
    let subscribed = scene.told(&json!({})).await?["subscribed"].clone();
    assert!(
        has(&subscribed, "leadgen") && has(&subscribed, "feed"),
        "{subscribed}"
    );
    Ok(())
}

// Fails when a lead that Meta does not show yet is given up, uses up attempts, or is stored without its answers.
#[tokio::test]
async fn a_lead_that_cannot_be_read_for_a_while_is_read_then() -> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    let order = json!({"leads": 2, "unreadable_s": UNREADABLE_S});
    let told = scene.told(&order).await?;
    let waiting =
        "SELECT count(*) FROM millpond.jobs WHERE kind = 'webhook.process' AND state = 'scheduled'";
    scene.until(waiting, 2).await?;
    let before = scene.leads().await?;

    set_clock(&scene.world, &json!({"advance_s": UNREADABLE_S + 1})).await?;
    let path = "/v1/jobs?queue=webhook&state=scheduled&limit=500";
    let listed = scene.client.get(path).await?.body;
    let jobs = sorted(listed["items"].as_array().context("a list")?, "id");
    for job in &jobs {
        run_now(&scene.client, job).await?;
    }
    scene.nothing_is_left().await?;

    assert!(before.is_empty(), "{before:?}");
    assert_eq!(jobs.len(), 2);
    let leads = scene.leads().await?;
    assert_eq!(sorted(&leads, "lead_id"), ids(&told, "leads"));
    for job in &jobs {
        let path = format!("/v1/jobs/{job}");
        let job = eventually("the job is told of", || async {
            let job = scene.client.get(&path).await?.body;
            Ok((job["state"] == "succeeded").then_some(job))
        })
        .await?;
        let attempts = job["attempts"].as_array().context("attempts")?;
        let outcomes: Vec<&Value> = attempts.iter().map(|it| &it["outcome"]).collect();
        assert_eq!(outcomes, ["snoozed", "succeeded"], "{job}");
    }
    Ok(())
}
