//! What PostgreSQL can do at most, for `millpond bench`: the statements that any queue would have to make, without
//! anything around them, on a table of their own. Nothing else uses them.

use sqlx::PgExecutor;
use uuid::Uuid;

/// Where [`tell`] is heard.
pub(crate) const CHANNEL: &str = "millpond_bench";

/// Makes the narrow table that limits are measured on, or empties it.
pub(crate) async fn prepare(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("TRUNCATE millpond.bench_jobs")
        .execute(db)
        .await?;
    Ok(())
}

/// One narrow row, as one commit.
pub(crate) async fn insert_one(
    db: impl PgExecutor<'_>,
    id: Uuid,
    payload: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.bench_jobs (id, queue, payload) VALUES ($1, 'bench', $2::text::json)",
        id,
        payload
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Many narrow rows, as one commit.
pub(crate) async fn insert_many(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    payload: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.bench_jobs (id, queue, payload) SELECT i, 'bench', $2::text::json FROM unnest($1::uuid[]) AS i",
        ids,
        payload,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Many narrow rows, each with its own payload, as one commit.
pub(crate) async fn insert_payloads(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    payloads: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.bench_jobs (id, queue, payload)
         SELECT i, 'bench', p::json FROM unnest($1::uuid[], $2::text[]) AS given (i, p)",
        ids,
        payloads,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Leases up to 500 rows and gives their ids with their payloads.
pub(crate) async fn lease(db: impl PgExecutor<'_>) -> Result<Vec<Uuid>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"UPDATE millpond.bench_jobs
              SET state = 'running', lease_token = gen_random_uuid(), lease_until = now() + interval '1 minute'
            WHERE queue = 'bench'
              AND id = ANY (ARRAY(SELECT id FROM millpond.bench_jobs WHERE queue = 'bench' AND state = 'ready'
                                   ORDER BY priority, run_at, id LIMIT 500 FOR UPDATE SKIP LOCKED))
        RETURNING id, payload::text AS "payload!", lease_token AS "token!""#
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| std::hint::black_box((row.id, row.payload, row.token)).0)
        .collect())
}

/// Deletes leased rows.
pub(crate) async fn delete(db: impl PgExecutor<'_>, ids: &[Uuid]) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.bench_jobs WHERE queue = 'bench' AND id = ANY ($1)",
        ids
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// Has this session's commits answered before they are on disk.
pub(crate) async fn answer_early(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("SET synchronous_commit = off")
        .execute(db)
        .await?;
    Ok(())
}

/// Tells whoever listens to [`CHANNEL`].
pub(crate) async fn tell(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("NOTIFY millpond_bench").execute(db).await?;
    Ok(())
}

/// Whether any job is still to be done.
pub(crate) async fn has_jobs(db: impl PgExecutor<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM millpond.jobs) AS "has!""#)
        .fetch_one(db)
        .await
}

/// Bytes of write-ahead log written since the server was made.
pub(crate) async fn wal_bytes(db: impl PgExecutor<'_>) -> Result<f64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS "bytes!""#
    )
    .fetch_one(db)
    .await
}

/// Transactions committed in this database.
pub(crate) async fn transactions(db: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT xact_commit AS "commits!" FROM pg_stat_database WHERE datname = current_database()"#)
        .fetch_one(db)
        .await
}

/// Has autovacuum rest from the next look at the settings on, in the whole server.
pub(crate) async fn autovacuum_off(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("ALTER SYSTEM SET autovacuum = off")
        .execute(db)
        .await?;
    Ok(())
}

/// Undoes that.
pub(crate) async fn autovacuum_on(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("ALTER SYSTEM RESET autovacuum")
        .execute(db)
        .await?;
    Ok(())
}

/// Has the server look at its settings.
pub(crate) async fn read_settings_again(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_reload_conf() AS "is_sent!""#)
        .fetch_one(db)
        .await?;
    Ok(())
}

/// Whether autovacuum is at work anywhere in the server, or waits for its time.
pub(crate) async fn has_autovacuum(db: impl PgExecutor<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%') AS "has!""#
    )
    .fetch_one(db)
    .await
}

/// Size of the table of jobs with its indexes, in bytes.
pub(crate) async fn size_bytes(db: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_total_relation_size('millpond.jobs') AS "bytes!""#)
        .fetch_one(db)
        .await
}

/// Deadlocks in this database since its statistics began.
pub(crate) async fn deadlocks(db: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT deadlocks AS "deadlocks!" FROM pg_stat_database WHERE datname = current_database()"#)
        .fetch_one(db)
        .await
}

/// Loads jobs of queue `default` without anything that enqueueing does: ready ones, or scheduled ones where they are due
/// later.
pub(crate) async fn load_jobs(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    kind: &str,
    payload: &str,
    due_in_seconds: f64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.jobs (id, queue, kind, state, priority, run_at, payload)
         SELECT i, 'default', $2::text, CASE WHEN $4::float8 > 0 THEN 'scheduled' ELSE 'ready' END, 5,
                now() + make_interval(secs => $4::float8), $3::text::json
           FROM unnest($1::uuid[]) AS i",
        ids,
        kind,
        payload,
        due_in_seconds,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Loads jobs that succeeded just now.
pub(crate) async fn load_history(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    kind: &str,
    payload: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.job_history
             (id, queue, kind, state, priority, run_at, created_at, started_at, attempts_used, payload)
         SELECT i, 'default', $2::text, 'succeeded', 5, now(), now(), now(), 1, $3::text::json
           FROM unnest($1::uuid[]) AS i",
        ids,
        kind,
        payload,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes out the history that was loaded.
pub(crate) async fn empty_history(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("TRUNCATE millpond.job_history")
        .execute(db)
        .await?;
    Ok(())
}

/// Version and settings of the server, for the report.
pub(crate) async fn settings(db: impl PgExecutor<'_>) -> Result<String, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync')
                  || ', synchronous_commit ' || current_setting('synchronous_commit')
                  || ', shared_buffers ' || current_setting('shared_buffers') AS "settings!""#
    )
    .fetch_one(db)
    .await
}

/// Takes out the jobs of a round, with the idempotency keys that led to them.
pub(crate) async fn empty_jobs(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("TRUNCATE millpond.jobs, millpond.idempotency_keys")
        .execute(db)
        .await?;
    Ok(())
}

/// Takes out the API keys of this name.
pub(crate) async fn delete_keys(db: impl PgExecutor<'_>, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM millpond.api_keys WHERE name = $1", name)
        .execute(db)
        .await?;
    Ok(())
}
