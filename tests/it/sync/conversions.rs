//! `conversion.send` in the name of connected accounts, with the production clients against the platforms' stand-ins.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::scene::{connect, control, external_ids, run_now, serve};
use crate::harness::{Client, World};

const OTHERS: [(&str, &str); 3] = [
    ("tiktok", "FAKEPIXEL"),
    ("linkedin", "100001"),
    ("x", "o8fake"),
];

fn event(id: &str) -> Value {
    let elapsed = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    json!({
        "event_name": "Purchase", "event_time": elapsed.as_secs() - 60, "event_id": id, "action_source": "website",
        "event_source_url": "https://shop.example.com/thanks",
        "user_data": {"em": "Jane.Doe+shop@Gmail.com", "ph": "+1 650 555 0100", "client_user_agent": "Mozilla/5.0"},
        "custom_data": {"value": 84.37, "currency": "USD", "x_event_id": "tw-fake1-fake2"},
    })
}

fn conversion((destination, dataset): (&str, &str), account: &str, id: &str) -> Value {
    json!({"kind": "conversion.send", "payload": {"destination": destination, "dataset_id": dataset,
        "account_id": account, "event": event(id)}})
}

async fn account(world: &World, client: &Client, platform: &'static str) -> anyhow::Result<String> {
    let ids = external_ids(world, platform, 1).await?;
    let accounts = connect(world, client, (platform, &ids)).await?;
    Ok(accounts[0].id.to_string())
}

// Fails when an event reaches its platform twice, in the clear, or not at all.
#[tokio::test]
async fn an_event_reaches_each_platform_once_and_hashed() -> anyhow::Result<()> {
    let world = World::of(&["--accounts", "1", "--campaigns", "1"]).await?;
    let (_program, client) = serve(&world, &["--queues", "conversions"]).await?;

    for (platform, dataset) in OTHERS {
        let account = account(&world, &client, platform).await?;
        let first = conversion((platform, dataset), &account, "order-1");
        let first = client.enqueue(&first).await?;
        let done = client.in_state(&first, "succeeded").await?;
        assert_eq!(done["result"]["events"][0]["outcome"], "sent", "{platform}");
        let second = conversion((platform, dataset), &account, "order-1");
        let second = client.enqueue(&second).await?;
        let again = client.in_state(&second, "succeeded").await?;
        assert_eq!(
            again["result"]["events"][0]["outcome"], "already_sent",
            "{platform}"
        );
    }

    let taken = world.received("conversions").await?;
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for event in &taken {
        let platform = event["platform"].as_str().unwrap_or_default();
        *counts.entry(platform).or_default() += event["count"].as_i64().unwrap_or_default();
    }
    assert_eq!(
        counts,
        BTreeMap::from([("linkedin", 1), ("tiktok", 1), ("x", 1)])
    );
    assert!(!json!(taken).to_string().to_lowercase().contains("jane.doe"));
    Ok(())
}

// Fails when an event counts as sent before Google has counted it, or when its job uses up attempts by waiting.
#[tokio::test]
async fn google_says_later_what_became_of_an_event() -> anyhow::Result<()> {
    let world = World::of(&["--accounts", "1", "--campaigns", "1"]).await?;
    let (_program, client) = serve(&world, &["--queues", "conversions"]).await?;
    let account = account(&world, &client, "google_ads").await?;

    let job = conversion(("google_ads", "700000001"), &account, "order-1");
    let job = client.enqueue(&job).await?;
    client.in_state(&job, "scheduled").await?;
    control(&world, "clock", &json!({"advance_s": 360})).await?;
    run_now(&client, &job).await?;
    let done = client.in_state(&job, "succeeded").await?;

    assert_eq!(done["result"]["events"][0]["outcome"], "sent");
    assert_eq!(done["attempts_used"], 1);
    let taken = world.received("conversions").await?;
    assert_eq!((taken.len(), &taken[0]["count"]), (1, &json!(1)));
    Ok(())
}

// Fails when an event that no destination takes any more is accepted.
#[tokio::test]
async fn what_is_too_old_is_refused_when_it_is_enqueued() -> anyhow::Result<()> {
    let world = World::of(&["--accounts", "1", "--campaigns", "1"]).await?;
    let (_program, client) = serve(&world, &["--queues", "conversions"]).await?;
    let mut job = conversion(("meta", "1234567890"), "", "order-1");
    job["payload"]["account_id"] = Value::Null;
    job["payload"]["event"]["event_time"] = json!(1_700_000_000);

    let answer = client.post("/v1/jobs", &job).await?;

    assert_eq!(answer.status.as_u16(), 422, "{answer:?}");
    assert!(
        answer.body.to_string().contains("/event/event_time"),
        "{answer:?}"
    );
    Ok(())
}
