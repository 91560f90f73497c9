//! P1 to P3: enqueueing, alone, together, in bulk.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{BenchError, BenchSettings, engine, noop, report::Figure};
use crate::{
    Queue,
    db::{Database, Session, within},
    store::bench as store,
};

/// How long a round lasts.
const ROUND: Duration = Duration::from_millis(1_500);
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
    let name = (
        "P1",
        "enqueue, 1 caller".to_owned(),
        "one prepared INSERT and commit",
    );
    Ok(Figure::ratio(name, ours, limit, 0.9))
}

/// P2: several callers at once, one job a call.
pub(super) async fn together(
    db: &Database,
    settings: &BenchSettings,
    callers: usize,
) -> Result<Figure, BenchError> {
    let queue = engine(db, false)?;
    let bare = BareGroupCommit::start(db.separate_pool(1));
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        ours.push(at_once(callers, &queue, enqueue_one).await?);
        limit.push(at_once(callers, &bare, bare_one).await?);
        empty(db).await?;
    }
    queue.close().await;
    let name = (
        "P2",
        format!("enqueue, {callers} callers"),
        "bare in-process group commit",
    );
    Ok(Figure::ratio(name, ours, limit, 0.8))
}

/// P3: a thousand jobs a call, one connection.
pub(super) async fn bulk(db: &Database, settings: &BenchSettings) -> Result<Figure, BenchError> {
    let queue = engine(db, false)?;
    let pool = db.separate_pool(1);
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        ours.push(repeat(async || enqueue_bulk(&queue).await).await?);
        limit.push(repeat(async || insert_bulk(&pool).await).await?);
        empty(db).await?;
    }
    queue.close().await;
    let name = (
        "P3",
        "bulk enqueue, 1,000 a call".to_owned(),
        "INSERT … SELECT FROM unnest of 1,000 narrow rows",
    );
    Ok(Figure::ratio(name, ours, limit, 0.8))
}

/// Empties what a round filled.
pub(super) async fn empty(db: &Database) -> Result<(), BenchError> {
    let mut session = db.request().await?;
    let emptied = within(async {
        store::empty_jobs(session.conn()).await?;
        store::prepare(session.conn()).await
    })
    .await;
    Ok(session.end(emptied)?)
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

#[expect(clippy::cast_precision_loss, reason = "jobs of a round are few")]
pub(super) fn per_second(jobs: usize, took: Duration) -> f64 {
    jobs as f64 / took.as_secs_f64()
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

async fn insert_one(pool: &PgPool) -> Result<usize, BenchError> {
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

async fn insert_bulk(pool: &PgPool) -> Result<usize, BenchError> {
    let ids: Vec<Uuid> = (0..BULK).map(|_| Uuid::now_v7()).collect();
    let mut session = Session::open(pool).await?;
    let stored = within(store::insert_many(session.conn(), &ids, noop::PAYLOAD)).await;
    session.end(stored)?;
    Ok(BULK)
}

/// A group commit with nothing around it: what P2 is measured against.
#[derive(Clone)]
struct BareGroupCommit(mpsc::Sender<(Uuid, oneshot::Sender<()>)>);

impl BareGroupCommit {
    fn start(pool: PgPool) -> Arc<Self> {
        let (sender, mut waiting) = mpsc::channel(8_192);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, BULK).await > 0 {
                let (ids, answers): (Vec<Uuid>, Vec<oneshot::Sender<()>>) = batch.drain(..).unzip();
                let Ok(mut session) = Session::open(&pool).await else {
                    continue;
                };
                let stored = within(store::insert_many(session.conn(), &ids, noop::PAYLOAD)).await;
                if session.end(stored).is_ok() {
                    for answer in answers {
                        // A caller that is gone has ended its round.
                        let _: Result<(), ()> = answer.send(());
                    }
                }
            }
        });
        Arc::new(Self(sender))
    }
}

async fn bare_one(bare: Arc<BareGroupCommit>) -> Result<(), BenchError> {
    let (answer, answered) = oneshot::channel();
    let failed = |_| BenchError::Database(crate::DatabaseError::TimedOut);
    bare.0
        .send((Uuid::now_v7(), answer))
        .await
        .map_err(|_| failed(()))?;
    answered.await.map_err(|_| failed(()))
}
