//! P6, P7, P11, P12: draining what is ready, what it writes, and what it leaves behind.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    BenchError, BenchSettings, engine,
    enqueue::{empty, enqueue_bulk, per_second},
    noop::{self, Ran},
    report::{Figure, Goal},
};
use crate::{
    DatabaseError, Queue, WorkerSettings, Workers,
    db::{Database, Session, within},
    store::bench as store,
};

/// How often the end of a drain is looked for.
const LOOK: Duration = Duration::from_millis(2);
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
    let limit_is = "lease-and-delete cycle of 500, 1 connection";
    let speed = Figure::ratio(
        (id, format!("{what}, {} jobs", settings.jobs), limit_is),
        ours,
        limit,
        goal,
    );
    let what = format!("WAL a job, bulk enqueue and {what}");
    Ok(Drained {
        speed,
        wal: Figure::alone("P11", what, wal, "B", Goal::AtMost(most_wal)),
    })
}

/// P12: the size of the hot table after many fills and drains, by that after the first.
pub(super) async fn growth(db: &Database, settings: &BenchSettings) -> Result<Figure, BenchError> {
    empty(db).await?;
    let queue = engine(db, false)?;
    let mut first = 0.0;
    let mut last = 0.0;
    for fill_number in 0..settings.fills {
        fill(&queue, settings.jobs).await?;
        drain_once(&queue, settings.jobs).await?;
        ask(db, Asked::Vacuum).await?;
        last = ask(db, Asked::Size).await?;
        if fill_number == 0 {
            first = last;
        }
    }
    queue.close().await;
    let what = format!(
        "size of the hot table after {} fills and drains, by that after the first",
        settings.fills
    );
    Ok(Figure::alone(
        "P12",
        what,
        vec![last / first],
        "×",
        Goal::AtMost(1.1),
    ))
}

async fn fill(queue: &Queue, jobs: usize) -> Result<(), BenchError> {
    let mut filled = 0;
    while filled < jobs {
        filled += enqueue_bulk(queue).await?;
    }
    Ok(())
}

/// Starts workers, waits until every job has left the hot table, and gives jobs a second.
async fn drain_once(queue: &Queue, jobs: usize) -> Result<f64, BenchError> {
    let ran = Arc::new(Ran::default());
    let settings = WorkerSettings {
        queues: Some(vec!["default".to_owned()]),
        roles: Vec::new(),
        version: "bench".to_owned(),
    };
    let started = Instant::now();
    let workers =
        Workers::start(queue.clone(), noop::registry(), Arc::clone(&ran), settings).await?;
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let all_ran = ran.count.load(Ordering::Relaxed) >= jobs as u64;
        if all_ran && ask(queue.database(), Asked::HasJobs).await? == 0.0 {
            break;
        }
        if started.elapsed() > LONGEST {
            return Err(BenchError::Database(DatabaseError::TimedOut));
        }
    }
    let speed = per_second(jobs, started.elapsed());
    workers.drain().await;
    Ok(speed)
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

/// A number to ask the database for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Wal,
    Size,
    HasJobs,
    Transactions,
    Vacuum,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes and counts stay far below 2^53"
)]
pub(super) async fn ask(db: &Database, asked: Asked) -> Result<f64, DatabaseError> {
    let mut session = db.engine().await?;
    let answer = within(async {
        let conn = session.conn();
        Ok(match asked {
            Asked::Wal => store::wal_bytes(conn).await?,
            Asked::Size => store::size_bytes(conn).await? as f64,
            Asked::HasJobs => f64::from(u8::from(store::has_jobs(conn).await?)),
            Asked::Transactions => store::transactions(conn).await? as f64,
            Asked::Vacuum => store::vacuum(conn).await.map(|()| 0.0)?,
        })
    })
    .await;
    session.end(answer)
}
