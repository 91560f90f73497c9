//! Table `data_deletions`: what platforms asked us to delete of people, for the page that shows that it was done.

use sqlx::{
    PgExecutor,
    types::chrono::{DateTime, Utc},
};

/// Remembers what was deleted.
pub(crate) async fn remember(
    db: impl PgExecutor<'_>,
    code: &str,
    platform: &str,
    connections: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.data_deletions (code, platform, connections) VALUES ($1, $2, $3)",
        code,
        platform,
        connections,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// When the deletion with this code was done.
pub(crate) async fn done_at(
    db: impl PgExecutor<'_>,
    code: &str,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT requested_at FROM marketing.data_deletions WHERE code = $1",
        code,
    )
    .fetch_optional(db)
    .await
}
