//! Crashes: what was accepted is done, whatever dies meanwhile; who lost a lease changes nothing.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use serde_json::{Value, json};
use sqlx::types::{
    Uuid,
    chrono::{DateTime, Utc},
};

use crate::harness::{Client, World, eventually, eventually_within};

/// Jobs under way when a worker is killed: some twenty seconds of work.
const JOBS: usize = 20_000;
/// Longest that all of them may take.
const MUCH_WORK: Duration = Duration::from_secs(180);
/// The lease's time (2 s) and the promised 5 s, with a margin for a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

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

/// What the tables say once all is done.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Ended {
    /// Jobs that succeeded.
    succeeded: i64,
    /// Of those, jobs whose attempts are not numbered without gaps, or of which another than the last succeeded.
    odd: i64,
    /// Attempts that lost their worker.
    lost: i64,
    /// Attempts of the victim that were noticed later than promised.
    late: i64,
}

/// The worker of the first process, as the tables name it.
async fn first_worker(world: &World) -> anyhow::Result<Uuid> {
    eventually("the process shows itself", || async {
        let worker: Option<Uuid> = sqlx::query_scalar("SELECT id FROM millpond.workers")
            .fetch_optional(&mut world.sql().await?)
            .await?;
        Ok(worker)
    })
    .await
}

/// Counts what became of the jobs, given the victim and when it was killed.
async fn ended(world: &World, victim: Uuid, killed_at: DateTime<Utc>) -> anyhow::Result<Ended> {
    let ended = sqlx::query_as(
        r#"SELECT count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
                  count(*) FILTER (WHERE numbers <> ideal OR successes <> 1 OR last <> 'succeeded') AS odd,
                  COALESCE(sum(lost), 0)::bigint AS lost,
                  COALESCE(sum(late), 0)::bigint AS late
             FROM millpond.job_history h
            CROSS JOIN LATERAL (
                  SELECT array_agg((a ->> 'number')::bigint ORDER BY n) AS numbers, array_agg(n ORDER BY n) AS ideal,
                         count(*) FILTER (WHERE a ->> 'outcome' = 'succeeded') AS successes,
                         (array_agg(a ->> 'outcome' ORDER BY n DESC))[1] AS last,
                         count(*) FILTER (WHERE a ->> 'outcome' = 'lost') AS lost,
                         count(*) FILTER (WHERE a ->> 'outcome' = 'lost' AND a ->> 'worker' = $3::text
                                            AND (a ->> 'finished_at')::timestamptz > $1 + make_interval(secs => $2)) AS late
                    FROM jsonb_array_elements(millpond.attempts_of(h)) WITH ORDINALITY AS t (a, n)) AS all_attempts"#,
    );
    let ended = ended
        .bind(killed_at)
        .bind(NOTICED_WITHIN.as_secs_f64())
        .bind(victim.to_string());
    Ok(ended.fetch_one(&mut world.sql().await?).await?)
}

// Fails when a claim is not under a lease, when nobody rescues, when a rescue forgets the attempt that was lost, and
// when jobs are taken out before their attempt has ended.
#[tokio::test]
async fn a_killed_worker_loses_no_job_and_its_jobs_are_rescued() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (victim, client) = world.serve().await?;
    let victims_worker = first_worker(&world).await?;
    let (_witness, witness) = world.serve().await?;
    let ids = enqueue_many(&client, JOBS).await?;
    eventually("the victim is in the middle of its work", || async {
        let running: i64 = sqlx::query_scalar(
            "SELECT count(DISTINCT worker) FROM millpond.jobs WHERE state = 'running'",
        )
        .fetch_one(&mut world.sql().await?)
        .await?;
        Ok((running == 2).then_some(()))
    })
    .await?;

    victim.signal("KILL")?;
    let killed_at: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut world.sql().await?)
        .await?;
    let (_successor, successor) = world.serve().await?;
    eventually_within(MUCH_WORK, "all jobs have ended", || async {
        Ok((open_jobs(&world).await? == 0).then_some(()))
    })
    .await?;

    let ended = ended(&world, victims_worker, killed_at).await?;
    assert_eq!(
        (ended.succeeded, ended.odd, ended.late),
        (i64::try_from(JOBS)?, 0, 0),
        "{ended:?}"
    );
    assert!(ended.lost > 0, "the victim held jobs");
    let calls = calls_by_job(&world).await?;
    assert!(
        ids.iter().all(|id| calls.contains_key(id)),
        "every accepted job had its effect"
    );
    let twice = i64::try_from(calls.values().filter(|&&count| count > 1).count())?;
    assert!(
        twice <= ended.lost,
        "only lost attempts were repeated: {twice} twice, {ended:?}"
    );
    let mut rescued = 0.0;
    for client in [witness, successor] {
        rescued += client.metric("millpond_jobs_rescued_total", "").await?;
    }
    assert!(rescued > 0.0);
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
    // Awake again it has the receiver's answer in hand and a lease that ran out: it drops the one or is fenced off.
    eventually("the sleeper has ended its attempt", || async {
        Ok((client.metric("millpond_worker_slots_used", "").await? == 0.0).then_some(()))
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
