//! Dead letters, replayed over HTTP and by the command line.

use anyhow::Context;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Client, World};

async fn dead_job(world: &World, client: &Client) -> anyhow::Result<String> {
    let never = json!({"target": "receiver:test", "fault": {"kind": "answer", "status": 500, "headers": {}, "body": "no"}, "times": 3});
    world.fault(&never).await?;
    let id = client
        .enqueue(&json!({"kind": "test.hook", "payload": {"n": 1}}))
        .await?;
    client.in_state(&id, "dead").await?;
    Ok(id)
}

#[tokio::test]
async fn a_job_that_always_fails_is_a_dead_letter_and_its_replay_names_it() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let id = dead_job(&world, &client).await?;
    let letter = client.get(&format!("/v1/dead-letters/{id}")).await?.body;

    let dry = client
        .post(
            "/v1/dead-letters/replay",
            &json!({"filter": {"kind": "test.hook"}, "dry_run": true}),
        )
        .await?;
    let replay = json!({"ids": [id], "patch": {"n": 2}, "reason": "mended"});
    let answer = client.post("/v1/dead-letters/replay", &replay).await?;
    let after = client.get(&format!("/v1/dead-letters/{id}")).await?.body;
    let replayed = after["replayed_as"]
        .as_str()
        .context("the job that replays it")?;
    let done = client.in_state(replayed, "succeeded").await?;

    let attempts = letter["attempts"].as_array().context("attempts")?;
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt["error_class"] == "transient" && attempt["error"].is_string())
    );
    assert_eq!(attempts.len(), 3);
    assert_eq!(
        (
            dry.status,
            &dry.body["will_enqueue"],
            &dry.body["replay_id"]
        ),
        (StatusCode::OK, &json!(1), &Value::Null)
    );
    assert_eq!(
        (answer.status, &answer.body["will_enqueue"]),
        (StatusCode::ACCEPTED, &json!(1))
    );
    assert_eq!(
        (&done["replay_of"], &done["payload"]),
        (&json!(id), &json!({"n": 2}))
    );
    let run = client
        .get(&format!(
            "/v1/replays/{}",
            answer.body["replay_id"].as_str().context("its id")?
        ))
        .await?;
    assert_eq!(
        (run.status, &run.body["enqueued"]),
        (StatusCode::OK, &json!(1))
    );
    Ok(())
}

#[tokio::test]
async fn the_command_line_replays_by_filter() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let id = dead_job(&world, &client).await?;

    let listed = world.command(&["--json", "dead", "list", "--kind", "test.hook"])?;
    let dry = world.command(&[
        "--json",
        "dead",
        "replay",
        "--kind",
        "test.hook",
        "--dry-run",
    ])?;
    world.command(&[
        "dead",
        "replay",
        "--kind",
        "test.hook",
        "--reason",
        "mended",
    ])?;
    let after: Value = serde_json::from_str(&world.command(&["--json", "dead", "show", &id])?)?;
    let replayed = after["replayed_as"]
        .as_str()
        .context("the job that replays it")?;
    client.in_state(replayed, "succeeded").await?;

    assert!(listed.contains(&id));
    assert_eq!(serde_json::from_str::<Value>(&dry)?["will_enqueue"], 1);
    Ok(())
}
