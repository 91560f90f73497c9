//! `millpond bench`: what the engine does, each figure beside the physical limit measured in the same rounds on the same
//! machine and table sizes. The command line prints it; nothing else uses this.

mod bare;
mod claims;
mod drain;
mod enqueue;
mod idle;
mod latency;
mod limits;
mod noop;
mod probe;
mod report;

use std::{future::Future, sync::Arc, time::Duration};

use futures::TryFutureExt;

pub use bare::GroupCommit;
pub use enqueue::insert_together;
pub use idle::{Commits, without_autovacuum};
pub use latency::{Waits, hand_overs_ms};
pub use noop::{KIND, PAYLOAD};
pub use probe::{deadlocks, empty, has_jobs, remove_keys};
pub use report::{Figure, Goal, Report, Rounds, Series, Verdict, per_second, percentile};

use crate::{
    Queue, SchemaError,
    config::Config,
    db::{Database, DatabaseError, within},
    error_chain,
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

/// Why a measurement failed, whoever made it.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A benchmark under way: it measures one thing after another, and one that fails costs the others nothing.
pub struct Bench<'a> {
    db: &'a Database,
    settings: &'a BenchSettings,
    say: &'a dyn Fn(&str),
    report: Report,
}

impl<'a> Bench<'a> {
    /// Begins one, which tells `say` what it is at.
    ///
    /// # Errors
    /// [`BenchError::NotEmpty`] where the database holds jobs: it is left as it is; else when it cannot be asked.
    pub async fn begin(
        db: &'a Database,
        settings: &'a BenchSettings,
        say: &'a dyn Fn(&str),
    ) -> Result<Self, BenchError> {
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
        Ok(Self {
            db,
            settings,
            say,
            report: Report::new(server, settings),
        })
    }

    /// Whether any of these figures is to be measured.
    #[must_use]
    pub fn wants_any(&self, ids: &[&str]) -> bool {
        ids.iter().any(|id| self.settings.wants(id))
    }

