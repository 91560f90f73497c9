//! P9: what a server counts while there is nothing to do, without what it does for itself.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use super::BenchError;
use crate::{
    DatabaseError,
    db::{Database, Session, within},
    store::bench as store,
};

/// How often autovacuum's end is looked for, and how long it may take: it finishes the table it is at.
const LOOK: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(120);

/// Counts the transactions that others commit in a database, as its server tells them. It tells them late: what a
/// session committed last may be missing for ten seconds.
pub struct Commits {
    session: Session,
    counted: i64,
}

impl Commits {
    /// Begins to count, on a connection of its own.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn open(db: &Database) -> Result<Self, BenchError> {
        let mut session = db.request().await?;
        let counted = within(store::transactions(session.conn())).await?;
        Ok(Self { session, counted })
    }

    /// How many there were since the last look. The first answer has the making of the connection in it.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn since_last(&mut self) -> Result<usize, BenchError> {
        let counted = within(store::transactions(self.session.conn())).await?;
        // The last look was counted itself, once it had been answered.
        let others = counted - self.counted - 1;
        self.counted = counted;
        Ok(usize::try_from(others).unwrap_or(0))
    }
}

/// Does something while autovacuum rests. It rests for the whole server, so that must be one that was made for this.
///
/// # Errors
/// When the server cannot be asked, does not let us, or is not done with what autovacuum was at within two minutes.
pub async fn without_autovacuum<T>(
    db: &Database,
    work: impl Future<Output = T>,
) -> Result<T, BenchError> {
    let done = match rest(db).await {
        Ok(()) => Ok(work.await),
        Err(error) => Err(error),
    };
    set_autovacuum(db, true).await?;
    done
}

async fn rest(db: &Database) -> Result<(), BenchError> {
    set_autovacuum(db, false).await?;
    let asked = Instant::now();
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let mut session = db.request().await?;
        let is_at_work = within(store::has_autovacuum(session.conn())).await;
        if !session.end(is_at_work)? {
            return Ok(());
        }
        if asked.elapsed() > LONGEST {
            return Err(BenchError::Database(DatabaseError::TimedOut));
        }
    }
}

async fn set_autovacuum(db: &Database, is_on: bool) -> Result<(), BenchError> {
    let mut session = db.request().await?;
    let set = within(async {
        if is_on {
            store::autovacuum_on(session.conn()).await?;
        } else {
            store::autovacuum_off(session.conn()).await?;
        }
        store::read_settings_again(session.conn()).await
    })
    .await;
    Ok(session.end(set)?)
}
