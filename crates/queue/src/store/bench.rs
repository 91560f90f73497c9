//! What PostgreSQL can do at most, for `millpond bench`: the statements that any queue would have to make, without
//! anything around them, on a table of their own. Nothing else uses them.

use sqlx::PgExecutor;
use uuid::Uuid;

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

/// Size of the table of jobs with its indexes, in bytes.
pub(crate) async fn size_bytes(db: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_total_relation_size('millpond.jobs') AS "bytes!""#)
        .fetch_one(db)
        .await
}

/// Cleans up after a fill and drain, as autovacuum does on its own time.
pub(crate) async fn vacuum(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("VACUUM (ANALYZE) millpond.jobs")
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

/// Takes out the jobs of a round.
pub(crate) async fn empty_jobs(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("TRUNCATE millpond.jobs").execute(db).await?;
    Ok(())
}
