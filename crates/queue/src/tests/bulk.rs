//! Many jobs in one call: stored as they would be one by one, all or none, also where the call is cut off.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::value::RawValue;
use sqlx::{ConnectOptions, PgPool};
use uuid::Uuid;

use super::fixture::{FAST, engine, registry, succeed, until};
use crate::{
    Database, DatabaseError, DatabaseSettings, EnqueueError, Enqueued, Idempotency, JobId,
    JobState, NewJob, Queue, Start, config::Config,
};

/// Kinds of rows that [`variant`] makes.
const VARIANTS: usize = 10;
/// A payload whose layout and escapes are to be kept.
const AS_SENT: &str = "{ \"do\" : \"succeed\",\n\t\"name\": \"caf\\u00e9 \u{1f43b}\" }";

type Asked = (NewJob, Option<Idempotency>);

fn config() -> String {
    format!("{FAST}\n[queues.other]\nconcurrency = 1\n")
}

fn as_sent() -> Box<RawValue> {
    RawValue::from_string(AS_SENT.to_owned()).expect("the constant is JSON")
}

/// A job that uses other columns than the next one does; `at` is when scheduled ones are due.
fn variant(n: usize, at: DateTime<Utc>) -> NewJob {
    let text = |text: &str| Some(text.to_owned());
    let plain = succeed("plain");
    match n % VARIANTS {
        0 => plain,
        1 => NewJob {
            payload: as_sent(),
            ..plain
        },
        2 => NewJob {
            queue: text("other"),
            priority: Some(0),
            ..plain
        },
        3 => NewJob {
            max_attempts: Some(100),
            tenant: text("n\u{f8}rd \u{540d}"),
            ..plain
        },
        4 => NewJob {
            key: text("k"),
            traceparent: text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ..plain
        },
        5 => NewJob {
            tags: BTreeMap::from([
                ("empty".to_owned(), String::new()),
                ("\u{540d}".to_owned(), "\"quoted\" \\".to_owned()),
            ]),
            ..plain
        },
        6 => NewJob {
            start: Start::After(Duration::from_micros(90_000_500_001)),
            ..plain
        },
        7 => NewJob {
            start: Start::At(at),
            ..plain
        },
        8 => NewJob {
            start: Start::At(at - TimeDelta::days(400)),
            ..plain
        },
        _ => NewJob {
            payload: as_sent(),
            queue: text("other"),
            priority: Some(9),
            start: Start::At(at),
            max_attempts: Some(1),
            tenant: text("t"),
            key: text("k"),
            tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            traceparent: text("00-trace"),
            replay_of: Some(JobId(Uuid::from_u128(7))),
            ..plain
        },
    }
}

/// The rows of these jobs, in this order, without what no two enqueues have in common.
async fn rows(db: &PgPool, answers: &[Enqueued], at: DateTime<Utc>) -> anyhow::Result<Vec<String>> {
    let ids: Vec<Uuid> = answers.iter().map(|answer| answer.id.0).collect();
    let rows = sqlx::query_scalar(
        "SELECT jsonb_build_array(
                    to_jsonb(j) - ARRAY['id', 'payload', 'run_at', 'created_at'], j.payload::text,
                    CASE WHEN j.run_at = $2 THEN 'then' ELSE (j.run_at - j.created_at)::text END)::text
           FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place) JOIN millpond.jobs j USING (id)
          ORDER BY place",
    )
    .bind(ids)
    .bind(at);
    Ok(rows.fetch_all(db).await?)
}

async fn count(db: &PgPool) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM millpond.jobs")
        .fetch_one(db)
        .await?)
}

fn named(count: usize) -> Vec<Asked> {
    (0..count)
        .map(|n| (succeed(&n.to_string()), None))
        .collect()
}

async fn accepted(queue: &Queue, jobs: Vec<Asked>) -> anyhow::Result<Vec<Enqueued>> {
    let answers = queue.enqueue_batch(jobs, false).await?;
    Ok(answers.into_iter().collect::<Result<_, _>>()?)
}

