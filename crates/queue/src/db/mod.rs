//! Connections to PostgreSQL: pools that do not starve each other and heal, a deadline on every call, and one
//! translation of what can go wrong. Statements stand in `store/`.

mod error;
mod pool;
mod pooler;
mod session;

use std::time::Duration;

use secrecy::SecretString;
use sqlx::{PgPool, migrate::Migrator};

pub(crate) use self::pooler::Pooler;
use self::pooler::{Address, Guide, Route, Settings};
pub use error::DatabaseError;
pub(crate) use pool::Pool;
pub(crate) use session::{Session, within};

/// Longest that a health check may take: a little longer than the wait for a connection, so that a pool which has none to
/// give hears of it.
const PING: Duration = Duration::from_millis(2_500);
/// Connections that a process opens beside its pools: two for leases, two for the doorbell, one for the sweeper.
const BESIDE_POOLS: u32 = 5;
/// Longest wait for the first connection of a process that cannot go on without one, and for what has to be known.
const CONNECT: Duration = Duration::from_secs(10);

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Where the database is and how many connections each duty may use.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `postgres://…`; may hold a password.
    pub url: SecretString,
    /// Connections for requests: reads and admin actions.
    pub requests: u32,
    /// Connections for enqueues.
    pub enqueues: u32,
    /// Connections for settlements, polling and rescues.
    pub engine: u32,
    /// Connections for claims.
    pub claims: u32,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
}

impl DatabaseSettings {
    /// Most connections that a process with these settings opens.
    #[must_use]
    pub fn most_connections(&self) -> u32 {
        self.requests + self.enqueues + self.engine + self.claims + BESIDE_POOLS
    }
}

/// A migration: its number and its name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MigrationInfo {
    /// Its number.
    pub version: i64,
    /// What its file is named.
    pub name: String,
}

/// Connections to PostgreSQL; cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    requests: Pool,
    enqueues: Pool,
    engine: Pool,
    claims: Pool,
    guide: Guide,
}

/// What holds for every session.
pub(crate) const SESSION: &Settings = &[
    ("statement_timeout", "10s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("timezone", "UTC"),
    // A role named like our schema would find the migrator's table there and not where it was made.
    ("search_path", "public"),
];

/// The engine's statements are few and find every row by an index. A plan is made once for all of them and does not
/// depend on what statistics say of tables that fill and empty within seconds: those say "empty" of a table that has
/// just got a million rows. Planning an enqueue anew costs as much as its rows.
const FIXED_PLANS: &Settings = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
    // Two lists of 500 are joined by hash, not 250,000 times.
    ("enable_nestloop", "off"),
    // Plans that use what is switched off all the same look expensive enough to be compiled.
    ("jit", "off"),
];

/// Commits are answered before they are on disk, and a crash of the database loses the last of them.
const ANSWERED_EARLY: &Settings = &[("synchronous_commit", "off")];

/// A migration may take longer than what ordinary calls may take.
const PATIENT: &Settings = &[("statement_timeout", "0"), ("lock_timeout", "30s")];

/// A claim that keeps limits holds up the others of its queue until it ends: where its process has stopped, it is ended.
const ENDED_SOON: &Settings = &[("idle_in_transaction_session_timeout", "2s")];

impl Database {
    /// Connects, and fails within 10 s when that is not possible.
    ///
    /// # Errors
    /// [`DatabaseError::InvalidUrl`] or [`DatabaseError::Unavailable`].
    pub async fn connect(settings: DatabaseSettings) -> Result<Self, DatabaseError> {
        let connecting = async {
            let address = Address::read(&settings.url, &settings.application_name)?;
            let pooler = match address.said() {
                Some(pooler) => pooler,
                None => pooler::find(&address).await?,
            };
            let route = Route::new(&address, pooler)?;
            route.try_out().await?;
            Ok::<_, DatabaseError>(Self::by(route.into(), &settings))
        };
        tokio::time::timeout(CONNECT, connecting)
            .await
            .map_err(|_| DatabaseError::TimedOut)?
    }

    /// Looks who stands between this process and the database, where the address does not say it, and fails with
    /// neither: a process lives while its database is away. Where nobody can be asked, it looks on beside until somebody
    /// can; until then connections go straight, and those that meet a pooler are refused.
    ///
    /// # Errors
    /// [`DatabaseError::InvalidUrl`].
    pub async fn open(settings: DatabaseSettings) -> Result<Self, DatabaseError> {
        let address = Address::read(&settings.url, &settings.application_name)?;
        Ok(Self::by(Guide::find(address).await?, &settings))
    }

    /// As [`Self::open`], but looks for nobody: for tests whose server says nothing.
    #[cfg(test)]
    pub(crate) fn connect_lazy(settings: DatabaseSettings) -> Result<Self, DatabaseError> {
        let address = Address::read(&settings.url, &settings.application_name)?;
        let pooler = address.said().unwrap_or(Pooler::None);
        Ok(Self::by(Route::new(&address, pooler)?.into(), &settings))
    }

    fn by(guide: Guide, settings: &DatabaseSettings) -> Self {
        let fixed = |size| Pool::new(size, &guide, &[SESSION, FIXED_PLANS]);
        Self {
            requests: Pool::new(settings.requests, &guide, &[SESSION]),
            enqueues: fixed(settings.enqueues),
            engine: fixed(settings.engine),
            claims: Pool::new(
                settings.claims,
                &guide,
                &[SESSION, FIXED_PLANS, ANSWERED_EARLY, ENDED_SOON],
            ),
            guide,
        }
    }

