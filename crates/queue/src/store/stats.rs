//! What the fleet gauges show. Read by the leader alone, some seconds apart, each statement bounded by the server's
//! statement timeout.

use sqlx::PgExecutor;

/// Jobs that are still to be done, by queue, state, kind and what was found to keep them.
#[derive(Debug)]
pub(crate) struct JobCount {
    pub(crate) queue: String,
    pub(crate) state: String,
    pub(crate) kind: String,
    /// The gate that keeps them, as far as a claim has met them.
    pub(crate) parked_gate: Option<String>,
    pub(crate) jobs: i64,
}

/// Counts the jobs that are still to be done: reads all of them, once for every gauge that needs it.
pub(crate) async fn count_jobs(db: impl PgExecutor<'_>) -> Result<Vec<JobCount>, sqlx::Error> {
    sqlx::query_as!(
        JobCount,
        r#"SELECT queue, state, kind, parked_gate, count(*) AS "jobs!"
             FROM millpond.jobs GROUP BY queue, state, kind, parked_gate"#
    )
    .fetch_all(db)
    .await
}

/// Numbers by queue and state, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct Depths {
    pub(crate) queues: Vec<String>,
    pub(crate) states: Vec<String>,
    pub(crate) jobs: Vec<i64>,
}

/// A number by queue and state.
#[derive(Debug)]
pub(crate) struct Depth {
    pub(crate) queue: String,
    pub(crate) state: String,
    pub(crate) jobs: i64,
}

/// Keeps the counts for deep queues' status, and gives them for every state of every queue.
pub(crate) async fn keep_depths(
    db: impl PgExecutor<'_>,
    depths: &Depths,
) -> Result<Vec<Depth>, sqlx::Error> {
    sqlx::query_as!(
        Depth,
        r#"INSERT INTO millpond.queue_stats AS t (queue, state, jobs)
           SELECT q.name, s.state, COALESCE(c.jobs, 0)
             FROM millpond.queues q
            CROSS JOIN (VALUES ('scheduled'), ('ready'), ('running'), ('retrying')) AS s (state)
             LEFT JOIN unnest($1::text[], $2::text[], $3::int8[]) AS c (queue, state, jobs)
               ON c.queue = q.name AND c.state = s.state
           ON CONFLICT ON CONSTRAINT queue_stats_pkey DO UPDATE SET jobs = excluded.jobs, collected_at = now()
        RETURNING queue, state, jobs"#,
        &depths.queues,
        &depths.states,
        &depths.jobs,
    )
    .fetch_all(db)
    .await
}

/// The kinds that live workers have registered.
pub(crate) async fn live_kinds(
    db: impl PgExecutor<'_>,
    silent_seconds: f64,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT unnest(kinds) AS "kind!" FROM millpond.workers WHERE seen_at > now() - make_interval(secs => $1)"#,
        silent_seconds,
    )
    .fetch_all(db)
    .await
}

/// Seconds by queue.
#[derive(Debug)]
pub(crate) struct Age {
    pub(crate) queue: String,
    pub(crate) seconds: f64,
}

/// How long the oldest running attempt of each queue has run.
pub(crate) async fn oldest_running(db: impl PgExecutor<'_>) -> Result<Vec<Age>, sqlx::Error> {
    sqlx::query_as!(
        Age,
        r#"SELECT queue, extract(epoch FROM now() - min(started_at))::float8 AS "seconds!"
             FROM millpond.jobs WHERE state = 'running' GROUP BY queue"#
    )
    .fetch_all(db)
    .await
}

/// Open dead letters by queue and kind, from the groups' counts.
#[derive(Debug)]
pub(crate) struct DeadCount {
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) open: i64,
}

/// How many dead letters are open.
pub(crate) async fn dead_letters(db: impl PgExecutor<'_>) -> Result<Vec<DeadCount>, sqlx::Error> {
    sqlx::query_as!(
        DeadCount,
        r#"SELECT queue, kind, sum(open)::bigint AS "open!" FROM millpond.dead_groups GROUP BY queue, kind"#
    )
    .fetch_all(db)
    .await
}