    /// Does what these figures come of, in tables that are empty, unless none of them is wanted. Where it fails, each of
    /// those that are says why.
    pub async fn measure<F, E>(
        &mut self,
        ids: &[&'static str],
        what: &str,
        measuring: impl Future<Output = Result<F, E>>,
    ) where
        F: IntoIterator<Item = Figure>,
        E: Into<Cause>,
    {
        let wanted: Vec<&'static str> = ids
            .iter()
            .copied()
            .filter(|id| self.settings.wants(id))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let name = format!("{}: {what}", wanted.join(", "));
        (self.say)(&name);
        match in_empty_tables(self.db, measuring).await {
            Ok(figures) => {
                for figure in figures {
                    if wanted.contains(&figure.id) {
                        self.report.add(figure);
                    }
                }
            }
            Err(cause) => {
                let why = error_chain(&*cause);
                (self.say)(&format!("{name}: failed: {why}"));
                for id in wanted {
                    self.report.add(Figure::failed(id, what, &why));
                }
            }
        }
    }

    /// Measures what one process can measure by itself.
    pub async fn measure_engine(&mut self) {
        let (db, settings, say) = (self.db, self.settings, self.say);
        let alone = enqueue::alone(db, settings).map_ok(one);
        self.measure(&["P1"], "enqueue, one caller", Box::pin(alone))
            .await;
        for callers in [16, 64] {
            let together = enqueue::together(db, settings, callers).map_ok(one);
            let what = format!("enqueue, {callers} callers");
            self.measure(&["P2"], &what, Box::pin(together)).await;
        }
        let bulk = enqueue::bulk(db, settings).map_ok(one);
        self.measure(&["P3"], "bulk enqueue", Box::pin(bulk)).await;
        for (ids, what, keep) in [
            (["P6", "P11"], "drain, nothing kept", false),
            (["P7", "P11"], "drain, history kept", true),
        ] {
            let drained = drain::drain(db, settings, keep).map_ok(|it| [it.speed, it.wal]);
            self.measure(&ids, what, Box::pin(drained)).await;
        }
        let limited = limits::limited(db, settings).map_ok(one);
        self.measure(&["P14"], limits::WHAT, Box::pin(limited))
            .await;
        let growth = drain::growth(db, settings).map_ok(one);
        let what = format!("{} fills and drains", settings.fills);
        self.measure(&["P12"], &what, Box::pin(growth)).await;
        let start = latency::start(db, settings);
        self.measure(&["P8"], "enqueue to start in one process", Box::pin(start))
            .await;
        let claims = claims::claims(db, settings, say);
        self.measure(&["P13"], "claims beside much else", Box::pin(claims))
            .await;
    }

    /// Ends it: the table, in the order of the documentation.
    #[must_use]
    pub fn end(mut self) -> Report {
        self.report.sort();
        self.report
    }
}

/// What another measurement left, above all one that failed, would be measured too.
async fn in_empty_tables<F, E: Into<Cause>>(
    db: &Database,
    measuring: impl Future<Output = Result<F, E>>,
) -> Result<F, Cause> {
    empty(db).await?;
    measuring.await.map_err(Into::into)
}

fn one(figure: Figure) -> [Figure; 1] {
    [figure]
}

/// An engine that knows the benchmark's kind and nothing else, with metrics and without limits.
///
/// # Errors
/// When the kind's schema is wrong.
pub fn engine(db: &Database, keep_history: bool) -> Result<Queue, SchemaError> {
    let retain = if keep_history { "1h" } else { "0s" };
    engine_of(
        db,
        &format!(
            "[defaults]\nretain_succeeded = \"{retain}\"\n[queues.default]\nconcurrency = 2000"
        ),
    )
}

/// The same under this configuration.
fn engine_of(db: &Database, text: &str) -> Result<Queue, SchemaError> {
    let config =
        Config::parse(text, &[KIND]).map_or_else(|_| Config::builtin(), |parsed| parsed.config);
    let registry = noop::registry();
    let kinds: Vec<_> = registry.kinds().cloned().collect();
    Queue::new(db.clone(), Arc::new(config), kinds)
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use sqlx::PgPool;

    use super::*;

    static SETTINGS: BenchSettings = BenchSettings {
        rounds: 1,
        jobs: 1,
        fills: 1,
        only: Vec::new(),
        large: false,
    };

    fn silent(_: &str) {}

    fn figure(id: &'static str) -> Figure {
        Figure::new(id, "a thing", "ms", vec![1.0])
    }

    // Fails when the first failure ends the benchmark.
    #[sqlx::test(migrations = "../../migrations")]
    async fn what_fails_says_why_and_costs_the_others_nothing(db: PgPool) -> anyhow::Result<()> {
        let db = Database::from_pool(db);
        let mut bench = Bench::begin(&db, &SETTINGS, &silent).await?;

        let lost = ready(Err::<[Figure; 2], _>(DatabaseError::TimedOut));
        bench.measure(&["P6", "P11"], "drain", lost).await;
        let measured = ready(Ok::<_, BenchError>([figure("P1")]));
        bench.measure(&["P1"], "enqueue", measured).await;

        let report = bench.end();
        let told: Vec<_> = report
            .figures
            .iter()
            .map(|figure| (figure.id, figure.verdict, figure.note.as_str()))
            .collect();
        let why = "failed: the database did not answer in time";
        assert_eq!(
            told,
            [
                ("P1", Verdict::NotJudged, ""),
                ("P6", Verdict::Failed, why),
                ("P11", Verdict::Failed, why),
            ]
        );
        Ok(())
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn what_was_not_asked_for_is_neither_done_nor_shown(db: PgPool) -> anyhow::Result<()> {
        let db = Database::from_pool(db);
        let settings = BenchSettings {
            only: vec!["P11".to_owned()],
            ..SETTINGS
        };
        let mut bench = Bench::begin(&db, &settings, &silent).await?;

        let done = std::cell::Cell::new(0);
        for ids in [&["P6", "P11"][..], &["P1"][..]] {
            let measuring = async {
                done.set(done.get() + 1);
                Ok::<_, BenchError>([figure("P6"), figure("P11")])
            };
            bench.measure(ids, "drain", measuring).await;
        }

        assert_eq!(done.get(), 1);
        let ids: Vec<_> = bench.end().figures.iter().map(|figure| figure.id).collect();
        assert_eq!(ids, ["P11"]);
        Ok(())
    }

    // Fails when a measurement begins with what another left behind.
    #[sqlx::test(migrations = "../../migrations")]
    async fn each_measurement_begins_without_jobs(db: PgPool) -> anyhow::Result<()> {
        let db = Database::from_pool(db);
        let mut bench = Bench::begin(&db, &SETTINGS, &silent).await?;
        let queue = engine(&db, false)?;
        queue.enqueue(noop::job(), None).await?;

        let mut has_found_jobs = None;
        let looking = async {
            has_found_jobs = Some(has_jobs(&db).await?);
            Ok::<_, BenchError>([figure("P1")])
        };
        bench.measure(&["P1"], "enqueue", looking).await;

        assert_eq!(has_found_jobs, Some(false));
        queue.close().await;
        Ok(())
    }

    // Fails when a database is emptied that holds somebody's jobs.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_database_with_jobs_is_left_as_it_is(db: PgPool) -> anyhow::Result<()> {
        let db = Database::from_pool(db);
        let queue = engine(&db, false)?;
        queue.enqueue(noop::job(), None).await?;

        let begun = Bench::begin(&db, &SETTINGS, &silent).await;

        assert!(matches!(begun.err(), Some(BenchError::NotEmpty)));
        assert!(has_jobs(&db).await?);
        queue.close().await;
        Ok(())
    }
}
