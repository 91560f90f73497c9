//! `conversion.send` to Meta's stand-in, with the production client.

use serde_json::{Value, json};

use crate::harness::{World, world::free_port};

fn now() -> i64 {
    let elapsed = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

fn event(id: &str, time: i64) -> Value {
    json!({
        "event_name": "Purchase", "event_time": time, "event_id": id, "action_source": "website",
        "event_source_url": "https://shop.example.com/thanks",
        "user_data": {"em": "John_Smith@gmail.com", "client_user_agent": "Mozilla/5.0", "client_ip_address": "203.0.113.7"},
        "custom_data": {"value": 84.37, "currency": "USD"},
    })
}

fn conversion(event: Value) -> Value {
    json!({"kind": "conversion.send", "payload": {"destination": "meta", "dataset_id": "1234567890", "event": event}})
}

#[tokio::test]
async fn one_expired_event_does_not_take_its_batch_mates_along() -> anyhow::Result<()> {
    let world = World::new().await?;
    world.allow_meta().await?;
    let (_program, client) = world.serve().await?;
    client
        .post(
            "/v1/queues/conversions/pause",
            &json!({"reason": "so that they run together"}),
        )
        .await?;
    let mut good = Vec::new();
    for n in 0..20 {
        good.push(
            client
                .enqueue(&conversion(event(&format!("order-{n}"), now() - 60)))
                .await?,
        );
    }
    let mixed = json!({"kind": "conversion.send", "payload": {"destination": "meta", "dataset_id": "1234567890",
        "events": [event("order-old", now() - 8 * 86_400), event("order-20", now() - 60)]}});
    let mixed = client.enqueue(&mixed).await?;

    client
        .post("/v1/queues/conversions/resume", &json!({}))
        .await?;
    let done = client.in_state(&mixed, "succeeded").await?;
    for id in &good {
        client.in_state(id, "succeeded").await?;
    }

    let outcomes: Vec<&Value> = (0..2_usize)
        .map(|n| &done["result"]["events"][n]["outcome"])
        .collect();
    assert_eq!(outcomes, ["expired", "sent"]);
    let events = world.received("meta_events").await?;
    assert_eq!(events.len(), 21, "{events:?}");
    let requests = world.received("meta_requests").await?;
    assert!(
        requests.len() < 10,
        "they were sent together: {} requests",
        requests.len()
    );
    Ok(())
}

#[tokio::test]
async fn a_throttled_send_uses_no_attempt_and_an_event_is_not_sent_twice() -> anyhow::Result<()> {
    let world = World::new().await?;
    world.allow_meta().await?;
    let (_program, client) = world.serve().await?;
    let throttle = json!({"target": "meta", "fault": {"kind": "answer", "status": 429, "headers": {"retry-after": "1"}, "body": "{}"}, "times": 1});
    world.fault(&throttle).await?;

    let first = client.enqueue(&conversion(event("order-1", now()))).await?;
    let done = client.in_state(&first, "succeeded").await?;
    let second = client.enqueue(&conversion(event("order-1", now()))).await?;
    client.in_state(&second, "succeeded").await?;

    assert_eq!(
        (&done["attempts"][0]["outcome"], &done["attempts_used"]),
        (&json!("rate_limited"), &json!(1))
    );
    assert_eq!(world.received("meta_events").await?.len(), 1);
    assert!(
        !done["payload"].to_string().contains("John_Smith"),
        "personal data is not shown"
    );
    Ok(())
}

// Fails when conversions are not sent, or are kept, where nobody has keys, and when they are stored in the clear where others have some.
#[tokio::test]
async fn without_keys_conversions_are_sent_unless_other_processes_have_some() -> anyhow::Result<()>
{
    let world = World::new().await?;
    world.allow_meta().await?;
    let mut command = world.millpond(&["serve"])?;
    command.env_remove("MILLPOND_ENCRYPTION_KEYS");
    let (_without, client) = world.serve_at(free_port()?, command).await?;

    let first = client.enqueue(&conversion(event("order-1", now()))).await?;
    let done = client.in_state(&first, "succeeded").await?;
    let (_with, _) = world.serve().await?;
    let second = conversion(event("order-2", now()));
    let refused = client.post("/v1/jobs", &second).await?;

    let payload = done["payload"].as_str().unwrap_or_default();
    assert!(payload.starts_with("[wiped"), "{done}");
    assert_eq!(refused.status.as_u16(), 409, "{refused:?}");
    let said = refused.body.to_string();
    assert!(said.contains("MILLPOND_ENCRYPTION_KEYS"), "{said}");
    Ok(())
}