// Fails when the bulk leaves a column out, takes one for another, or rounds a time in another way.
#[sqlx::test(migrations = "../../migrations")]
async fn a_thousand_jobs_are_stored_as_each_would_be_by_itself(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, &config());
    let at = Utc::now() + TimeDelta::days(200) + TimeDelta::nanoseconds(1_999);
    let jobs = (0..1_000).map(|n| (variant(n, at), None)).collect();

    let together = accepted(&queue, jobs).await?;
    let mut alone = Vec::new();
    for n in 0..VARIANTS {
        alone.push(queue.enqueue(variant(n, at), None).await?);
    }

    let (together, alone) = (
        rows(&db, &together, at).await?,
        rows(&db, &alone, at).await?,
    );
    assert_eq!((together.len(), alone.len()), (1_000, VARIANTS));
    for (n, row) in together.iter().enumerate() {
        assert_eq!(row, &alone[n % VARIANTS], "job {n}");
    }
    Ok(())
}

// Fails when answers are told in another order, or with times that this process made up.
#[sqlx::test(migrations = "../../migrations")]
async fn a_bulk_is_answered_in_its_order_with_what_was_stored(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, &config());
    let at = Utc::now() + TimeDelta::days(200) + TimeDelta::nanoseconds(1_999);
    let jobs = (0..100).map(|n| (variant(n, at), None)).collect();
    let clock = "SELECT clock_timestamp()";
    let before: DateTime<Utc> = sqlx::query_scalar(clock).fetch_one(&db).await?;

    let answers = accepted(&queue, jobs).await?;

    let after: DateTime<Utc> = sqlx::query_scalar(clock).fetch_one(&db).await?;
    for (n, answer) in answers.iter().enumerate() {
        let (in_queue, state, run_at, created_at): (String, String, DateTime<Utc>, DateTime<Utc>) =
            sqlx::query_as(
                "SELECT queue, state, run_at, created_at FROM millpond.jobs WHERE id = $1",
            )
            .bind(answer.id.0)
            .fetch_one(&db)
            .await?;
        let is_scheduled = matches!(n % VARIANTS, 6 | 7 | 9);
        assert_eq!(answer.state == JobState::Scheduled, is_scheduled, "job {n}");
        assert_eq!(
            (&answer.queue, answer.state.as_str(), answer.run_at),
            (&in_queue, state.as_str(), run_at),
            "job {n}"
        );
        assert!((before..=after).contains(&created_at), "job {n}");
    }
    Ok(())
}

// Fails when the small statement and the bulk do not meet: where few become many, jobs are lost, doubled or mixed up.
#[sqlx::test(migrations = "../../migrations")]
async fn calls_of_every_size_store_each_job_once(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let mut stored = 0;

    for size in [0, 1, 63, 64, 65, 200] {
        let answers = accepted(&queue, named(size)).await?;

        stored += i64::try_from(size)?;
        assert_eq!((answers.len(), count(&db).await?), (size, stored));
        let ids: Vec<Uuid> = answers.iter().map(|answer| answer.id.0).collect();
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT payload ->> 'name' FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place)
               JOIN millpond.jobs USING (id) ORDER BY place",
        )
        .bind(ids)
        .fetch_all(&db)
        .await?;
        let asked: Vec<String> = (0..size).map(|n| n.to_string()).collect();
        assert_eq!(names, asked);
    }
    Ok(())
}

// Fails when callers whose jobs go together in bulk are given each other's answers.
#[sqlx::test(migrations = "../../migrations")]
async fn callers_that_share_a_bulk_get_their_own_answers(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    let names: Vec<String> = (0..400).map(|n| n.to_string()).collect();

    let asked = names.iter().map(|name| queue.enqueue(succeed(name), None));
    let answers = futures::future::try_join_all(asked).await?;

    assert_eq!(count(&db).await?, 400);
    for (name, answer) in names.iter().zip(&answers) {
        assert_eq!(&queue.job(answer.id, None).await?.payload["name"], name);
    }
    Ok(())
}

/// A hundred jobs, one of which holds a character that PostgreSQL cannot store.
fn one_of_them_refused() -> Vec<Asked> {
    let mut jobs = named(100);
    jobs[70].0.traceparent = Some("a\0b".to_owned());
    jobs
}

