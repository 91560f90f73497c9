//! The sweeper: vacuums the hot table behind what this process settles. Autovacuum looks once a minute at best; at full
//! speed that is millions of dead rows, and a table that has grown never shrinks.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    db::{Database, Session, within},
    error_chain,
    store::hot,
};

/// Settled jobs that are worth a vacuum at once.
const MANY: u64 = 5_000;
/// Settled jobs that are worth one when the work has paused; fewer are left to autovacuum.
const SOME: u64 = 1_000;
/// How long the work must rest to count as paused.
const PAUSE: Duration = Duration::from_millis(500);
/// After a sweep: rest for so many times as long as the sweep took.
const REST: u32 = 3;

/// Counts what is settled and sweeps.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    settled: AtomicU64,
    some: Notify,
}

impl Sweeper {
    /// Jobs left the hot table, or their rows were written anew.
    pub(crate) fn settled(&self, jobs: u64) {
        let before = self.settled.fetch_add(jobs, Ordering::Relaxed);
        if before < SOME && before + jobs >= SOME {
            self.some.notify_one();
        }
    }

    /// Sweeps until it is told to stop.
    pub(crate) async fn run(&self, db: &Database, stop: CancellationToken) {
        let pool = db.separate_pool(1);
        while self.wait_for_dirt(&stop).await {
            self.settled.store(0, Ordering::Relaxed);
            let started = Instant::now();
            let swept = async {
                let mut session = Session::open(&pool).await?;
                let swept = within(hot::vacuum(session.conn())).await;
                session.end(swept)
            };
            // Both are cancel-safe: a vacuum whose connection goes away ends.
            let swept = tokio::select! {
                swept = swept => swept,
                () = stop.cancelled() => break,
            };
            if let Err(error) = swept {
                tracing::debug!(error = %error_chain(&error), "the hot table was not swept; autovacuum will do it");
            }
            tokio::select! {
                () = tokio::time::sleep(started.elapsed() * REST) => {}
                () = stop.cancelled() => break,
            }
        }
        pool.close().await;
    }

    /// Until a sweep is worth it; `false` when it is time to stop.
    async fn wait_for_dirt(&self, stop: &CancellationToken) -> bool {
        while self.settled.load(Ordering::Relaxed) < SOME {
            tokio::select! {
                () = self.some.notified() => {}
                () = stop.cancelled() => return false,
            }
        }
        let mut known = 0;
        loop {
            let settled = self.settled.load(Ordering::Relaxed);
            if settled >= MANY || settled == known {
                return true;
            }
            known = settled;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return false,
            }
        }
    }
}
