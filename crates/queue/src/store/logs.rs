//! The bounded log of each job's attempts.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// Lines of several attempts, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) job_ids: Vec<Uuid>,
    pub(crate) attempts: Vec<i32>,
    pub(crate) numbers: Vec<i32>,
    pub(crate) times: Vec<DateTime<Utc>>,
    pub(crate) levels: Vec<String>,
    pub(crate) messages: Vec<String>,
}

/// Stores lines; to be called in the transaction that settles their attempts.
pub(crate) async fn append(db: impl PgExecutor<'_>, lines: &Lines) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.job_logs (job_id, attempt, line, at, level, message)
         SELECT * FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::timestamptz[], $5::text[], $6::text[])
         ON CONFLICT DO NOTHING",
        &lines.job_ids,
        &lines.attempts,
        &lines.numbers,
        &lines.times,
        &lines.levels,
        &lines.messages,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A line of a job's log.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LogEntry {
    /// When it was said.
    pub at: DateTime<Utc>,
    /// `info` or `warn`.
    pub level: String,
    /// One line.
    pub message: String,
    /// The attempt that said it.
    pub attempt: i32,
}

/// The newest 1,000 lines of a job's log, oldest first.
pub(crate) async fn of_job(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Vec<LogEntry>, sqlx::Error> {
    sqlx::query_as!(
        LogEntry,
        r#"SELECT at, level, message, attempt
             FROM (SELECT at, level, message, attempt, line FROM millpond.job_logs
                    WHERE job_id = $1 ORDER BY attempt DESC, line DESC LIMIT 1000) AS newest
            ORDER BY attempt, line"#,
        id,
    )
    .fetch_all(db)
    .await
}

/// Deletes up to 5,000 lines older than so many seconds; tells how many.
pub(crate) async fn prune(
    db: impl PgExecutor<'_>,
    older_than_seconds: f64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.job_logs
          WHERE ctid = ANY (ARRAY(SELECT ctid FROM millpond.job_logs
                                   WHERE at < now() - make_interval(secs => $1) LIMIT 5000))",
        older_than_seconds,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
