//! Jobs as people look at them and act on them: lists, one job, cancel, run now. Lists run over three tables, newest
//! first, and stop at the page's end.

use sqlx::PgExecutor;
use uuid::Uuid;

use super::rows::{DetailRow, ListQuery, SummaryRow};

// Every list has the same filters; only where it reads from and what leads differ: an index is of use to what leads.
macro_rules! list {
    ($db:expr, $query:expr, $from:literal, $led_by:literal) => {
        sqlx::query_as!(
            SummaryRow,
            $from + " WHERE " + $led_by + r#"
              AND ($1::text IS NULL OR j.state = $1) AND ($2::text IS NULL OR j.kind = $2)
              AND ($3::text IS NULL OR j.queue = $3) AND ($4::text IS NULL OR j.tenant = $4)
              AND ($5::jsonb IS NULL OR j.tags @> $5)
              AND ($6::timestamptz IS NULL OR j.created_at >= $6) AND ($7::timestamptz IS NULL OR j.created_at < $7)
              AND j.id < COALESCE($8::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            ORDER BY j.id DESC LIMIT $9"#,
            $query.state,
            $query.kind,
            $query.queue,
            $query.tenant,
            $query.tags,
            $query.since,
            $query.until,
            $query.before,
            $query.limit,
        )
        .fetch_all($db)
        .await
    };
}

// A last attempt that stands in columns has no error, whatever the attempts before it had.
macro_rules! finished {
    ($db:expr, $query:expr, $led_by:literal) => {
        list!(
            $db,
            $query,
            r#"SELECT j.id, j.queue, j.kind, j.state, j.priority, j.tenant, j.key, j.tags, j.created_at, j.run_at, j.started_at,
                  j.finished_at AS "finished_at?", j.attempts_used, j.max_attempts,
                  CASE WHEN j.attempt IS NULL THEN j.attempts -> -1 ->> 'error_class' END AS error_class,
                  CASE WHEN j.attempt IS NULL THEN j.attempts -> -1 ->> 'error' END AS error,
                  j.replay_of, NULL::uuid AS replayed_as
             FROM millpond.job_history j"#,
            $led_by
        )
    };
}

macro_rules! dead {
    ($db:expr, $query:expr, $led_by:literal) => {
        list!(
            $db,
            $query,
            r#"SELECT j.id, j.queue, j.kind, j.state AS "state!", j.priority, j.tenant, j.key, j.tags, j.created_at, j.run_at, j.started_at,
                  j.died_at AS "finished_at?", j.attempts_used, j.max_attempts,
                  j.error_class AS "error_class?", j.error AS "error?", j.replay_of, j.replayed_as
             FROM (SELECT *, 'dead' AS state FROM millpond.dead_letters) j"#,
            $led_by
        )
    };
}

/// Jobs that are still to be done.
pub(crate) async fn live(
    db: impl PgExecutor<'_>,
    query: &ListQuery,
) -> Result<Vec<SummaryRow>, sqlx::Error> {
    list!(
        db,
        query,
        r#"SELECT j.id, j.queue, j.kind, j.state, j.priority, j.tenant, j.key, j.tags, j.created_at, j.run_at, j.started_at,
                  NULL::timestamptz AS finished_at, j.attempts_used, j.max_attempts,
                  j.attempts -> -1 ->> 'error_class' AS error_class, j.attempts -> -1 ->> 'error' AS error,
                  j.replay_of, NULL::uuid AS replayed_as
             FROM millpond.jobs j"#,
        "true"
    )
}

/// Jobs that succeeded or were cancelled.
pub(crate) async fn finished(
    db: impl PgExecutor<'_>,
    query: &ListQuery,
) -> Result<Vec<SummaryRow>, sqlx::Error> {
    finished!(db, query, "true")
}

/// The same of one kind: led by the kind, so that a rare one is found among ten million others.
pub(crate) async fn finished_of_kind(
    db: impl PgExecutor<'_>,
    query: &ListQuery,
) -> Result<Vec<SummaryRow>, sqlx::Error> {
    finished!(db, query, "j.kind = $2")
}

/// The same of one tenant: a small one is found among the jobs of large ones.
pub(crate) async fn finished_of_tenant(
    db: impl PgExecutor<'_>,
    query: &ListQuery,
) -> Result<Vec<SummaryRow>, sqlx::Error> {
    finished!(db, query, "j.tenant = $4")
}

/// Dead letters, as jobs in state `dead`.
pub(crate) async fn dead(
    db: impl PgExecutor<'_>,
    query: &ListQuery,
) -> Result<Vec<SummaryRow>, sqlx::Error> {
    dead!(db, query, "true")
}

/// The same of one tenant.
pub(crate) async fn dead_of_tenant(
    db: impl PgExecutor<'_>,
    query: &ListQuery,
) -> Result<Vec<SummaryRow>, sqlx::Error> {
    dead!(db, query, "j.tenant = $4")
}

/// The same of one queue.
pub(crate) async fn dead_of_queue(
    db: impl PgExecutor<'_>,
    query: &ListQuery,
) -> Result<Vec<SummaryRow>, sqlx::Error> {
    dead!(db, query, "j.queue = $3")
}

/// A job's whole page.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) summary: SummaryRow,
    pub(crate) detail: DetailRow,
}

