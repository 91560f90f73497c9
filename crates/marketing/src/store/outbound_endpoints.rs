//! Tables `webhook_endpoints` and `webhook_secrets`: where customers are told of what happens, and what that is signed with.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// An endpoint.
pub(crate) struct EndpointRow {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) url: String,
    pub(crate) description: String,
    pub(crate) events: Vec<String>,
    pub(crate) owner_email: Option<String>,
    pub(crate) status: String,
    pub(crate) disabled_at: Option<DateTime<Utc>>,
    pub(crate) disabled_by: Option<String>,
    pub(crate) disabled_reason: Option<String>,
    pub(crate) failures: i32,
    pub(crate) failing_since: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// An endpoint that is made.
pub(crate) struct NewRow<'a> {
    pub(crate) id: Uuid,
    pub(crate) tenant: &'a str,
    pub(crate) url: &'a str,
    pub(crate) description: &'a str,
    pub(crate) events: &'a [String],
    pub(crate) owner_email: Option<&'a str>,
}

/// Waits until nobody else adds an endpoint to this tenant's, and keeps others waiting until the transaction ends: whoever
/// counted beside them would count too few.
pub(crate) async fn wait_to_add(db: impl PgExecutor<'_>, tenant: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended('marketing.webhook_endpoints ' || $1::text, 0)) AS "done!: ()""#,
        tenant,
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// Stores an endpoint; `false`: the tenant has as many as it may have.
pub(crate) async fn insert(
    db: impl PgExecutor<'_>,
    new: &NewRow<'_>,
    most: i64,
) -> Result<bool, sqlx::Error> {
    let stored = sqlx::query!(
        "INSERT INTO marketing.webhook_endpoints (id, tenant, url, description, events, owner_email)
         SELECT $1::uuid, $2::text, $3::text, $4::text, $5::text[], $6::text
          WHERE (SELECT count(*) FROM (SELECT FROM marketing.webhook_endpoints WHERE tenant = $2 LIMIT $7) known) < $7",
        new.id,
        new.tenant,
        new.url,
        new.description,
        new.events,
        new.owner_email,
        most,
    )
    .execute(db)
    .await?;
    Ok(stored.rows_affected() == 1)
}

/// An endpoint, of one tenant or of any.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<EndpointRow>, sqlx::Error> {
    sqlx::query_as!(
        EndpointRow,
        "SELECT id, tenant, url, description, events, owner_email, status, disabled_at, disabled_by, disabled_reason, failures,
                failing_since, created_at, updated_at
           FROM marketing.webhook_endpoints WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)",
        id,
        tenant,
    )
    .fetch_optional(db)
    .await
}

/// Keeps an endpoint for this transaction; `false`: there is none.
pub(crate) async fn lock(db: impl PgExecutor<'_>, id: Uuid) -> Result<bool, sqlx::Error> {
    let locked = sqlx::query_scalar!(
        "SELECT id FROM marketing.webhook_endpoints WHERE id = $1 FOR UPDATE",
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(locked.is_some())
}

/// A page of endpoints, in the order in which they were made, of one tenant or of all.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    tenant: Option<&str>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<EndpointRow>, sqlx::Error> {
    sqlx::query_as!(
        EndpointRow,
        "SELECT id, tenant, url, description, events, owner_email, status, disabled_at, disabled_by, disabled_reason, failures,
                failing_since, created_at, updated_at
           FROM marketing.webhook_endpoints
          WHERE ($1::text IS NULL OR tenant = $1) AND id > COALESCE($2::uuid, '00000000-0000-0000-0000-000000000000')
          ORDER BY id LIMIT $3",
        tenant,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// What changes about an endpoint; `None` leaves it as it is, and an empty address is none.
pub(crate) struct ChangeRow<'a> {
    pub(crate) url: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) events: Option<&'a [String]>,
    pub(crate) owner_email: Option<&'a str>,
}

