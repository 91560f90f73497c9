//! The hot table as PostgreSQL keeps it.

use sqlx::PgExecutor;

/// Makes room that dead rows of the hot table take reusable, and keeps the file as large as it is: the next load needs
/// it again. Does nothing while somebody else vacuums, and only warns where the role does not own the table.
pub(crate) async fn vacuum(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("VACUUM (SKIP_LOCKED, TRUNCATE FALSE) millpond.jobs")
        .execute(db)
        .await?;
    Ok(())
}
