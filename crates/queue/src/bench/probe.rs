//! Questions to the database between rounds: what was written, how large tables are, whether anything is left to do.

use super::BenchError;
use crate::{
    DatabaseError,
    db::{Database, within},
    store::bench as store,
};

/// A number to ask the database for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Wal,
    Size,
    HasJobs,
    Deadlocks,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes and counts stay far below 2^53"
)]
pub(super) async fn ask(db: &Database, asked: Asked) -> Result<f64, DatabaseError> {
    let mut session = db.engine().await?;
    let answer = within(async {
        let conn = session.conn();
        Ok(match asked {
            Asked::Wal => store::wal_bytes(conn).await?,
            Asked::Size => store::size_bytes(conn).await? as f64,
            Asked::HasJobs => f64::from(u8::from(store::has_jobs(conn).await?)),
            Asked::Deadlocks => store::deadlocks(conn).await? as f64,
        })
    })
    .await;
    session.end(answer)
}

/// Whether any job is still to be done.
///
/// # Errors
/// When the database cannot be asked.
pub async fn has_jobs(db: &Database) -> Result<bool, BenchError> {
    Ok(ask(db, Asked::HasJobs).await? > 0.0)
}

/// Deadlocks in this database since its statistics began.
///
/// # Errors
/// When the database cannot be asked.
pub async fn deadlocks(db: &Database) -> Result<f64, BenchError> {
    Ok(ask(db, Asked::Deadlocks).await?)
}

/// Takes out everything that a round left: jobs, their idempotency keys, the rows of limits.
///
/// # Errors
/// When a table is held by somebody else.
pub async fn empty(db: &Database) -> Result<(), BenchError> {
    let mut session = db.request().await?;
    let emptied = within(async {
        store::empty_jobs(session.conn()).await?;
        store::prepare(session.conn()).await
    })
    .await;
    Ok(session.end(emptied)?)
}

/// Takes out the API keys of this name. That they were made stays in the audit.
///
/// # Errors
/// When the database cannot be asked.
pub async fn remove_keys(db: &Database, name: &str) -> Result<(), BenchError> {
    let mut session = db.request().await?;
    let removed = within(store::delete_keys(session.conn(), name)).await;
    Ok(session.end(removed)?)
}
