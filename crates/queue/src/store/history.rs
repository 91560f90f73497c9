//! The history of finished jobs: its partitions and its retention.

use sqlx::PgExecutor;

/// Makes the partitions of the days ahead and drops the oldest one, if its every row is older than the longest retention;
/// tells how many it dropped.
pub(crate) async fn maintain(
    db: impl PgExecutor<'_>,
    longest_retention_seconds: f64,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT millpond.maintain_history(7, now() - make_interval(secs => $1)) AS "dropped!""#,
        longest_retention_seconds,
    )
    .fetch_one(db)
    .await
}

/// Deletes up to 5,000 rows of a kind that are older than its retention; tells how many. Succeeded and cancelled jobs
/// are kept equally long.
pub(crate) async fn prune(
    db: impl PgExecutor<'_>,
    kind: &str,
    retention_seconds: f64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.job_history h
          USING (SELECT id, finished_at FROM millpond.job_history
                  WHERE kind = $1 AND finished_at < now() - make_interval(secs => $2)
                  ORDER BY id LIMIT 5000) old
          WHERE h.id = old.id AND h.finished_at = old.finished_at",
        kind,
        retention_seconds,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes up to 5,000 rows that stand outside of the days' partitions and are older than the longest retention, of
/// whatever kind; tells how many.
pub(crate) async fn prune_stray(
    db: impl PgExecutor<'_>,
    longest_retention_seconds: f64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.job_history_default
          WHERE ctid = ANY (ARRAY(SELECT ctid FROM millpond.job_history_default
                                   WHERE finished_at < now() - make_interval(secs => $1) LIMIT 5000))",
        longest_retention_seconds,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
