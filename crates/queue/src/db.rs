//! Connections to PostgreSQL: pools that do not starve each other, a deadline on every call, and one translation of
//! what can go wrong. Statements stand in `store/`.

use std::{future::Future, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgConnection, PgPool, Postgres,
    migrate::Migrator,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// Longest that a call may take on our side; the server's own statement timeout is 10 s.
const DEADLINE: Duration = Duration::from_secs(12);
/// Longest wait for a free connection.
const ACQUIRE: Duration = Duration::from_secs(2);
/// Connections that were idle for less are good. After a restart of the database all others are dead, and each would
/// fail a call; one that answers costs that call a round trip.
const UNTESTED: Duration = Duration::from_secs(1);
/// Longest wait for an idle connection's sign of life: one that stays silent is replaced, well within [`ACQUIRE`].
const TEST: Duration = Duration::from_millis(500);
/// Longest that a health check may take.
const PING: Duration = Duration::from_secs(2);
/// Longest wait for the first connection of a process that cannot go on without one.
const CONNECT: Duration = Duration::from_secs(10);

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Why a call to the database failed, named for what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address is no PostgreSQL URL: mend it.
    #[error(
        "DATABASE_URL is not a PostgreSQL address such as postgres://user:password@host:5432/name"
    )]
    InvalidUrl(#[source] sqlx::Error),
    /// No connection: the database is away or full. Later.
    #[error("the database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// The call took too long; whether it took effect is unknown.
    #[error("the database did not answer in time")]
    TimedOut,
    /// Two transactions were in each other's way, or a lock took too long: again.
    #[error("the database is busy with conflicting work")]
    Busy(#[source] sqlx::Error),
    /// A value was refused: the row is at fault, not the connection.
    #[error("the database refused a value")]
    Refused(#[source] sqlx::Error),
    /// Anything else: a fault of ours, or a schema that is not ours.
    #[error("a statement failed")]
    Statement(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("a migration failed")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

impl DatabaseError {
    /// Whether the same call may well work later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut | Self::Busy(_))
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) => database.code().unwrap_or_default().into_owned(),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => return Self::Unavailable(error),
            sqlx::Error::Encode(_) => return Self::Refused(error),
            _ => return Self::Statement(error),
        };
        match code.as_str() {
            // Serialisation failure, deadlock, lock not available, query cancelled by a timeout.
            "40001" | "40P01" | "55P03" | "57014" => Self::Busy(error),
            // Read-only (fail-over), and a transaction that was idle for too long: its connection is gone.
            "25006" | "25P03" => Self::Unavailable(error),
            // The server has no such database, role or password for us: away as far as a running process is concerned.
            "3D000" | "28000" | "28P01" => Self::Unavailable(error),
            // The connection is lost; connections, memory or the disk are used up; somebody shuts the server down; its
            // files cannot be read or written.
            code if ["08", "53", "57", "58"].contains(&class_of(code)) => Self::Unavailable(error),
            // Two transactions took a unique key back at once: the later one sees that when it tries again.
            "23505" if violates(&error, "jobs_unique") => Self::Busy(error),
            // A value is no value of its type, violates a constraint, or is larger or deeper than the server can take.
            code if ["22", "23", "54"].contains(&class_of(code)) => Self::Refused(error),
            _ => Self::Statement(error),
        }
    }
}

/// The first two characters of a code.
fn class_of(code: &str) -> &str {
    code.get(..2).unwrap_or_default()
}

fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.constraint() == Some(constraint))
}

/// Where the database is and how many connections each duty may use.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `postgres://…`; may hold a password.
    pub url: SecretString,
    /// Connections for requests: reads and admin actions.
    pub requests: u32,
    /// Connections for enqueues.
    pub enqueues: u32,
    /// Connections for claims, settlements, polling and the leader.
    pub engine: u32,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
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
    requests: PgPool,
    enqueues: PgPool,
    engine: PgPool,
    options: PgConnectOptions,
}

/// The engine's statements are few and find every row by an index. A plan is made once for all of them and does not
/// depend on what statistics say of tables that fill and empty within seconds: those say "empty" of a table that has
/// just got a million rows. Planning an enqueue anew costs as much as its rows.
const FIXED_PLANS: [(&str, &str); 6] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
    // Two lists of 500 are joined by hash, not 250,000 times.
    ("enable_nestloop", "off"),
    // Plans that use what is switched off all the same look expensive enough to be compiled.
    ("jit", "off"),
];

