//! Leadership: a row with a term and an expiry, so that a leader which was paused past its term changes nothing.

use sqlx::PgExecutor;
use uuid::Uuid;

/// Takes or keeps the lead for so many seconds; `None` while another process leads.
pub(crate) async fn lead(
    db: impl PgExecutor<'_>,
    name: &str,
    holder: Uuid,
    ttl_seconds: f64,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "INSERT INTO millpond.leaders AS l (name, holder, term, expires_at)
         VALUES ($1, $2, 1, now() + make_interval(secs => $3))
         ON CONFLICT (name) DO UPDATE
            SET holder = excluded.holder, expires_at = excluded.expires_at,
                term = l.term + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END
          WHERE l.holder = excluded.holder OR l.expires_at < now()
      RETURNING term",
        name,
        holder,
        ttl_seconds,
    )
    .fetch_optional(db)
    .await
}

/// Whether this term is still the present one; the leader asks inside its transactions.
pub(crate) async fn still_leads(
    db: impl PgExecutor<'_>,
    name: &str,
    holder: Uuid,
    term: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM millpond.leaders
                           WHERE name = $1 AND holder = $2 AND term = $3 AND expires_at > now() FOR SHARE) AS "leads!""#,
        name,
        holder,
        term,
    )
    .fetch_one(db)
    .await
}

/// Gives the lead up at an orderly end.
pub(crate) async fn resign(
    db: impl PgExecutor<'_>,
    name: &str,
    holder: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.leaders SET expires_at = now() WHERE name = $1 AND holder = $2",
        name,
        holder
    )
    .execute(db)
    .await?;
    Ok(())
}
