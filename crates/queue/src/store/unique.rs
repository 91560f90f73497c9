//! Jobs with a unique key: one at a time, since what follows a conflict differs from job to job.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::insert::{JobRow, Stored, UniqueRow};

/// Stores a job unless another holds its key: then `None`. A key whose holder is being changed by another transaction
/// is waited for.
pub(crate) async fn insert(
    db: impl PgExecutor<'_>,
    row: &JobRow,
    unique: &UniqueRow,
) -> Result<Option<Stored>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"INSERT INTO millpond.jobs
                  (id, queue, kind, priority, run_at, state, max_attempts, tenant, key, unique_key, unique_states,
                   unique_wanted, payload, tags, traceparent, replay_of, account, fair)
           SELECT $1, $2, $3, $4, due.at, CASE WHEN due.at <= now() THEN 'ready' ELSE 'scheduled' END,
                  $7, $8, $9, $10, $11, $10, $12::text::json, $13, $14, $15, $16, $17
             FROM (SELECT GREATEST(COALESCE($5::timestamptz, now() + make_interval(secs => $6::float8), now()), now())) AS due (at)
           ON CONFLICT (kind, COALESCE(tenant, ''), unique_key) WHERE unique_key IS NOT NULL DO NOTHING
           RETURNING id, state, run_at"#,
        row.id.0,
        row.queue,
        row.kind,
        row.priority,
        row.run_at,
        row.delay_seconds,
        row.max_attempts,
        row.tenant,
        row.key,
        unique.key,
        unique.states,
        row.payload,
        row.tags,
        row.traceparent,
        row.replay_of,
        row.account,
        row.fair,
    )
    .fetch_optional(db)
    .await
}

/// Whoever holds a key.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) id: Uuid,
    pub(crate) queue: String,
    pub(crate) state: String,
    pub(crate) run_at: chrono::DateTime<chrono::Utc>,
}

/// The holder of a key, locked; `None` when it gave the key up meanwhile.
pub(crate) async fn holder(
    db: impl PgExecutor<'_>,
    kind: &str,
    tenant: Option<&str>,
    key: &str,
) -> Result<Option<Holder>, sqlx::Error> {
    sqlx::query_as!(
        Holder,
        "SELECT id, queue, state, run_at FROM millpond.jobs
          WHERE kind = $1 AND COALESCE(tenant, '') = COALESCE($2, '') AND unique_key = $3
            FOR UPDATE",
        kind,
        tenant,
        key,
    )
    .fetch_optional(db)
    .await
}

/// Takes the key from a running job, so that one may wait behind it. Should it wait again it takes the key back where it
/// is free.
pub(crate) async fn release(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.jobs SET unique_key = NULL WHERE id = $1",
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Gives a waiting job the content of the new one, which has all its attempts before it; its id and the record of its
/// past attempts stay. What kept the old one from running need not keep this one.
pub(crate) async fn replace(
    db: impl PgExecutor<'_>,
    id: Uuid,
    row: &JobRow,
    unique: &UniqueRow,
) -> Result<Stored, sqlx::Error> {
    let payload = row.payload_for(id);
    let payload = payload.map_err(|why| sqlx::Error::Encode(Box::new(why)))?;
    sqlx::query_as!(
        Stored,
        r#"UPDATE millpond.jobs j
              SET queue = $2, priority = $3, run_at = due.at,
                  state = CASE WHEN due.at <= now() THEN 'ready' ELSE 'scheduled' END,
                  max_attempts = $6, key = $7, payload = $8::text::json, tags = $9, traceparent = $10,
                  attempts_used = 0, progress = NULL, unique_states = $11,
                  account = $12, fair = $13, parked_gate = NULL, parked_for = NULL
             FROM (SELECT GREATEST(COALESCE($4::timestamptz, now() + make_interval(secs => $5::float8), now()), now())) AS due (at)
            WHERE j.id = $1 AND j.state <> 'running'
           RETURNING j.id, j.state, j.run_at"#,
        id,
        row.queue,
        row.priority,
        row.run_at,
        row.delay_seconds,
        row.max_attempts,
        row.key,
        &*payload,
        row.tags,
        row.traceparent,
        unique.states,
        row.account,
        row.fair,
    )
    .fetch_one(db)
    .await
}
