//! Two sessions at one row: whoever comes second meets the first in the middle of its change, in either order.

use std::future::Future;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::fixture::{FAST, barrier, engine, succeed, until, waiting_for_locks};
use crate::{
    DatabaseError, EnqueueError, Idempotency, JobId, JobState, NewJob, OnConflict, Queue, Unique,
    store::{
        claim::{self, Claim},
        lease::{self, Renewals},
        settle::{self, Ended},
    },
    worker::rescuer::rescue,
};

/// A job whose attempt has ended as its lease did: its worker is about to say so, and nobody has rescued it yet.
async fn overdue(queue: &Queue, db: &PgPool) -> anyhow::Result<(JobId, Ended)> {
    let id = queue.enqueue(succeed("x"), None).await?.id;
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: -1.0,
        kinds: &kinds,
    };
    let claimed = claim::next(db, &claim, 1).await?.remove(0);
    let success = Ended {
        ids: vec![claimed.id],
        tokens: vec![claimed.token],
        outcomes: vec!["succeeded".to_owned()],
        classes: vec![None],
        errors: vec![None],
        progress: vec![None],
        ..Ended::default()
    };
    Ok((id, success))
}

async fn settle(db: PgPool, success: Ended) -> Result<Vec<Uuid>, sqlx::Error> {
    settle::finish(&db, "default", &success, &[None]).await
}

async fn take_back(queue: Queue) -> Result<u64, DatabaseError> {
    rescue(&queue.shared, "default").await
}

/// Lets the second begin when the first is at the barrier, and both end.
async fn race<A, B>(
    db: &PgPool,
    first: impl Future<Output = A> + Send + 'static,
    second: impl Future<Output = B> + Send + 'static,
) -> anyhow::Result<(A, B)>
where
    A: Send + 'static,
    B: Send + 'static,
{
    let barrier = barrier(db, "running").await?;
    let first = tokio::spawn(first);
    until("the first is at the barrier", || async {
        Ok(waiting_for_locks(db).await? >= 1)
    })
    .await?;
    let second = tokio::spawn(second);
    until("the second has met the first", || async {
        Ok(second.is_finished() || waiting_for_locks(db).await? >= 2)
    })
    .await?;
    barrier.rollback().await?;
    Ok((first.await?, second.await?))
}

async fn outcomes(queue: &Queue, id: JobId) -> anyhow::Result<(String, Vec<String>)> {
    let job = queue.job(id, None).await?;
    let outcomes = job.attempts.into_iter().map(|attempt| attempt.outcome);
    Ok((job.summary.state, outcomes.collect()))
}

// Fails when a settlement that waited for the rescuer does not look at the token again.
#[sqlx::test(migrations = "../../migrations")]
async fn a_settlement_that_meets_a_rescue_changes_nothing(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (id, success) = overdue(&queue, &db).await?;

    let (rescued, settled) =
        race(&db, take_back(queue.clone()), settle(db.clone(), success)).await?;

    assert_eq!((rescued?, settled?), (1, Vec::new()));
    assert_eq!(
        outcomes(&queue, id).await?,
        ("ready".to_owned(), vec!["lost".to_owned()])
    );
    Ok(())
}

// Fails when the rescuer does not lock what it decides about, or decides about what is being settled.
#[sqlx::test(migrations = "../../migrations")]
async fn a_rescue_that_meets_a_settlement_changes_nothing(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (id, success) = overdue(&queue, &db).await?;

    let (settled, rescued) =
        race(&db, settle(db.clone(), success), take_back(queue.clone())).await?;

    assert_eq!((settled?, rescued?), (vec![id.0], 0));
    assert_eq!(
        outcomes(&queue, id).await?,
        ("succeeded".to_owned(), vec!["succeeded".to_owned()])
    );
    Ok(())
}

// Fails when the rescuer does not lock what it has found before it takes it: a renewal that is under way is overlooked.
#[sqlx::test(migrations = "../../migrations")]
async fn a_rescue_that_meets_a_renewal_leaves_the_job_to_its_worker(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let (id, attempt) = overdue(&queue, &db).await?;
    let leases = Renewals {
        ids: attempt.ids,
        tokens: attempt.tokens,
        progress: vec![None],
    };
    let mut renewal = db.begin().await?;
    let renewed = lease::renew(&mut *renewal, "default", &leases, 60.0).await?;
    let rescuing = tokio::spawn(take_back(queue.clone()));
    until("the rescue has met the renewal", || async {
        Ok(rescuing.is_finished() || waiting_for_locks(&db).await? >= 1)
    })
    .await?;

    renewal.commit().await?;
    let rescued = rescuing.await??;

    assert_eq!((renewed.len(), rescued), (1, 0));
    assert_eq!(
        outcomes(&queue, id).await?,
        ("running".to_owned(), Vec::new())
    );
    Ok(())
}