/// How long ago the oldest open dead letter of each queue died.
pub(crate) async fn oldest_dead(db: impl PgExecutor<'_>) -> Result<Vec<Age>, sqlx::Error> {
    sqlx::query_as!(
        Age,
        r#"SELECT q.name AS "queue!", extract(epoch FROM now() - d.died_at)::float8 AS "seconds!"
             FROM millpond.queues q
            CROSS JOIN LATERAL (SELECT died_at FROM millpond.dead_letters l
                                 WHERE l.queue = q.name AND l.resolution IS NULL ORDER BY l.died_at LIMIT 1) AS d"#
    )
    .fetch_all(db)
    .await
}

/// A number by a word.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) word: String,
    pub(crate) count: i64,
}

/// Ready jobs of kinds that no live worker has registered.
pub(crate) async fn unclaimable(
    db: impl PgExecutor<'_>,
    silent_seconds: f64,
) -> Result<Vec<Counted>, sqlx::Error> {
    sqlx::query_as!(
        Counted,
        r#"SELECT kind AS "word!", jobs AS "count!"
             FROM (SELECT kind, count(*) AS jobs FROM millpond.jobs WHERE state = 'ready' GROUP BY kind) AS ready
            WHERE NOT EXISTS (SELECT FROM millpond.workers w
                               WHERE w.seen_at > now() - make_interval(secs => $1) AND ready.kind = ANY (w.kinds))
            ORDER BY 2 DESC LIMIT 100"#,
        silent_seconds,
    )
    .fetch_all(db)
    .await
}

/// Live workers by version.
pub(crate) async fn workers(
    db: impl PgExecutor<'_>,
    silent_seconds: f64,
) -> Result<Vec<Counted>, sqlx::Error> {
    sqlx::query_as!(
        Counted,
        r#"SELECT version AS "word!", count(*) AS "count!" FROM millpond.workers
            WHERE seen_at > now() - make_interval(secs => $1) AND 'worker' = ANY (roles) GROUP BY version"#,
        silent_seconds,
    )
    .fetch_all(db)
    .await
}

/// Replay runs by status.
pub(crate) async fn replays(db: impl PgExecutor<'_>) -> Result<Vec<Counted>, sqlx::Error> {
    sqlx::query_as!(
        Counted,
        r#"SELECT status AS "word!", count(*) AS "count!" FROM millpond.replays GROUP BY status"#
    )
    .fetch_all(db)
    .await
}

/// How PostgreSQL keeps up with a hot table.
#[derive(Debug)]
pub(crate) struct TableHealth {
    pub(crate) table: String,
    pub(crate) dead_tuples: i64,
    pub(crate) hot_ratio: Option<f64>,
}

/// Dead rows and the share of HOT updates of our tables.
pub(crate) async fn tables(db: impl PgExecutor<'_>) -> Result<Vec<TableHealth>, sqlx::Error> {
    sqlx::query_as!(
        TableHealth,
        r#"SELECT relname::text AS "table!", n_dead_tup AS "dead_tuples!",
                  n_tup_hot_upd::float8 / NULLIF(n_tup_upd, 0) AS hot_ratio
             FROM pg_stat_user_tables
            WHERE schemaname = 'millpond' AND relname IN ('jobs', 'dead_letters', 'idempotency_keys', 'workers', 'queues')"#
    )
    .fetch_all(db)
    .await
}

/// How long the oldest snapshot that keeps dead rows alive has been open, in seconds; zero without one.
pub(crate) async fn oldest_snapshot(db: impl PgExecutor<'_>) -> Result<f64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT COALESCE(max(extract(epoch FROM now() - xact_start)), 0)::float8 AS "seconds!"
             FROM pg_stat_activity
            WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'"#
    )
    .fetch_one(db)
    .await
}
