//! Table `cache`: answers that may be used again. It is not logged: a crash empties it.

use serde_json::Value;
use sqlx::{PgExecutor, types::Uuid};

/// An answer that is still good.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    account: Uuid,
    key: &str,
) -> Result<Option<Value>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT value FROM marketing.cache WHERE account = $1 AND key = $2 AND expires_at > now()",
        account,
        key,
    )
    .fetch_optional(db)
    .await
}

/// Keeps an answer for so long.
pub(crate) async fn put(
    db: impl PgExecutor<'_>,
    (account, key): (Uuid, &str),
    value: &Value,
    ttl_s: f64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.cache (account, key, value, expires_at)
         VALUES ($1, $2, $3, now() + make_interval(secs => $4))
         ON CONFLICT ON CONSTRAINT cache_pkey DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
        account,
        key,
        value,
        ttl_s,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets answers whose keys are like this pattern of LIKE, of one account or of all; tells how many.
pub(crate) async fn invalidate(
    db: impl PgExecutor<'_>,
    account: Option<Uuid>,
    pattern: &str,
) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query!(
        "DELETE FROM marketing.cache WHERE ($1::uuid IS NULL OR account = $1) AND key LIKE $2",
        account,
        pattern,
    )
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected())
}

/// Forgets all answers of these accounts and grants.
pub(crate) async fn forget(db: impl PgExecutor<'_>, of: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM marketing.cache WHERE account = ANY ($1)", of)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes up to 5,000 answers that are not good any more; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.cache
          WHERE ctid = ANY (ARRAY(SELECT ctid FROM marketing.cache WHERE expires_at <= now()
                                   ORDER BY expires_at LIMIT 5000 FOR UPDATE SKIP LOCKED))",
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
