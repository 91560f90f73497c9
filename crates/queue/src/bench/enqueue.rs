//! P1 to P3: enqueueing, alone, together, in bulk.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    BenchError, BenchSettings, GroupCommit, ROUND, empty, engine, noop,
    report::{Figure, Goal, per_second},
};
use crate::{
    Queue,
    db::{Database, Pool, Session, within},
    store::bench as store,
};

/// What callers in this process are called in plots.
const SERIES: &str = "client library";
/// Jobs of a call in bulk.
const BULK: usize = 1_000;

/// P1: one caller, one job a call.
pub(super) async fn alone(db: &Database, settings: &BenchSettings) -> Result<Figure, BenchError> {
    let queue = engine(db, false)?;
    let pool = db.separate_pool(1);
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        ours.push(repeat(async || Ok(queue.enqueue(noop::job(), None).await.map(|_| 1)?)).await?);
        limit.push(repeat(async || insert_one(&pool).await).await?);
        empty(db).await?;
    }
    queue.close().await;
    Ok(Figure::new("P1", "enqueue, 1 caller", "/s", ours)
        .beside("one prepared INSERT and commit", limit)
        .judged_by(Goal::AtLeast(0.9))
        .in_series(SERIES, 1))
}

/// P2: several callers at once, one job a call.
pub(super) async fn together(
    db: &Database,
    settings: &BenchSettings,
    callers: usize,
) -> Result<Figure, BenchError> {
    let queue = engine(db, false)?;
    let bare = GroupCommit::start(db);
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        ours.push(at_once(callers, &queue, enqueue_one).await?);
        limit.push(at_once(callers, &bare, bare_one).await?);
        empty(db).await?;
    }
    queue.close().await;
    let what = format!("enqueue, {callers} callers");
    Ok(Figure::new("P2", what, "/s", ours)
        .beside("bare in-process group commit", limit)
        .judged_by(Goal::AtLeast(0.8))
        .in_series(SERIES, callers))
}

/// P3: a thousand jobs a call, one connection.
pub(super) async fn bulk(db: &Database, settings: &BenchSettings) -> Result<Figure, BenchError> {
    let queue = engine(db, false)?;
    let pool = db.separate_pool(1);
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        ours.push(repeat(async || enqueue_bulk(&queue).await).await?);
        limit.push(repeat(async || insert_rows(&pool, BULK).await).await?);
        empty(db).await?;
    }
    queue.close().await;
    Ok(Figure::new("P3", "bulk enqueue, 1,000 a call", "/s", ours)
        .beside("INSERT … SELECT FROM unnest of 1,000 narrow rows", limit)
        .judged_by(Goal::AtLeast(0.8)))
}

/// The limit of P5, in rows a second: callers that each store this many narrow rows at once, again and again.
///
/// # Errors
/// When the database fails.
pub async fn insert_together(db: &Database, callers: u32, rows: usize) -> Result<f64, BenchError> {
    let pool = db.separate_pool(callers);
    let callers = usize::try_from(callers).unwrap_or(usize::MAX);
    let calls = at_once(callers, &(pool.clone(), rows), insert_once).await?;
    pool.close().await;
    Ok(calls * per_second(rows, Duration::from_secs(1)))
}

/// Calls again and again for the time of a round and gives jobs a second.
async fn repeat(call: impl AsyncFn() -> Result<usize, BenchError>) -> Result<f64, BenchError> {
    let started = Instant::now();
    let mut jobs = 0;
    while started.elapsed() < ROUND {
        jobs += call().await?;
    }
    Ok(per_second(jobs, started.elapsed()))
}

/// Several tasks that call again and again for the time of a round, in jobs a second.
async fn at_once<T, F>(callers: usize, with: &T, call: fn(T) -> F) -> Result<f64, BenchError>
where
    T: Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), BenchError>> + Send + 'static,
{
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let with = with.clone();
        tasks.spawn(async move {
            let mut jobs = 0;
            while started.elapsed() < ROUND {
                call(with.clone()).await?;
                jobs += 1;
            }
            Ok::<usize, BenchError>(jobs)
        });
    }
    let mut jobs = 0;
    for done in tasks.join_all().await {
        jobs += done?;
    }
    Ok(per_second(jobs, started.elapsed()))
}

async fn enqueue_one(queue: Queue) -> Result<(), BenchError> {
    queue.enqueue(noop::job(), None).await?;
    Ok(())
}

pub(super) async fn enqueue_bulk(queue: &Queue) -> Result<usize, BenchError> {
    let jobs = (0..BULK).map(|_| (noop::job(), None)).collect();
    for result in queue.enqueue_batch(jobs, false).await? {
        result?;
    }
    Ok(BULK)
}

async fn insert_one(pool: &Pool) -> Result<usize, BenchError> {
    let mut session = Session::open(pool).await?;
    let stored = within(store::insert_one(
        session.conn(),
        Uuid::now_v7(),
        noop::PAYLOAD,
    ))
    .await;
    session.end(stored)?;
    Ok(1)
}

async fn insert_rows(pool: &Pool, rows: usize) -> Result<usize, BenchError> {
    let ids: Vec<Uuid> = (0..rows).map(|_| Uuid::now_v7()).collect();
    let mut session = Session::open(pool).await?;
    let stored = within(store::insert_many(session.conn(), &ids, noop::PAYLOAD)).await;
    session.end(stored)?;
    Ok(rows)
}

async fn insert_once((pool, rows): (Pool, usize)) -> Result<(), BenchError> {
    insert_rows(&pool, rows).await.map(drop)
}

async fn bare_one(bare: GroupCommit) -> Result<(), BenchError> {
    bare.store(noop::PAYLOAD.to_owned()).await
}
