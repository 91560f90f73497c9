//! Table `alerts`: what tenants want to be told of.

use serde_json::Value;
use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// An alert.
pub(crate) struct AlertRow {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) rule: Value,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) evaluated_at: Option<DateTime<Utc>>,
}

/// Stores an alert; `None` where its tenant has one of this name.
pub(crate) async fn add(
    db: impl PgExecutor<'_>,
    (id, tenant, name): (Uuid, &str, &str),
    status: &str,
    rule: &Value,
) -> Result<Option<AlertRow>, sqlx::Error> {
    sqlx::query_as!(
        AlertRow,
        "INSERT INTO marketing.alerts (id, tenant, name, status, rule) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT ON CONSTRAINT alerts_name DO NOTHING
         RETURNING id, tenant, name, status, rule, created_at, updated_at, evaluated_at",
        id,
        tenant,
        name,
        status,
        rule,
    )
    .fetch_optional(db)
    .await
}

/// One of this tenant's, or of any.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<AlertRow>, sqlx::Error> {
    sqlx::query_as!(
        AlertRow,
        "SELECT id, tenant, name, status, rule, created_at, updated_at, evaluated_at
           FROM marketing.alerts WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)",
        id,
        tenant,
    )
    .fetch_optional(db)
    .await
}

/// A page, in the order in which they were made.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    tenant: Option<&str>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<AlertRow>, sqlx::Error> {
    sqlx::query_as!(
        AlertRow,
        "SELECT id, tenant, name, status, rule, created_at, updated_at, evaluated_at
           FROM marketing.alerts
          WHERE ($1::text IS NULL OR tenant = $1)
            AND id > COALESCE($2::uuid, '00000000-0000-0000-0000-000000000000')
          ORDER BY id LIMIT $3",
        tenant,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Changes an alert, `None` leaves a member as it is; it is looked at anew at the next turn.
pub(crate) async fn change(
    db: impl PgExecutor<'_>,
    (id, tenant): (Uuid, Option<&str>),
    (name, status): (Option<&str>, Option<&str>),
    rule: Option<&Value>,
) -> Result<Option<AlertRow>, sqlx::Error> {
    sqlx::query_as!(
        AlertRow,
        "UPDATE marketing.alerts
            SET name = COALESCE($3, name), status = COALESCE($4, status), rule = COALESCE($5, rule), updated_at = now(),
                evaluated_at = NULL
          WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)
      RETURNING id, tenant, name, status, rule, created_at, updated_at, evaluated_at",
        id,
        tenant,
        name,
        status,
        rule,
    )
    .fetch_optional(db)
    .await
}

/// Deletes an alert with its history; tells whether it was there.
pub(crate) async fn delete(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.alerts WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)",
        id,
        tenant,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Active alerts that were not looked at for so many seconds, the longest waiting first.
pub(crate) async fn due(
    db: impl PgExecutor<'_>,
    every_s: f64,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM marketing.alerts
          WHERE status = 'active' AND (evaluated_at IS NULL OR evaluated_at <= now() - make_interval(secs => $1))
          ORDER BY evaluated_at NULLS FIRST, id LIMIT $2",
        every_s,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Notes that an active alert is looked at now, and keeps others from it until the transaction ends; tells whether it is active.
pub(crate) async fn lock_active(db: impl PgExecutor<'_>, id: Uuid) -> Result<bool, sqlx::Error> {
    let locked = sqlx::query!(
        "UPDATE marketing.alerts SET evaluated_at = now() WHERE id = $1 AND status = 'active'",
        id,
    )
    .execute(db)
    .await?;
    Ok(locked.rows_affected() > 0)
}
