//! Table `inbound_events`: what platforms told of their own accord.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// Events as arrays for `unnest`, none of them twice, by their keys.
#[derive(Default)]
pub(crate) struct NewEvents {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) keys: Vec<String>,
    pub(crate) objects: Vec<String>,
    pub(crate) entry_ids: Vec<String>,
    pub(crate) fields: Vec<String>,
    /// As JSON.
    pub(crate) values: Vec<String>,
    pub(crate) sent: Vec<Option<DateTime<Utc>>>,
}

/// An event.
pub(crate) struct InboundRow {
    pub(crate) id: Uuid,
    pub(crate) object: String,
    pub(crate) entry_id: String,
    pub(crate) field: String,
    pub(crate) value: String,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) received_at: DateTime<Utc>,
}

/// Stores the events that are not there yet, and a job for each account that one of them is about: a Page's, an Instagram
/// account's or an ad account's own, of whatever tenants, and one of each grant of a person. Tells how many events were new.
/// All of it is one statement, so that nobody waits for more than one way to the database. Its plan is made once: from arrays
/// that are seen the planner tells how many events there are, and plans anew for each request, which takes longer than the rest.
pub(crate) async fn store(
    db: impl PgExecutor<'_>,
    provider: &str,
    events: &NewEvents,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH stored AS (
               INSERT INTO marketing.inbound_events (id, provider, dedupe_key, object, entry_id, field, value, sent_at)
               SELECT n.id, $1::text, n.dedupe_key, n.object, n.entry_id, n.field, n.value::json, n.sent_at
                 FROM unnest((SELECT $2::uuid[]), (SELECT $3::text[]), (SELECT $4::text[]), (SELECT $5::text[]), (SELECT $6::text[]),
                             (SELECT $7::text[]), (SELECT $8::timestamptz[]))
                      AS n (id, dedupe_key, object, entry_id, field, value, sent_at)
                ORDER BY n.dedupe_key COLLATE "C"
               ON CONFLICT ON CONSTRAINT inbound_events_once DO NOTHING
            RETURNING id, object, entry_id),
           about AS (
               SELECT s.id AS event, a.id AS account, a.tenant
                 FROM stored s
                 JOIN marketing.accounts a
                   ON a.external_id = CASE s.object WHEN 'ad_account' THEN regexp_replace(s.entry_id, '^act_', '') ELSE s.entry_id END
                  AND a.platform = $1
                  AND a.kind = CASE s.object WHEN 'page' THEN 'page' WHEN 'instagram' THEN 'instagram_account'
                                             WHEN 'ad_account' THEN 'ad_account' END
                  AND a.status <> 'disconnected'
                UNION ALL
               SELECT s.id, one.id, c.tenant
                 FROM stored s
                 JOIN marketing.connections c
                   ON c.subject = s.entry_id AND c.platform = $1 AND c.status <> 'disconnected'
                CROSS JOIN LATERAL (SELECT a.id FROM marketing.accounts a
                                     WHERE a.connection = c.id AND a.status <> 'disconnected'
                                     ORDER BY a.id LIMIT 1) AS one
                WHERE s.object IN ('permissions', 'user')),
           ordered AS (
               SELECT millpond.enqueue('webhook.process',
                                       jsonb_build_object('event_id', w.event, 'account_id', w.account),
                                       tenant => NULLIF(w.tenant, '')) AS job
                 FROM about w)
           SELECT (SELECT count(*) FROM stored) + 0 * (SELECT count(job) FROM ordered) AS "new!""#,
        provider,
        &events.ids,
        &events.keys,
        &events.objects,
        &events.entry_ids,
        &events.fields,
        &events.values,
        &events.sent as &[Option<DateTime<Utc>>],
    )
    .fetch_one(db)
    .await
}

/// An event.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Option<InboundRow>, sqlx::Error> {
    sqlx::query_as!(
        InboundRow,
        r#"SELECT id, object, entry_id, field, value::text AS "value!", sent_at, received_at
             FROM marketing.inbound_events WHERE id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Deletes up to 5,000 events that were received more than so many seconds ago; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.inbound_events
          WHERE id = ANY (ARRAY(SELECT id FROM marketing.inbound_events
                                 WHERE received_at < now() - make_interval(secs => $1)
                                 ORDER BY received_at LIMIT 5000))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
