//! Workers that are told to stop: what runs may end, and what does not goes back unharmed.

use serde_json::json;
use sqlx::PgPool;

use super::fixture::{
    FAST, barrier, engine, in_state, job, succeed, until, waiting_for_locks, work,
};

// Fails when a drain claims what waits behind the attempts that it lets end.
#[sqlx::test(migrations = "../../migrations")]
async fn a_drain_lets_attempts_end_and_claims_nothing_more(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, &format!("{FAST}[queues.default]\nconcurrency = 1\n"));
    let (workers, app) = work(&queue).await?;
    let runs = queue
        .enqueue(job(&json!({"do": "wait_for_release"})), None)
        .await?
        .id;
    until("it runs", || async { Ok(app.seen().len() == 1) }).await?;
    let waits = queue.enqueue(succeed("behind"), None).await?.id;

    // The first of those that are joined is polled first: the slot becomes free only after the stop.
    tokio::join!(workers.drain(), async { app.release.notify_one() });

    assert_eq!(app.seen(), ["WaitForRelease"]);
    assert_eq!(queue.job(runs, None).await?.summary.state, "succeeded");
    let waits = queue.job(waits, None).await?;
    assert_eq!(
        (waits.summary.state.as_str(), waits.attempts.len()),
        ("ready", 0)
    );
    Ok(())
}

// Fails when what a claim brings after the stop is run, or is dropped and left to its lease.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_claim_brings_after_the_stop_goes_back_unstarted(db: PgPool) -> anyhow::Result<()> {
    let barrier = barrier(&db, "ready").await?;
    let queue = engine(&db, FAST);
    let id = queue.enqueue(succeed("x"), None).await?.id;
    let (workers, app) = work(&queue).await?;
    until("the claim is at the barrier", || async {
        Ok(waiting_for_locks(&db).await? >= 1)
    })
    .await?;

    // The first of those that are joined is polled first: the stop comes before the claim's answer.
    let ((), lifted) = tokio::join!(workers.drain(), barrier.rollback());
    lifted?;

    let back = queue.job(id, None).await?;
    assert_eq!(
        (back.summary.state.as_str(), back.summary.attempts_used),
        ("ready", 0)
    );
    assert!(back.attempts.is_empty() && app.seen().is_empty());
    Ok(())
}

// Fails when attempts that do not end in time are left to their leases.
#[sqlx::test(migrations = "../../migrations")]
async fn a_drain_hands_back_what_does_not_end_in_time_and_uses_no_attempt(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;
    let hangs = queue.enqueue(job(&json!({"do": "hang"})), None).await?.id;
    in_state(&queue, hangs, "running").await?;

    workers.drain().await;

    let back = queue.job(hangs, None).await?;
    assert_eq!(
        (back.summary.state.as_str(), back.summary.attempts_used),
        ("ready", 0)
    );
    assert_eq!(back.attempts[0].outcome, "interrupted");
    assert!(queue.workers().await?.is_empty());
    Ok(())
}
