//! P14: what limits of the fleet cost where they are on: the drain of P6 with a most of running attempts, a most of each
//! key and turns of tenants, beside the same without.

use super::{
    BenchError, BenchSettings,
    drain::{drain_once, fill},
    empty, engine, engine_of, noop,
    report::{Figure, Goal},
};
use crate::{NewJob, db::Database};

pub(super) const WHAT: &str = "drain with limits of the fleet";
/// What the fleet may run is what the process may: claims count it and nothing waits for it. Of each key one runs.
const LIMITS: &str = r#"
[defaults]
retain_succeeded = "0s"
[queues.default]
concurrency = 2000
global_concurrency = 2000
fair_by = "tenant"
[kinds."bench.noop"]
key = "key"
per_key_concurrency = 1
"#;
/// Keys and tenants that the jobs are of, by turns: five times as many keys as may run, so that claims meet some that are
/// taken.
const KEYS: usize = 10_000;
const TENANTS: usize = 50;
/// Jobs of a call.
const BULK: usize = 1_000;

/// Drains with limits and without, in the same rounds.
pub(super) async fn limited(db: &Database, settings: &BenchSettings) -> Result<Figure, BenchError> {
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        empty(db).await?;
        let queue = engine(db, false)?;
        fill(&queue, settings.jobs).await?;
        plain.push(drain_once(&queue, settings.jobs).await?);
        queue.close().await;
        empty(db).await?;
        let drained = drain_under_limits(db, settings.jobs).await;
        // The database keeps limits until it is told otherwise.
        let queue = engine(db, false)?;
        queue.announce().await?;
        queue.close().await;
        ours.push(drained?);
    }
    let what = format!("{WHAT}, of keys and of tenants, {} jobs", settings.jobs);
    Ok(Figure::new("P14", what, "/s", ours)
        .beside("the same without limits", plain)
        .judged_by(Goal::AtLeast(0.67)))
}

async fn drain_under_limits(db: &Database, jobs: usize) -> Result<f64, BenchError> {
    let queue = engine_of(db, LIMITS)?;
    queue.announce().await?;
    for begin in (0..jobs).step_by(BULK) {
        let batch = (begin..begin + BULK).map(|number| (job(number), None));
        for answer in queue.enqueue_batch(batch.collect(), false).await? {
            answer?;
        }
    }
    let speed = drain_once(&queue, jobs).await;
    queue.close().await;
    speed
}

fn job(number: usize) -> NewJob {
    NewJob {
        key: Some(format!("key {}", number % KEYS)),
        tenant: Some(format!("tenant {}", number % TENANTS)),
        ..noop::job()
    }
}
