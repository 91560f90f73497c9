//! P8 and P9: from enqueue to start when the queue is quiet, and what an idle process costs.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    BenchError,
    drain::{Asked, ask},
    engine, noop,
    noop::Ran,
    report::{Figure, Goal},
};
use crate::{Leader, WorkerSettings, Workers, db::Database};

/// Jobs whose start is timed, and the time between two: 50 a second.
const JOBS: u64 = 200;
const EVERY: Duration = Duration::from_millis(20);
/// How long an idle process is watched.
const IDLE: Duration = Duration::from_secs(15);

fn settings() -> WorkerSettings {
    WorkerSettings {
        queues: None,
        roles: vec!["worker".to_owned()],
        version: "bench".to_owned(),
    }
}

/// P8: the median time from the call of enqueue to the handler's start, in one process, at 50 jobs a second.
pub(super) async fn start(db: &Database) -> Result<Figure, BenchError> {
    let queue = engine(db, false)?;
    let ran = Arc::new(Ran::default());
    let workers = Workers::start(
        queue.clone(),
        noop::registry(),
        Arc::clone(&ran),
        settings(),
    )
    .await?;
    let mut waits = Vec::new();
    let mut pace = tokio::time::interval(EVERY);
    for done in 0..JOBS {
        pace.tick().await;
        let asked = Instant::now();
        queue.enqueue(noop::job(), None).await?;
        while ran.count.load(Ordering::Relaxed) <= done && asked.elapsed() < Duration::from_secs(5)
        {
            tokio::task::yield_now().await;
        }
        waits.push(asked.elapsed().as_secs_f64() * 1_000.0);
    }
    workers.drain().await;
    queue.close().await;
    let what = "enqueue → start at 50 jobs/s, one process, p50".to_owned();
    Ok(Figure::alone("P8", what, waits, "ms", Goal::AtMost(0.6)))
}

/// P9: transactions a second while there is nothing to do, with workers for all queues and a leader.
pub(super) async fn idle(db: &Database) -> Result<Figure, BenchError> {
    let queue = engine(db, false)?;
    queue.announce().await?;
    let workers = Workers::start(
        queue.clone(),
        noop::registry(),
        Arc::new(Ran::default()),
        settings(),
    )
    .await?;
    let leader = Leader::start(queue.clone());
    let before = ask(db, Asked::Transactions).await?;
    let started = Instant::now();
    tokio::time::sleep(IDLE).await;
    let after = ask(db, Asked::Transactions).await?;
    let rate = (after - before) / started.elapsed().as_secs_f64();
    leader.stop().await;
    workers.drain().await;
    queue.close().await;
    let what = "idle, worker and leader, built-in queues: transactions".to_owned();
    Ok(Figure::alone(
        "P9",
        what,
        vec![rate],
        "/s",
        Goal::AtMost(1.0),
    ))
}
