//! How many attempts with one key run at once, whoever claims and wherever the jobs wait.

use std::collections::HashMap;

use serde_json::json;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    ONE_PER_KEY, claim, claim_all, count, crowd, enqueue_all, keyed, limited, names, roomy, run,
    settle,
};
use crate::{
    NewJob,
    store::claim::ClaimedRow,
    tests::fixture::{FAST, job, together},
    worker::rescuer::rescue,
};

fn by_key(jobs: &[ClaimedRow]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for job in jobs {
        *counts
            .entry(job.key.as_deref().unwrap_or_default())
            .or_default() += 1;
    }
    counts
}

fn of_keys(keys: usize, jobs: usize) -> impl Iterator<Item = NewJob> {
    (0..jobs).map(move |n| keyed(&n.to_string(), &format!("key {}", n % keys)))
}

// Fails when places are counted before a claim has the turn of the kind, when what the same claim starts is not counted,
// and when a claim does not say that its attempts take places.
#[sqlx::test(migrations = "../../migrations")]
async fn a_crowd_of_claimers_starts_one_job_of_each_key(
    _: PgPoolOptions,
    connection: PgConnectOptions,
) -> anyhow::Result<()> {
    let db = roomy(connection).await?;
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, of_keys(10, 200)).await?;

    let first = crowd(&db, &["default"], 4, 3).await?;
    let second = crowd(&db, &["default"], 4, 3).await?;

    assert_eq!(by_key(&first).len(), 10);
    assert_eq!((first.len(), second.len()), (10, 0));
    db.close().await;
    Ok(())
}

// Fails when the limit is a yes or no.
#[sqlx::test(migrations = "../../migrations")]
async fn a_key_with_three_places_has_three_attempts(
    _: PgPoolOptions,
    connection: PgConnectOptions,
) -> anyhow::Result<()> {
    let db = roomy(connection).await?;
    let three = ONE_PER_KEY.replace("concurrency = 1", "concurrency = 3");
    let queue = limited(&db, &three).await?;
    enqueue_all(&queue, of_keys(5, 100)).await?;

    let first = crowd(&db, &["default"], 2, 4).await?;
    let of_one: Vec<ClaimedRow> = first
        .into_iter()
        .filter(|job| job.key.as_deref() == Some("key 1"))
        .collect();
    settle(&db, "default", &of_one[..2]).await?;
    let second = crowd(&db, &["default"], 2, 4).await?;

    assert_eq!(count(&db, "state = 'running'").await?, 15);
    assert_eq!(by_key(&second), HashMap::from([("key 1", 2)]));
    db.close().await;
    Ok(())
}

// Fails when the places of a key are a queue's own.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_one_key_do_not_meet_from_two_queues(
    _: PgPoolOptions,
    connection: PgConnectOptions,
) -> anyhow::Result<()> {
    let db = roomy(connection).await?;
    let config = format!("{ONE_PER_KEY}[queues.other]\nconcurrency = 1");
    let queue = limited(&db, &config).await?;
    let elsewhere = of_keys(10, 100).map(|job| NewJob {
        queue: Some("other".to_owned()),
        ..job
    });
    enqueue_all(&queue, of_keys(10, 100).chain(elsewhere)).await?;

    let claimed = crowd(&db, &["default", "other"], 2, 6).await?;

    assert_eq!((claimed.len(), by_key(&claimed).len()), (10, 10));
    db.close().await;
    Ok(())
}

// Fails when a place is given to another as soon as a lease has run out, since it may be renewed yet, and when a rescue
// does not give it back.
#[sqlx::test(migrations = "../../migrations")]
async fn a_key_whose_worker_died_is_free_once_its_job_was_rescued(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, &format!("{FAST}{ONE_PER_KEY}")).await?;
    enqueue_all(&queue, [keyed("a", "k"), keyed("b", "k")]).await?;
    let lost = claim(&db, "default", 2).await?;
    run(
        &db,
        "UPDATE millpond.jobs SET lease_until = now() - interval '1 second' WHERE state = 'running'",
    )
    .await?;

    let too_early = claim_all(&db, "default", 2).await?;
    rescue(&queue.shared, "default").await?;
    let in_time = claim_all(&db, "default", 2).await?;

    assert_eq!((lost.len(), too_early.len(), in_time.len()), (1, 0, 1));
    Ok(())
}

// Fails when jobs without a key, or of another kind with the same key, are held to the limit.
#[sqlx::test(migrations = "../../migrations")]
async fn a_limit_per_key_is_no_limit_for_others(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    let free = |class: &str| job(&json!({"do": "fail", "class": class}));
    enqueue_all(&queue, [keyed("a", "k"), keyed("b", "k")]).await?;
    enqueue_all(&queue, [free("invalid"), free("timeout")]).await?;
    enqueue_all(&queue, [together("e", "k"), together("f", "k")]).await?;

    let claimed = claim_all(&db, "default", 10).await?;

    assert_eq!(claimed.len(), 5);
    assert_eq!(count(&db, "parked_gate = 'key_limit'").await?, 1);
    Ok(())
}

// Fails when what waits for a key is taken in another order than any other job.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_one_key_run_one_after_the_other_in_the_order_of_claims(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, ONE_PER_KEY).await?;
    enqueue_all(&queue, [keyed("first", "k"), keyed("second", "k")]).await?;
    let urgent = NewJob {
        priority: Some(0),
        ..keyed("urgent", "k")
    };
    queue.enqueue(urgent, None).await?;

    let mut order = Vec::new();
    for _ in 0..3 {
        let claimed = claim_all(&db, "default", 10).await?;
        order.extend(names(&claimed));
        settle(&db, "default", &claimed).await?;
    }

    assert_eq!(order, ["urgent", "first", "second"]);
    Ok(())
}
