//! `millpond bench`: what the engine does, each figure beside the physical limit measured in the same rounds on the same
//! machine and table sizes. The command line prints it; nothing else uses this.

mod drain;
mod enqueue;
mod latency;
mod noop;
mod report;

use std::sync::Arc;

pub use report::{Figure, Goal, Report, Rounds};

use crate::{
    Queue, SchemaError,
    config::Config,
    db::{Database, DatabaseError, within},
    store::bench as store,
};

/// How much is measured.
#[derive(Debug, Clone)]
pub struct BenchSettings {
    /// Rounds of each figure; the median is told with the least and the most.
    pub rounds: usize,
    /// Jobs of a fill and drain.
    pub jobs: usize,
    /// Fills and drains after which the table's size is compared with that after the first.
    pub fills: usize,
}

/// Why a benchmark did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The database failed.
    #[error("the database failed during the benchmark")]
    Database(#[from] DatabaseError),
    /// A job was refused.
    #[error("a job was refused during the benchmark")]
    Enqueue(#[from] crate::EnqueueError),
    /// The workers did not start.
    #[error("the workers did not start")]
    Workers(#[from] crate::AdminError),
    /// A schema is wrong.
    #[error("a kind of the benchmark is wrong")]
    Schema(#[from] SchemaError),
    /// The database holds work: a benchmark would disturb it.
    #[error("the database has jobs in it; the benchmark wants an empty one")]
    NotEmpty,
}

/// Measures, telling `say` what it is at.
///
/// # Errors
/// [`BenchError::NotEmpty`] where the database holds jobs; else when the database fails meanwhile.
pub async fn bench(
    db: &Database,
    settings: &BenchSettings,
    say: &dyn Fn(&str),
) -> Result<Report, BenchError> {
    let mut session = db.request().await?;
    let state = within(async {
        let has_jobs = store::has_jobs(session.conn()).await?;
        Ok((has_jobs, store::settings(session.conn()).await?))
    })
    .await;
    let (has_jobs, server) = session.end(state)?;
    if has_jobs {
        return Err(BenchError::NotEmpty);
    }
    let mut report = Report::new(server, settings);
    say("P1: enqueue, one caller");
    report.add(enqueue::alone(db, settings).await?);
    for callers in [16, 64] {
        say(&format!("P2: enqueue, {callers} callers"));
        report.add(enqueue::together(db, settings, callers).await?);
    }
    say("P3: bulk enqueue");
    report.add(enqueue::bulk(db, settings).await?);
    for keep in [false, true] {
        say(if keep {
            "P7: drain, history kept"
        } else {
            "P6: drain, nothing kept"
        });
        let drained = drain::drain(db, settings, keep).await?;
        report.add(drained.speed);
        report.add(drained.wal);
    }
    say("P8: enqueue to start");
    report.add(latency::start(db).await?);
    say("P9: idle");
    report.add(latency::idle(db).await?);
    say(&format!(
        "P12: {} fills and drains of {}",
        settings.fills, settings.jobs
    ));
    report.add(drain::growth(db, settings).await?);
    Ok(report)
}

/// An engine for the benchmark.
fn engine(db: &Database, keep_history: bool) -> Result<Queue, SchemaError> {
    let retain = if keep_history { "1h" } else { "0s" };
    let text = format!(
        "[defaults]\nretain_succeeded = \"{retain}\"\n[queues.default]\nconcurrency = 2000"
    );
    let config = Config::parse(&text).map_or_else(|_| Config::builtin(), |parsed| parsed.config);
    let registry = noop::registry();
    let kinds: Vec<_> = registry.kinds().cloned().collect();
    Queue::new(db.clone(), Arc::new(config), kinds)
}
