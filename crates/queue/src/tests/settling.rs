//! Trouble between an attempt's end and its settlement: what was done stays done, and nobody pays for somebody else.

use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::fixture::{FAST, actor, engine, in_state, job, succeed, together, work};
use crate::{
    JobId, Queue,
    db::DatabaseError,
    store::{
        claim::{self, Claim},
        settle,
    },
    worker::rescuer::rescue,
};

async fn together_in_one_call(queue: &Queue, names: &[&str]) -> anyhow::Result<Vec<JobId>> {
    let jobs = names.iter().map(|name| (together(name, "a"), None));
    let mut ids = Vec::new();
    for enqueued in queue.enqueue_batch(jobs.collect(), true).await? {
        ids.push(enqueued?.id);
    }
    Ok(ids)
}

async fn claim_some(db: &PgPool, most: usize) -> anyhow::Result<Vec<claim::ClaimedRow>> {
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    Ok(claim::next(db, &claim, most).await?)
}

// Fails when a statement's failure is taken for the outcome's fault.
#[sqlx::test(migrations = "../../migrations")]
async fn a_success_that_cannot_be_stored_at_first_is_no_dead_letter(
    db: PgPool,
) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "CREATE SEQUENCE public.tries;
         CREATE FUNCTION public.fail_twice() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('public.tries') <= 2 THEN
                 RAISE EXCEPTION 'told to fail' USING ERRCODE = 'XX000';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER fail_twice BEFORE INSERT ON millpond.job_history
             FOR EACH ROW EXECUTE FUNCTION public.fail_twice();",
    )
    .execute(&db)
    .await?;
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;

    let id = queue.enqueue(succeed("x"), None).await?.id;
    let done = in_state(&queue, id, "succeeded").await?;

    assert_eq!(done.attempts.len(), 1);
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_server_in_trouble_is_away_and_a_value_too_deep_is_refused(
    db: PgPool,
) -> anyhow::Result<()> {
    for code in ["53200", "57P05", "58030", "25P03"] {
        let error = raised(&db, code).await;
        assert!(
            matches!(error, DatabaseError::Unavailable(_)),
            "{code}: {error:?}"
        );
    }
    let too_deep = raised(&db, "54001").await;
    assert!(
        matches!(too_deep, DatabaseError::Refused(_)),
        "{too_deep:?}"
    );
    Ok(())
}

async fn raised(db: &PgPool, code: &str) -> DatabaseError {
    let sql = format!("DO $$ BEGIN RAISE EXCEPTION 'told to' USING ERRCODE = '{code}'; END $$");
    sqlx::raw_sql(&sql)
        .execute(db)
        .await
        .expect_err("it was told to fail")
        .into()
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_follow_up_whose_unique_key_is_taken_is_left_out(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (workers, _) = work(&queue).await?;

    let id = queue
        .enqueue(job(&json!({"do": "enqueue_unique_twice"})), None)
        .await?
        .id;
    in_state(&queue, id, "succeeded").await?;

    let waiting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM millpond.jobs WHERE state = 'scheduled'")
            .fetch_one(&db)
            .await?;
    assert_eq!(waiting, 1);
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_batch_whose_jobs_are_all_cancelled_ends(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let ids = together_in_one_call(&queue, &["hang", "good"]).await?;
    let (workers, _) = work(&queue).await?;
    for id in &ids {
        in_state(&queue, *id, "running").await?;
    }

    for id in &ids {
        queue.cancel(*id, &actor()).await?;
    }

    for id in &ids {
        in_state(&queue, *id, "cancelled").await?;
    }
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_batch_that_lost_a_lease_is_broken_off_and_its_other_jobs_go_back(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let ids = together_in_one_call(&queue, &["hang", "good"]).await?;
    let (workers, _) = work(&queue).await?;
    for id in &ids {
        in_state(&queue, *id, "running").await?;
    }

    // Another worker has one of them now.
    sqlx::query("UPDATE millpond.jobs SET lease_token = gen_random_uuid(), lease_until = now() + interval '1 hour' WHERE id = $1")
        .bind(ids[0].0)
        .execute(&db)
        .await?;
    let other = in_state(&queue, ids[1], "succeeded").await?;

    assert_eq!(other.attempts[0].outcome, "interrupted");
    assert_eq!(other.summary.attempts_used, 1);
    assert_eq!(queue.job(ids[0], None).await?.summary.state, "running");
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_payload_that_spoils_a_batch_takes_nobody_along(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let ids = together_in_one_call(&queue, &["poison", "good", "good", "good"]).await?;
    let (workers, _) = work(&queue).await?;

    let dead = in_state(&queue, ids[0], "dead").await?;

    assert_eq!(dead.summary.error_class.as_deref(), Some("panic"));
    for id in &ids[1..] {
        assert_eq!(in_state(&queue, *id, "succeeded").await?.attempts.len(), 2);
    }
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn no_call_gets_more_jobs_than_its_kind_takes(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, "[queues.default]\nconcurrency = 500");
    let ids = together_in_one_call(&queue, &["good"; 150]).await?;
    let (workers, app) = work(&queue).await?;

    for id in ids {
        in_state(&queue, id, "succeeded").await?;
    }

    let batches = app.batches.lock().expect("nobody panicked").clone();
    assert!(batches.iter().all(|jobs| *jobs <= 100), "{batches:?}");
    workers.drain().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_claimed_job_that_was_cancelled_is_not_made_ready_again(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let id = queue.enqueue(succeed("x"), None).await?.id;
    let claimed = claim_some(&db, 1).await?.remove(0);
    queue.cancel(id, &actor()).await?;

    let back = settle::unclaim(&db, "default", &[claimed.id], &[claimed.token]).await?;

    assert!(back.is_empty());
    assert_eq!(queue.job(id, None).await?.summary.state, "running");
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn everything_that_a_dead_worker_held_is_rescued_at_once(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let jobs = (0..600).map(|n| (succeed(&n.to_string()), None)).collect();
    queue.enqueue_batch(jobs, true).await?;
    let held = claim_some(&db, 500).await?.len() + claim_some(&db, 100).await?.len();
    sqlx::query("UPDATE millpond.jobs SET lease_until = now() - interval '1 second' WHERE state = 'running'")
        .execute(&db)
        .await?;

    let rescued = rescue(&queue.shared, "default").await?;

    assert_eq!((held, rescued), (600, 600));
    Ok(())
}

// Fails when jobs of a claim run whose leases are as good as over when it is answered.
#[sqlx::test(migrations = "../../migrations")]
async fn a_claim_that_is_answered_too_late_is_worth_nothing(db: PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "CREATE SEQUENCE public.claims;
         CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('public.claims') = 1 THEN
                 PERFORM pg_sleep(2);
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER dawdle BEFORE UPDATE ON millpond.jobs
             FOR EACH ROW WHEN (OLD.state = 'ready' AND NEW.state = 'running')
             EXECUTE FUNCTION public.dawdle();",
    )
    .execute(&db)
    .await?;
    let queue = engine(&db, FAST);
    let id = queue.enqueue(succeed("x"), None).await?.id;
    let (workers, app) = work(&queue).await?;

    in_state(&queue, id, "succeeded").await?;

    let claims: i64 = sqlx::query_scalar("SELECT last_value FROM public.claims")
        .fetch_one(&db)
        .await?;
    assert_eq!((claims, app.seen().len()), (2, 1));
    workers.drain().await;
    Ok(())
}