/// Changes what somebody decides about an endpoint. What was held against another address is forgotten.
pub(crate) async fn change(
    db: impl PgExecutor<'_>,
    id: Uuid,
    new: &ChangeRow<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.webhook_endpoints
            SET url = COALESCE($2, url), description = COALESCE($3, description), events = COALESCE($4, events),
                owner_email = CASE WHEN $5::text IS NULL THEN owner_email ELSE NULLIF($5, '') END,
                failures = CASE WHEN $2 <> url THEN 0 ELSE failures END,
                failing_since = CASE WHEN $2 <> url THEN NULL ELSE failing_since END,
                paused_until = CASE WHEN $2 <> url THEN NULL ELSE paused_until END, updated_at = now()
          WHERE id = $1",
        id,
        new.url,
        new.description,
        new.events as Option<&[String]>,
        new.owner_email,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Switches an endpoint on, with nothing held against it any more.
pub(crate) async fn enable(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.webhook_endpoints
            SET status = 'enabled', disabled_at = NULL, disabled_by = NULL, disabled_reason = NULL, told_at = NULL,
                failures = 0, failing_since = NULL, paused_until = NULL, updated_at = now()
          WHERE id = $1 AND status = 'disabled'",
        id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Switches an endpoint off; `false`: it was off.
pub(crate) async fn disable(
    db: impl PgExecutor<'_>,
    id: Uuid,
    (by, reason): (&str, &str),
) -> Result<bool, sqlx::Error> {
    let switched = sqlx::query!(
        "UPDATE marketing.webhook_endpoints
            SET status = 'disabled', disabled_at = now(), disabled_by = $2, disabled_reason = $3, updated_at = now()
          WHERE id = $1 AND status = 'enabled'",
        id,
        by,
        reason,
    )
    .execute(db)
    .await?;
    Ok(switched.rows_affected() == 1)
}

/// Switches off, up to 100, endpoints for which a delivery was given up whose first attempt and all since have failed.
pub(crate) async fn disable_failing(
    db: impl PgExecutor<'_>,
    reason: &str,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "UPDATE marketing.webhook_endpoints
            SET status = 'disabled', disabled_at = now(), disabled_by = 'failures', disabled_reason = $1, updated_at = now()
          WHERE id = ANY (ARRAY(SELECT e.id FROM marketing.webhook_endpoints e
                                 WHERE e.status = 'enabled' AND e.failing_since IS NOT NULL
                                   AND EXISTS (SELECT FROM marketing.webhook_deliveries d
                                                WHERE d.endpoint = e.id AND d.state = 'failed' AND d.began_at >= e.failing_since)
                                 LIMIT 100 FOR UPDATE OF e SKIP LOCKED))
      RETURNING id",
        reason,
    )
    .fetch_all(db)
    .await
}

/// An endpoint that was switched off for what it did.
pub(crate) struct UntoldRow {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) url: String,
    pub(crate) owner_email: String,
    pub(crate) disabled_at: DateTime<Utc>,
    pub(crate) disabled_by: String,
}

/// Up to 100 endpoints that were switched off for what they did, of owners who were not told, behind one.
pub(crate) async fn untold(
    db: impl PgExecutor<'_>,
    after: Uuid,
) -> Result<Vec<UntoldRow>, sqlx::Error> {
    sqlx::query_as!(
        UntoldRow,
        r#"SELECT id, tenant, url, owner_email AS "owner_email!", disabled_at AS "disabled_at!", disabled_by AS "disabled_by!"
             FROM marketing.webhook_endpoints
            WHERE status = 'disabled' AND disabled_by <> 'request' AND told_at IS NULL AND owner_email IS NOT NULL AND id > $1
            ORDER BY id LIMIT 100"#,
        after,
    )
    .fetch_all(db)
    .await
}

