//! Idempotency keys: key, job and answer are one transaction; whoever comes second waits for the first and reads.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// Keys to be taken, as arrays for `unnest`; a pair of client and key stands at most once in them.
#[derive(Debug, Default)]
pub(crate) struct KeyColumns {
    pub(crate) clients: Vec<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) fingerprints: Vec<Vec<u8>>,
    pub(crate) job_ids: Vec<Uuid>,
    pub(crate) queues: Vec<String>,
    pub(crate) run_ats: Vec<Option<DateTime<Utc>>>,
    pub(crate) delays: Vec<Option<f64>>,
}

/// Takes the keys that are free or expired and gives the ids of their jobs. A key that another transaction holds is
/// waited for, as long as `lock_timeout` allows; keys are taken in order, so two batches do not deadlock.
pub(crate) async fn take(
    db: impl PgExecutor<'_>,
    c: &KeyColumns,
    ttl_seconds: f64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"INSERT INTO millpond.idempotency_keys AS k
                  (client, key, fingerprint, job_id, outcome, queue, state, run_at, expires_at)
           SELECT n.client, n.key, n.fingerprint, n.job_id, 'created', n.queue,
                  CASE WHEN due.at <= now() THEN 'ready' ELSE 'scheduled' END, due.at, now() + make_interval(secs => $8)
             FROM unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::text[], $6::timestamptz[], $7::float8[])
                  AS n (client, key, fingerprint, job_id, queue, run_at, delay),
                  LATERAL (SELECT GREATEST(COALESCE(n.run_at, now() + make_interval(secs => n.delay), now()), now())) AS due (at)
            ORDER BY n.client, n.key
           ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE
              SET fingerprint = excluded.fingerprint, job_id = excluded.job_id, outcome = excluded.outcome,
                  queue = excluded.queue, state = excluded.state, run_at = excluded.run_at, expires_at = excluded.expires_at
            WHERE k.expires_at <= now()
           RETURNING job_id"#,
        &c.clients,
        &c.keys,
        &c.fingerprints,
        &c.job_ids,
        &c.queues,
        &c.run_ats as &[Option<DateTime<Utc>>],
        &c.delays as &[Option<f64>],
        ttl_seconds,
    )
    .fetch_all(db)
    .await
}

/// What was answered the first time.
#[derive(Debug, Clone)]
pub(crate) struct FirstAnswer {
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) job_id: Uuid,
    pub(crate) outcome: String,
    pub(crate) queue: String,
    pub(crate) state: String,
    pub(crate) run_at: DateTime<Utc>,
}

/// The first answer given under a key.
pub(crate) async fn find(
    db: impl PgExecutor<'_>,
    client: &str,
    key: &str,
) -> Result<Option<FirstAnswer>, sqlx::Error> {
    sqlx::query_as!(
        FirstAnswer,
        "SELECT fingerprint, job_id, outcome, queue, state, run_at
           FROM millpond.idempotency_keys
          WHERE client = $1 AND key = $2",
        client,
        key,
    )
    .fetch_optional(db)
    .await
}

/// An idempotency key that was used before.
#[derive(Debug)]
pub(crate) struct KnownKey {
    pub(crate) client: String,
    pub(crate) key: String,
}

/// Those of these keys that were used before and have not expired; clients and keys belong together by their places.
pub(crate) async fn known(
    db: impl PgExecutor<'_>,
    clients: &[String],
    keys: &[String],
) -> Result<Vec<KnownKey>, sqlx::Error> {
    sqlx::query_as!(
        KnownKey,
        "SELECT k.client, k.key
           FROM unnest($1::text[], $2::text[]) AS n (client, key)
           JOIN millpond.idempotency_keys k ON k.client = n.client AND k.key = n.key
          WHERE k.expires_at > now()",
        clients,
        keys,
    )
    .fetch_all(db)
    .await
}

/// Corrects the answer where the job turned out to be another one than was to be created.
pub(crate) async fn amend(
    db: impl PgExecutor<'_>,
    client: &str,
    key: &str,
    answer: &super::insert::Answer,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.idempotency_keys
            SET job_id = $3, outcome = $4, queue = $5, state = $6, run_at = $7
          WHERE client = $1 AND key = $2",
        client,
        key,
        answer.stored.id,
        answer.outcome.as_str(),
        answer.queue,
        answer.stored.state,
        answer.stored.run_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Frees a key whose job was refused after all.
pub(crate) async fn free(
    db: impl PgExecutor<'_>,
    client: &str,
    key: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM millpond.idempotency_keys WHERE client = $1 AND key = $2",
        client,
        key
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes up to 5,000 expired keys; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.idempotency_keys
          WHERE (client, key) IN (SELECT client, key FROM millpond.idempotency_keys
                                   WHERE expires_at < now() ORDER BY expires_at LIMIT 5000)"
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
