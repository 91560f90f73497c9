//! What concerns a whole queue beside single claims: whose turn its jobs take where nobody has found that out, and what
//! explaining needs to know of it.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// A place in the order of claims.
#[derive(Debug, Clone)]
pub(crate) struct PlaceRow {
    pub(crate) priority: i16,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) id: Uuid,
}

/// The queues in which somebody's jobs take turns.
pub(crate) async fn fair_queues(db: impl PgExecutor<'_>) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!("SELECT name FROM millpond.queues WHERE fair_by IS NOT NULL ORDER BY name")
        .fetch_all(db)
        .await
}

/// Finds out whose turn the next 5,000 jobs of a queue take, from behind a place on, where nobody has. Gives the last of
/// them; `None` when there is none behind that place.
pub(crate) async fn mark(
    db: impl PgExecutor<'_>,
    queue: &str,
    behind: &PlaceRow,
) -> Result<Option<PlaceRow>, sqlx::Error> {
    sqlx::query_as!(
        PlaceRow,
        r#"WITH portion AS MATERIALIZED (
               SELECT id, priority, run_at, fair FROM millpond.jobs
                WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL AND (priority, run_at, id) > ($2, $3, $4)
                ORDER BY priority, run_at, id LIMIT 5000),
           marked AS (
               UPDATE millpond.jobs SET fair = COALESCE(tenant, '')
                WHERE queue = $1
                  AND id = ANY (ARRAY(SELECT id FROM millpond.jobs
                                       WHERE id = ANY (ARRAY(SELECT id FROM portion WHERE fair IS NULL))
                                         AND state IS NOT DISTINCT FROM 'ready' FOR UPDATE SKIP LOCKED)))
           SELECT priority AS "priority!", run_at AS "run_at!", id AS "id!"
             FROM portion ORDER BY priority DESC, run_at DESC, id DESC LIMIT 1"#,
        queue,
        behind.priority,
        behind.run_at,
        behind.id,
    )
    .fetch_optional(db)
    .await
}

/// Has the statements of a transaction find their rows by indexes, whatever is known of tables that fill and empty: they
/// are those of claims, which have connections on which that is so.
pub(crate) async fn go_by_indexes(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT set_config('enable_seqscan', 'off', true) || set_config('enable_bitmapscan', 'off', true)
                  || set_config('enable_sort', 'off', true) || set_config('jit', 'off', true) AS "set!""#
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// A job that has not ended, as far as explaining has to know it.
#[derive(Debug)]
pub(crate) struct LiveRow {
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) priority: i16,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) key: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) fair: Option<String>,
    pub(crate) now: DateTime<Utc>,
}

/// A job that has not ended; `None` also where it belongs to another tenant than the one named.
pub(crate) async fn live(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<LiveRow>, sqlx::Error> {
    sqlx::query_as!(
        LiveRow,
        r#"SELECT queue, kind, state, priority, run_at, key, account, fair, now() AS "now!"
             FROM millpond.jobs WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)"#,
        id,
        tenant,
    )
    .fetch_optional(db)
    .await
}

/// A queue's pause.
#[derive(Debug)]
pub(crate) struct PauseRow {
    pub(crate) by: String,
    pub(crate) reason: Option<String>,
    pub(crate) until: Option<DateTime<Utc>>,
}

/// The pause of a queue that holds now.
pub(crate) async fn pause(
    db: impl PgExecutor<'_>,
    queue: &str,
) -> Result<Option<PauseRow>, sqlx::Error> {
    sqlx::query_as!(
        PauseRow,
        r#"SELECT paused_by AS "by!", paused_reason AS reason, paused_until AS until
             FROM millpond.queues
            WHERE name = $1 AND paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > now())"#,
        queue,
    )
    .fetch_optional(db)
    .await
}

/// A live worker's share of a queue.
#[derive(Debug)]
pub(crate) struct ShareRow {
    pub(crate) kinds: Vec<String>,
    pub(crate) slots: i64,
}

