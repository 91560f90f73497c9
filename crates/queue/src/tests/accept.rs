//! Accepting jobs: idempotency, unique keys, the caller's transaction, no room.

use serde_json::json;
use sqlx::PgPool;

use super::fixture::{FAST, engine, job, succeed};
use crate::{
    EnqueueError, EnqueueOutcome, Enqueued, Idempotency, JobState, NewJob, OnConflict, Queue,
    Unique,
};

fn idempotency(fingerprint: u8) -> Option<Idempotency> {
    Some(Idempotency {
        client: "a".to_owned(),
        key: "k".to_owned(),
        fingerprint: [fingerprint; 32],
    })
}

fn unique(name: &str, on_conflict: OnConflict) -> NewJob {
    let states = vec![
        JobState::Scheduled,
        JobState::Ready,
        JobState::Running,
        JobState::Retrying,
    ];
    NewJob {
        unique: Some(Unique {
            key: "u".to_owned(),
            states,
            on_conflict,
        }),
        ..succeed(name)
    }
}

async fn count(db: &PgPool) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
        .fetch_one(db)
        .await?)
}

async fn start_running(db: &PgPool, queue: &Queue) -> anyhow::Result<()> {
    let claim = crate::store::claim::Claim {
        queue: "default",
        worker: uuid::Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &["test.work".to_owned()],
    };
    assert_eq!(
        crate::store::claim::next(db, &claim, 1).await?.len(),
        1,
        "{} jobs",
        queue.kinds().len()
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn fifty_equal_requests_at_once_make_one_job_and_get_one_answer(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);

    let asked = (0..50).map(|_| queue.enqueue(succeed("once"), idempotency(1)));
    let answers: Vec<Enqueued> = futures::future::try_join_all(asked).await?;

    assert!(
        answers
            .iter()
            .all(|answer| answer.id == answers[0].id && answer.outcome == EnqueueOutcome::Created)
    );
    assert_eq!(answers.iter().filter(|answer| !answer.repeated).count(), 1);
    assert_eq!(count(&db).await?, 1);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_used_idempotency_key_refuses_another_request(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue.enqueue(succeed("one"), idempotency(1)).await?;

    let other = queue.enqueue(succeed("two"), idempotency(2)).await;

    assert!(matches!(other, Err(EnqueueError::IdempotencyMismatch)));
    assert_eq!(count(&db).await?, 1);
    Ok(())
}

// Fails when a request that was refused keeps its idempotency key: the mended one would be refused for it.
#[sqlx::test(migrations = "../../migrations")]
async fn a_refused_request_gives_its_idempotency_key_back(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue
        .enqueue(unique("there", OnConflict::Keep), None)
        .await?;

    let refused = queue
        .enqueue(unique("x", OnConflict::Reject), idempotency(1))
        .await;
    let mended = queue.enqueue(succeed("y"), idempotency(2)).await?;

    assert!(matches!(refused, Err(EnqueueError::Conflict { .. })));
    assert_eq!(
        (mended.outcome, mended.repeated),
        (EnqueueOutcome::Created, false)
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_unique_key_keeps_the_job_that_is_there(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let first = queue.enqueue(unique("one", OnConflict::Keep), None).await?;

    let second = queue.enqueue(unique("two", OnConflict::Keep), None).await?;

    assert_eq!(
        (second.id, second.outcome),
        (first.id, EnqueueOutcome::Deduplicated)
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_unique_key_replaces_what_waits_and_keeps_what_runs(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let first = queue
        .enqueue(unique("one", OnConflict::Replace), None)
        .await?;

    let second = queue
        .enqueue(unique("two", OnConflict::Replace), None)
        .await?;
    let replaced = queue.job(first.id, None).await?;
    start_running(&db, &queue).await?;
    let third = queue
        .enqueue(unique("three", OnConflict::Replace), None)
        .await?;

    assert_eq!(
        (second.id, second.outcome),
        (first.id, EnqueueOutcome::Replaced)
    );
    assert_eq!(replaced.payload["name"], "two");
    assert_eq!(
        (third.id, third.outcome),
        (first.id, EnqueueOutcome::Deduplicated)
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_unique_key_can_refuse(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let first = queue
        .enqueue(unique("one", OnConflict::Reject), None)
        .await?;

    let second = queue.enqueue(unique("two", OnConflict::Reject), None).await;

    assert!(matches!(second, Err(EnqueueError::Conflict { existing }) if existing == first.id));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn at_most_one_job_waits_behind_a_running_one(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let running = queue
        .enqueue(unique("one", OnConflict::OneBehind), None)
        .await?;
    start_running(&db, &queue).await?;

    let behind = queue
        .enqueue(unique("two", OnConflict::OneBehind), None)
        .await?;
    let third = queue
        .enqueue(unique("three", OnConflict::OneBehind), None)
        .await?;

    assert_ne!(behind.id, running.id);
    assert_eq!(behind.outcome, EnqueueOutcome::Created);
    assert_eq!(
        (third.id, third.outcome),
        (behind.id, EnqueueOutcome::Deduplicated)
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn tenants_do_not_meet_in_unique_keys(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let of = |tenant: &str| NewJob {
        tenant: Some(tenant.to_owned()),
        ..unique("x", OnConflict::Reject)
    };

    queue.enqueue(of("a"), None).await?;
    queue.enqueue(of("b"), None).await?;

    assert_eq!(count(&db).await?, 2);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_enqueue_in_the_callers_transaction_vanishes_with_it(db: PgPool) -> anyhow::Result<()> {
    engine(&db, FAST).announce().await?;
    let enqueue =
        r#"SELECT millpond.enqueue('test.work', '{"do":"panic"}', idempotency_key => 'x')"#;

    let mut tx = db.begin().await?;
    sqlx::query(enqueue).execute(&mut *tx).await?;
    tx.rollback().await?;
    let after_rollback = count(&db).await?;
    sqlx::query(enqueue).execute(&db).await?;
    sqlx::query(enqueue).execute(&db).await?;

    assert_eq!((after_rollback, count(&db).await?), (0, 1));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn sql_and_client_make_the_same_unique_key_of_a_payload(db: PgPool) -> anyhow::Result<()> {
    let config = r#"
        [kinds."test.work"]
        unique = { fields = ["name", "/n"], while = ["scheduled", "ready", "running", "retrying"], on_conflict = "keep" }"#;
    let queue = engine(&db, config);
    queue.announce().await?;
    let payload = json!({"do": "succeed", "name": "caf\u{e9} \"x\""});
    let first = queue.enqueue(job(&payload), None).await?;

    let by_sql: uuid::Uuid = sqlx::query_scalar("SELECT millpond.enqueue('test.work', $1)")
        .bind(&payload)
        .fetch_one(&db)
        .await?;

    assert_eq!(by_sql, first.id.0);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_atomic_batch_keeps_nothing_when_one_is_wrong(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue
        .enqueue(unique("there", OnConflict::Keep), None)
        .await?;
    let batch = || {
        vec![
            (succeed("a"), None),
            (unique("b", OnConflict::Reject), None),
        ]
    };

    let atomic = queue.enqueue_batch(batch(), true).await?;
    let after_atomic = count(&db).await?;
    let loose = queue.enqueue_batch(batch(), false).await?;

    assert!(atomic.iter().all(Result::is_err));
    assert_eq!(after_atomic, 1);
    assert_eq!(loose.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(count(&db).await?, 2);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_full_queue_refuses_more(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, "[queues.default]\nmax_ready = 2");
    queue.enqueue(succeed("a"), None).await?;
    queue.enqueue(succeed("b"), None).await?;

    let third = queue.enqueue(succeed("c"), None).await;

    assert!(matches!(third, Err(EnqueueError::QueueFull { .. })));
    Ok(())
}