impl Database {
    /// Connects, and fails within 10 s when that is not possible.
    ///
    /// # Errors
    /// [`DatabaseError::InvalidUrl`] or [`DatabaseError::Unavailable`].
    pub async fn connect(settings: DatabaseSettings) -> Result<Self, DatabaseError> {
        let database = Self::connect_lazy(settings)?;
        tokio::time::timeout(CONNECT, async {
            let connection = sqlx::ConnectOptions::connect(&database.options).await?;
            sqlx::Connection::close(connection).await
        })
        .await
        .map_err(|_| DatabaseError::TimedOut)??;
        Ok(database)
    }

    /// Does not dial yet: a process lives while its database is away.
    ///
    /// # Errors
    /// [`DatabaseError::InvalidUrl`].
    pub fn connect_lazy(settings: DatabaseSettings) -> Result<Self, DatabaseError> {
        use sqlx::ConnectOptions;
        let options = PgConnectOptions::from_str(settings.url.expose_secret())
            .map_err(DatabaseError::InvalidUrl)?
            .application_name(&settings.application_name)
            .options([
                ("statement_timeout", "10s"),
                ("lock_timeout", "2s"),
                ("idle_in_transaction_session_timeout", "10s"),
                ("timezone", "UTC"),
                // A role named like our schema would find the migrator's table there and not where it was made.
                ("search_path", "public"),
            ])
            .log_statements(tracing::log::LevelFilter::Off)
            .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO);
        let fixed = options.clone().options(FIXED_PLANS);
        Ok(Self {
            requests: pool(settings.requests).connect_lazy_with(options.clone()),
            enqueues: pool(settings.enqueues).connect_lazy_with(fixed.clone()),
            engine: pool(settings.engine).connect_lazy_with(fixed),
            options,
        })
    }

    /// Uses one pool for everything: for tests that are handed one.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        let options = (*pool.connect_options()).clone();
        Self {
            requests: pool.clone(),
            enqueues: pool.clone(),
            engine: pool,
            options,
        }
    }

    /// The pool for requests, for the other crates' own tables.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.requests
    }

    /// A pool of its own with at most `size` connections, made in the runtime that calls: sockets belong to it.
    pub(crate) fn separate_pool(&self, size: u32) -> PgPool {
        pool(size).connect_lazy_with(self.options.clone().options(FIXED_PLANS))
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

    /// Open and idle connections: (open, idle), over all pools.
    pub(crate) fn connections(&self) -> (u32, usize) {
        let pools = [&self.requests, &self.enqueues, &self.engine];
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
        // A migration may take longer than the statement timeout of ordinary calls.
        let options = self
            .options
            .clone()
            .options([("statement_timeout", "0"), ("lock_timeout", "30s")]);
        let pool = pool(1).connect_lazy_with(options);
        MIGRATIONS
            .run(&pool)
            .await
            .map_err(DatabaseError::Migration)?;
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

    /// Asks for a sign of life, for at most 2 s.
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

fn pool(size: u32) -> PgPoolOptions {
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
                match tokio::time::timeout(TEST, sqlx::Connection::ping(connection)).await {
                    Ok(answer) => answer.map(|()| true),
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        })
}

/// A connection on loan. A call that does not end in time leaves it in an unknown state, so it goes back to its pool
/// only through [`Session::end`]; dropped before that it is detached and closed, which frees its slot.
#[derive(Debug)]
pub(crate) struct Session(Option<PoolConnection<Postgres>>);

impl Session {
    pub(crate) async fn open(pool: &PgPool) -> Result<Self, DatabaseError> {
        Ok(Self(Some(pool.acquire().await?)))
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        self.0
            .as_mut()
            .expect("the connection is there until the session ends")
    }

    /// Ends the session with what its last call gave, and keeps the connection if it is still good.
    pub(crate) fn end<T>(mut self, result: Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        let is_good = !matches!(
            &result,
            Err(DatabaseError::TimedOut | DatabaseError::Unavailable(_))
        );
        if is_good {
            drop(self.0.take());
        }
        result
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

/// Gives a call to the database its deadline.
pub(crate) async fn within<T>(
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, DatabaseError> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(DatabaseError::TimedOut),
    }
}
