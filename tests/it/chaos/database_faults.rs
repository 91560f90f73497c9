//! Faults that are injected by SQL, past the proxy: cut sessions, locks, cancelled statements, an old snapshot.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::{faults::Fault, ledger::Ledger, now, passes, plan::Step, scene::Scene};

/// Between two strokes of a fault that strikes again and again.
const CUT_EVERY: Duration = Duration::from_millis(200);
const CANCEL_EVERY: Duration = Duration::from_millis(50);
/// One of Millpond's sessions.
const CUT: &str = "
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE application_name LIKE 'millpond%' ORDER BY random() LIMIT 1";
/// What Millpond's sessions are at. A role's own `statement_timeout` would change nothing, since every session sets its
/// own; this gives what a time-out gives, SQLSTATE 57014.
const CANCEL: &str = "
SELECT pg_cancel_backend(pid) FROM pg_stat_activity
 WHERE application_name LIKE 'millpond%' AND state = 'active'";

/// A transaction that holds something until it is let go, or dropped.
pub(super) struct Held(PgConnection);

impl Held {
    async fn begin(scene: &Scene, statements: [&str; 2]) -> anyhow::Result<Self> {
        let mut held = Self(scene.sql().await?);
        for statement in statements {
            sqlx::query(statement).execute(&mut held.0).await?;
        }
        Ok(held)
    }

    pub(super) async fn let_go(mut self) -> anyhow::Result<()> {
        sqlx::query("ROLLBACK").execute(&mut self.0).await?;
        Ok(())
    }
}

/// Locks rows of jobs that run, so that whoever settles them waits. It waits for nobody itself, who might wait for it.
pub(super) async fn lock_running(scene: &Scene) -> anyhow::Result<Held> {
    let rows = "SELECT id FROM millpond.jobs WHERE state = 'running' ORDER BY id LIMIT 50 FOR UPDATE SKIP LOCKED";
    Held::begin(scene, ["BEGIN", rows]).await
}

pub(super) async fn inject(scene: &Scene, step: &Step) -> anyhow::Result<Ledger> {
    match step.entry.fault {
        Fault::SessionsCut => strike(scene, (CUT, CUT_EVERY), step.lasts).await?,
        Fault::StatementsCancelled => strike(scene, (CANCEL, CANCEL_EVERY), step.lasts).await?,
        Fault::TableLock => {
            let from = now();
            let lock = "LOCK TABLE millpond.jobs IN ACCESS EXCLUSIVE MODE";
            hold(scene, ["BEGIN", lock], step.lasts).await?;
            scene.excuse(|excuses| excuses.waits.push((from, now())));
        }
        _ => {
            let look = "SELECT count(*) FROM millpond.jobs";
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
            hold(scene, [begin, look], step.lasts).await?;
        }
    }
    Ok(Ledger::default())
}

async fn hold(scene: &Scene, statements: [&str; 2], lasts: Duration) -> anyhow::Result<()> {
    let held = Held::begin(scene, statements).await?;
    passes(lasts).await;
    held.let_go().await
}

async fn strike(
    scene: &Scene,
    (statement, every): (&str, Duration),
    lasts: Duration,
) -> anyhow::Result<()> {
    let mut sql = scene.sql().await?;
    let mut tick = tokio::time::interval(every);
    let begun = Instant::now();
    while begun.elapsed() < lasts {
        tick.tick().await;
        sqlx::query(statement).execute(&mut sql).await?;
    }
    Ok(())
}
