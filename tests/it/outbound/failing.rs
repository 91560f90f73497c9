//! An endpoint that only fails: it is switched off, its owner is told, and what it missed is sent once it works again.

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::scene::{OWNER, Scene, body_of};
use crate::{harness::eventually, inbound::scene::tick};

const SUBJECT: &str = "A webhook endpoint of yours was switched off";

/// How deliveries stand, the oldest first.
fn states(deliveries: &[Value]) -> Vec<&str> {
    let states = deliveries.iter().rev();
    states.filter_map(|it| it["state"].as_str()).collect()
}

/// The jobs that were told of in calls that were taken.
async fn jobs_told(scene: &Scene, after: usize) -> anyhow::Result<Vec<Value>> {
    let calls = scene.calls("told").await?;
    let bodies = calls.iter().skip(after).map(body_of);
    let bodies = bodies.collect::<anyhow::Result<Vec<Value>>>()?;
    let of_jobs = bodies.iter().filter(|body| body["type"] == "job.dead");
    Ok(of_jobs.map(|body| body["data"]["job_id"].clone()).collect())
}

/// The owner's mail, once it has arrived.
async fn mail(scene: &Scene) -> anyhow::Result<String> {
    eventually("the owner is told", || async {
        let mut mails = scene.world.mails()?.into_iter();
        Ok(mails.find(|mail| mail.contains(SUBJECT)))
    })
    .await
}

// Fails when a dead endpoint is called for ever, when nobody learns that it is not any more, when what happens meanwhile is lost,
// and when what is sent again is another message.
#[tokio::test]
async fn an_endpoint_that_only_fails_is_switched_off_and_gets_what_it_missed_later()
-> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    scene.answers(500, None).await?;
    let since: String = sqlx::query_scalar("SELECT to_json(now()) #>> '{}'")
        .fetch_one(&mut scene.world.sql().await?)
        .await?;
    let first = scene.event().await?;
    scene.newest_in("failed").await?;
    let done = tick(&scene.client, "webhook-fanout").await?;
    let off = scene.shown().await?;
    let mail = mail(&scene).await?;
    let second = scene.event().await?;
    let missed = scene.deliveries().await?;
    scene.world.mend().await?;

    scene.tried_out().await?;
    scene.newest_in("succeeded").await?;
    let replay = json!({"since": since});
    let refused = scene.client.post(&scene.path("/replay"), &replay).await?;
    let on = scene.client.request(Method::PATCH, &scene.path(""));
    let on = on.json(&json!({"status": "enabled"}));
    let on = scene.client.send(on).await?.body;
    let before = scene.calls("told").await?.len();
    let replayed = scene.client.post(&scene.path("/replay"), &replay).await?;
    let all = eventually("all got through", || async {
        let deliveries = scene.deliveries().await?;
        let is_done = states(&deliveries)
            .iter()
            .all(|state| *state == "succeeded");
        Ok(is_done.then_some(deliveries))
    })
    .await?;

    assert_eq!(
        (&done["result"]["disabled"], &done["result"]["told"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&off["status"], &off["disabled_by"]),
        (&json!("disabled"), &json!("failures"))
    );
    assert!(mail.contains(OWNER), "{mail}");
    assert_eq!(states(&missed), ["failed", "missed"]);
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert_eq!(on["status"], "enabled");
    assert_eq!(replayed.status, StatusCode::ACCEPTED, "{replayed:?}");
    assert_eq!(replayed.body, json!({"count": 2, "is_all": true}));
    let mut told = jobs_told(&scene, before).await?;
    told.sort_by_key(Value::to_string);
    let mut jobs = vec![json!(first), json!(second)];
    jobs.sort_by_key(Value::to_string);
    assert_eq!(told, jobs);
    let id = |deliveries: &[Value], place: usize| deliveries.iter().rev().nth(place).cloned();
    for place in 0..2 {
        let (then, now) = id(&missed, place).zip(id(&all, place)).context("both")?;
        assert_eq!(then["webhook_id"], now["webhook_id"]);
    }
    Ok(())
}

// Fails when an endpoint that says that it is gone is called again, or is left switched on.
#[tokio::test]
async fn an_endpoint_that_says_that_it_is_gone_is_switched_off_at_once() -> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    scene.answers(410, None).await?;

    scene.event().await?;
    scene.newest_in("failed").await?;
    tick(&scene.client, "webhook-fanout").await?;

    let off = scene.shown().await?;
    assert_eq!(
        (&off["status"], &off["disabled_by"]),
        (&json!("disabled"), &json!("gone"))
    );
    assert_eq!(scene.calls("told").await?.len(), 1);
    assert!(mail(&scene).await?.contains(OWNER));
    Ok(())
}