    /// Uses one pool for everything: for tests that are handed one.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        let guide = Route::of(&pool).into();
        let pool = Pool::from(pool);
        Self {
            requests: pool.clone(),
            enqueues: pool.clone(),
            engine: pool.clone(),
            claims: pool,
            guide,
        }
    }

    /// Who stands between this process and the database. Waits until that is known, for at most 10 s.
    ///
    /// # Errors
    /// [`DatabaseError::TimedOut`].
    pub(crate) async fn pooler(&self) -> Result<Pooler, DatabaseError> {
        let known = tokio::time::timeout(CONNECT, self.guide.known()).await;
        known
            .map(Route::pooler)
            .map_err(|_| DatabaseError::TimedOut)
    }

    /// The pool for requests, for the other crates' own tables. It may be replaced: ask anew for each piece of work.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        self.requests.present()
    }

    /// A pool of its own with at most `size` connections, made in the runtime that calls: sockets belong to it.
    pub(crate) fn separate_pool(&self, size: u32) -> Pool {
        Pool::new(size, &self.guide, &[SESSION, FIXED_PLANS])
    }

    /// A pool for hints: a notification is a commit, but nobody needs it on disk.
    pub(crate) fn hints(&self) -> Pool {
        Pool::new(1, &self.guide, &[SESSION, ANSWERED_EARLY])
    }

    /// A connection for a request.
    pub(crate) async fn request(&self) -> Result<Session, DatabaseError> {
        Session::open(&self.requests).await
    }

    /// A connection for storing new jobs.
    pub(crate) async fn enqueue(&self) -> Result<Session, DatabaseError> {
        Session::open(&self.enqueues).await
    }

    /// A connection for the engine.
    pub(crate) async fn engine(&self) -> Result<Session, DatabaseError> {
        Session::open(&self.engine).await
    }

    /// A connection for claims, whose commits do not wait for the disk. A claim that a crash of the database loses is
    /// only a rescue: its job is ready again, and whoever runs it is fenced off by its token. What is enqueued or
    /// settled never goes this way.
    pub(crate) async fn claim(&self) -> Result<Session, DatabaseError> {
        Session::open(&self.claims).await
    }

    /// Open and idle connections: (open, idle), over all pools.
    pub(crate) fn connections(&self) -> (u32, usize) {
        let pools = [&self.requests, &self.enqueues, &self.engine, &self.claims].map(Pool::present);
        (
            pools.iter().map(|pool| pool.size()).sum(),
            pools.iter().map(|pool| pool.num_idle()).sum(),
        )
    }

    /// Applies what is pending and tells what it was. Safe to call from several processes at once.
    ///
    /// # Errors
    /// [`DatabaseError::Migration`] when a migration fails: nothing of that one is kept.
    pub async fn migrate(&self) -> Result<Vec<MigrationInfo>, DatabaseError> {
        let pending = self.pending_migrations().await?;
        let keeps_sessions = self.pooler().await?.keeps_sessions();
        let pool = Pool::new(1, &self.guide, &[SESSION, PATIENT]);
        let migrated = if keeps_sessions {
            MIGRATIONS.run(&pool.present()).await
        } else {
            pooler::migrate(&pool.present(), &MIGRATIONS).await
        };
        migrated.map_err(DatabaseError::Migration)?;
        pool.close().await;
        Ok(pending)
    }

    /// What [`Self::migrate`] would apply, oldest first.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn pending_migrations(&self) -> Result<Vec<MigrationInfo>, DatabaseError> {
        let mut session = self.request().await?;
        let applied = within(crate::store::schema::applied_migrations(session.conn())).await;
        let applied = session.end(applied)?;
        let pending = MIGRATIONS.iter().filter(|m| !applied.contains(&m.version));
        Ok(pending
            .map(|m| MigrationInfo {
                version: m.version,
                name: m.description.to_string(),
            })
            .collect())
    }

    /// Asks for a sign of life, for at most 2.5 s.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] or [`DatabaseError::TimedOut`].
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        tokio::time::timeout(PING, async {
            let mut session = self.request().await?;
            let answer = within(sqlx::Connection::ping(session.conn())).await;
            session.end(answer)
        })
        .await
        .map_err(|_| DatabaseError::TimedOut)?
    }

    /// Closes the pools: waits for calls under way, for at most 5 s.
    pub async fn close(&self) {
        let closing = async {
            self.claims.close().await;
            self.engine.close().await;
            self.enqueues.close().await;
            self.requests.close().await;
        };
        if tokio::time::timeout(Duration::from_secs(5), closing)
            .await
            .is_err()
        {
            tracing::warn!("connections to the database were still in use when the process ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions;

    use super::*;

    // Fails when what is enqueued or settled is answered before it is on disk.
    #[sqlx::test(migrations = false)]
    async fn claims_alone_do_not_wait_for_the_disk(db: PgPool) -> anyhow::Result<()> {
        let database = Database::connect_lazy(DatabaseSettings {
            url: SecretString::from(db.connect_options().to_url_lossy().to_string()),
            requests: 1,
            enqueues: 1,
            engine: 1,
            claims: 1,
            application_name: "db".to_owned(),
        })?;
        let sessions = [
            database.claim().await?,
            database.request().await?,
            database.enqueue().await?,
            database.engine().await?,
        ];

        let mut answered_early: Vec<bool> = Vec::new();
        for mut session in sessions {
            let set_by_us = "SELECT setting = 'off' AND source = 'client'
                               FROM pg_settings WHERE name = 'synchronous_commit'";
            let asked = within(sqlx::query_scalar(set_by_us).fetch_one(session.conn())).await;
            answered_early.push(session.end(asked)?);
        }

        assert_eq!(answered_early, [true, false, false, false]);
        database.close().await;
        Ok(())
    }
}
