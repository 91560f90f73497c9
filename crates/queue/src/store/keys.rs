//! API keys: only hashes of secrets are stored.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// An API key, without its secret.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ApiKey {
    /// Its id.
    pub id: Uuid,
    /// What it was named.
    pub name: String,
    /// The first characters of its secret.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The tenant it is bound to; `None`: all.
    pub tenant: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, within a minute or so.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key to be stored.
#[derive(Debug)]
pub(crate) struct KeyRow<'a> {
    pub(crate) name: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) secret_hash: &'a [u8],
    pub(crate) scopes: &'a [String],
    pub(crate) tenant: Option<&'a str>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) created_by: &'a str,
}

/// Stores a key.
pub(crate) async fn create(
    db: impl PgExecutor<'_>,
    key: &KeyRow<'_>,
) -> Result<ApiKey, sqlx::Error> {
    sqlx::query_as!(
        ApiKey,
        "INSERT INTO millpond.api_keys (id, name, prefix, secret_hash, scopes, tenant, expires_at, created_by)
         VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7)
      RETURNING id, name, prefix, scopes, tenant, created_at, created_by, expires_at, revoked_at, last_used_at",
        key.name,
        key.prefix,
        key.secret_hash,
        key.scopes,
        key.tenant,
        key.expires_at,
        key.created_by,
    )
    .fetch_one(db)
    .await
}

/// A page of keys by id, revoked ones included; of one tenant or all.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    tenant: Option<&str>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ApiKey>, sqlx::Error> {
    sqlx::query_as!(
        ApiKey,
        "SELECT id, name, prefix, scopes, tenant, created_at, created_by, expires_at, revoked_at, last_used_at
           FROM millpond.api_keys
          WHERE ($1::text IS NULL OR tenant = $1) AND id > COALESCE($2::uuid, '00000000-0000-0000-0000-000000000000')
          ORDER BY id LIMIT $3",
        tenant,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Revokes a key, for good; `None` when there is none. One that is revoked already keeps its time.
pub(crate) async fn revoke(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<ApiKey>, sqlx::Error> {
    sqlx::query_as!(
        ApiKey,
        "UPDATE millpond.api_keys SET revoked_at = COALESCE(revoked_at, now())
          WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)
      RETURNING id, name, prefix, scopes, tenant, created_at, created_by, expires_at, revoked_at, last_used_at",
        id,
        tenant,
    )
    .fetch_optional(db)
    .await
}

/// A key that may be used now.
#[derive(Debug)]
pub(crate) struct LiveKey {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) tenant: Option<String>,
}

/// The key with this hash, unless it is revoked or expired: one look-up in a unique index.
pub(crate) async fn find(
    db: impl PgExecutor<'_>,
    secret_hash: &[u8],
) -> Result<Option<LiveKey>, sqlx::Error> {
    sqlx::query_as!(
        LiveKey,
        "SELECT id, name, prefix, scopes, tenant FROM millpond.api_keys
          WHERE secret_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())",
        secret_hash,
    )
    .fetch_optional(db)
    .await
}

/// Notes that keys were used; at most once a minute for each.
pub(crate) async fn used(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.api_keys SET last_used_at = now()
          WHERE id = ANY ($1) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
        ids,
    )
    .execute(db)
    .await?;
    Ok(())
}
