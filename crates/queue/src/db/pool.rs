//! A pool that is replaced when it has no connection to give while the database has: a peer that falls silent at the
//! wrong moment keeps its place in an ordinary pool for ever. One that was made before the way was known is replaced once
//! that leads through a pooler.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, Connection, PgPool, Postgres, pool::PoolConnection, postgres::PgPoolOptions,
};
use tokio_util::task::TaskTracker;

use super::{Guide, Pooler, Settings};

/// Longest wait for a free connection.
const ACQUIRE: Duration = Duration::from_secs(2);
/// Connections that were idle for less are good. After a restart of the database all others are dead, and each would
/// fail a call; one that answers costs that call a round trip.
const UNTESTED: Duration = Duration::from_secs(1);
/// Longest wait for an idle connection's sign of life: one that stays silent is replaced, well within [`ACQUIRE`].
const TEST: Duration = Duration::from_millis(500);
/// How long a pool may fail everybody before it is suspected: connections that are merely busy come back sooner, since
/// the server ends their statements.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for the fresh connection that tells whether the pool or the database is at fault.
const FRESH: Duration = Duration::from_secs(2);
/// Longest wait for a pool to close: one that lost a place would wait for it for ever.
const CLOSE: Duration = Duration::from_secs(5);

/// Connections for one duty; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    present: Mutex<Present>,
    patience: Duration,
    /// Holds at most one task, which replaces the present pool and closes it.
    replacing: TaskTracker,
}

#[derive(Debug)]
struct Present {
    pool: PgPool,
    /// When the pool failed somebody first, if it has given no connection since.
    failing_since: Option<Instant>,
    /// How to make it again, for one that was made before the way was known.
    early: Option<Plan>,
}

impl Present {
    /// Puts another pool in the place of one that was made too early and goes a wrong way. That one has no connections:
    /// each was refused.
    fn follow(&mut self) {
        if let Some(plan) = self.early.take_if(|plan| plan.guide.is_known())
            && plan.guide.route().pooler() != Pooler::None
        {
            self.pool = plan.make();
            self.failing_since = None;
        }
    }
}

/// What a pool is made by.
#[derive(Debug)]
struct Plan {
    guide: Guide,
    size: u32,
    settings: Vec<(&'static str, &'static str)>,
}

impl Plan {
    fn make(&self) -> PgPool {
        self.guide
            .route()
            .pool(limits(self.size), &[self.settings.as_slice()])
    }
}

impl Pool {
    /// Up to `size` connections, made when they are needed. They belong to the runtime that calls.
    pub(super) fn new(size: u32, guide: &Guide, settings: &[&Settings]) -> Self {
        let plan = Plan {
            guide: guide.clone(),
            size,
            settings: settings.concat(),
        };
        // Before it is made: it may become known meanwhile.
        let is_early = !guide.is_known();
        let pool = Self::from(plan.make());
        pool.lock().early = is_early.then_some(plan);
        pool
    }

    fn of(pool: PgPool, patience: Duration) -> Self {
        Self(Arc::new(Inner {
            present: Mutex::new(Present {
                pool,
                failing_since: None,
                early: None,
            }),
            patience,
            replacing: TaskTracker::new(),
        }))
    }

