//! P10: the most memory that a process ever has resident: a worker that drains, an API under load, all roles idle.

use std::time::{Duration, Instant};

use anyhow::bail;
use queue::{
    Queue,
    bench::{Figure, Goal, ROUND, empty, has_jobs},
};
use tokio::time::sleep;

use super::{
    child::{ALL_ROLES, Child},
    ground::{Ground, call_body, fill},
    load::{Load, Request},
    sink::Sink,
};

/// Longest that a child may take to be ready.
pub(super) const READY: Duration = Duration::from_secs(30);
/// How often the end of a drain is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// Longest that a drain may take.
const LONGEST: Duration = Duration::from_secs(600);
/// How long an idle process is watched.
const IDLE: Duration = Duration::from_secs(10);
/// Connections of the API under load.
const CONNECTIONS: usize = 256;
/// Where jobs go that nobody runs.
const NOWHERE: &str = "http://127.0.0.1:9/";

/// P10.
pub(super) async fn measure(ground: &Ground<'_>) -> anyhow::Result<[Figure; 3]> {
    let queue = ground.queue()?;
    let (mut worker, mut api, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ground.settings.rounds {
        worker.push(draining(ground, &queue).await?);
        api.push(under_load(ground, &queue).await?);
        idle.push(at_rest(ground).await?);
        empty(&ground.db).await?;
    }
    queue.close().await;
    let drained = format!(
        "peak memory, worker draining {} http.request",
        ground.settings.jobs
    );
    let figure = |what: String, values: Vec<f64>, goal_mb: f64| {
        Figure::new("P10", what, "MB", values).judged_by(Goal::AtMost(goal_mb))
    };
    let loaded = format!("peak memory, API at {CONNECTIONS} connections");
    Ok([
        figure(drained, worker, 25.0),
        figure(loaded, api, 30.0),
        figure("peak memory, all roles, idle".to_owned(), idle, 60.0),
    ])
}

async fn draining(ground: &Ground<'_>, queue: &Queue) -> anyhow::Result<f64> {
    let sink = Sink::start().await?;
    fill(queue, ground.settings.jobs, &sink.url()).await?;
    let mut child = Child::serve(ground, "worker")?;
    child.ready(READY).await?;
    let started = Instant::now();
    while has_jobs(&ground.db).await? {
        if started.elapsed() > LONGEST {
            bail!(
                "a worker did not drain {} jobs within {} s: it had made {} calls",
                ground.settings.jobs,
                LONGEST.as_secs(),
                sink.served()
            );
        }
        sleep(LOOK).await;
    }
    child.peak_memory_mb()
}

async fn under_load(ground: &Ground<'_>, queue: &Queue) -> anyhow::Result<f64> {
    let key = ground.key(queue).await?;
    let mut child = Child::serve(ground, "api")?;
    child.ready(READY).await?;
    let load = Load {
        addr: child.addr,
        request: Request::post("/v1/jobs", &key, &call_body(NOWHERE), 201),
        connections: CONNECTIONS,
        time: ROUND,
    };
    load.run().await?;
    let peak = child.peak_memory_mb()?;
    drop(child);
    empty(&ground.db).await?;
    Ok(peak)
}

async fn at_rest(ground: &Ground<'_>) -> anyhow::Result<f64> {
    let mut child = Child::serve(ground, ALL_ROLES)?;
    child.ready(READY).await?;
    sleep(IDLE).await;
    child.peak_memory_mb()
}
