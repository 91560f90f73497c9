//! Leases: one holder at a time, a fence behind it, rescue when it is silent.

use std::collections::HashSet;

use sqlx::{
    PgExecutor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use super::fixture::{FAST, actor, engine, in_state, job, succeed, until, work};
use crate::{
    Queue,
    store::{
        claim::{self, Claim, ClaimedRow},
        settle::{self, Ended},
    },
    worker::rescuer::rescue,
};

async fn claim(
    db: impl PgExecutor<'_>,
    most: usize,
    ttl_seconds: f64,
) -> anyhow::Result<Vec<ClaimedRow>> {
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds,
        kinds: &kinds,
    };
    Ok(claim::next(db, &claim, most).await?)
}

fn success(job: &ClaimedRow) -> Ended {
    Ended {
        ids: vec![job.id],
        tokens: vec![job.token],
        outcomes: vec!["succeeded".to_owned()],
        classes: vec![None],
        errors: vec![None],
        progress: vec![None],
        ..Ended::default()
    }
}

async fn expire(db: &PgPool) -> anyhow::Result<()> {
    sqlx::query("UPDATE millpond.jobs SET lease_until = now() - interval '1 second' WHERE state = 'running'")
        .execute(db)
        .await?;
    Ok(())
}

async fn some_jobs(queue: &Queue, count: usize) -> anyhow::Result<()> {
    let jobs = (0..count)
        .map(|n| (succeed(&n.to_string()), None))
        .collect();
    for result in queue.enqueue_batch(jobs, true).await? {
        result?;
    }
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_that_lost_its_lease_cannot_finish_the_job(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let id = queue.enqueue(succeed("x"), None).await?.id;
    let slow = claim(&db, 1, 60.0).await?.remove(0);
    expire(&db).await?;
    rescue(&queue.shared, "default").await?;
    let fresh = claim(&db, 1, 60.0).await?.remove(0);

    let late = settle::finish(&db, "default", &success(&slow), &[None]).await?;
    let state_after_late = queue.job(id, None).await?.summary.state;
    let right = settle::finish(&db, "default", &success(&fresh), &[None]).await?;

    assert!(late.is_empty());
    assert_eq!(state_after_late, "running");
    assert_eq!(right, [id.0]);
    let attempts = queue.job(id, None).await?.attempts;
    assert_eq!(
        attempts
            .iter()
            .map(|a| (a.number, a.outcome.as_str()))
            .collect::<Vec<_>>(),
        [(1, "lost"), (2, "succeeded")]
    );
    Ok(())
}

// Fails when the fence is the same for a claim that the database forgot and for the next, as the attempt's number is.
#[sqlx::test(migrations = "../../migrations")]
async fn a_claim_that_a_crash_of_the_database_undid_settles_nothing(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let id = queue.enqueue(succeed("x"), None).await?.id;
    // A rollback leaves what a crash leaves of a commit that was not flushed.
    let mut tx = db.begin().await?;
    let undone = claim(&mut *tx, 1, 60.0).await?.remove(0);
    tx.rollback().await?;
    let fresh = claim(&db, 1, 60.0).await?.remove(0);

    let late = settle::finish(&db, "default", &success(&undone), &[None]).await?;
    let right = settle::finish(&db, "default", &success(&fresh), &[None]).await?;

    assert_eq!((undone.id, undone.attempt), (fresh.id, fresh.attempt));
    assert!(late.is_empty());
    assert_eq!(right, [id.0]);
    Ok(())
}

/// Claims until there is nothing left, as a replica of a worker does.
async fn claim_all(db: &PgPool) -> anyhow::Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    loop {
        let jobs = claim(db, 10, 60.0).await?;
        if jobs.is_empty() {
            return Ok(ids);
        }
        ids.extend(jobs.into_iter().map(|job| job.id));
    }
}

