//! A million jobs that wait.

use std::time::{Duration, Instant};

use super::process::Process;
use crate::harness::{Client, World, eventually};

/// Jobs that wait.
const WAITING: i64 = 1_000_000;
/// Longest that writing them may take.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
/// Jobs that must be done before and with the backlog.
const DONE: i64 = 1_500;
/// Most memory that the backlog may cost its worker.
const MOST_GROWTH_KIB: u64 = 48 * 1_024;
/// The share of claims that may take longer than 100 ms. A claim that is planned for a table of a few rows, or joined to
/// what it locks, takes 250 ms and more with a million.
const MOST_SLOW: f64 = 0.02;

/// As the store writes them: ready, with ids in the order of time.
const WRITE: &str = r#"
INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload)
SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'default', 'test.hook', 'ready', 5, now(),
       '{"waits": "with many others"}'::json
  FROM generate_series($1::bigint, $2::bigint) AS n"#;

async fn write_jobs(world: &World, first: i64, last: i64) -> anyhow::Result<()> {
    sqlx::query(WRITE)
        .bind(first)
        .bind(last)
        .execute(&mut world.sql().await?)
        .await?;
    Ok(())
}

/// Waits until so many jobs have succeeded.
async fn until_done(world: &World, jobs: i64) -> anyhow::Result<()> {
    eventually("jobs are done", || async {
        let done: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.job_history")
            .fetch_one(&mut world.sql().await?)
            .await?;
        Ok((done >= jobs).then_some(()))
    })
    .await
}

/// Claims of the process so far: all, and those within 100 ms.
async fn claims(client: &Client) -> anyhow::Result<(f64, f64)> {
    let all = client.metric("millpond_claim_seconds_count", "").await?;
    let quick = client
        .metric("millpond_claim_seconds_bucket", "le=\"0.1\"")
        .await?;
    Ok((all, quick))
}

// Fails when the worker takes in more than it can run, and when claims get slower with the backlog (see `MOST_SLOW`).
#[tokio::test]
async fn a_million_ready_jobs_cost_the_worker_neither_memory_nor_time() -> anyhow::Result<()> {
    let world = World::new().await?;
    let (program, client) = world.serve().await?;
    let process = Process::only(&world).await?;
    write_jobs(&world, 1, DONE).await?;
    until_done(&world, DONE).await?;
    let before_kib = process.resident_kib()?;

    let began = Instant::now();
    write_jobs(&world, DONE + 1, DONE + WAITING).await?;
    let writing_took = began.elapsed();
    let (all_before, quick_before) = claims(&client).await?;
    until_done(&world, 2 * DONE).await?;
    let (all_after, quick_after) = claims(&client).await?;
    let grown_kib = process.resident_kib()?.saturating_sub(before_kib);
    let ready = client.get("/readyz").await?;
    // Gone before the checks: a million rows must not outlive a test that fails.
    drop(program);
    sqlx::query("TRUNCATE millpond.jobs")
        .execute(&mut world.sql().await?)
        .await?;

    assert!(writing_took <= WRITTEN_WITHIN, "{writing_took:?}");
    let (all, quick) = (all_after - all_before, quick_after - quick_before);
    assert!(all > 0.0, "nothing was claimed");
    assert!(
        (all - quick) / all <= MOST_SLOW,
        "{quick} of {all} claims took 100 ms at most"
    );
    assert!(grown_kib <= MOST_GROWTH_KIB, "{grown_kib} KiB");
    assert!(ready.status.is_success(), "{ready:?}");
    Ok(())
}
