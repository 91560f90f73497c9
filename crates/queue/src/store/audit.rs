//! Who did what, when, why, to how many: written in the transaction of the action itself.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;

/// An action to be noted.
#[derive(Debug)]
pub(crate) struct AuditRow<'a> {
    pub(crate) actor: &'a str,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) action: &'static str,
    pub(crate) target: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) count: i64,
    pub(crate) detail: Value,
}

/// Notes an action.
pub(crate) async fn note(db: impl PgExecutor<'_>, row: &AuditRow<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.audit (actor, tenant, action, target, reason, count, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        row.actor,
        row.tenant,
        row.action,
        row.target,
        row.reason,
        row.count,
        row.detail,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// An action that was noted.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AuditEntry {
    /// Its number; grows with time.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// To how many.
    pub count: i64,
    /// What else is worth knowing; never a secret or a payload.
    pub detail: Value,
}

/// A page of actions, newest first; of one tenant or all.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    tenant: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<AuditEntry>, sqlx::Error> {
    sqlx::query_as!(
        AuditEntry,
        "SELECT id, at, actor, action, target, reason, count, detail FROM millpond.audit
          WHERE ($1::text IS NULL OR tenant = $1) AND id < COALESCE($2, 9223372036854775807)
          ORDER BY id DESC LIMIT $3",
        tenant,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}
