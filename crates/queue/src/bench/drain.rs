//! P6, P7, P11, P12: draining what is ready, what it writes, and what it leaves behind.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    BenchError, BenchSettings, empty, engine,
    enqueue::enqueue_bulk,
    noop::{self, Ran},
    probe::{Asked, ask},
    report::{Figure, Goal, per_second},
};
use crate::{
    DatabaseError, Queue, WorkerSettings, Workers,
    db::{Database, Session, within},
    store::bench as store,
};

/// How often the end of a drain is looked for.
const LOOK: Duration = Duration::from_millis(10);
/// Longest that a drain may take.
const LONGEST: Duration = Duration::from_secs(300);

/// A drain's speed, and the write-ahead log of a job's whole life.
pub(super) struct Drained {
    pub(super) speed: Figure,
    pub(super) wal: Figure,
}

/// P6 or P7, and P11: enqueues in bulk, then drains with one worker process.
pub(super) async fn drain(
    db: &Database,
    settings: &BenchSettings,
    keep: bool,
) -> Result<Drained, BenchError> {
    let (mut ours, mut limit, mut wal) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        empty(db).await?;
        let queue = engine(db, keep)?;
        let before = ask(db, Asked::Wal).await?;
        fill(&queue, settings.jobs).await?;
        ours.push(drain_once(&queue, settings.jobs).await?);
        let after = ask(db, Asked::Wal).await?;
        wal.push((after - before) / per_second(settings.jobs, Duration::from_secs(1)));
        queue.close().await;
        limit.push(lease_and_delete(db, settings.jobs).await?);
    }
    let (id, what, goal, most_wal) = if keep {
        ("P7", "drain, history kept", 0.65, 1_600.0)
    } else {
        ("P6", "drain, nothing kept", 0.95, 1_100.0)
    };
    let speed = Figure::new(id, format!("{what}, {} jobs", settings.jobs), "/s", ours)
        .beside("lease-and-delete cycle of 500, 1 connection", limit)
        .judged_by(Goal::AtLeast(goal));
    let what = format!("WAL a job, bulk enqueue and {what}");
    Ok(Drained {
        speed,
        wal: Figure::new("P11", what, "B", wal).judged_by(Goal::AtMost(most_wal)),
    })
}

/// P12: the size of the hot table with its indexes after many fills and drains, by that after the first. One process
/// fills and drains all the time, as in production; nobody cleans up but it and autovacuum.
pub(super) async fn growth(db: &Database, settings: &BenchSettings) -> Result<Figure, BenchError> {
    empty(db).await?;
    let queue = engine(db, false)?;
    let worker = Worker::start(&queue).await?;
    let sizes = sizes(&worker, settings).await;
    worker.workers.drain().await;
    queue.close().await;
    let sizes = sizes?;
    let first = sizes.first().copied().unwrap_or(1.0);
    let last = sizes.last().copied().unwrap_or(first);
    let largest = sizes.iter().copied().fold(first, f64::max);
    let what = format!(
        "size of the hot table after {} fills and drains, by that after the first",
        settings.fills
    );
    Ok(Figure::new("P12", what, "×", vec![last / first])
        .judged_by(Goal::AtMost(1.1))
        .noted(format!("at its largest {:.2}", largest / first)))
}

/// The size after each fill and drain.
async fn sizes(worker: &Worker, settings: &BenchSettings) -> Result<Vec<f64>, BenchError> {
    let mut sizes = Vec::with_capacity(settings.fills);
    for filled in 1..=settings.fills {
        fill(&worker.queue, settings.jobs).await?;
        worker.until_done(filled * settings.jobs).await?;
        sizes.push(ask(worker.queue.database(), Asked::Size).await?);
    }
    Ok(sizes)
}

pub(super) async fn fill(queue: &Queue, jobs: usize) -> Result<(), BenchError> {
    let mut filled = 0;
    while filled < jobs {
        filled += enqueue_bulk(queue).await?;
    }
    Ok(())
}

/// Starts workers, waits until every job has left the hot table, and gives jobs a second.
pub(super) async fn drain_once(queue: &Queue, jobs: usize) -> Result<f64, BenchError> {
    let started = Instant::now();
    let worker = Worker::start(queue).await?;
    let done = worker.until_done(jobs).await;
    let speed = per_second(jobs, started.elapsed());
    worker.workers.drain().await;
    done.map(|()| speed)
}

/// A worker process of the benchmark's queue, with what it has run.
struct Worker {
    queue: Queue,
    workers: Workers,
    ran: Arc<Ran>,
}

impl Worker {
    async fn start(queue: &Queue) -> Result<Self, BenchError> {
        let ran = Arc::new(Ran::default());
        let settings = WorkerSettings {
            queues: Some(vec!["default".to_owned()]),
            roles: Vec::new(),
            version: "bench".to_owned(),
        };
        let registry = noop::registry();
        let workers = Workers::start(queue.clone(), registry, Arc::clone(&ran), settings).await?;
        Ok(Self {
            queue: queue.clone(),
            workers,
            ran,
        })
    }

    /// Waits until so many jobs have run in all and none is left.
    async fn until_done(&self, jobs: usize) -> Result<(), BenchError> {
        let started = Instant::now();
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            let all_ran = self.ran.count.load(Ordering::Relaxed) >= jobs as u64;
            if all_ran && ask(self.queue.database(), Asked::HasJobs).await? == 0.0 {
                return Ok(());
            }
            if started.elapsed() > LONGEST {
                return Err(BenchError::Database(DatabaseError::TimedOut));
            }
        }
    }
}

/// The limit: what one connection can lease and delete when nothing runs in between.
async fn lease_and_delete(db: &Database, jobs: usize) -> Result<f64, BenchError> {
    let pool = db.separate_pool(1);
    let mut filled = 0;
    while filled < jobs {
        let ids: Vec<uuid::Uuid> = (0..1_000).map(|_| uuid::Uuid::now_v7()).collect();
        let mut session = Session::open(&pool).await?;
        let stored = within(store::insert_many(session.conn(), &ids, noop::PAYLOAD)).await;
        session.end(stored)?;
        filled += ids.len();
    }
    let started = Instant::now();
    let mut done = 0;
    while done < filled {
        let mut session = Session::open(&pool).await?;
        let deleted = within(async {
            let ids = store::lease(session.conn()).await?;
            store::delete(session.conn(), &ids).await
        })
        .await;
        done += usize::try_from(session.end(deleted)?).unwrap_or(0);
    }
    Ok(per_second(filled, started.elapsed()))
}