/// The workers of a queue that were seen within so many seconds, up to 1,000.
pub(crate) async fn shares(
    db: impl PgExecutor<'_>,
    queue: &str,
    silent_seconds: f64,
) -> Result<Vec<ShareRow>, sqlx::Error> {
    sqlx::query_as!(
        ShareRow,
        r#"SELECT kinds, (slots ->> $1)::int8 AS "slots!" FROM millpond.workers
            WHERE seen_at > now() - make_interval(secs => $2) AND slots ->> $1 IS NOT NULL LIMIT 1000"#,
        queue,
        silent_seconds,
    )
    .fetch_all(db)
    .await
}

/// How many jobs of a queue run, counted up to `most`.
pub(crate) async fn running(
    db: impl PgExecutor<'_>,
    queue: &str,
    most: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!"
             FROM (SELECT FROM millpond.jobs WHERE queue = $1 AND state = 'running' LIMIT $2) AS counted"#,
        queue,
        most,
    )
    .fetch_one(db)
    .await
}

/// How many jobs of these kinds are before a place in the order of claims, counted up to `most`; those of one tenant
/// alone, where one is named. What gates keep is not before anybody.
pub(crate) async fn before(
    db: impl PgExecutor<'_>,
    queue: &str,
    place: &PlaceRow,
    (kinds, tenant): (&[String], Option<&str>),
    most: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!"
             FROM (SELECT FROM millpond.jobs
                    WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL AND (priority, run_at, id) < ($2, $3, $4)
                      AND kind = ANY ($5) AND ($6::text IS NULL OR tenant = $6)
                    LIMIT $7) AS counted"#,
        queue,
        place.priority,
        place.run_at,
        place.id,
        kinds,
        tenant,
        most,
    )
    .fetch_one(db)
    .await
}

/// How a line of a fair queue stands.
#[derive(Debug)]
pub(crate) struct LineRow {
    /// Jobs of the line that are before a place, counted up to `most`.
    pub(crate) before: i64,
    /// Lines of that priority, counted up to 200.
    pub(crate) lines: i64,
}

/// How many jobs of its own line are before a place of a fair queue, and how many lines take turns there.
pub(crate) async fn line(
    db: impl PgExecutor<'_>,
    queue: &str,
    place: &PlaceRow,
    line: &str,
    most: i64,
) -> Result<LineRow, sqlx::Error> {
    sqlx::query_as!(
        LineRow,
        r#"WITH RECURSIVE lines (fair, place) AS (
               (SELECT fair, 1 FROM millpond.jobs
                 WHERE queue = $1 AND priority = $2 AND fair >= '' AND state = 'ready' AND parked_gate IS NULL
                 ORDER BY fair LIMIT 1)
               UNION ALL
               SELECT next.fair, lines.place + 1
                 FROM lines
                CROSS JOIN LATERAL (
                      SELECT fair FROM millpond.jobs
                       WHERE queue = $1 AND priority = $2 AND fair > lines.fair AND state = 'ready' AND parked_gate IS NULL
                       ORDER BY fair LIMIT 1) AS next
                WHERE lines.place < 200)
           SELECT (SELECT count(*) FROM lines) AS "lines!",
                  (SELECT count(*)
                     FROM (SELECT FROM millpond.jobs
                            WHERE queue = $1 AND priority = $2 AND fair = $5 AND (run_at, id) < ($3, $4)
                              AND state = 'ready' AND parked_gate IS NULL LIMIT $6) AS counted) AS "before!""#,
        queue,
        place.priority,
        place.run_at,
        place.id,
        line,
        most,
    )
    .fetch_one(db)
    .await
}

/// Who takes a place of a key.
#[derive(Debug)]
pub(crate) struct TakerRow {
    pub(crate) id: Uuid,
    pub(crate) tenant: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) lease_until: DateTime<Utc>,
}

/// Up to three jobs that take places of a key.
pub(crate) async fn takers(
    db: impl PgExecutor<'_>,
    kind: &str,
    key: &str,
) -> Result<Vec<TakerRow>, sqlx::Error> {
    sqlx::query_as!(
        TakerRow,
        r#"SELECT id AS "id!", tenant AS "tenant?", lease_until AS "lease_until!",
                  (SELECT host FROM millpond.workers w WHERE w.id = j.worker) AS "host?"
             FROM millpond.jobs j WHERE kind = $1 AND key = $2 AND state = 'running' AND takes_place LIMIT 3"#,
        kind,
        key,
    )
    .fetch_all(db)
    .await
}

