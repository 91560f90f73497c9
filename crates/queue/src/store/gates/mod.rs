//! What a claim reads and writes where limits are to be kept: whose turn it is, what may run, what is left of limits. The
//! claims of a queue that has a limit of the fleet take turns at its row of `queues`, those of a kind that is limited per
//! key at its row of `kinds_seen`: what they read after that is what the turns before them have left. `gates` decides.

pub(crate) mod facts;
pub(crate) mod fleet;
pub(crate) mod rows;

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// Begins a claim that keeps limits. While it has its turn it holds up the others of its queue: where its process has
/// stopped, or waits for somebody who has, it is ended. It says so itself, since a pooler in transaction mode keeps what
/// sessions are set to from the server.
pub(crate) const BEGIN: &str =
    "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '2s'; SET LOCAL lock_timeout = '2s'";

/// Waits for the turn of a claim on a queue that has a limit of the fleet, and has it until the transaction ends. Other
/// queues have no turns.
pub(crate) async fn take_turn(db: impl PgExecutor<'_>, queue: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "SELECT FROM millpond.queues
          WHERE name = $1 AND (global_concurrency IS NOT NULL OR rate_count IS NOT NULL OR fair_by IS NOT NULL)
            FOR NO KEY UPDATE",
        queue,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The same for kinds that are limited per key. In the order of their names: jobs of several may be in several queues.
pub(crate) async fn take_turns_of_kinds(
    db: impl PgExecutor<'_>,
    kinds: &[&str],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "SELECT FROM millpond.kinds_seen WHERE kind = ANY ($1) ORDER BY kind FOR NO KEY UPDATE",
        kinds as &[&str],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The limits of a queue, and how far they are used.
#[derive(Debug)]
pub(crate) struct QueueRow {
    pub(crate) global_concurrency: Option<i32>,
    pub(crate) rate_count: Option<i32>,
    pub(crate) rate_per_seconds: Option<f64>,
    pub(crate) rate_times: Vec<DateTime<Utc>>,
    pub(crate) rate_starts: Vec<i32>,
    pub(crate) is_fair: bool,
    pub(crate) fair_last: Option<String>,
    pub(crate) is_paused: bool,
    /// The first priority that any job has which nothing keeps.
    pub(crate) first_priority: Option<i16>,
    /// Whether there are jobs that a gate has kept.
    pub(crate) has_parked: bool,
    /// Counted up to `global_concurrency`; zero without one.
    pub(crate) running: i64,
    /// By the clock, not by the transaction's begin: it may have waited for its turn.
    pub(crate) now: DateTime<Utc>,
}

/// How a queue stands; `None` for one that no process ever told of.
pub(crate) async fn queue(
    db: impl PgExecutor<'_>,
    queue: &str,
) -> Result<Option<QueueRow>, sqlx::Error> {
    sqlx::query_as!(
        QueueRow,
        r#"SELECT q.global_concurrency, q.rate_count, q.rate_per_seconds, q.rate_times, q.rate_starts,
                  (q.fair_by IS NOT NULL) AS "is_fair!", q.fair_last,
                  (q.paused_at IS NOT NULL AND (q.paused_until IS NULL OR q.paused_until > now())) AS "is_paused!",
                  CASE WHEN q.global_concurrency IS NULL THEN 0 ELSE (
                      SELECT count(*) FROM (SELECT FROM millpond.jobs j WHERE j.queue = $1 AND j.state = 'running'
                                             LIMIT q.global_concurrency) AS counted) END AS "running!",
                  (SELECT j.priority FROM millpond.jobs j
                    WHERE j.queue = $1 AND j.state = 'ready' AND j.parked_gate IS NULL
                    ORDER BY j.priority, j.run_at, j.id LIMIT 1) AS first_priority,
                  COALESCE((SELECT true FROM millpond.jobs j
                             WHERE j.queue = $1 AND j.state = 'ready' AND j.parked_gate IS NOT NULL LIMIT 1), false)
                  AS "has_parked!",
                  clock_timestamp() AS "now!"
             FROM millpond.queues q WHERE q.name = $1"#,
        queue,
    )
    .fetch_optional(db)
    .await
}

/// Jobs and the notes on what keeps them, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) gates: Vec<&'static str>,
    pub(crate) what: Vec<String>,
}

/// Notes what keeps jobs from running, so that claims do not meet them again before it may have changed; tells on how many.
/// Jobs that are locked or no longer ready are left alone.
pub(crate) async fn park(
    db: impl PgExecutor<'_>,
    queue: &str,
    notes: &Notes,
) -> Result<u64, sqlx::Error> {
    let noted = sqlx::query!(
        "UPDATE millpond.jobs j
            SET parked_gate = n.gate, parked_for = n.what
           FROM unnest($2::uuid[], $3::text[], $4::text[]) AS n (id, gate, what)
          WHERE j.queue = $1 AND j.id = n.id
            AND j.id = ANY (ARRAY(SELECT id FROM millpond.jobs
                                   WHERE queue = $1 AND id = ANY ($2)
                                     AND state IS NOT DISTINCT FROM 'ready' -- so that no index of all ready jobs is read
                                     FOR UPDATE SKIP LOCKED))",
        queue,
        &notes.ids,
        &notes.gates as &[&str],
        &notes.what,
    )
    .execute(db)
    .await?;
    Ok(noted.rows_affected())
}

/// Keeps what a claim has used of its queue's limits.
pub(crate) async fn remember_turn(
    db: impl PgExecutor<'_>,
    queue: &str,
    (times, starts): (&[DateTime<Utc>], &[i32]),
    fair_last: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.queues SET rate_times = $2, rate_starts = $3, fair_last = $4 WHERE name = $1",
        queue,
        times,
        starts,
        fair_last,
    )
    .execute(db)
    .await?;
    Ok(())
}
