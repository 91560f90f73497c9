//! Table `strategies`: rules of tenants.

use serde_json::Value;
use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// A rule.
pub(crate) struct StrategyRow {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) mode: String,
    pub(crate) rule: Value,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) evaluated_at: Option<DateTime<Utc>>,
}

/// Stores a rule; `None` where its tenant has one of this name.
pub(crate) async fn add(
    db: impl PgExecutor<'_>,
    (id, tenant, name): (Uuid, &str, &str),
    (status, mode): (&str, &str),
    rule: &Value,
) -> Result<Option<StrategyRow>, sqlx::Error> {
    sqlx::query_as!(
        StrategyRow,
        "INSERT INTO marketing.strategies (id, tenant, name, mode, rule, status) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT ON CONSTRAINT strategies_name DO NOTHING
         RETURNING id, tenant, name, status, mode, rule, created_at, updated_at, evaluated_at",
        id,
        tenant,
        name,
        mode,
        rule,
        status,
    )
    .fetch_optional(db)
    .await
}

/// One of this tenant's, or of any.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<StrategyRow>, sqlx::Error> {
    sqlx::query_as!(
        StrategyRow,
        "SELECT id, tenant, name, status, mode, rule, created_at, updated_at, evaluated_at
           FROM marketing.strategies WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)",
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
) -> Result<Vec<StrategyRow>, sqlx::Error> {
    sqlx::query_as!(
        StrategyRow,
        "SELECT id, tenant, name, status, mode, rule, created_at, updated_at, evaluated_at
           FROM marketing.strategies
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

/// What changes of a rule; `None` leaves a member as it is.
pub(crate) struct Change<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) status: Option<&'a str>,
    pub(crate) mode: Option<&'a str>,
    pub(crate) rule: Option<&'a Value>,
}

/// Changes a rule; it is evaluated anew at the next turn.
pub(crate) async fn change(
    db: impl PgExecutor<'_>,
    (id, tenant): (Uuid, Option<&str>),
    change: &Change<'_>,
) -> Result<Option<StrategyRow>, sqlx::Error> {
    sqlx::query_as!(
        StrategyRow,
        "UPDATE marketing.strategies
            SET name = COALESCE($3, name), status = COALESCE($4, status), mode = COALESCE($5, mode),
                rule = COALESCE($6, rule), updated_at = now(), evaluated_at = NULL
          WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)
      RETURNING id, tenant, name, status, mode, rule, created_at, updated_at, evaluated_at",
        id,
        tenant,
        change.name,
        change.status,
        change.mode,
        change.rule,
    )
    .fetch_optional(db)
    .await
}

/// Deletes a rule with all that it found; tells whether it was there.
pub(crate) async fn delete(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.strategies WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)",
        id,
        tenant,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Active rules that were not evaluated for so many seconds, the longest waiting first.
pub(crate) async fn due(
    db: impl PgExecutor<'_>,
    every_s: f64,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM marketing.strategies
          WHERE status = 'active' AND (evaluated_at IS NULL OR evaluated_at <= now() - make_interval(secs => $1))
          ORDER BY evaluated_at NULLS FIRST, id LIMIT $2",
        every_s,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Notes that an active rule is evaluated now, and keeps others from it until the transaction ends; tells whether it is active.
pub(crate) async fn lock_active(db: impl PgExecutor<'_>, id: Uuid) -> Result<bool, sqlx::Error> {
    let locked = sqlx::query!(
        "UPDATE marketing.strategies SET evaluated_at = now() WHERE id = $1 AND status = 'active'",
        id,
    )
    .execute(db)
    .await?;
    Ok(locked.rows_affected() > 0)
}

/// Whose an ad account is; `None`: there is no such account.
pub(crate) async fn tenant_of(
    db: impl PgExecutor<'_>,
    account: Uuid,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT tenant FROM marketing.accounts WHERE id = $1 AND kind = 'ad_account'",
        account,
    )
    .fetch_optional(db)
    .await
}

/// An account that a rule or an alert looks at.
pub(crate) struct ScopedAccount {
    pub(crate) id: Uuid,
    pub(crate) time_zone: Option<String>,
    pub(crate) currency: Option<String>,
    /// Whether figures of its last days were read lately, where any ever were.
    pub(crate) is_fresh: bool,
}

/// The ad accounts of a scope that are synced; at most 1,000.
pub(crate) async fn accounts(
    db: impl PgExecutor<'_>,
    tenant: &str,
    (account, platform): (Option<Uuid>, Option<&str>),
    level: &str,
) -> Result<Vec<ScopedAccount>, sqlx::Error> {
    sqlx::query_as!(
        ScopedAccount,
        r#"SELECT id, time_zone, currency,
                EXISTS (SELECT FROM marketing.insight_days d
                         WHERE d.account = accounts.id AND d.level = $4 AND d.breakdowns = ''
                           AND d.date >= (now() AT TIME ZONE 'UTC')::date - 2
                           AND d.read_at > now() - interval '36 hours') -- longer than between two daily reads
                OR NOT EXISTS (SELECT FROM marketing.insight_days d
                                WHERE d.account = accounts.id AND d.level = $4 AND d.breakdowns = '') AS "is_fresh!"
           FROM marketing.accounts
          WHERE tenant = $1 AND kind = 'ad_account' AND status IN ('active', 'expiring') AND vanished_at IS NULL
            AND sync_enabled AND ($2::uuid IS NULL OR id = $2) AND ($3::text IS NULL OR platform = $3)
          ORDER BY id LIMIT 1000"#,
        tenant,
        account,
        platform,
        level,
    )
    .fetch_all(db)
    .await
}
