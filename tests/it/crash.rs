//! Crashes: what was accepted is done, whatever dies meanwhile; who lost a lease changes nothing.

use std::collections::HashMap;

use anyhow::Context;
use serde_json::{Value, json};

use crate::harness::{Client, World, eventually};

async fn enqueue_many(client: &Client, count: usize) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for chunk in (0..count).collect::<Vec<_>>().chunks(1_000) {
        let jobs: Vec<Value> = chunk
            .iter()
            .map(|n| json!({"kind": "test.hook", "payload": {"n": n}}))
            .collect();
        let answer = client
            .post("/v1/jobs/batch", &json!({"jobs": jobs}))
            .await?;
        let results = answer.body["results"].as_array().context("results")?;
        ids.extend(
            results
                .iter()
                .filter_map(|result| result["id"].as_str().map(str::to_owned)),
        );
    }
    anyhow::ensure!(ids.len() == count, "{} of {count} were accepted", ids.len());
    Ok(ids)
}

async fn open_jobs(world: &World) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
        .fetch_one(&mut world.sql().await?)
        .await?)
}

async fn calls_by_job(world: &World) -> anyhow::Result<HashMap<String, usize>> {
    let mut calls = HashMap::new();
    for hook in world.received("hooks").await? {
        let body: Value = match &hook["body"] {
            Value::String(text) => serde_json::from_str(text)?,
            body => body.clone(),
        };
        *calls
            .entry(body["id"].as_str().context("the job's id")?.to_owned())
            .or_default() += 1;
    }
    Ok(calls)
}

#[tokio::test]
async fn a_killed_worker_loses_no_job_and_its_jobs_are_rescued() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (victim, client) = world.serve().await?;
    let ids = enqueue_many(&client, 3_000).await?;
    eventually("work is under way", || async {
        let running: i64 =
            sqlx::query_scalar("SELECT count(*) FROM millpond.jobs WHERE state = 'running'")
                .fetch_one(&mut world.sql().await?)
                .await?;
        Ok((running > 0 && open_jobs(&world).await? < 2_900).then_some(()))
    })
    .await?;

    victim.signal("KILL")?;
    let (_successor, client) = world.serve().await?;
    eventually("all jobs have ended", || async {
        Ok((open_jobs(&world).await? == 0).then_some(()))
    })
    .await?;

    let calls = calls_by_job(&world).await?;
    assert!(
        ids.iter().all(|id| calls.contains_key(id)),
        "every accepted job had its effect"
    );
    let lost: i64 = sqlx::query_scalar(
        r#"SELECT count(*) FROM millpond.job_history WHERE attempts @> '[{"outcome": "lost"}]' AND state = 'succeeded'"#,
    )
    .fetch_one(&mut world.sql().await?)
    .await?;
    let twice = i64::try_from(calls.values().filter(|&&count| count > 1).count())?;
    assert!(lost > 0, "the victim held jobs");
    assert!(
        twice <= lost,
        "only lost attempts were repeated: {twice} twice, {lost} lost"
    );
    assert!(client.metric("millpond_jobs_rescued_total", "").await? > 0.0);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_slept_past_its_lease_cannot_settle_what_another_has_done()
-> anyhow::Result<()> {
    let world = World::new().await?;
    world.fault(&json!({"target": "receiver:test", "fault": {"kind": "hang", "wait_ms": 1500}, "times": 1})).await?;
    let (sleeper, client) = world.serve().await?;
    let id = client
        .enqueue(&json!({"kind": "test.hook", "payload": {}}))
        .await?;
    client.in_state(&id, "running").await?;

    sleeper.signal("STOP")?;
    let (_other, other) = world.serve().await?;
    let done = other.in_state(&id, "succeeded").await?;
    sleeper.signal("CONT")?;
    eventually("the sleeper's writes are fenced off", || async {
        Ok((client.metric("millpond_fenced_writes_total", "").await? > 0.0).then_some(()))
    })
    .await?;

    let after = other.get(&format!("/v1/jobs/{id}")).await?.body;
    assert_eq!(after["attempts"], done["attempts"]);
    let outcomes: Vec<_> = done["attempts"]
        .as_array()
        .context("attempts")?
        .iter()
        .map(|a| a["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["lost", "succeeded"]);
    Ok(())
}

#[tokio::test]
async fn a_terminated_process_hands_its_work_back_and_ends_in_time() -> anyhow::Result<()> {
    let world = World::new().await?;
    let hang = json!({"target": "receiver:test", "fault": {"kind": "hang", "wait_ms": 30_000}, "times": null});
    world.fault(&hang).await?;
    let (mut program, client) = world.serve().await?;
    let id = client
        .enqueue(&json!({"kind": "test.hook", "payload": {}}))
        .await?;
    client.in_state(&id, "running").await?;

    program.signal("TERM")?;
    let status = program.ended().await?;

    assert!(status.success(), "{status}");
    let row: (String, i32, Value) =
        sqlx::query_as("SELECT state, attempts_used, attempts -> 0 -> 'outcome' FROM millpond.jobs WHERE id = $1::uuid")
            .bind(&id)
            .fetch_one(&mut world.sql().await?)
            .await?;
    assert_eq!(row, ("ready".to_owned(), 0, json!("interrupted")));
    Ok(())
}
