//! `http.request` and kinds with a target: the target's status decides.

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn the_targets_status_decides_the_class() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let fail = |status: u16| {
        json!({"target": "receiver:test", "times": 1,
               "fault": {"kind": "answer", "status": status, "headers": {"retry-after": "1"}, "body": "no"}})
    };

    for (status, class, outcome) in [
        (503, "rate_limited", "rate_limited"),
        (500, "transient", "failed"),
        (429, "rate_limited", "rate_limited"),
        (401, "config", "failed"),
    ] {
        world.fault(&fail(status)).await?;
        let id = client
            .enqueue(&json!({"kind": "test.hook", "payload": {}}))
            .await?;
        let done = client.in_state(&id, "succeeded").await?;
        let first = &done["attempts"][0];
        assert_eq!(
            (&first["error_class"], &first["outcome"]),
            (&json!(class), &json!(outcome)),
            "{status}: {done}"
        );
    }
    world.fault(&fail(404)).await?;
    let id = client
        .enqueue(&json!({"kind": "test.hook", "payload": {}}))
        .await?;
    let dead = client.in_state(&id, "dead").await?;

    assert_eq!(
        (
            &dead["error_class"],
            dead["attempts"].as_array().map(Vec::len)
        ),
        (&json!("invalid"), Some(1))
    );
    Ok(())
}

#[tokio::test]
async fn a_request_to_an_address_inside_is_never_dialled() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;

    for url in [
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "gopher://example.com/",
        "https://user@example.com/",
    ] {
        let answer = client
            .post(
                "/v1/jobs",
                &json!({"kind": "http.request", "payload": {"url": url}}),
            )
            .await?;
        if let Some(id) = answer.body["id"].as_str() {
            let dead = client.in_state(id, "dead").await?;
            assert_eq!(dead["error_class"], "invalid", "{url}");
        } else {
            assert_eq!(answer.status.as_u16(), 422, "{url}");
        }
    }
    Ok(())
}
