//! P13: how long a claim takes beside few and many ready jobs, beside jobs that are not due, and beside a long history.
//! Tables are freshly loaded and not analysed, since that is what a flood of jobs looks like.

use std::time::Instant;

use uuid::Uuid;

use super::{
    BenchError, BenchSettings, KIND, PAYLOAD, empty,
    report::{Figure, Goal, percentile},
};
use crate::{
    db::{Database, Pool, Session, within},
    store::{
        bench as store,
        claim::{self, Claim},
    },
};

/// Ready jobs that the others are compared with.
const FEW: usize = 1_000;
/// Ready jobs.
const MANY: [(usize, &str); 2] = [(10_000, "10,000 ready"), (1_000_000, "1,000,000 ready")];
/// Jobs that are due tomorrow.
const DEFERRED: usize = 500_000;
/// Seconds until then.
const TOMORROW: f64 = 86_400.0;
/// Jobs in the history, where that is asked for.
const HISTORY: usize = 10_000_000;
/// Rows of a statement that loads: far from the statement timeout on a slow disk.
const LOAD: usize = 20_000;
/// Claims that are timed in a round, after some that are not: fewer than the few.
const SAMPLES: usize = 400;
const WARM_UP: usize = 20;
/// What ratios of P13 are taken to.
const COMPARED_WITH: &str = "the same at 1,000 ready";
/// Latency by that at 1,000 ready.
const GOAL: Goal = Goal::AtMost(2.0);

/// Latencies of one situation, in milliseconds, a value for each round.
#[derive(Debug, Default)]
struct Latency {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Latency {
    /// The lines of a situation beside those of few ready jobs.
    fn beside(self, few: &Self, situation: &str) -> [Figure; 2] {
        let what = |which: &str| format!("claim of one job, {which}, {situation}");
        [
            Figure::new("P13", what("p50"), "ms", self.p50).beside(COMPARED_WITH, few.p50.clone()),
            Figure::new("P13", what("p99"), "ms", self.p99)
                .beside(COMPARED_WITH, few.p99.clone())
                .judged_by(GOAL),
        ]
    }

    /// The lines of a situation that is compared with nothing.
    fn alone(self, what: &str) -> [Figure; 2] {
        [
            Figure::new("P13", format!("{what}, p50"), "ms", self.p50),
            Figure::new("P13", format!("{what}, p99"), "ms", self.p99),
        ]
    }
}

/// P13.
pub(super) async fn claims(
    db: &Database,
    settings: &BenchSettings,
    say: &dyn Fn(&str),
) -> Result<Vec<Figure>, BenchError> {
    let pool = db.separate_pool(1);
    let (mut few, mut deferred, mut idle) =
        (Latency::default(), Latency::default(), Latency::default());
    let mut many = MANY.map(|_| Latency::default());
    for round in 1..=settings.rounds {
        say(&format!(
            "P13: claims, round {round} of {}",
            settings.rounds
        ));
        with_ready(db, &pool, FEW, &mut few).await?;
        for ((ready, _), latency) in MANY.iter().zip(&mut many) {
            with_ready(db, &pool, *ready, latency).await?;
        }
        empty(db).await?;
        load(db, DEFERRED, Row::Deferred).await?;
        sample(&pool, &mut idle).await?;
        load(db, FEW, Row::Ready).await?;
        sample(&pool, &mut deferred).await?;
    }
    let mut figures = Vec::new();
    for ((_, situation), latency) in MANY.iter().zip(many) {
        figures.extend(latency.beside(&few, situation));
    }
    figures.extend(deferred.beside(&few, "1,000 ready, 500,000 due tomorrow"));
    figures.extend(history(db, settings, &few, say).await?);
    let [idle_p50, idle_p99] = idle.alone("empty poll beside 500,000 due tomorrow");
    figures.extend([idle_p50, idle_p99.judged_by(Goal::AtMost(1.0))]);
    figures.extend(few.alone("claim of one job, 1,000 ready"));
    empty(db).await?;
    pool.close().await;
    Ok(figures)
}

/// Claims beside a long history, where that is asked for. It is loaded once: that takes minutes.
async fn history(
    db: &Database,
    settings: &BenchSettings,
    few: &Latency,
    say: &dyn Fn(&str),
) -> Result<Vec<Figure>, BenchError> {
    let situation = "1,000 ready, 10,000,000 in history";
    if !settings.large {
        let what = format!("claim of one job, {situation}");
        let line = Figure::not_measured("P13", what, "not measured: pass --large");
        return Ok(vec![line]);
    }
    say("P13: claims beside a history of 10,000,000: loading it");
    let pool = db.separate_pool(1);
    let mut latency = Latency::default();
    load(db, HISTORY, Row::Finished).await?;
    for _ in 0..settings.rounds {
        with_ready(db, &pool, FEW, &mut latency).await?;
    }
    let mut session = db.request().await?;
    let emptied = within(store::empty_history(session.conn())).await;
    session.end(emptied)?;
    pool.close().await;
    Ok(latency.beside(few, situation).into())
}

async fn with_ready(
    db: &Database,
    pool: &Pool,
    ready: usize,
    latency: &mut Latency,
) -> Result<(), BenchError> {
    empty(db).await?;
    load(db, ready, Row::Ready).await?;
    sample(pool, latency).await
}

/// Claims jobs one by one, as a feeder does when the queue is quiet, and keeps how long it took.
async fn sample(pool: &Pool, latency: &mut Latency) -> Result<(), BenchError> {
    let kinds = [KIND.to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    let mut waits_ms = Vec::with_capacity(SAMPLES);
    for number in 0..WARM_UP + SAMPLES {
        let asked = Instant::now();
        let mut session = Session::open(pool).await?;
        let claimed = within(claim::next(session.conn(), &claim, 1)).await;
        session.end(claimed)?;
        if number >= WARM_UP {
            waits_ms.push(asked.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    latency.p50.push(percentile(&mut waits_ms, 50));
    latency.p99.push(percentile(&mut waits_ms, 99));
    Ok(())
}

/// What a table is loaded with.
#[derive(Debug, Clone, Copy)]
enum Row {
    Ready,
    Deferred,
    Finished,
}

async fn load(db: &Database, rows: usize, row: Row) -> Result<(), BenchError> {
    let mut left = rows;
    while left > 0 {
        let ids: Vec<Uuid> = (0..left.min(LOAD)).map(|_| Uuid::now_v7()).collect();
        let mut session = db.request().await?;
        let loaded = within(async {
            let conn = session.conn();
            match row {
                Row::Ready => store::load_jobs(conn, &ids, KIND, PAYLOAD, 0.0).await,
                Row::Deferred => store::load_jobs(conn, &ids, KIND, PAYLOAD, TOMORROW).await,
                Row::Finished => store::load_history(conn, &ids, KIND, PAYLOAD).await,
            }
        })
        .await;
        session.end(loaded)?;
        left -= ids.len();
    }
    Ok(())
}