/// Remembers that the owner was told of this switching off.
pub(crate) async fn was_told(
    db: impl PgExecutor<'_>,
    id: Uuid,
    disabled_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.webhook_endpoints SET told_at = now() WHERE id = $1 AND disabled_at = $2",
        id,
        disabled_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Something got through: nothing is held against the endpoint any more. Where nothing was, nothing is written. What it asked for
/// meanwhile in answer to another message, a pause, it gets.
pub(crate) async fn succeeded(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.webhook_endpoints SET failures = 0, failing_since = NULL
          WHERE id = $1 AND (failures > 0 OR failing_since IS NOT NULL)",
        id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Something did not get through; `pause_s` is for how long the endpoint asks to be left alone.
pub(crate) async fn failed(
    db: impl PgExecutor<'_>,
    id: Uuid,
    pause_s: Option<f64>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.webhook_endpoints
            SET failures = failures + 1, failing_since = COALESCE(failing_since, now()),
                paused_until = GREATEST(paused_until, now() + make_interval(secs => $2))
          WHERE id = $1",
        id,
        pause_s,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes an endpoint with its secrets; `false`: there is none.
pub(crate) async fn delete(db: impl PgExecutor<'_>, id: Uuid) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!("DELETE FROM marketing.webhook_endpoints WHERE id = $1", id)
        .execute(db)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// A sealed secret.
pub(crate) struct SecretRow {
    pub(crate) id: Uuid,
    pub(crate) secret: Vec<u8>,
}

/// Stores the newest secret of an endpoint.
pub(crate) async fn insert_secret(
    db: impl PgExecutor<'_>,
    endpoint: Uuid,
    secret: &SecretRow,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.webhook_secrets (id, endpoint, secret) VALUES ($1, $2, $3)",
        secret.id,
        endpoint,
        secret.secret,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Has the secrets of an endpoint end so soon, unless they end before that.
pub(crate) async fn end_secrets(
    db: impl PgExecutor<'_>,
    endpoint: Uuid,
    left_s: f64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.webhook_secrets
            SET expires_at = LEAST(expires_at, now() + make_interval(secs => $2)) WHERE endpoint = $1",
        endpoint,
        left_s,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The secrets of an endpoint that have not ended, up to 5, the newest first.
pub(crate) async fn secrets(
    db: impl PgExecutor<'_>,
    endpoint: Uuid,
) -> Result<Vec<SecretRow>, sqlx::Error> {
    sqlx::query_as!(
        SecretRow,
        "SELECT id, secret FROM marketing.webhook_secrets
          WHERE endpoint = $1 AND (expires_at IS NULL OR expires_at > now()) ORDER BY id DESC LIMIT 5",
        endpoint,
    )
    .fetch_all(db)
    .await
}

/// Deletes up to 1,000 secrets that have ended; tells how many.
pub(crate) async fn prune_secrets(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.webhook_secrets
          WHERE id = ANY (ARRAY(SELECT id FROM marketing.webhook_secrets WHERE expires_at <= now()
                                 ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED))",
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// How many endpoints stand alike.
pub(crate) struct EndpointCount {
    /// `enabled`, `failing`, `disabled` or `given_up`.
    pub(crate) status: String,
    pub(crate) count: i64,
}

/// How many endpoints stand how: those that are switched off are told apart by whether somebody asked for that.
pub(crate) async fn counts(db: impl PgExecutor<'_>) -> Result<Vec<EndpointCount>, sqlx::Error> {
    sqlx::query_as!(
        EndpointCount,
        r#"SELECT CASE WHEN status = 'enabled' AND failing_since IS NULL THEN 'enabled'
                       WHEN status = 'enabled' THEN 'failing'
                       WHEN disabled_by = 'request' THEN 'disabled'
                       ELSE 'given_up' END AS "status!", count(*) AS "count!"
             FROM marketing.webhook_endpoints GROUP BY 1"#,
    )
    .fetch_all(db)
    .await
}