/// How many seconds the last 100 successful attempts took on average; `None` where nothing is kept of them.
pub(crate) async fn usual_seconds(
    db: impl PgExecutor<'_>,
    kind: &str,
) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT avg(extract(epoch FROM finished_at - started_at))::float8
           FROM (SELECT started_at, finished_at FROM millpond.job_history WHERE kind = $1 ORDER BY id DESC LIMIT 100) AS last",
        kind,
    )
    .fetch_one(db)
    .await
}

/// Jobs of a queue by what they wait for.
#[derive(Debug)]
pub(crate) struct WaitingRow {
    /// What keeps them; `None`: nothing that was found.
    pub(crate) gate: Option<String>,
    pub(crate) jobs: i64,
}

/// The ready jobs of a queue by what was found to keep them, each sort counted up to `most`.
pub(crate) async fn waiting(
    db: impl PgExecutor<'_>,
    queue: &str,
    most: i64,
) -> Result<Vec<WaitingRow>, sqlx::Error> {
    sqlx::query_as!(
        WaitingRow,
        r#"SELECT NULL::text AS gate, count(*) AS "jobs!"
             FROM (SELECT FROM millpond.jobs WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL LIMIT $2) AS open
           UNION ALL
           SELECT g.gate, (SELECT count(*) FROM (SELECT FROM millpond.jobs j
                                                  WHERE j.queue = $1 AND j.state = 'ready' AND j.parked_gate = g.gate
                                                  LIMIT $2) AS kept)
             FROM (VALUES ('key_limit'), ('budget'), ('account_held')) AS g (gate)"#,
        queue,
        most,
    )
    .fetch_all(db)
    .await
}

/// How many jobs of a queue a gate has kept for the same thing, counted up to `most`.
pub(crate) async fn kept_for(
    db: impl PgExecutor<'_>,
    queue: &str,
    (gate, what): (&str, &str),
    most: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!"
             FROM (SELECT FROM millpond.jobs
                    WHERE queue = $1 AND state = 'ready' AND parked_gate = $2 AND parked_for = $3 LIMIT $4) AS kept"#,
        queue,
        gate,
        what,
        most,
    )
    .fetch_one(db)
    .await
}

/// The kinds among the first 1,000 ready jobs of a queue.
pub(crate) async fn first_kinds(
    db: impl PgExecutor<'_>,
    queue: &str,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT kind AS "kind!"
             FROM (SELECT kind FROM millpond.jobs WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL
                    ORDER BY priority, run_at, id LIMIT 1000) AS first"#,
        queue,
    )
    .fetch_all(db)
    .await
}

/// When the next job of a queue is due that waits for its time.
pub(crate) async fn next_due(
    db: impl PgExecutor<'_>,
    queue: &str,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT run_at FROM millpond.jobs WHERE queue = $1 AND state IN ('scheduled', 'retrying') ORDER BY run_at LIMIT 1",
        queue,
    )
    .fetch_optional(db)
    .await
}

/// How many ready jobs of a kind and key are before a place in the order of claims, those included that `what` was noted
/// on, each sort counted up to `most`.
pub(crate) async fn before_of_key(
    db: impl PgExecutor<'_>,
    queue: &str,
    place: &PlaceRow,
    (kind, key, what): (&str, &str, &str),
    most: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT (SELECT count(*)
                     FROM (SELECT FROM millpond.jobs
                            WHERE queue = $1 AND kind = $5 AND key = $6 AND state = 'ready' AND parked_gate IS NULL
                              AND (priority, run_at, id) < ($2, $3, $4) LIMIT $8) AS open)
                + (SELECT count(*)
                     FROM (SELECT FROM millpond.jobs
                            WHERE queue = $1 AND state = 'ready' AND parked_gate = 'key_limit' AND parked_for = $7
                              AND (priority, run_at, id) < ($2, $3, $4) LIMIT $8) AS kept) AS "count!""#,
        queue,
        place.priority,
        place.run_at,
        place.id,
        kind,
        key,
        what,
        most,
    )
    .fetch_one(db)
    .await
}
