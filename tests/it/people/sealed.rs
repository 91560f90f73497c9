//! `encrypt = true`: payloads that cannot be read where they lie, wherever their jobs go.

use std::{fs::OpenOptions, io::Write};

use anyhow::Context;
use serde_json::{Value, json};

use super::dumped;
use crate::harness::{Client, World, eventually};

/// Part of all that must not be seen.
const CANARY: &str = "c4n4ry-5e41ed";
/// What stands in the place of a payload that nobody needs any more.
const WIPED: &str = r#"{"$sealed":null}"#;

fn configure(world: &World) -> anyhow::Result<()> {
    let path = world.folder.join("jobs.toml");
    let mut file = OpenOptions::new().append(true).open(path)?;
    let target = format!("{}/hooks/sealed", world.sandbox.base());
    writeln!(
        file,
        "\n[kinds.\"test.sealed\"]\ntarget = \"{target}\"\nencrypt = true"
    )?;
    Ok(())
}

async fn enqueue(client: &Client, name: &str, more: Value) -> anyhow::Result<String> {
    let mut job = json!({"kind": "test.sealed", "payload": {"em": format!("{CANARY}-{name}")}});
    for (member, value) in more.as_object().context("an object")? {
        job[member] = value.clone();
    }
    client.enqueue(&job).await
}

/// The payloads that the receiver got.
async fn received(world: &World) -> anyhow::Result<String> {
    let calls = world.received("hooks").await?;
    Ok(Value::from(calls).to_string())
}

async fn refuse_one(world: &World) -> anyhow::Result<()> {
    let refuse = json!({
        "target": "receiver:sealed", "times": 1,
        "fault": {"kind": "answer", "status": 404, "headers": {}, "body": "no"},
    });
    world.fault(&refuse).await
}

// Fails when a payload of an encrypted kind can be read in a backup or a log, while its job waits, after it is dead or when it is
// done, when its handler or a replay does not get it as it was sent, and when it is kept once nobody needs it.
#[tokio::test]
async fn a_payload_that_is_encrypted_is_read_by_its_handler_alone() -> anyhow::Result<()> {
    let world = World::new().await?;
    configure(&world)?;
    let (_program, client) = world.serve().await?;

    let waiting = enqueue(&client, "waiting", json!({"delay": "1h"})).await?;
    let done = enqueue(&client, "done", json!({})).await?;
    client.in_state(&done, "succeeded").await?;
    refuse_one(&world).await?;
    let dead = enqueue(&client, "dead", json!({})).await?;
    client.in_state(&dead, "dead").await?;
    let plain = json!({"kind": "test.hook", "payload": {"em": "for-all-to-see"}, "delay": "1h"});
    client.enqueue(&plain).await?;
    let by_sql = sqlx::query("SELECT millpond.enqueue('test.sealed', '{}')");
    let by_sql = by_sql.execute(&mut world.sql().await?).await;
    let mut backups = vec![dumped(&world)?];
    let first = received(&world).await?;
    let replay = json!({"ids": [dead], "reason": "mended"});
    client.post("/v1/dead-letters/replay", &replay).await?;
    let letter = format!("/v1/dead-letters/{dead}");
    let replayed = eventually("it is replayed", || async {
        let letter = client.get(&letter).await?.body;
        Ok(letter["replayed_as"].as_str().map(str::to_owned))
    })
    .await?;
    client.in_state(&replayed, "succeeded").await?;
    let again = received(&world).await?;
    client
        .post(&format!("/v1/jobs/{waiting}/cancel"), &json!({}))
        .await?;
    client.in_state(&waiting, "cancelled").await?;
    backups.push(dumped(&world)?);

    for backup in &backups {
        assert!(!backup.contains(CANARY), "a payload is in a backup");
        assert!(backup.contains("for-all-to-see"), "a backup has payloads");
    }
    let wiped: Vec<usize> = backups.iter().map(|it| it.matches(WIPED).count()).collect();
    assert!(wiped[0] >= 1 && wiped[1] >= wiped[0] + 2, "{wiped:?}");
    assert!(first.contains("c4n4ry-5e41ed-done"), "{first}");
    let of_dead = |told: &str| told.matches("c4n4ry-5e41ed-dead").count();
    assert!(of_dead(&again) > of_dead(&first), "{again}");
    assert!(!again.contains("c4n4ry-5e41ed-waiting"), "{again}");
    assert!(by_sql.is_err_and(|why| why.to_string().contains("encrypted")));
    for entry in std::fs::read_dir(&world.folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("serve-") {
            let log = std::fs::read_to_string(entry.path())?;
            assert!(!log.contains(CANARY), "{}", entry.path().display());
        }
    }
    Ok(())
}
