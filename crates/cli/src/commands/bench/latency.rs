//! P8 across processes: jobs are enqueued here and run by a worker in another process, at 50 a second. A job has
//! started when its handler's call arrives here: so one clock measures all of it, and the call is in it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use queue::{
    Queue,
    bench::{Figure, Goal, Waits, hand_overs_ms},
};
use tokio::{
    sync::mpsc,
    time::{interval, timeout},
};

use super::{
    child::Child,
    ground::{Ground, call},
    memory::READY,
    sink::{Arrival, Sink},
};

/// Jobs of a round, and those before the first, which find connections unmade and statements unprepared.
const JOBS: usize = 200;
const WARM_UP: usize = 50;
/// The time between two jobs: 50 a second.
const EVERY: Duration = Duration::from_millis(20);
/// Longest that a start is waited for.
const LONGEST: Duration = Duration::from_secs(10);
/// What to know when reading it.
const NOTE: &str = "until the handler's HTTP call has come";

/// P8 with two processes.
pub(super) async fn measure(ground: &Ground<'_>) -> anyhow::Result<[Figure; 2]> {
    let queue = ground.queue()?;
    let (told, arrivals) = mpsc::channel(JOBS);
    let mut starts = Starts {
        queue,
        sink: Sink::telling(told).await?,
        arrivals,
    };
    let mut child = Child::serve(ground, "worker")?;
    child.ready(READY).await?;
    starts.waits_ms(0, WARM_UP).await?;
    let (mut ours, mut limit) = (Waits::default(), Waits::default());
    for round in 1..=ground.settings.rounds {
        ours.add(starts.waits_ms(round, JOBS).await?);
        limit.add(hand_overs_ms(&ground.db).await?);
    }
    drop(child);
    starts.queue.close().await;
    let [p50, p99] = ours.beside(limit, "two processes");
    Ok([
        p50.judged_by(Goal::AtMost(1.0)).noted(NOTE),
        p99.judged_by(Goal::AtMost(3.0)).noted(NOTE),
    ])
}

/// Jobs on their way from here to their start.
struct Starts {
    queue: Queue,
    sink: Sink,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Starts {
    /// How long the jobs of a round waited, in milliseconds. None waits for the one before it to start: a late start
    /// delays no enqueue.
    async fn waits_ms(&mut self, round: usize, jobs: usize) -> anyhow::Result<Vec<f64>> {
        let mut asked = HashMap::with_capacity(jobs);
        let mut pace = interval(EVERY);
        for number in 0..jobs {
            let target = format!("{round}/{number}");
            let job = call(&format!("{}{target}", self.sink.url()))?;
            pace.tick().await;
            asked.insert(format!("/{target}"), Instant::now());
            self.queue.enqueue(job, None).await?;
        }
        let mut waits_ms = Vec::with_capacity(jobs);
        while !asked.is_empty() {
            let arrival = timeout(LONGEST, self.arrivals.recv()).await;
            let arrival = arrival
                .context("a job was not started in time")?
                .context("the sink has ended")?;
            // A second call of the same job is no start.
            if let Some(asked_at) = asked.remove(&arrival.target) {
                let waited = arrival.at.duration_since(asked_at);
                waits_ms.push(waited.as_secs_f64() * 1_000.0);
            }
        }
        Ok(waits_ms)
    }
}
