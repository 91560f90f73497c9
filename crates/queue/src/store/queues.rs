//! Queues: pauses, and how deep they are. Counts are bounded: beyond the bound the leader's last count answers.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// Up to this many jobs of a state are counted on request, and of parked ones looked at.
const COUNTED: i64 = 10_000;

/// A queue's pause.
#[derive(Debug, Clone)]
pub(crate) struct QueueRow {
    pub(crate) name: String,
    pub(crate) paused_at: Option<DateTime<Utc>>,
    pub(crate) paused_by: Option<String>,
    pub(crate) paused_reason: Option<String>,
    pub(crate) paused_until: Option<DateTime<Utc>>,
}

/// All queues with the pauses that hold now.
pub(crate) async fn list(db: impl PgExecutor<'_>) -> Result<Vec<QueueRow>, sqlx::Error> {
    sqlx::query_as!(
        QueueRow,
        r#"SELECT q.name, p.paused_at AS "paused_at?", p.paused_by AS "paused_by?", p.paused_reason AS "paused_reason?",
                  p.paused_until AS "paused_until?"
             FROM millpond.queues q
             LEFT JOIN millpond.queues p
               ON p.name = q.name AND p.paused_at IS NOT NULL AND (p.paused_until IS NULL OR p.paused_until > now())
            ORDER BY q.name"#
    )
    .fetch_all(db)
    .await
}

/// Pauses a queue, or changes its pause; `false` when there is no such queue.
pub(crate) async fn pause(
    db: impl PgExecutor<'_>,
    name: &str,
    by: &str,
    reason: Option<&str>,
    until: Option<DateTime<Utc>>,
) -> Result<bool, sqlx::Error> {
    let paused = sqlx::query!(
        "UPDATE millpond.queues SET paused_at = now(), paused_by = $2, paused_reason = $3, paused_until = $4 WHERE name = $1",
        name,
        by,
        reason,
        until,
    )
    .execute(db)
    .await?;
    Ok(paused.rows_affected() == 1)
}

/// Resumes a queue; `false` when there is no such queue.
pub(crate) async fn resume(db: impl PgExecutor<'_>, name: &str) -> Result<bool, sqlx::Error> {
    let resumed = sqlx::query!(
        "UPDATE millpond.queues
            SET paused_at = NULL, paused_by = NULL, paused_reason = NULL, paused_until = NULL
          WHERE name = $1",
        name,
    )
    .execute(db)
    .await?;
    Ok(resumed.rows_affected() == 1)
}

/// How many jobs of a queue are in a state.
#[derive(Debug)]
pub(crate) struct Depth {
    pub(crate) queue: String,
    pub(crate) state: String,
    pub(crate) jobs: i64,
}

/// The depth of every queue by state, for one tenant or all: exact up to 10,000, beyond that the leader's last count.
pub(crate) async fn depths(
    db: impl PgExecutor<'_>,
    tenant: Option<&str>,
) -> Result<Vec<Depth>, sqlx::Error> {
    sqlx::query_as!(
        Depth,
        r#"SELECT q.name AS "queue!", s.state AS "state!",
                  CASE WHEN c.jobs <= $1::bigint OR $2::text IS NOT NULL THEN c.jobs ELSE GREATEST(c.jobs, COALESCE(t.jobs, 0)) END AS "jobs!"
             FROM millpond.queues q
            CROSS JOIN (VALUES ('scheduled'), ('ready'), ('running'), ('retrying')) AS s (state)
            CROSS JOIN LATERAL (
                SELECT CASE s.state
                    WHEN 'ready' THEN (SELECT count(*) FROM (
                        (SELECT FROM millpond.jobs j WHERE j.queue = q.name AND j.state = 'ready' AND j.parked_gate IS NULL
                            AND ($2::text IS NULL OR j.tenant = $2) LIMIT $1::bigint + 1)
                        UNION ALL
                        (SELECT FROM millpond.jobs j WHERE j.queue = q.name AND j.state = 'ready' AND j.parked_gate IS NOT NULL
                            AND ($2::text IS NULL OR j.tenant = $2) LIMIT $1::bigint + 1)) AS x)
                    WHEN 'running' THEN (SELECT count(*) FROM (SELECT FROM millpond.jobs j WHERE j.queue = q.name AND j.state = 'running'
                                           AND ($2::text IS NULL OR j.tenant = $2) LIMIT $1::bigint + 1) AS x)
                    ELSE (SELECT count(*) FROM (SELECT FROM millpond.jobs j WHERE j.queue = q.name
                                           AND j.state IN ('scheduled', 'retrying') AND j.state = s.state
                                           AND ($2::text IS NULL OR j.tenant = $2) LIMIT $1::bigint + 1) AS x)
                    END AS jobs) AS c
             LEFT JOIN millpond.queue_stats t ON t.queue = q.name AND t.state = s.state"#,
        COUNTED,
        tenant,
    )
    .fetch_all(db)
    .await
}

/// How long the oldest ready job of each queue that has one has waited, in seconds.
#[derive(Debug)]
pub(crate) struct OldestReady {
    pub(crate) queue: String,
    pub(crate) seconds: f64,
}

/// The oldest ready job of each queue: the head of each priority is looked at, not the whole queue, and the first 10,000
/// of what is parked.
pub(crate) async fn oldest_ready(db: impl PgExecutor<'_>) -> Result<Vec<OldestReady>, sqlx::Error> {
    sqlx::query_as!(
        OldestReady,
        r#"SELECT q.name AS "queue!", extract(epoch FROM now() - min(h.run_at))::float8 AS "seconds!"
             FROM millpond.queues q
            CROSS JOIN LATERAL (
                  SELECT first.run_at
                    FROM generate_series(0, 9) AS p (priority)
                   CROSS JOIN LATERAL (SELECT j.run_at FROM millpond.jobs j
                                        WHERE j.queue = q.name AND j.state = 'ready' AND j.parked_gate IS NULL
                                          AND j.priority = p.priority
                                        ORDER BY j.run_at LIMIT 1) AS first
                   UNION ALL
                  (SELECT j.run_at FROM millpond.jobs j
                    WHERE j.queue = q.name AND j.state = 'ready' AND j.parked_gate IS NOT NULL LIMIT $1)) AS h
            GROUP BY q.name"#,
        COUNTED,
    )
    .fetch_all(db)
    .await
}

/// How many jobs of a queue are ready, counted up to `most`.
pub(crate) async fn ready_up_to(
    db: impl PgExecutor<'_>,
    queue: &str,
    most: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!"
             FROM (SELECT FROM (
                      (SELECT FROM millpond.jobs WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL LIMIT $2)
                      UNION ALL
                      (SELECT FROM millpond.jobs WHERE queue = $1 AND state = 'ready' AND parked_gate IS NOT NULL LIMIT $2)) AS ready
                    LIMIT $2) AS bounded"#,
        queue,
        most,
    )
    .fetch_one(db)
    .await
}

/// Forgets the latest starts of up to 100 queues that count under no rate any more; tells of how many.
pub(crate) async fn forget_old_starts(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query!(
        "UPDATE millpond.queues SET rate_times = '{}', rate_starts = '{}'
          WHERE name = ANY (ARRAY(SELECT name FROM millpond.queues
                                   WHERE rate_times <> '{}'
                                     AND (SELECT max(s.at) FROM unnest(rate_times) AS s (at))
                                         < now() - make_interval(secs => GREATEST(2 * COALESCE(rate_per_seconds, 0), 86400))
                                   ORDER BY name LIMIT 100 FOR UPDATE SKIP LOCKED))"
    )
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected())
}
