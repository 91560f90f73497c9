//! Which processes work, on what, and when they were last seen.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

/// What a worker says of itself.
#[derive(Debug, Clone)]
pub(crate) struct WorkerRow {
    pub(crate) id: Uuid,
    pub(crate) host: String,
    pub(crate) pid: i32,
    pub(crate) version: String,
    pub(crate) roles: Vec<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) slots: Value,
    /// The revision of the configuration that it goes by.
    pub(crate) config_revision: Option<i64>,
}

/// Registers a worker, or says that it is still there.
pub(crate) async fn seen(db: impl PgExecutor<'_>, w: &WorkerRow) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots, config_revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE
            SET seen_at = now(), slots = excluded.slots, config_revision = excluded.config_revision",
        w.id,
        w.host,
        w.pid,
        w.version,
        &w.roles,
        &w.kinds,
        w.slots,
        w.config_revision,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes a worker out of the list at its orderly end.
pub(crate) async fn gone(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM millpond.workers WHERE id = $1", id)
        .execute(db)
        .await?;
    Ok(())
}

/// Forgets workers that were silent for so many seconds.
pub(crate) async fn forget(
    db: impl PgExecutor<'_>,
    silent_seconds: f64,
) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        "DELETE FROM millpond.workers WHERE seen_at < now() - make_interval(secs => $1)",
        silent_seconds
    )
    .execute(db)
    .await?;
    Ok(gone.rows_affected())
}

/// A worker process as the fleet sees it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct WorkerStatus {
    /// Random, new at every start.
    pub id: Uuid,
    /// The machine's name.
    pub host: String,
    /// The process on that machine.
    pub pid: i32,
    /// The release it runs.
    pub version: String,
    /// `api`, `worker`, `scheduler`.
    pub roles: Vec<String>,
    /// Slots by queue.
    pub slots: Value,
    /// The kinds it has registered.
    pub kinds: Vec<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last said that it is there.
    pub seen_at: DateTime<Utc>,
    /// Jobs under its lease now.
    pub running: i64,
    /// The revision of the configuration that it goes by; `None`: its own file.
    pub config_revision: Option<i64>,
}

/// Up to 1,000 workers seen within so many seconds, the longest-lived first.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    within_seconds: f64,
) -> Result<Vec<WorkerStatus>, sqlx::Error> {
    sqlx::query_as!(
        WorkerStatus,
        r#"SELECT w.id, w.host, w.pid, w.version, w.roles, w.slots, w.kinds, w.started_at, w.seen_at,
                  COALESCE(r.running, 0) AS "running!", w.config_revision
             FROM millpond.workers w
             LEFT JOIN (SELECT worker, count(*) AS running FROM millpond.jobs WHERE state = 'running' GROUP BY worker) r
               ON r.worker = w.id
            WHERE w.seen_at > now() - make_interval(secs => $1)
            ORDER BY w.started_at, w.id LIMIT 1000"#,
        within_seconds,
    )
    .fetch_all(db)
    .await
}
