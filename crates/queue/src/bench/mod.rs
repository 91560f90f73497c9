//! `millpond bench`: what the engine does, each figure beside the physical limit measured in the same rounds on the same
//! machine and table sizes. The command line prints it; nothing else uses this.

mod bare;
mod claims;
mod drain;
mod enqueue;
mod latency;
mod noop;
mod probe;
mod report;

use std::{sync::Arc, time::Duration};

pub use bare::GroupCommit;
pub use enqueue::insert_together;
pub use noop::{KIND, PAYLOAD};
pub use probe::{deadlocks, empty, has_jobs};
pub use report::{Figure, Goal, Report, Rounds, Series, Verdict, per_second, percentile};

use crate::{
    Queue, SchemaError,
    config::Config,
    db::{Database, DatabaseError, within},
    store::bench as store,
};

/// How long a round lasts where calls are repeated for a time.
pub const ROUND: Duration = Duration::from_millis(1_500);

/// What is measured, and how much of it.
#[derive(Debug, Clone)]
pub struct BenchSettings {
    /// Rounds of each figure; the median is told with the least and the most.
    pub rounds: usize,
    /// Jobs of a fill and drain.
    pub jobs: usize,
    /// Fills and drains after which the table's size is compared with that after the first.
    pub fills: usize,
    /// The figures to measure, by id; none: all of them.
    pub only: Vec<String>,
    /// Whether figures that take minutes to prepare are measured too.
    pub large: bool,
}

impl BenchSettings {
    /// Whether a figure is to be measured.
    #[must_use]
    pub fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == id)
    }
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

/// Measures what one process can measure by itself, telling `say` what it is at.
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
    let mut bench = Bench {
        db,
        settings,
        say,
        report: Report::new(server, settings),
    };
    bench.enqueueing().await?;
    bench.draining().await?;
    bench.waiting().await?;
    Ok(bench.report)
}

/// A benchmark under way.
struct Bench<'a> {
    db: &'a Database,
    settings: &'a BenchSettings,
    say: &'a dyn Fn(&str),
    report: Report,
}

impl Bench<'_> {
    /// Tells what is measured next, if it is wanted.
    fn begins(&self, id: &str, what: &str) -> bool {
        let is_wanted = self.settings.wants(id);
        if is_wanted {
            (self.say)(&format!("{id}: {what}"));
        }
        is_wanted
    }

    async fn enqueueing(&mut self) -> Result<(), BenchError> {
        if self.begins("P1", "enqueue, one caller") {
            let alone = enqueue::alone(self.db, self.settings).await?;
            self.report.add(alone);
        }
        for callers in [16, 64] {
            if self.begins("P2", &format!("enqueue, {callers} callers")) {
                let together = enqueue::together(self.db, self.settings, callers).await?;
                self.report.add(together);
            }
        }
        if self.begins("P3", "bulk enqueue") {
            let bulk = enqueue::bulk(self.db, self.settings).await?;
            self.report.add(bulk);
        }
        Ok(())
    }

    async fn draining(&mut self) -> Result<(), BenchError> {
        for (id, keep) in [("P6", false), ("P7", true)] {
            let has_begun = self.begins(id, "drain");
            // The same drain gives both figures.
            if has_begun || self.begins("P11", "write-ahead log of a drain") {
                let drained = drain::drain(self.db, self.settings, keep).await?;
                for figure in [drained.speed, drained.wal] {
                    if self.settings.wants(figure.id) {
                        self.report.add(figure);
                    }
                }
            }
        }
        let what = format!("{} fills and drains", self.settings.fills);
        if self.begins("P12", &what) {
            let growth = drain::growth(self.db, self.settings).await?;
            self.report.add(growth);
        }
        Ok(())
    }

    async fn waiting(&mut self) -> Result<(), BenchError> {
        let mut figures = Vec::new();
        if self.begins("P8", "enqueue to start") {
            figures.extend(latency::start(self.db, self.settings).await?);
        }
        if self.begins("P9", "idle") {
            figures.extend(latency::idle(self.db).await?);
        }
        if self.settings.wants("P13") {
            figures.extend(claims::claims(self.db, self.settings, self.say).await?);
        }
        for figure in figures {
            self.report.add(figure);
        }
        Ok(())
    }
}

/// An engine that knows the benchmark's kind and nothing else, with metrics and without limits.
///
/// # Errors
/// When the kind's schema is wrong.
pub fn engine(db: &Database, keep_history: bool) -> Result<Queue, SchemaError> {
    let retain = if keep_history { "1h" } else { "0s" };
    let text = format!(
        "[defaults]\nretain_succeeded = \"{retain}\"\n[queues.default]\nconcurrency = 2000"
    );
    let config =
        Config::parse(&text, &[]).map_or_else(|_| Config::builtin(), |parsed| parsed.config);
    let registry = noop::registry();
    let kinds: Vec<_> = registry.kinds().cloned().collect();
    Queue::new(db.clone(), Arc::new(config), kinds)
}
