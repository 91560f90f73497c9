//! Which accounts have had their history asked for: a column of table `accounts` of its own.

use sqlx::{PgExecutor, types::Uuid};

/// Those of these accounts whose history was not asked for.
pub(crate) async fn not_asked_for(
    db: impl PgExecutor<'_>,
    accounts: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM marketing.accounts WHERE id = ANY ($1) AND history_asked_at IS NULL ORDER BY id",
        accounts,
    )
    .fetch_all(db)
    .await
}

/// Remembers that the history of an account was asked for.
pub(crate) async fn asked_for(db: impl PgExecutor<'_>, account: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.accounts SET history_asked_at = now() WHERE id = $1",
        account,
    )
    .execute(db)
    .await?;
    Ok(())
}