    /// The pool of this moment, to be called in the runtime of those that went before: ask again for the next call.
    pub(crate) fn present(&self) -> PgPool {
        let mut present = self.lock();
        present.follow();
        present.pool.clone()
    }

    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let acquired = self.present().acquire().await;
        match &acquired {
            Ok(_) => self.lock().failing_since = None,
            Err(_) => self.failed(),
        }
        acquired
    }

    /// Closes the pool, and waits for calls under way, for at most 5 s.
    pub(crate) async fn close(&self) {
        let last = {
            // Under the lock: nothing is replaced from here on.
            let mut present = self.lock();
            present.early = None;
            self.0.replacing.close();
            present.pool.clone()
        };
        let closing = async {
            last.close().await;
            self.0.replacing.wait().await;
        };
        if tokio::time::timeout(CLOSE, closing).await.is_err() {
            tracing::debug!("connections of a pool were still in use when it was closed");
        }
    }

    fn failed(&self) {
        let mut present = self.lock();
        present.failing_since.get_or_insert_with(Instant::now);
        let replacing = &self.0.replacing;
        if self.suspects(&present) && replacing.is_empty() {
            replacing.spawn(self.clone().replace(present.pool.clone()));
        }
    }

    /// Whether the pool has failed everybody for too long, and is still needed.
    fn suspects(&self, present: &Present) -> bool {
        let since = present.failing_since;
        since.is_some_and(|since| since.elapsed() >= self.0.patience)
            && !self.0.replacing.is_closed()
    }

    /// Replaces the pool if a connection beside it can be had, and closes it.
    async fn replace(self, old: PgPool) {
        let fresh = async { old.connect_options().connect().await?.close().await };
        if !matches!(tokio::time::timeout(FRESH, fresh).await, Ok(Ok(()))) {
            return;
        }
        if !self.swap(&old) {
            return;
        }
        tracing::warn!(
            "a pool gave no connection for {} s while the database gave one, and was replaced",
            self.0.patience.as_secs()
        );
        if tokio::time::timeout(CLOSE, old.close()).await.is_err() {
            tracing::debug!("connections of a replaced pool were still in use");
        }
    }

    /// Puts a new pool in the old one's place, if that is still under suspicion; tells whether it did.
    fn swap(&self, old: &PgPool) -> bool {
        let mut present = self.lock();
        if !self.suspects(&present) {
            return false;
        }
        let options = (*old.connect_options()).clone();
        present.pool = old.options().clone().connect_lazy_with(options);
        present.failing_since = None;
        true
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.0
            .present
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<PgPool> for Pool {
    fn from(pool: PgPool) -> Self {
        Self::of(pool, PATIENCE)
    }
}

/// What holds for every pool of this process.
fn limits(size: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(Duration::from_secs(300))
        .test_before_acquire(false)
        .before_acquire(|connection, known| {
            Box::pin(async move {
                if known.idle_for < UNTESTED {
                    return Ok(true);
                }
                match tokio::time::timeout(TEST, connection.ping()).await {
                    Ok(answer) => answer.map(|()| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        })
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgConnectOptions;

    use super::*;

    const SOON: Duration = Duration::from_millis(200);
    const DEADLINE: Duration = Duration::from_secs(10);

    /// A pool of one connection that is soon at its wits' end.
    fn hasty(options: PgConnectOptions) -> Pool {
        let pool = limits(1).acquire_timeout(SOON).connect_lazy_with(options);
        Pool::of(pool, SOON)
    }

    /// Asks in vain until the pool is suspected, and waits for what follows from that.
    async fn fail_for_long(pool: &Pool) {
        let began = Instant::now();
        let failing = async {
            while began.elapsed() < SOON * 4 {
                assert!(pool.acquire().await.is_err());
                tokio::task::yield_now().await;
            }
            while !pool.0.replacing.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, failing)
            .await
            .expect("every step is bounded");
    }

    // Fails when a pool is kept whose every place is lost.
    #[sqlx::test(migrations = false)]
    async fn a_pool_that_lost_its_places_is_replaced_and_closed(db: PgPool) -> anyhow::Result<()> {
        let pool = hasty((*db.connect_options()).clone());
        let old = pool.present();
        let lost = old.acquire().await?;

        let recovering = async { while pool.acquire().await.is_err() {} };
        tokio::time::timeout(DEADLINE, recovering).await?;

        assert!(old.is_closed());
        assert!(!pool.present().is_closed());
        drop(lost);
        pool.close().await;
        Ok(())
    }

    #[sqlx::test(migrations = false)]
    async fn a_pool_that_gave_a_connection_meanwhile_is_kept(db: PgPool) -> anyhow::Result<()> {
        let pool = Pool::from(db);
        pool.lock().failing_since = Instant::now().checked_sub(PATIENCE);

        drop(pool.acquire().await?);

        assert!(!pool.swap(&pool.present()));
        Ok(())
    }

    // Fails when a pool is replaced without a look at whether another would do better.
    #[tokio::test]
    async fn a_pool_is_kept_while_the_database_is_away() {
        let pool = hasty(PgConnectOptions::new().host("127.0.0.1").port(9));
        let first = pool.present();

        fail_for_long(&pool).await;

        assert!(!first.is_closed());
    }

    // Fails when a process cannot end while a connection is lost.
    #[sqlx::test(migrations = false)]
    async fn a_pool_that_lost_a_place_closes_in_time(db: PgPool) -> anyhow::Result<()> {
        let pool = hasty((*db.connect_options()).clone());
        let lost = pool.acquire().await?;

        let closed = tokio::time::timeout(DEADLINE, pool.close()).await;

        assert!(closed.is_ok());
        drop(lost);
        Ok(())
    }

    #[sqlx::test(migrations = false)]
    async fn a_closed_pool_stays_closed(db: PgPool) {
        let pool = hasty((*db.connect_options()).clone());
        pool.close().await;

        fail_for_long(&pool).await;

        assert!(pool.present().is_closed());
    }
}
