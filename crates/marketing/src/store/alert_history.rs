//! Tables `alert_states` and `alert_history`: for what alerts are raised, and what they told.

use serde_json::Value;
use sqlx::{
    PgExecutor,
    types::{
        Decimal, Uuid,
        chrono::{DateTime, Utc},
    },
};

/// Something that an alert tells.
pub(crate) struct EntryRow {
    pub(crate) id: Uuid,
    pub(crate) alert: Uuid,
    pub(crate) account: Uuid,
    pub(crate) level: String,
    pub(crate) entity_id: String,
    pub(crate) entity_name: String,
    pub(crate) became: String,
    pub(crate) metric: String,
    pub(crate) value: Decimal,
    pub(crate) threshold: Decimal,
    pub(crate) baseline: Option<Decimal>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) mail: String,
}

/// Something that an alert tells now.
pub(crate) struct NewEntry<'a> {
    pub(crate) id: Uuid,
    pub(crate) alert: Uuid,
    pub(crate) tenant: &'a str,
    pub(crate) account: Uuid,
    pub(crate) level: &'a str,
    pub(crate) entity_id: &'a str,
    pub(crate) entity_name: &'a str,
    pub(crate) became: &'a str,
    pub(crate) metric: &'a str,
    pub(crate) value: Decimal,
    pub(crate) threshold: Decimal,
    pub(crate) baseline: Option<Decimal>,
    pub(crate) mail: &'a str,
}

/// What an alert is raised for.
pub(crate) struct RaisedRow {
    pub(crate) entity_id: String,
    pub(crate) entity_name: String,
    /// No sync finds it any more.
    pub(crate) is_gone: bool,
}

/// What an alert is raised for in an account, at a level.
pub(crate) async fn raised(
    db: impl PgExecutor<'_>,
    (alert, account): (Uuid, Uuid),
    level: &str,
) -> Result<Vec<RaisedRow>, sqlx::Error> {
    sqlx::query_as!(
        RaisedRow,
        r#"SELECT s.entity_id,
                  COALESCE((SELECT h.entity_name FROM marketing.alert_history h WHERE h.id = s.firing), s.entity_id)
                      AS "entity_name!",
                  $3::text <> 'account'
                  AND NOT EXISTS (SELECT FROM marketing.entities e
                                   WHERE e.account = s.account AND e.kind = $3 AND e.id = s.entity_id
                                     AND e.vanished_at IS NULL) AS "is_gone!"
             FROM marketing.alert_states s WHERE s.alert = $1 AND s.account = $2"#,
        alert,
        account,
        level,
    )
    .fetch_all(db)
    .await
}

/// Forgets what an alert was raised for, and the mails that are still due of it.
pub(crate) async fn forget(db: impl PgExecutor<'_>, alert: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH over AS (DELETE FROM marketing.alert_states WHERE alert = $1 RETURNING firing)
         UPDATE marketing.alert_history h SET mail = 'dropped' FROM over WHERE h.id = over.firing AND h.mail = 'due'",
        alert,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Raises an alert; tells whether it was not raised before.
pub(crate) async fn raise(
    db: impl PgExecutor<'_>,
    (alert, account, entity_id): (Uuid, Uuid, &str),
    firing: Uuid,
) -> Result<bool, sqlx::Error> {
    let raised = sqlx::query!(
        "INSERT INTO marketing.alert_states (alert, account, entity_id, firing) VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT alert_states_pkey DO NOTHING",
        alert,
        account,
        entity_id,
        firing,
    )
    .execute(db)
    .await?;
    Ok(raised.rows_affected() > 0)
}

/// Ends an alert, and the mail that is still due of it; tells whether it was raised.
pub(crate) async fn clear(
    db: impl PgExecutor<'_>,
    (alert, account, entity_id): (Uuid, Uuid, &str),
) -> Result<bool, sqlx::Error> {
    let cleared = sqlx::query!(
        "WITH over AS (
             DELETE FROM marketing.alert_states WHERE alert = $1 AND account = $2 AND entity_id = $3 RETURNING firing),
         untold AS (
             UPDATE marketing.alert_history h SET mail = 'dropped' FROM over WHERE h.id = over.firing AND h.mail = 'due')
         SELECT firing FROM over",
        alert,
        account,
        entity_id,
    )
    .fetch_optional(db)
    .await?;
    Ok(cleared.is_some())
}

/// Notes what an alert tells.
pub(crate) async fn note(db: impl PgExecutor<'_>, new: &NewEntry<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.alert_history
                (id, alert, tenant, account, level, entity_id, entity_name, became, metric, value, threshold, baseline, mail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        new.id,
        new.alert,
        new.tenant,
        new.account,
        new.level,
        new.entity_id,
        new.entity_name,
        new.became,
        new.metric,
        new.value,
        new.threshold,
        new.baseline,
        new.mail,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Tells others that an alert fired.
pub(crate) async fn tell(
    db: impl PgExecutor<'_>,
    (tenant, account): (&str, Uuid),
    data: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.events (kind, tenant, account, data) VALUES ('alert.fired', $1, $2, $3)",
        tenant,
        account,
        data,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A page of what an alert told, the newest first.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    alert: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<EntryRow>, sqlx::Error> {
    sqlx::query_as!(
        EntryRow,
        "SELECT id, alert, account, level, entity_id, entity_name, became, metric, value, threshold, baseline, at, mail
           FROM marketing.alert_history
          WHERE alert = $1 AND id < COALESCE($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
          ORDER BY id DESC LIMIT $3",
        alert,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}

/// A mail that is due: what fired, where, and who is told unless the alert names others.
pub(crate) struct DueRow {
    pub(crate) id: Uuid,
    pub(crate) account_name: String,
    pub(crate) currency: Option<String>,
    pub(crate) platform: String,
    pub(crate) entity_name: String,
    pub(crate) metric: String,
    pub(crate) value: Decimal,
    pub(crate) threshold: Decimal,
    pub(crate) baseline: Option<Decimal>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) owner_email: Option<String>,
}

/// The mails that are due of an alert; at most 100.
pub(crate) async fn due_mails(
    db: impl PgExecutor<'_>,
    alert: Uuid,
) -> Result<Vec<DueRow>, sqlx::Error> {
    sqlx::query_as!(
        DueRow,
        r#"SELECT h.id, a.name AS account_name, a.currency, a.platform, h.entity_name, h.metric, h.value, h.threshold,
                  h.baseline, h.at,
                  CASE WHEN COALESCE((c.notifications ->> 'alerts')::boolean, true) THEN c.owner_email END AS owner_email
             FROM marketing.alert_history h
             JOIN marketing.accounts a ON a.id = h.account
             JOIN marketing.connections c ON c.id = a.connection
            WHERE h.alert = $1 AND h.mail = 'due'
            ORDER BY h.id LIMIT 100"#,
        alert,
    )
    .fetch_all(db)
    .await
}

/// Says what became of a mail that was due.
pub(crate) async fn mailed(
    db: impl PgExecutor<'_>,
    id: Uuid,
    mail: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.alert_history SET mail = $2 WHERE id = $1 AND mail = 'due'",
        id,
        mail,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes up to 5,000 entries that are older than so many seconds; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.alert_history
          WHERE id = ANY (ARRAY(SELECT id FROM marketing.alert_history
                                 WHERE at < now() - make_interval(secs => $1) ORDER BY at LIMIT 5000))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
