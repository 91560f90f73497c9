//! Table `webhook_deliveries`: events for endpoints, and how sending each of them went.

use serde_json::Value;
use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// A round of taking events out.
pub(crate) struct TakenRow {
    /// How many events there were.
    pub(crate) events: i64,
    /// How many deliveries they made.
    pub(crate) deliveries: i64,
    /// Those of them that can be sent now.
    pub(crate) due: Vec<Uuid>,
    pub(crate) endpoints: Vec<Uuid>,
    pub(crate) tenants: Vec<String>,
}

/// Takes up to so many of the oldest events out, and makes a delivery of each for each endpoint of its tenant that wants it; of an
/// endpoint that is switched off as missed. Events that somebody else is taking out are left to him. Data that makes a message too
/// large is left out of it: what is told of is to be looked at by its account then.
pub(crate) async fn take_events(
    db: impl PgExecutor<'_>,
    most: i64,
    largest: i32,
) -> Result<TakenRow, sqlx::Error> {
    sqlx::query_as!(
        TakenRow,
        r#"WITH taken AS (
               DELETE FROM marketing.events
                WHERE id = ANY (ARRAY(SELECT id FROM marketing.events ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED))
            RETURNING id, kind, tenant, account, data, occurred_at),
           told AS (
               SELECT id, kind, tenant, occurred_at,
                      CASE WHEN octet_length(data::text) <= $2 THEN '{}'::jsonb ELSE jsonb_build_object('left_out', true) END
                      || CASE WHEN account IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('account_id', account) END
                      || CASE WHEN octet_length(data::text) <= $2 THEN data ELSE '{}'::jsonb END AS data
                 FROM taken),
           made AS (
               INSERT INTO marketing.webhook_deliveries (endpoint, tenant, event_id, event, body, state, ended_at)
               SELECT e.id, e.tenant, t.id, t.kind,
                      jsonb_build_object('type', t.kind,
                          'timestamp', to_char(t.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                          'data', t.data)::text,
                      CASE e.status WHEN 'enabled' THEN 'pending' ELSE 'missed' END,
                      CASE e.status WHEN 'enabled' THEN NULL ELSE now() END
                 FROM told t
                 JOIN marketing.webhook_endpoints e ON e.tenant = t.tenant AND (e.events = '{}' OR t.kind = ANY (e.events))
                ORDER BY t.id, e.id
               ON CONFLICT (endpoint, event_id) DO NOTHING
            RETURNING id, seq, endpoint, tenant, state)
           SELECT (SELECT count(*) FROM taken) AS "events!",
                  count(*) AS "deliveries!",
                  COALESCE(array_agg(id ORDER BY seq) FILTER (WHERE state = 'pending'), '{}') AS "due!",
                  COALESCE(array_agg(endpoint ORDER BY seq) FILTER (WHERE state = 'pending'), '{}') AS "endpoints!",
                  COALESCE(array_agg(tenant ORDER BY seq) FILTER (WHERE state = 'pending'), '{}') AS "tenants!"
             FROM made"#,
        most,
        largest,
    )
    .fetch_one(db)
    .await
}

/// Makes a delivery that is of no event.
pub(crate) async fn insert_test(
    db: impl PgExecutor<'_>,
    (endpoint, tenant): (Uuid, &str),
    (event, body): (&str, &str),
) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar!(
        "INSERT INTO marketing.webhook_deliveries (endpoint, tenant, event, body) VALUES ($1, $2, $3, $4) RETURNING id",
        endpoint,
        tenant,
        event,
        body,
    )
    .fetch_one(db)
    .await
}