// Fails when the claim does not lock what it takes, or locks it without checking anew.
#[sqlx::test(migrations = "../../migrations")]
async fn a_hundred_claim_loops_at_once_never_claim_a_job_twice(
    options: PgPoolOptions,
    connection: PgConnectOptions,
) -> anyhow::Result<()> {
    // The pool of a test has five connections, which is too few for claims to meet.
    let db = options.max_connections(16).connect_with(connection).await?;
    let queue = engine(&db, FAST);
    some_jobs(&queue, 3_000).await?;

    let claims = futures::future::try_join_all((0..100).map(|_| claim_all(&db))).await?;

    let ids: Vec<Uuid> = claims.into_iter().flatten().collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    assert_eq!(ids.len(), 3_000);
    db.close().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn urgent_jobs_are_claimed_first_and_equals_in_the_order_they_came(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    for (name, priority) in [("c", 5), ("d", 9), ("a", 0), ("b", 0)] {
        let job = crate::NewJob {
            priority: Some(priority),
            ..succeed(name)
        };
        queue.enqueue(job, None).await?;
    }

    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(claim(&db, 1, 60.0).await?.remove(0).payload);
    }

    let names: Vec<char> = order
        .iter()
        .map(|payload| payload.chars().rev().nth(2).expect("a name"))
        .collect();
    assert_eq!(names, ['a', 'b', 'c', 'd']);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn only_registered_kinds_are_claimed_and_paused_queues_not_at_all(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue.announce().await?;
    some_jobs(&queue, 1).await?;
    let kinds = ["other.kind".to_owned()];
    let stranger = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };

    let by_stranger = claim::next(&db, &stranger, 10).await?.len();
    queue
        .pause_queue("default", Some("maintenance"), None, &actor())
        .await?;
    let while_paused = claim(&db, 10, 60.0).await?.len();
    queue.resume_queue("default", &actor()).await?;
    let after = claim(&db, 10, 60.0).await?.len();

    assert_eq!((by_stranger, while_paused, after), (0, 0, 1));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_loses_its_worker_too_often_is_dead(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, "[defaults]\nmax_attempts = 50");
    let id = queue.enqueue(succeed("x"), None).await?.id;

    for _ in 0..3 {
        assert_eq!(claim(&db, 1, 60.0).await?.len(), 1);
        expire(&db).await?;
        rescue(&queue.shared, "default").await?;
    }

    let dead = queue.dead_letter(id, None).await?;
    assert_eq!(dead.summary.job.error_class.as_deref(), Some("lost"));
    assert!(
        dead.attempts
            .iter()
            .all(|attempt| attempt.outcome == "lost")
    );
    assert_eq!(dead.attempts.len(), 3);
    Ok(())
}

// Fails when nobody looks for leases that ran out, or nobody rescues what is found.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_whose_worker_is_gone_is_run_by_another(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let id = queue.enqueue(succeed("x"), None).await?.id;
    assert_eq!(claim(&db, 1, -1.0).await?.len(), 1);

    let (workers, _) = work(&queue).await?;
    let done = in_state(&queue, id, "succeeded").await?;

    let outcomes: Vec<_> = done.attempts.iter().map(|a| a.outcome.as_str()).collect();
    assert_eq!(outcomes, ["lost", "succeeded"]);
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_running_worker_keeps_its_leases_beyond_their_time(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, app) = work(&queue).await?;
    let id = queue
        .enqueue(job(&serde_json::json!({"do": "wait_for_release"})), None)
        .await?
        .id;
    in_state(&queue, id, "running").await?;

    let renewed: (bool,) = loop {
        let row: Option<(bool,)> =
            sqlx::query_as("SELECT lease_until > started_at + interval '5 seconds' FROM millpond.jobs WHERE id = $1")
                .bind(id.0)
                .fetch_optional(&db)
                .await?;
        match row {
            Some((true,)) => break (true,),
            Some((false,)) => tokio::task::yield_now().await,
            None => anyhow::bail!("the job ended"),
        }
    };
    app.release.notify_one();
    let done = in_state(&queue, id, "succeeded").await?;

    assert!(renewed.0);
    assert_eq!(done.attempts.len(), 1);
    assert_eq!(done.progress, Some(serde_json::json!({"waiting": true})));
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_attempt_whose_job_was_taken_away_is_stopped_and_changes_nothing(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, app) = work(&queue).await?;
    let id = queue
        .enqueue(job(&serde_json::json!({"do": "hang"})), None)
        .await?
        .id;
    in_state(&queue, id, "running").await?;

    // Another worker has it now, under a token of its own, for a long time.
    sqlx::query("UPDATE millpond.jobs SET lease_token = gen_random_uuid(), lease_until = now() + interval '1 hour' WHERE id = $1")
        .bind(id.0)
        .execute(&db)
        .await?;
    until("the slot is free again", || async {
        Ok(app.seen().len() == 1)
    })
    .await?;
    workers.drain().await;

    assert_eq!(queue.job(id, None).await?.summary.state, "running");
    Ok(())
}
