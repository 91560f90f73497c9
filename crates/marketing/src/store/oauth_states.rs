//! Table `oauth_states`: people who are away at a platform. Each row is used once.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// Somebody who is sent to a platform.
pub(crate) struct AwayRow<'a> {
    pub(crate) id: Uuid,
    pub(crate) state_hash: &'a [u8],
    pub(crate) platform: &'static str,
    pub(crate) tenant: &'a str,
    pub(crate) verifier: &'a [u8],
    pub(crate) return_to: Option<&'a str>,
    pub(crate) owner_email: Option<&'a str>,
    pub(crate) actor: &'a str,
}

/// Remembers somebody for so many seconds, and tells until when.
pub(crate) async fn remember(
    db: impl PgExecutor<'_>,
    away: &AwayRow<'_>,
    seconds: f64,
) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!(
        "INSERT INTO marketing.oauth_states
                (id, state_hash, platform, tenant, verifier, return_to, owner_email, actor, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))
      RETURNING expires_at",
        away.id,
        away.state_hash,
        away.platform,
        away.tenant,
        away.verifier,
        away.return_to,
        away.owner_email,
        away.actor,
        seconds,
    )
    .fetch_one(db)
    .await
}

/// Somebody who came back.
pub(crate) struct BackRow {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) verifier: Vec<u8>,
    pub(crate) return_to: Option<String>,
    pub(crate) owner_email: Option<String>,
    pub(crate) actor: String,
    /// In time.
    pub(crate) is_in_time: bool,
}

/// Takes out who was sent to this platform with this state: a second one with the same finds nobody.
pub(crate) async fn take(
    db: impl PgExecutor<'_>,
    platform: &str,
    state_hash: &[u8],
) -> Result<Option<BackRow>, sqlx::Error> {
    sqlx::query_as!(
        BackRow,
        r#"DELETE FROM marketing.oauth_states WHERE state_hash = $2 AND platform = $1
        RETURNING id, tenant, verifier, return_to, owner_email, actor, expires_at > now() AS "is_in_time!""#,
        platform,
        state_hash,
    )
    .fetch_optional(db)
    .await
}

/// Forgets up to 100 who did not come back in time; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query!(
        "DELETE FROM marketing.oauth_states
          WHERE id = ANY (ARRAY(SELECT id FROM marketing.oauth_states WHERE expires_at <= now()
                                 ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED))",
    )
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected())
}
