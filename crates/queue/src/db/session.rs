//! A connection on loan, and the deadline of every call.

use std::{future::Future, time::Duration};

use sqlx::{PgConnection, Postgres, pool::PoolConnection};

use super::{DatabaseError, Pool};

/// Longest that a call may take on our side; the server's own statement timeout is 10 s.
const DEADLINE: Duration = Duration::from_secs(12);

/// A connection on loan. A call that does not end in time leaves it in an unknown state, so it goes back to its pool
/// only through [`Session::end`]; dropped before that it is detached and closed, which frees its slot.
#[derive(Debug)]
pub(crate) struct Session(Option<PoolConnection<Postgres>>);

impl Session {
    pub(crate) async fn open(pool: &Pool) -> Result<Self, DatabaseError> {
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

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    // Fails when a connection that was left in the middle of a call goes back to its pool, where it may keep its place
    // for ever.
    #[sqlx::test(migrations = false)]
    async fn a_connection_left_in_the_middle_of_a_call_leaves_its_pool(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let pool = Pool::from(db);
        let given_up = Session::open(&pool).await?;
        let silent = Session::open(&pool).await?;
        let before = pool.present().size();

        drop(given_up);
        let ended = silent.end::<()>(Err(DatabaseError::TimedOut));

        assert!(ended.is_err());
        assert_eq!((before, pool.present().size()), (2, 0));
        Ok(())
    }

    // Fails when every call costs a connection.
    #[sqlx::test(migrations = false)]
    async fn a_connection_whose_call_was_answered_stays_in_its_pool(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let pool = Pool::from(db);

        Session::open(&pool).await?.end(Ok(()))?;

        assert_eq!(pool.present().size(), 1);
        Ok(())
    }
}
