//! Leadership: a row with a term and an expiry, so that a leader which was paused past its term changes nothing.

use sqlx::PgExecutor;
use uuid::Uuid;

/// Takes or keeps the lead for so many seconds; `None` while another process leads, or a transaction [`hold`]s the last
/// term. It does not wait for that one: its process may have been stopped, and the next try is soon.
pub(crate) async fn lead(
    db: impl PgExecutor<'_>,
    name: &str,
    holder: Uuid,
    ttl_seconds: f64,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "WITH ended AS (SELECT FROM millpond.leaders
                         WHERE name = $1 AND holder <> $2 AND expires_at < now() FOR UPDATE SKIP LOCKED)
         INSERT INTO millpond.leaders AS l (name, holder, term, expires_at)
         VALUES ($1, $2, 1, now() + make_interval(secs => $3))
         ON CONFLICT (name) DO UPDATE
            SET holder = excluded.holder, expires_at = excluded.expires_at,
                term = l.term + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END
          WHERE l.holder = excluded.holder OR (l.expires_at < now() AND EXISTS (SELECT FROM ended))
      RETURNING term",
        name,
        holder,
        ttl_seconds,
    )
    .fetch_optional(db)
    .await
}

/// Whether this term is the present one; if so, it has no successor before the transaction ends. What the leader alone may
/// do begins with it. The transaction gets the time limits that our sessions have: behind a pooler those do not hold, and
/// a leader that is stopped in the middle would keep the fleet without one.
pub(crate) async fn hold(
    db: impl PgExecutor<'_>,
    name: &str,
    holder: Uuid,
    term: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT set_config('statement_timeout', '10s', true) IS NOT NULL
              AND set_config('lock_timeout', '2s', true) IS NOT NULL
              AND set_config('idle_in_transaction_session_timeout', '10s', true) IS NOT NULL
              AND EXISTS (SELECT FROM millpond.leaders
                           WHERE name = $1 AND holder = $2 AND term = $3 AND expires_at > now()
                             FOR KEY SHARE) AS "leads!""#,
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