/// A row that has both; split by [`found`].
struct FlatRow {
    id: Uuid,
    queue: String,
    kind: String,
    state: String,
    priority: i16,
    tenant: Option<String>,
    key: Option<String>,
    tags: Option<serde_json::Value>,
    created_at: chrono::DateTime<chrono::Utc>,
    run_at: chrono::DateTime<chrono::Utc>,
    started_at: Option<chrono::DateTime<chrono::Utc>>,
    finished_at: Option<chrono::DateTime<chrono::Utc>>,
    attempts_used: i32,
    max_attempts: Option<i32>,
    error_class: Option<String>,
    error: Option<String>,
    replay_of: Option<Uuid>,
    replayed_as: Option<Uuid>,
    payload: String,
    attempts: Option<serde_json::Value>,
    progress: Option<serde_json::Value>,
    result: Option<serde_json::Value>,
    cancel_requested: bool,
}

fn found(row: FlatRow) -> Found {
    Found {
        summary: SummaryRow {
            id: row.id,
            queue: row.queue,
            kind: row.kind,
            state: row.state,
            priority: row.priority,
            tenant: row.tenant,
            key: row.key,
            tags: row.tags,
            created_at: row.created_at,
            run_at: row.run_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            attempts_used: row.attempts_used,
            max_attempts: row.max_attempts,
            error_class: row.error_class,
            error: row.error,
            replay_of: row.replay_of,
            replayed_as: row.replayed_as,
        },
        detail: DetailRow {
            payload: row.payload,
            attempts: row.attempts,
            progress: row.progress,
            result: row.result,
            cancel_requested: row.cancel_requested,
        },
    }
}

/// A job wherever it stands; `None` also where it belongs to another tenant than the one named.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<Found>, sqlx::Error> {
    let row = sqlx::query_as!(
        FlatRow,
        r#"SELECT id AS "id!", queue AS "queue!", kind AS "kind!", state AS "state!", priority AS "priority!", tenant, key, tags,
                  created_at AS "created_at!", run_at AS "run_at!", started_at, finished_at, attempts_used AS "attempts_used!",
                  max_attempts, attempts -> -1 ->> 'error_class' AS error_class, attempts -> -1 ->> 'error' AS error,
                  replay_of, replayed_as, payload AS "payload!", attempts, progress, result, cancel_requested AS "cancel_requested!"
             FROM (SELECT id, queue, kind, state, priority, tenant, key, tags, created_at, run_at, started_at,
                          NULL::timestamptz AS finished_at, attempts_used, max_attempts, replay_of, NULL::uuid AS replayed_as,
                          payload::text AS payload, attempts, progress, NULL::jsonb AS result,
                          cancel_requested_at IS NOT NULL AS cancel_requested
                     FROM millpond.jobs WHERE id = $1
                   UNION ALL
                   SELECT id, queue, kind, state, priority, tenant, key, tags, created_at, run_at, started_at, finished_at,
                          attempts_used, max_attempts, replay_of, NULL, payload::text, millpond.attempts_of(h), progress, result, false
                     FROM millpond.job_history h WHERE id = $1
                   UNION ALL
                   SELECT id, queue, kind, 'dead', priority, tenant, key, tags, created_at, run_at, started_at, died_at,
                          attempts_used, max_attempts, replay_of, replayed_as, payload::text, attempts, progress, NULL, false
                     FROM millpond.dead_letters WHERE id = $1) AS anywhere
            WHERE $2::text IS NULL OR tenant = $2
            LIMIT 1"#,
        id,
        tenant,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(found))
}

/// Ends a waiting job as cancelled, and wipes its payload where that lay encrypted or its kind is among `wiped`; `false` when
/// it does not wait (any more).
pub(crate) async fn cancel_waiting(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
    wiped: &[String],
) -> Result<bool, sqlx::Error> {
    let cancelled = sqlx::query!(
        r#"WITH gone AS (
             DELETE FROM millpond.jobs
              WHERE id = $1 AND state <> 'running' AND ($2::text IS NULL OR tenant = $2)
          RETURNING *)
         INSERT INTO millpond.job_history
                (id, queue, kind, state, priority, run_at, created_at, started_at, attempts_used, max_attempts, tenant, key,
                 payload, tags, attempts, progress, replay_of)
         SELECT id, queue, kind, 'cancelled', priority, run_at, created_at, started_at, attempts_used, max_attempts, tenant, key,
                CASE WHEN kind = ANY ($3) OR left(payload::text, 11) = '{"$sealed":' THEN '{"$sealed":null}' ELSE payload END,
                tags, attempts, progress, replay_of
           FROM gone"#,
        id,
        tenant,
        wiped,
    )
    .execute(db)
    .await?;
    Ok(cancelled.rows_affected() == 1)
}

/// Asks a running job to stop; `false` when it does not run (any more).
pub(crate) async fn cancel_running(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query!(
        "UPDATE millpond.jobs SET cancel_requested_at = COALESCE(cancel_requested_at, now())
          WHERE id = $1 AND state = 'running' AND ($2::text IS NULL OR tenant = $2)",
        id,
        tenant,
    )
    .execute(db)
    .await?;
    Ok(asked.rows_affected() == 1)
}

/// Makes a scheduled or retrying job ready; `false` when it is neither.
pub(crate) async fn run_now(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let ready = sqlx::query!(
        "UPDATE millpond.jobs
            SET state = 'ready', run_at = now(),
                unique_key = CASE WHEN unique_states & 2 <> 0
                    THEN COALESCE(unique_key, millpond.free_unique_key(kind, tenant, unique_wanted)) END
          WHERE id = $1 AND state IN ('scheduled', 'retrying') AND ($2::text IS NULL OR tenant = $2)",
        id,
        tenant,
    )
    .execute(db)
    .await?;
    Ok(ready.rows_affected() == 1)
}
