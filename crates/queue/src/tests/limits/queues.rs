//! What a queue may run at a time and start in a span of time, whoever claims.

use std::time::{Duration, Instant};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use super::{claim, claim_on, count, crowd, enqueue_all, limited, names, roomy, run, settle};
use crate::{
    NewJob,
    gates::Sweep,
    store::claim::{self as plain, Claim},
    tests::fixture::{FAST, actor, succeed, until, work},
};

const SEVEN: &str = "[queues.default]\nglobal_concurrency = 7";

// Fails when a claim counts what runs before it has its turn, and when it does not wait for it.
#[sqlx::test(migrations = "../../migrations")]
async fn a_crowd_of_claimers_starts_no_more_than_the_fleet_may_run(
    _: PgPoolOptions,
    connection: PgConnectOptions,
) -> anyhow::Result<()> {
    let db = roomy(connection).await?;
    let queue = limited(&db, SEVEN).await?;
    enqueue_all(&queue, (0..100).map(|n| succeed(&n.to_string()))).await?;

    let first = crowd(&db, &["default"], 3, 2).await?;
    let ended = settle(&db, "default", &first[..4]).await?;
    let second = crowd(&db, &["default"], 3, 2).await?;

    assert_eq!((first.len(), ended, second.len()), (7, 4, 4));
    assert_eq!(count(&db, "state = 'running'").await?, 7);
    db.close().await;
    Ok(())
}

// Fails when a process that does not know of a limit can claim past it.
#[sqlx::test(migrations = "../../migrations")]
async fn a_limited_queue_gives_nothing_to_whoever_does_not_keep_its_limits(
    db: PgPool,
) -> anyhow::Result<()> {
    let kinds = ["test.work".to_owned()];
    let unaware = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    let mut given = Vec::new();
    for config in [
        SEVEN,
        "[queues.default]\nrate = \"1/s\"",
        "[queues.default]\nfair_by = \"tenant\"",
        "",
    ] {
        let queue = limited(&db, config).await?;
        queue.enqueue(succeed("x"), None).await?;

        given.push(plain::next(&db, &unaware, 1).await?.len());
    }

    assert_eq!(given, [0, 0, 0, 1]);
    Ok(())
}

// Fails when starts are counted before a claim has its turn, by the clock of its process, or for longer or shorter than a
// span.
#[sqlx::test(migrations = "../../migrations")]
async fn a_crowd_of_claimers_starts_no_more_in_a_span_than_the_rate_says(
    _: PgPoolOptions,
    connection: PgConnectOptions,
) -> anyhow::Result<()> {
    let db = roomy(connection).await?;
    let queue = limited(&db, "[queues.default]\nrate = \"5/h\"").await?;
    enqueue_all(&queue, (0..50).map(|n| succeed(&n.to_string()))).await?;

    let first = crowd(&db, &["default"], 3, 2).await?;
    settle(&db, "default", &first).await?;
    let mut conn = db.acquire().await?;
    let told = claim_on(&mut conn, "default", 3, &mut Sweep::default()).await?;
    drop(conn);
    let after = |minutes: i32| {
        format!(
            "UPDATE millpond.queues SET rate_times =
                 ARRAY(SELECT t - interval '{minutes} minutes' FROM unnest(rate_times) WITH ORDINALITY AS u (t, n) ORDER BY n)
              WHERE name = 'default'"
        )
    };
    run(&db, &after(58)).await?;
    let too_early = crowd(&db, &["default"], 3, 2).await?;
    run(&db, &after(3)).await?;
    let second = crowd(&db, &["default"], 3, 2).await?;

    assert_eq!((first.len(), too_early.len(), second.len()), (5, 0, 5));
    let wait = told.wait.expect("it is told when to come back");
    assert!(told.rows.is_empty() && !told.goes_on);
    assert!((3_000..=3_700).contains(&wait.as_secs()), "{wait:?}");
    db.close().await;
    Ok(())
}

/// The most attempts of the history that began within a second, each of them taken for the second's begin.
async fn most_in_a_second(db: &PgPool) -> anyhow::Result<i64> {
    let most = "SELECT COALESCE(max(n), 0) FROM (
                    SELECT count(*) OVER (ORDER BY started_at RANGE BETWEEN CURRENT ROW AND interval '999999 microseconds' FOLLOWING) AS n
                      FROM millpond.job_history) AS seconds";
    Ok(sqlx::query_scalar(most).fetch_one(db).await?)
}

// Fails when a feeder does not wake by itself once there is room again, and when its claims are not counted.
#[sqlx::test(migrations = "../../migrations")]
async fn a_worker_starts_as_many_a_second_as_the_rate_says_and_no_more(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, &format!("{FAST}[queues.default]\nrate = \"20/s\"")).await?;
    enqueue_all(&queue, (0..70).map(|n| succeed(&n.to_string()))).await?;

    let began = Instant::now();
    let (workers, _) = work(&queue).await?;
    until("all have run", || async {
        Ok(count(&db, "true").await? == 0)
    })
    .await?;
    let took = began.elapsed();

    let most = most_in_a_second(&db).await?;
    assert!(most <= 20, "{most} started within a second");
    assert!(took >= Duration::from_secs(3), "{took:?}");
    workers.drain().await;
    Ok(())
}

// Fails when the end of an attempt wakes nobody, or when a worker does not go by the limits.
#[sqlx::test(migrations = "../../migrations")]
async fn a_worker_drains_a_queue_that_may_run_one_at_a_time(db: PgPool) -> anyhow::Result<()> {
    let config = format!("{FAST}[queues.default]\nglobal_concurrency = 1");
    let queue = limited(&db, &config).await?;
    enqueue_all(&queue, (0..30).map(|n| succeed(&n.to_string()))).await?;

    let (workers, _) = work(&queue).await?;
    until("all have run", || async {
        Ok(count(&db, "true").await? == 0)
    })
    .await?;

    let overlaps: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT started_at < lag(finished_at) OVER (ORDER BY started_at) AS is_early
                                 FROM millpond.job_history) AS attempts WHERE is_early",
    )
    .fetch_one(&db)
    .await?;
    assert_eq!(overlaps, 0);
    workers.drain().await;
    Ok(())
}

// Fails when a claim under a limit leaves out what a plain one does, such as an order or a pause.
#[sqlx::test(migrations = "../../migrations")]
async fn a_limited_queue_keeps_its_order_and_its_pause(db: PgPool) -> anyhow::Result<()> {
    let queue = limited(&db, SEVEN).await?;
    for (name, priority) in [("c", 5), ("d", 9), ("a", 0), ("b", 0)] {
        let job = NewJob {
            priority: Some(priority),
            ..succeed(name)
        };
        queue.enqueue(job, None).await?;
    }
    queue.pause_queue("default", None, None, &actor()).await?;

    let paused = claim(&db, "default", 2).await?;
    queue.resume_queue("default", &actor()).await?;
    let first = claim(&db, "default", 3).await?;

    assert!(paused.is_empty());
    assert_eq!(names(&first), ["a", "b", "c"]);
    Ok(())
}
