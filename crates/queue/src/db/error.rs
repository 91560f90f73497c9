//! What can go wrong between us and PostgreSQL, translated once.

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
