//! An account that somebody looks at: it is read every half minute, and that ends by itself.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::types::chrono::{DateTime, Utc};

use super::{
    scene::{Pace, Plan, Scene, begin_quarter, run_now},
    truth,
};
use crate::harness::eventually;

/// The time between two looks, as far as a busy machine keeps it.
const EVERY: [Duration; 2] = [Duration::from_secs(29), Duration::from_secs(35)];

/// Has the account watched for so long, and gives the answer's status and body.
async fn watch(scene: &Scene, wanted: &str) -> anyhow::Result<(StatusCode, Value)> {
    let path = format!("/v1/accounts/{}/watch", scene.accounts[0].id);
    let request = scene.client.request(Method::PUT, &path);
    let request = request.json(&json!({"for": wanted}));
    let answer = scene.client.send(request).await?;
    Ok((answer.status, answer.body))
}

/// The jobs that look.
async fn lookers(scene: &Scene) -> anyhow::Result<Vec<Value>> {
    let jobs = scene.client.get("/v1/jobs?kind=sync.watch").await?.body;
    Ok(jobs["items"].as_array().context("a list")?.clone())
}

/// The job once it has looked so often and waits for its next look.
async fn looked(scene: &Scene, id: &str, times: usize) -> anyhow::Result<Value> {
    eventually(&format!("it has looked {times} times"), || async {
        let job = scene.client.get(&format!("/v1/jobs/{id}")).await?.body;
        let attempts = job["attempts"].as_array().map_or(0, Vec::len);
        Ok((attempts == times && job["state"] == "scheduled").then_some(job))
    })
    .await
}

fn time(value: &Value) -> anyhow::Result<DateTime<Utc>> {
    Ok(value.as_str().context("a time")?.parse()?)
}

// Fails when nobody looks, when a look stores something else than the platform tells, when somebody looks twice at a time, when
// looks use up attempts or come at other distances, and when they go on after the watch.
#[tokio::test]
async fn a_watched_account_is_read_every_half_minute_until_nobody_looks() -> anyhow::Result<()> {
    let plan = Plan {
        platforms: &["meta"],
        campaigns: 12,
        has_history: false,
        config: "",
    };
    let scene = Scene::begin(&plan).await?;
    scene.work_off(Pace::Steady).await?;
    let account = &scene.accounts[0];

    let (too_short, _) = watch(&scene, "10s").await?;
    let (_, watched) = watch(&scene, "30m").await?;
    let found = lookers(&scene).await?;
    let id = found.first().and_then(|job| job["id"].as_str());
    let id = id.context("a job looks")?;
    let first = looked(&scene, id, 1).await?;
    let at_first = truth::figures(&scene.world, account).await?;
    // Figures go on, and somebody asks for it once more.
    begin_quarter(&scene.world).await?;
    let (_, again) = watch(&scene, "45m").await?;
    let at_a_time = lookers(&scene).await?;
    run_now(&scene.client, id).await?;
    let second = looked(&scene, id, 2).await?;
    let at_second = truth::figures(&scene.world, account).await?;
    sqlx::query("UPDATE marketing.watches SET until = now()")
        .execute(&mut scene.world.sql().await?)
        .await?;
    run_now(&scene.client, id).await?;
    let ended = scene.client.in_state(id, "succeeded").await?;

    assert_eq!(too_short, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(time(&again["until"])? > time(&watched["until"])?);
    assert_eq!(at_a_time.len(), 1, "{at_a_time:?}");
    for figures in [at_first, at_second] {
        let levels: Vec<&str> = figures.days_by_hour.into_keys().collect();
        assert_eq!(levels, ["account", "campaign"]);
    }
    for (job, attempt) in [(&first, 0), (&second, 1)] {
        let began = time(&job["attempts"][attempt]["started_at"])?;
        let pause = (time(&job["run_at"])? - began).to_std()?;
        assert!(EVERY[0] <= pause && pause <= EVERY[1], "{pause:?}: {job}");
        assert_eq!(job["attempts"][attempt]["outcome"], "snoozed", "{job}");
        assert_eq!(job["attempts_used"], 0, "{job}");
    }
    assert_eq!(ended["result"], json!({"ended": true}));
    assert!(
        lookers(&scene)
            .await?
            .iter()
            .all(|job| job["state"] == "succeeded")
    );
    Ok(())
}
