//! Many callers at once: a locked key, a locked table, a job that cannot be stored, a full queue, a database that was
//! restarted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use secrecy::SecretString;
use sqlx::{ConnectOptions, PgPool};

use super::fixture::{FAST, engine, registry, succeed, until, waiting_for_locks};
use crate::{Database, DatabaseSettings, EnqueueError, Idempotency, NewJob, Queue, config::Config};

const FULL_AT_TWO: &str = "[queues.default]\nmax_ready = 2";

fn idempotency(key: &str) -> Option<Idempotency> {
    Some(Idempotency {
        client: "a".to_owned(),
        key: key.to_owned(),
        fingerprint: [1; 32],
    })
}

/// The test's database through connections as production makes them, with their time-outs.
fn real_database(db: &PgPool) -> anyhow::Result<Database> {
    Ok(Database::connect_lazy(DatabaseSettings {
        url: SecretString::from(db.connect_options().to_url_lossy().to_string()),
        requests: 2,
        enqueues: 4,
        engine: 2,
        claims: 2,
        application_name: "crowded".to_owned(),
    })?)
}

fn real_engine(db: &PgPool) -> anyhow::Result<Queue> {
    let config = Config::parse(FAST, &[])
        .expect("the test's configuration is right")
        .config;
    let registry = registry();
    let kinds: Vec<_> = registry.kinds().cloned().collect();
    Ok(Queue::new(real_database(db)?, Arc::new(config), kinds)?)
}

fn batch(count: usize) -> Vec<(NewJob, Option<Idempotency>)> {
    (0..count)
        .map(|n| (succeed(&n.to_string()), None))
        .collect()
}

// Fails when jobs with a key and jobs without one share commits.
#[sqlx::test(migrations = "../../migrations")]
async fn a_locked_key_holds_up_no_job_without_one(db: PgPool) -> anyhow::Result<()> {
    let queue = real_engine(&db)?;
    let mut holder = db.begin().await?;
    sqlx::raw_sql(
        "INSERT INTO millpond.idempotency_keys (client, key, fingerprint, job_id, outcome, queue, state, run_at, expires_at)
         SELECT 'a', k, '', gen_random_uuid(), 'created', 'default', 'ready', now(), now() + interval '1 hour'
           FROM unnest(ARRAY['one', 'two']) AS k",
    )
    .execute(&mut *holder)
    .await?;
    let keyed = |key: &'static str| {
        let queue = queue.clone();
        tokio::spawn(async move { queue.enqueue(succeed("keyed"), idempotency(key)).await })
    };
    let first = keyed("one");
    until("one waits", || async {
        Ok(waiting_for_locks(&db).await? >= 1)
    })
    .await?;
    let second = keyed("two");
    until("both wait", || async {
        Ok(waiting_for_locks(&db).await? >= 2)
    })
    .await?;

    let plain = tokio::time::timeout(
        Duration::from_secs(1),
        queue.enqueue(succeed("plain"), None),
    )
    .await;

    assert!(matches!(plain, Ok(Ok(_))), "{plain:?}");
    holder.rollback().await?;
    drop((first.await?, second.await?));
    queue.database().close().await;
    Ok(())
}

// Fails when each job of a batch that met a locked table waits for the lock by itself.
#[sqlx::test(migrations = "../../migrations")]
async fn a_batch_that_meets_a_locked_table_is_told_to_come_back(db: PgPool) -> anyhow::Result<()> {
    let queue = real_engine(&db)?;
    let mut holder = db.begin().await?;
    sqlx::raw_sql("LOCK TABLE millpond.jobs IN EXCLUSIVE MODE")
        .execute(&mut *holder)
        .await?;

    let began = Instant::now();
    let answers = queue.enqueue_batch(batch(20), false).await?;

    assert!(began.elapsed() < Duration::from_secs(6));
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(EnqueueError::Overloaded { .. })))
    );
    holder.rollback().await?;
    queue.database().close().await;
    Ok(())
}

