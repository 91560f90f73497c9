//! Calls of the database that end: every one has a deadline of ours, because a peer that fell silent is noticed by
//! nobody below, and a connection that was left in the middle of a call is thrown away.

use std::{future::Future, time::Duration};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};

/// Longer than the session's `statement_timeout`, so that a slow statement is refused by the database and only silence
/// runs into this.
const DEADLINE: Duration = Duration::from_secs(12);
/// For transactions of many statements, each of which the database limits by itself.
pub(crate) const LONG_DEADLINE: Duration = Duration::from_secs(60);

/// Why something could not be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, or broke off; whether it stored anything is unknown.
    #[error("the database did not do what it was asked for")]
    Database(#[from] sqlx::Error),
    /// The database fell silent; whether it stored anything is unknown.
    #[error("the database gave no answer in time")]
    Silent,
}

/// A connection of the pool for one call. It goes back to the pool by [`Session::done`] alone: dropped before that, it
/// may be waiting for an answer that never comes, and returning it would lose its slot in the pool for good.
pub(crate) struct Session(Option<PoolConnection<Postgres>>);

impl Session {
    /// Takes a connection out of the pool.
    pub(crate) async fn open(db: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self(Some(db.acquire().await?)))
    }

    /// The connection.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        self.0
            .as_mut()
            .expect("the connection is there until `done` takes it")
    }

    /// Gives the connection back, for others to use.
    pub(crate) fn done(mut self) {
        self.0.take();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(abandoned) = self.0.take() {
            drop(abandoned.detach());
        }
    }
}

/// Gives the work until the deadline.
pub(crate) async fn within_deadline<T>(
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    within(DEADLINE, work).await
}

/// Gives the work so long.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(StoreError::Database),
        Err(_elapsed) => Err(StoreError::Silent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[sqlx::test]
    async fn a_connection_left_in_the_middle_of_a_call_leaves_the_pool(db: PgPool) {
        let session = Session::open(&db).await.expect("the database is there");
        let before = db.size();

        drop(session);

        assert_eq!((before, db.size()), (1, 0));
    }

    #[sqlx::test]
    async fn a_connection_that_did_its_work_stays_in_the_pool(db: PgPool) {
        let session = Session::open(&db).await.expect("the database is there");

        session.done();

        assert_eq!(db.size(), 1);
    }
}
