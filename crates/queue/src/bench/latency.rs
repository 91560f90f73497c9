//! P8 and P9: from enqueue to start when the queue is quiet, and what an idle process costs.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    BenchError, BenchSettings, engine, noop,
    noop::Ran,
    probe::{Asked, ask},
    report::{Figure, Goal, percentile},
};
use crate::{Leader, Queue, WorkerSettings, Workers, db::Database};

/// Jobs of a round whose start is timed, and the time between two: 50 a second.
const JOBS: u64 = 200;
const EVERY: Duration = Duration::from_millis(20);
/// Longest that a start is waited for.
const LONGEST: Duration = Duration::from_secs(5);
/// How long a process has to come to rest, and how long it is watched then.
const REST: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(40);
/// The kernel counts the time on a core in hundredths of a second.
const TICKS: f64 = 100.0;

fn worker() -> WorkerSettings {
    WorkerSettings {
        queues: None,
        roles: vec!["worker".to_owned()],
        version: "bench".to_owned(),
    }
}

/// P8: the time from the call of enqueue to the handler's start, in one process, at 50 jobs a second.
pub(super) async fn start(
    db: &Database,
    settings: &BenchSettings,
) -> Result<[Figure; 2], BenchError> {
    let queue = engine(db, false)?;
    let ran = Arc::new(Ran::default());
    let workers =
        Workers::start(queue.clone(), noop::registry(), Arc::clone(&ran), worker()).await?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let mut waits_ms = starts(&queue, &ran).await?;
        p50.push(percentile(&mut waits_ms, 50));
        p99.push(percentile(&mut waits_ms, 99));
    }
    workers.drain().await;
    queue.close().await;
    let what = |which: &str| format!("enqueue → start at 50 jobs/s, one process, {which}");
    Ok([
        Figure::new("P8", what("p50"), "ms", p50).judged_by(Goal::AtMost(0.6)),
        Figure::new("P8", what("p99"), "ms", p99),
    ])
}

async fn starts(queue: &Queue, ran: &Ran) -> Result<Vec<f64>, BenchError> {
    let mut waits_ms = Vec::new();
    let mut pace = tokio::time::interval(EVERY);
    for _ in 0..JOBS {
        pace.tick().await;
        let before = ran.count.load(Ordering::Relaxed);
        let asked = Instant::now();
        queue.enqueue(noop::job(), None).await?;
        while ran.count.load(Ordering::Relaxed) <= before && asked.elapsed() < LONGEST {
            tokio::task::yield_now().await;
        }
        waits_ms.push(asked.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(waits_ms)
}

/// P9: transactions a second, and time on a core, while there is nothing to do, with workers for all queues and a leader.
pub(super) async fn idle(db: &Database) -> Result<[Figure; 2], BenchError> {
    let queue = engine(db, false)?;
    queue.announce().await?;
    let ran = Arc::new(Ran::default());
    let workers = Workers::start(queue.clone(), noop::registry(), ran, worker()).await?;
    let leader = Leader::start(queue.clone());
    tokio::time::sleep(REST).await;
    let (before, busy_before) = (ask(db, Asked::Transactions).await?, seconds_on_a_core());
    let started = Instant::now();
    tokio::time::sleep(IDLE).await;
    let (after, busy_after) = (ask(db, Asked::Transactions).await?, seconds_on_a_core());
    let took = started.elapsed().as_secs_f64();
    leader.stop().await;
    workers.drain().await;
    queue.close().await;
    let what = "idle, worker and leader, built-in queues";
    let transactions = Figure::new(
        "P9",
        format!("{what}: transactions"),
        "/s",
        vec![(after - before) / took],
    )
    .judged_by(Goal::AtMost(1.0));
    let share = (busy_after - busy_before) / took * 100.0;
    let core = Figure::new("P9", format!("{what}: share of a core"), "%", vec![share])
        .judged_by(Goal::AtMost(0.1));
    Ok([transactions, core])
}

/// Time that this process has spent on cores so far; zero where the kernel does not say.
fn seconds_on_a_core() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // User and system time are the fields 14 and 15; the third follows the name.
    let ticks: f64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / TICKS
}