// Fails when a job is acknowledged before it is stored.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_waits_to_be_stored_is_not_acknowledged(db: PgPool) -> anyhow::Result<()> {
    let queue = real_engine(&db)?;
    let mut holder = db.begin().await?;
    sqlx::raw_sql("LOCK TABLE millpond.jobs IN EXCLUSIVE MODE")
        .execute(&mut *holder)
        .await?;

    let answer = queue.enqueue(succeed("x"), None).await;

    assert!(
        matches!(answer, Err(EnqueueError::Overloaded { .. })),
        "{answer:?}"
    );
    holder.rollback().await?;
    queue.database().close().await;
    Ok(())
}

// Fails when a job that the database refuses takes those along that share its commit.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_the_database_refuses_fails_alone(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);

    // Asked for in one breath they come in one commit; no text of PostgreSQL holds U+0000.
    let (refused, stored) = tokio::join!(
        queue.enqueue(succeed("a"), idempotency("\0")),
        queue.enqueue(succeed("b"), idempotency("k")),
    );

    assert!(refused.is_err(), "{refused:?}");
    assert!(stored.is_ok(), "{stored:?}");
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_repeated_request_gets_its_first_answer_also_where_its_queue_is_full(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FULL_AT_TWO);
    let first = queue.enqueue(succeed("a"), idempotency("k")).await?;
    queue.enqueue(succeed("b"), None).await?;

    let again = queue.enqueue(succeed("a"), idempotency("k")).await?;
    let other = queue.enqueue(succeed("a"), idempotency("new")).await;

    assert_eq!((again.id, again.repeated), (first.id, true));
    assert!(matches!(other, Err(EnqueueError::QueueFull { .. })));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn of_a_batch_as_many_are_accepted_as_the_queue_has_room_for(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FULL_AT_TWO);

    let answers = queue.enqueue_batch(batch(3), false).await?;
    let full = queue.enqueue_batch(batch(1), false).await;

    let is_accepted: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(is_accepted, [true, true, false]);
    assert!(matches!(full, Err(EnqueueError::QueueFull { .. })));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_atomic_batch_that_can_never_fit_is_told_so(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FULL_AT_TWO);

    let never = queue.enqueue_batch(batch(3), true).await;

    assert!(
        matches!(&never, Err(EnqueueError::Field { pointer: "/jobs", message }) if message.contains("max_ready"))
    );
    Ok(())
}

// Fails when connections that the database closed while they were idle are handed out.
#[sqlx::test(migrations = "../../migrations")]
async fn connections_that_died_idle_fail_no_call(db: PgPool) -> anyhow::Result<()> {
    let database = real_database(&db)?;
    let sessions = futures::future::try_join_all([database.enqueue(), database.enqueue()]).await?;
    for session in sessions {
        session.end(Ok(()))?;
    }
    let idle_since = Instant::now();
    let ended = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'crowded'",
    )
    .execute(&db)
    .await?;
    until("they were idle for a while", || async {
        Ok(idle_since.elapsed() > Duration::from_millis(1_200))
    })
    .await?;

    for _ in 0..2 {
        let mut session = database.enqueue().await?;
        let asked = crate::db::within(sqlx::Connection::ping(session.conn())).await;
        session.end(asked)?;
    }

    assert!(ended.rows_affected() >= 2);
    database.close().await;
    Ok(())
}

/// Counts the jobs that the engine says were enqueued.
struct Enqueues(Arc<AtomicU64>);

impl Recorder for Enqueues {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() == "millpond_jobs_enqueued_total" {
            Counter::from_arc(Arc::clone(&self.0))
        } else {
            Counter::noop()
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

// Fails when the answer to a repeated request counts as a new job.
#[sqlx::test(migrations = "../../migrations")]
async fn a_repeated_request_is_counted_once(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let counted = Arc::new(AtomicU64::new(0));
    let recorder = Enqueues(Arc::clone(&counted));
    let here = metrics::set_default_local_recorder(&recorder);

    for _ in 0..3 {
        queue.enqueue(succeed("a"), idempotency("k")).await?;
    }

    drop(here);
    assert_eq!(counted.load(Ordering::Relaxed), 1);
    Ok(())
}
