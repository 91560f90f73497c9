//! P15: what two, four and eight worker processes do together on one queue, beside what one does alone. Their work is a
//! call to a sink in this process, counted there: no figure depends on what a worker says of itself.

use std::time::{Duration, Instant};

use anyhow::bail;
use queue::{
    Queue,
    bench::{Figure, Goal, ROUND, deadlocks, empty, per_second},
};
use tokio::time::sleep;

use super::{
    child::Child,
    ground::{Ground, fill},
    memory::READY,
    sink::Sink,
};

/// Processes on the queue; the first stands alone.
const PROCESSES: [usize; 4] = [1, 2, 4, 8];
/// From the last process's readiness to the first count: workers start once the process is ready.
const SETTLE: Duration = Duration::from_millis(500);
/// How often calls are counted.
const LOOK: Duration = Duration::from_millis(10);
/// What deadlocks are counted by.
const CLAIMS: f64 = 10_000.0;

/// P15.
pub(super) async fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Figure>> {
    let queue = ground.queue()?;
    let deadlocks_before = deadlocks(&ground.db).await?;
    let mut rates = PROCESSES.map(|_| Vec::new());
    let mut calls = 0.0;
    for _ in 0..ground.settings.rounds {
        for (processes, rates) in PROCESSES.into_iter().zip(&mut rates) {
            let drained = together(ground, &queue, processes).await?;
            rates.push(drained.per_second);
            calls += drained.calls;
        }
    }
    let met = deadlocks(&ground.db).await? - deadlocks_before;
    queue.close().await;
    let [alone, two, four, eight] = rates;
    let limit_is = "one process";
    let mut figures = Vec::new();
    for (processes, rates) in PROCESSES.into_iter().skip(1).zip([two, four, eight]) {
        let what = format!("{processes} worker processes on one queue, http.request to a sink");
        let figure = Figure::new("P15", what, "/s", rates).beside(limit_is, alone.clone());
        figures.push(figure.judged_by(Goal::AtLeast(1.0)));
    }
    let what = "deadlocks in 10,000 jobs of one to eight processes";
    let figure = Figure::new("P15", what, "", vec![met / calls * CLAIMS]);
    figures.push(figure.judged_by(Goal::AtMost(1.0)));
    Ok(figures)
}

/// What processes did together.
struct Drained {
    per_second: f64,
    calls: f64,
}

async fn together(ground: &Ground<'_>, queue: &Queue, processes: usize) -> anyhow::Result<Drained> {
    empty(&ground.db).await?;
    let sink = Sink::start().await?;
    fill(queue, ground.settings.jobs, &sink.url()).await?;
    let mut children = Vec::new();
    for _ in 0..processes {
        children.push(Child::serve(ground, "worker")?);
    }
    for child in &mut children {
        child.ready(READY).await?;
    }
    sleep(SETTLE).await;
    let drained = count(&sink, ground.settings.jobs).await;
    drop(children);
    empty(&ground.db).await?;
    drained
}

/// Counts calls for the time of a round, or until the queue runs dry.
async fn count(sink: &Sink, jobs: usize) -> anyhow::Result<Drained> {
    let (started, before) = (Instant::now(), sink.served());
    let jobs = u64::try_from(jobs)?;
    if before >= jobs {
        bail!("the queue ran dry before all processes were ready: give more --jobs");
    }
    while started.elapsed() < ROUND && sink.served() < jobs {
        sleep(LOOK).await;
    }
    let (took, after) = (started.elapsed(), sink.served());
    if after == before {
        bail!("the workers made no call for {} s", took.as_secs_f64());
    }
    let second = Duration::from_secs(1);
    Ok(Drained {
        per_second: per_second(usize::try_from(after - before)?, took),
        calls: per_second(usize::try_from(after)?, second),
    })
}
