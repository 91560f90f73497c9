//! Messages that get through: what they say, what they are signed with, and what is noted of them.

use anyhow::Context;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::scene::{Scene, body_of};

/// The signatures of a call.
fn signatures(call: &Value) -> usize {
    let header = call["headers"]["webhook-signature"].as_str();
    header.map_or(0, |header| header.split(' ').count())
}

/// What is shown of an endpoint has no secret in it, and what is stored of one cannot be read.
async fn is_sealed(scene: &Scene) -> anyhow::Result<bool> {
    let shown = scene.shown().await?.to_string();
    let listed = scene.client.get("/v1/webhook-endpoints").await?.body;
    let stored = "SELECT count(*) FROM marketing.webhook_secrets
                   WHERE position(convert_to($1, 'UTF8') IN secret) > 0 OR position(convert_to('whsec_', 'UTF8') IN secret) > 0";
    let readable: i64 = sqlx::query_scalar(stored)
        .bind(scene.secret.trim_start_matches("whsec_"))
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
    let is_shown = shown.contains("whsec_") || listed.to_string().contains("whsec_");
    Ok(readable == 0 && !is_shown)
}

// Fails when an attempt bears another id, other bytes or a signature that does not fit, when what failed is not tried again, when a
// job's payload is told, and when a secret can be seen a second time.
#[tokio::test]
async fn a_message_is_the_same_on_every_attempt_until_it_is_taken() -> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    scene.receiver_knows(&scene.secret).await?;
    scene.answers(500, Some(1)).await?;
    scene.answers(302, Some(1)).await?;

    let job = scene.event().await?;
    let delivery = scene.newest_in("succeeded").await?;

    let calls = scene.calls("told").await?;
    assert_eq!(calls.len(), 3, "{calls:?}");
    for call in &calls {
        assert_eq!(call["signature_valid"], true, "{call}");
        assert_eq!(call["webhook_id"], delivery["webhook_id"]);
        assert_eq!(call["body"], calls[0]["body"]);
        assert_eq!(call["headers"]["content-type"], "application/json");
        assert_eq!(signatures(call), 1);
    }
    let log = delivery["log"].as_array().context("a log")?;
    let statuses: Vec<&Value> = log.iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(statuses, [500, 302, 200]);
    assert_eq!(log[0]["excerpt"], "not now");
    assert!(scene.calls("elsewhere").await?.is_empty());
    let told = body_of(&calls[0])?;
    assert_eq!(told["type"], "job.dead");
    assert!(
        told["timestamp"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z'))
    );
    let data = &told["data"];
    assert_eq!(
        (
            &data["job_id"],
            &data["kind"],
            &data["error_class"],
            &data["attempts"]
        ),
        (
            &json!(job),
            &json!("test.hook"),
            &json!("invalid"),
            &json!(1)
        )
    );
    assert!(data["queue"].is_string() && data["error"].is_string());
    assert!(!told.to_string().contains("4242"), "{told}");
    assert!(is_sealed(&scene).await?);
    Ok(())
}

// Fails when a receiver that has not changed over yet, or has already, cannot verify messages, and when an old secret is good for
// longer than it was to be.
#[tokio::test]
async fn both_secrets_sign_while_one_takes_the_place_of_the_other() -> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    let rotated = async |overlap: &str| {
        let path = scene.path("/rotate-secret");
        let answer = scene
            .client
            .post(&path, &json!({"overlap": overlap}))
            .await?;
        anyhow::ensure!(answer.status == StatusCode::OK, "{answer:?}");
        let secret = answer.body["secret"].as_str().map(str::to_owned);
        secret.context("a secret")
    };
    let newer = rotated("1h").await?;
    let mut known = vec![scene.secret.clone(), newer];

    for secret in &known {
        scene.receiver_knows(secret).await?;
        scene.tried_out().await?;
        scene.newest_in("succeeded").await?;
    }
    known.push(rotated("0s").await?);
    scene.receiver_knows(&known[2]).await?;
    scene.tried_out().await?;
    scene.newest_in("succeeded").await?;

    let calls = scene.calls("told").await?;
    assert!(calls.iter().all(|call| call["signature_valid"] == true));
    let signed: Vec<usize> = calls.iter().map(signatures).collect();
    assert_eq!(signed, [2, 2, 1]);
    let told = body_of(&calls[0])?;
    assert_eq!(told["type"], "webhook.test");
    assert_eq!(told["data"]["endpoint_id"], scene.endpoint.as_str());
    Ok(())
}