fn idempotency(key: &str) -> Idempotency {
    Idempotency {
        client: "a".to_owned(),
        key: key.to_owned(),
        fingerprint: [1; 32],
    }
}

// Fails when a key is looked for first and stored then: whoever stored it in between is not seen.
#[sqlx::test(migrations = "../../migrations")]
async fn whoever_meets_a_key_that_is_being_taken_gets_the_first_ones_answer(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let first_job = Uuid::new_v4();
    let mut first = db.begin().await?;
    sqlx::query(
        "INSERT INTO millpond.idempotency_keys (client, key, fingerprint, job_id, outcome, queue, state, run_at, expires_at)
         VALUES ('a', 'k', $1, $2, 'created', 'default', 'ready', now(), now() + interval '1 hour')",
    )
    .bind(vec![1_u8; 32])
    .bind(first_job)
    .execute(&mut *first)
    .await?;
    let second = tokio::spawn({
        let queue = queue.clone();
        async move { queue.enqueue(succeed("x"), Some(idempotency("k"))).await }
    });
    until("the second waits for the first", || async {
        Ok(waiting_for_locks(&db).await? >= 1)
    })
    .await?;

    first.commit().await?;
    let answer = second.await??;

    assert_eq!((answer.id.0, answer.repeated), (first_job, true));
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
        .fetch_one(&db)
        .await?;
    assert_eq!(stored, 0);
    Ok(())
}

fn unique(key: &str) -> (NewJob, Option<Idempotency>) {
    let unique = Unique {
        key: key.to_owned(),
        states: vec![
            JobState::Scheduled,
            JobState::Ready,
            JobState::Running,
            JobState::Retrying,
        ],
        on_conflict: OnConflict::Reject,
    };
    let job = NewJob {
        unique: Some(unique),
        ..succeed(key)
    };
    (job, None)
}

/// Takes a unique key until the transaction ends.
async fn take_key(tx: &mut PgConnection, key: &str) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload, unique_key, unique_states)
         VALUES (gen_random_uuid(), 'default', 'test.work', 'ready', 5, now(), '{}', $1, 15)",
    )
    .bind(key)
    .execute(tx)
    .await?;
    Ok(())
}

// Fails when a deadlock is told to the caller and not tried again.
#[sqlx::test(migrations = "../../migrations")]
async fn a_batch_that_meets_a_deadlock_is_stored_all_the_same(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let mut other = db.begin().await?;
    take_key(&mut other, "b").await?;
    let batch = vec![unique("a"), unique("b")];
    let enqueuing = tokio::spawn({
        let queue = queue.clone();
        async move { queue.enqueue_batch(batch, true).await }
    });
    until("the batch waits for b", || async {
        Ok(waiting_for_locks(&db).await? >= 1)
    })
    .await?;

    // Whoever has waited for longer looks first, finds the circle and gives way: the batch.
    take_key(&mut other, "a").await?;
    other.rollback().await?;

    let answers = enqueuing.await??;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    Ok(())
}

async fn have_enqueues_fail(db: &PgPool, code: &str) -> anyhow::Result<()> {
    let sql = format!(
        "CREATE OR REPLACE FUNCTION public.in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'told to' USING ERRCODE = '{code}'; END $$;
         CREATE OR REPLACE TRIGGER in_the_way BEFORE INSERT ON millpond.jobs
             FOR EACH ROW EXECUTE FUNCTION public.in_the_way();"
    );
    sqlx::raw_sql(&sql).execute(db).await?;
    Ok(())
}

/// Whether the caller is to come back, and nobody is to mend anything.
fn is_passing(error: &EnqueueError) -> bool {
    match error {
        EnqueueError::Overloaded { .. } | EnqueueError::IdempotencyPending { .. } => true,
        EnqueueError::Unavailable(error) => error.is_passing(),
        _ => false,
    }
}

// Fails when one of these is taken for a fault of ours, which callers are told as a 500.
#[sqlx::test(migrations = "../../migrations")]
async fn whoever_is_in_an_enqueues_way_its_caller_is_told_to_come_back(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    // A serialisation failure, a deadlock, a lock time-out, a statement time-out.
    for code in ["40001", "40P01", "55P03", "57014"] {
        have_enqueues_fail(&db, code).await?;

        let refusals = [
            queue.enqueue(succeed("plain"), None).await.map(drop),
            queue
                .enqueue(succeed("keyed"), Some(idempotency(code)))
                .await
                .map(drop),
            queue
                .enqueue_batch(vec![unique("a"), unique("b")], true)
                .await
                .map(drop),
        ];

        for refusal in refusals {
            let error = refusal.expect_err("it was told to fail");
            assert!(is_passing(&error), "{code}: {error:?}");
        }
    }
    Ok(())
}