/// The next portion of what did not get through of a span of time, to be sent again as if for the first time.
pub(crate) async fn send_again(
    db: impl PgExecutor<'_>,
    endpoint: Uuid,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
    (after, limit): (i64, i64),
) -> Result<Vec<AgainRow>, sqlx::Error> {
    sqlx::query_as!(
        AgainRow,
        "UPDATE marketing.webhook_deliveries SET state = 'pending', began_at = NULL, ended_at = NULL
          WHERE id = ANY (ARRAY(SELECT id FROM marketing.webhook_deliveries
                                 WHERE endpoint = $1 AND seq > $4 AND created_at >= $2 AND created_at < $3 AND state <> 'succeeded'
                                 ORDER BY seq LIMIT $5 FOR UPDATE))
      RETURNING id, seq",
        endpoint,
        since,
        until,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// A delivery that is sent again.
pub(crate) struct AgainRow {
    pub(crate) id: Uuid,
    pub(crate) seq: i64,
}

/// A delivery with what an attempt needs of its endpoint.
pub(crate) struct AttemptRow {
    pub(crate) endpoint: Uuid,
    pub(crate) event: String,
    pub(crate) body: String,
    pub(crate) state: String,
    /// `None`: the endpoint was deleted.
    pub(crate) url: Option<String>,
    pub(crate) status: Option<String>,
    /// For how long the endpoint asks to be left alone, in seconds.
    pub(crate) paused_s: Option<f64>,
}

/// A delivery of a tenant, to be sent.
pub(crate) async fn for_attempt(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: &str,
) -> Result<Option<AttemptRow>, sqlx::Error> {
    sqlx::query_as!(
        AttemptRow,
        r#"SELECT d.endpoint, d.event, d.body, d.state, e.url AS "url?", e.status AS "status?",
                  EXTRACT(epoch FROM e.paused_until - now())::float8 AS paused_s
             FROM marketing.webhook_deliveries d
             LEFT JOIN marketing.webhook_endpoints e ON e.id = d.endpoint
            WHERE d.id = $1 AND d.tenant = $2"#,
        id,
        tenant,
    )
    .fetch_optional(db)
    .await
}

/// Notes an attempt and how the delivery stands after it. One that got through stays that, whatever a later attempt came to; one
/// whose job was given up meanwhile goes on.
pub(crate) async fn note_attempt(
    db: impl PgExecutor<'_>,
    id: Uuid,
    attempt: &AttemptColumns<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.webhook_deliveries
            SET attempts = attempts + 1, began_at = COALESCE(began_at, now()),
                log = (CASE WHEN jsonb_array_length(log) >= 20 THEN log - 0 ELSE log END)
                      || jsonb_build_object('number', attempts + 1, 'at', now(), 'status', $2::int4, 'duration_ms', $3::int8,
                                            'excerpt', $4::text),
                state = CASE WHEN state = 'succeeded' THEN state ELSE $5 END,
                ended_at = CASE WHEN state = 'succeeded' THEN ended_at WHEN $5 = 'pending' THEN NULL ELSE now() END
          WHERE id = $1",
        id,
        attempt.status,
        attempt.duration_ms,
        attempt.excerpt,
        attempt.state,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How an attempt went.
pub(crate) struct AttemptColumns<'a> {
    pub(crate) status: Option<i32>,
    pub(crate) duration_ms: i64,
    pub(crate) excerpt: &'a str,
    /// How the delivery stands after it.
    pub(crate) state: &'a str,
}

/// Notes that a delivery was not sent because its endpoint is switched off.
pub(crate) async fn miss(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.webhook_deliveries SET state = 'missed', ended_at = now() WHERE id = $1 AND state = 'pending'",
        id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A delivery as it is listed.
pub(crate) struct DeliveryRow {
    pub(crate) id: Uuid,
    pub(crate) seq: i64,
    pub(crate) event: String,
    pub(crate) state: String,
    pub(crate) attempts: i32,
    pub(crate) log: Value,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// A page of an endpoint's deliveries, the newest first.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    endpoint: Uuid,
    state: Option<&str>,
    (before, limit): (Option<i64>, i64),
) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    sqlx::query_as!(
        DeliveryRow,
        "SELECT id, seq, event, state, attempts, log, created_at, ended_at
           FROM marketing.webhook_deliveries
          WHERE endpoint = $1 AND seq < COALESCE($3::int8, 9223372036854775807) AND ($2::text IS NULL OR state = $2)
          ORDER BY seq DESC LIMIT $4",
        endpoint,
        state,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}

/// A delivery of an endpoint.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Option<DeliveryRow>, sqlx::Error> {
    sqlx::query_as!(
        DeliveryRow,
        "SELECT id, seq, event, state, attempts, log, created_at, ended_at FROM marketing.webhook_deliveries WHERE id = $1",
        id,
    )
    .fetch_optional(db)
    .await
}

/// Deletes up to 5,000 deliveries that were made so long ago; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.webhook_deliveries
          WHERE id = ANY (ARRAY(SELECT id FROM marketing.webhook_deliveries WHERE created_at < now() - make_interval(secs => $1)
                                 ORDER BY created_at LIMIT 5000 FOR UPDATE SKIP LOCKED))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