// Fails when a row that PostgreSQL refuses takes the others of its bulk with it.
#[sqlx::test(migrations = "../../migrations")]
async fn of_a_bulk_a_job_that_postgresql_refuses_fails_alone(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);

    let answers = queue.enqueue_batch(one_of_them_refused(), false).await?;
    let next = accepted(&queue, named(100)).await?;

    let refused: Vec<usize> = (0..100).filter(|n| answers[*n].is_err()).collect();
    assert_eq!(refused, [70]);
    assert!(matches!(
        answers[70],
        Err(EnqueueError::Unavailable(DatabaseError::Refused(_)))
    ));
    assert_eq!((next.len(), count(&db).await?), (100, 199));
    Ok(())
}

// Fails when an atomic bulk is tried one by one, too.
#[sqlx::test(migrations = "../../migrations")]
async fn an_atomic_bulk_keeps_nothing_when_postgresql_refuses_one(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);

    let refused = queue.enqueue_batch(one_of_them_refused(), true).await;
    let after_refusal = count(&db).await?;
    let kept = queue.enqueue_batch(named(100), true).await?;

    assert!(matches!(
        refused,
        Err(EnqueueError::Unavailable(DatabaseError::Refused(_)))
    ));
    assert!(kept.iter().all(Result::is_ok));
    assert_eq!((after_refusal, count(&db).await?), (0, 100));
    Ok(())
}

/// An engine with a single connection for enqueues, as production makes it.
fn with_one_connection(db: &PgPool) -> anyhow::Result<Queue> {
    let database = Database::connect_lazy(DatabaseSettings {
        url: SecretString::from(db.connect_options().to_url_lossy().to_string()),
        requests: 1,
        enqueues: 1,
        engine: 1,
        claims: 1,
        application_name: "bulk".to_owned(),
    })?;
    let config = Config::parse(FAST, &[])
        .expect("the test's configuration is right")
        .config;
    let registry = registry();
    let kinds: Vec<_> = registry.kinds().cloned().collect();
    Ok(Queue::new(database, Arc::new(config), kinds)?)
}

/// More than fits between the two ends of a connection, so that the call cannot hand all of it over at once.
fn large() -> Vec<Asked> {
    let name = "x".repeat(200_000);
    let mut jobs: Vec<Asked> = (0..100).map(|_| (succeed(&name), None)).collect();
    jobs[0].0.priority = Some(9);
    jobs
}

/// Makes PostgreSQL wait at every row of priority 9 until lock 1 is free.
const WAIT_AT_NINE: &str = "
    CREATE FUNCTION public.wait_for_lock() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(1);
        RETURN NEW;
    END $$;
    CREATE TRIGGER wait_for_lock BEFORE INSERT ON millpond.jobs
        FOR EACH ROW WHEN (NEW.priority = 9) EXECUTE FUNCTION public.wait_for_lock();";

/// How many bulks PostgreSQL is at work on, and how many of them wait for lock 1.
async fn under_way(db: &PgPool) -> anyhow::Result<(i64, i64)> {
    let active = "SELECT count(*), count(*) FILTER (WHERE wait_event = 'advisory') FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'bulk' AND state = 'active'
                     AND query LIKE 'COPY %'";
    Ok(sqlx::query_as(active).fetch_one(db).await?)
}

// Fails when a call that is given up in the middle of its rows puts its connection back into the pool: the next call
// would hand its statement over as more rows. And when rows are stored before all of them have come.
#[sqlx::test(migrations = "../../migrations")]
async fn a_bulk_that_is_cut_off_stores_nothing_and_spoils_no_connection(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = with_one_connection(&db)?;
    sqlx::raw_sql(WAIT_AT_NINE).execute(&db).await?;
    let mut holder = db.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(1)")
        .execute(&mut *holder)
        .await?;
    let caller = queue.clone();
    let calling = tokio::spawn(async move { caller.enqueue_batch(large(), false).await });
    until("the first row waits", || async {
        Ok(under_way(&db).await? == (1, 1))
    })
    .await?;

    calling.abort();
    let cut_off = calling.await;
    let next = queue.enqueue(succeed("next"), None).await?;
    holder.rollback().await?;
    until("the rest of the bulk is over", || async {
        Ok(under_way(&db).await?.0 == 0)
    })
    .await?;

    assert!(cut_off.is_err_and(|error| error.is_cancelled()));
    assert_eq!(next.state, JobState::Ready);
    let bulk = accepted(&queue, named(100)).await?;
    assert_eq!((bulk.len(), count(&db).await?), (100, 101));
    queue.database().close().await;
    Ok(())
}
