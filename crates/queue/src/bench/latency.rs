//! P8: from enqueue to start when the queue is quiet, in this process, and the least that telling another process of a
//! job and handing it over takes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use sqlx::postgres::PgListener;
use uuid::Uuid;

use super::{
    BenchError, BenchSettings, engine, noop,
    noop::Ran,
    report::{Figure, Goal, percentile},
};
use crate::{
    Queue, WorkerSettings, Workers,
    db::{Database, Pool, Session, within},
    store::bench as store,
};

/// Jobs of a round whose start is timed, and the time between two: 50 a second.
const JOBS: u64 = 200;
const EVERY: Duration = Duration::from_millis(20);
/// Longest that a start is waited for.
const LONGEST: Duration = Duration::from_secs(5);
/// Hand-overs of a round that are timed, after some that are not.
const HAND_OVERS: usize = 300;
const WARM_UP: usize = 20;
/// What starts are shown beside.
const LIMIT: &str = "notify round trip + claim of one row";

/// How long jobs waited: the median and the 99th percentile of each round, in milliseconds.
#[derive(Debug, Default)]
pub struct Waits {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Waits {
    /// Adds a round.
    pub fn add(&mut self, mut waits_ms: Vec<f64>) {
        self.p50.push(percentile(&mut waits_ms, 50));
        self.p99.push(percentile(&mut waits_ms, 99));
    }

    /// The median's line and the other percentile's, with what [`hand_overs_ms`] took in the same rounds.
    #[must_use]
    pub fn beside(self, limit: Self, processes: &str) -> [Figure; 2] {
        let line = |which: &str, ours, limit| {
            let what = format!("enqueue → start at 50 jobs/s, {processes}, {which}");
            Figure::new("P8", what, "ms", ours).with_limit(LIMIT, limit)
        };
        [
            line("p50", self.p50, limit.p50),
            line("p99", self.p99, limit.p99),
        ]
    }
}

/// P8 in one process: the time from the call of enqueue to the handler's start, at 50 jobs a second.
pub(super) async fn start(
    db: &Database,
    settings: &BenchSettings,
) -> Result<[Figure; 2], BenchError> {
    let queue = engine(db, false)?;
    let ran = Arc::new(Ran::default());
    let worker = WorkerSettings {
        queues: None,
        roles: vec!["worker".to_owned()],
        version: "bench".to_owned(),
    };
    let workers = Workers::start(queue.clone(), noop::registry(), Arc::clone(&ran), worker).await?;
    let measured = rounds(&queue, &ran, settings.rounds).await;
    workers.drain().await;
    queue.close().await;
    let [p50, p99] = measured?;
    Ok([p50.judged_by(Goal::AtMost(0.6)), p99])
}

async fn rounds(queue: &Queue, ran: &Ran, rounds: usize) -> Result<[Figure; 2], BenchError> {
    let (mut ours, mut limit) = (Waits::default(), Waits::default());
    for _ in 0..rounds {
        ours.add(starts_ms(queue, ran).await?);
        limit.add(hand_overs_ms(queue.database()).await?);
    }
    Ok(ours.beside(limit, "one process"))
}

async fn starts_ms(queue: &Queue, ran: &Ran) -> Result<Vec<f64>, BenchError> {
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

/// The limit of P8, in milliseconds each: one connection is told by another of a row that is there, and leases it.
/// Neither commit waits for the disk, since a message and a lease may both be lost.
///
/// # Errors
/// When the database fails.
pub async fn hand_overs_ms(db: &Database) -> Result<Vec<f64>, BenchError> {
    let telling = db.separate_pool(1);
    // Not closed: a listener gives its connection back in a task of its own, and the pool goes with that.
    let waits_ms = hand_over(&telling, &db.separate_pool(1)).await;
    telling.close().await;
    waits_ms
}

async fn hand_over(telling: &Pool, hearing: &Pool) -> Result<Vec<f64>, BenchError> {
    let mut teller = Session::open(telling).await?;
    within(store::answer_early(teller.conn())).await?;
    let mut hearer = within(async {
        let mut hearer = PgListener::connect_with(&hearing.present()).await?;
        store::answer_early(&mut hearer).await?;
        hearer.listen(store::CHANNEL).await?;
        Ok(hearer)
    })
    .await?;
    let mut waits_ms = Vec::with_capacity(HAND_OVERS);
    for number in 0..WARM_UP + HAND_OVERS {
        within(store::insert_one(
            teller.conn(),
            Uuid::now_v7(),
            noop::PAYLOAD,
        ))
        .await?;
        let asked = Instant::now();
        within(async {
            // Whoever hears does not wait until the teller is answered.
            tokio::try_join!(store::tell(teller.conn()), async {
                hearer.recv().await?;
                store::lease(&mut hearer).await
            })
        })
        .await?;
        if number >= WARM_UP {
            waits_ms.push(asked.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    teller.end(Ok(()))?;
    Ok(waits_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Rounds;

    #[test]
    fn each_round_of_waits_becomes_a_value_of_both_lines() {
        let (mut ours, mut limit) = (Waits::default(), Waits::default());
        ours.add(vec![3.0, 1.0, 2.0]);
        ours.add(vec![5.0]);
        limit.add(vec![0.5]);

        let [p50, p99] = ours.beside(limit, "one process");

        let values = |rounds: Option<Rounds>| rounds.map(|rounds| rounds.values);
        assert_eq!(values(p50.ours), Some(vec![2.0, 5.0]));
        assert_eq!(values(p99.ours), Some(vec![3.0, 5.0]));
        assert_eq!(values(p50.limit), Some(vec![0.5]));
        assert!(p50.ratio.is_none());
    }
}
