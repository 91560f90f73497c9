//! The ready jobs that a claim decides about, from where it looks for them: at the head of the queue, in the lines of a
//! fair queue, behind gates that may be open. Nothing is locked here.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// A ready job, as far as a claim has to decide about it.
#[derive(Debug, Clone)]
pub(crate) struct ReadyRow {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) key: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) priority: i16,
    pub(crate) run_at: DateTime<Utc>,
    /// Whose turn it takes where its queue is fair; `None` where nobody has found that out yet.
    pub(crate) fair: Option<String>,
    pub(crate) parked_gate: Option<String>,
    pub(crate) parked_for: Option<String>,
}

// All give the same columns of what they call `j`.
macro_rules! ready {
    ($db:expr, [$with:literal, $from:literal $(, $more:literal)*] $(, $argument:expr)*) => {
        sqlx::query_as!(
            ReadyRow,
            $with + r#" SELECT j.id AS "id!", j.kind AS "kind!", j.key AS "key?", j.account AS "account?",
                               j.priority AS "priority!", j.run_at AS "run_at!", j.fair AS "fair?",
                               j.parked_gate AS "parked_gate?", j.parked_for AS "parked_for?" "# + $from $(+ $more)*
            $(, $argument)*
        )
        .fetch_all($db)
        .await
    };
}

macro_rules! first_up_to {
    ($db:expr, $queue:expr, $kinds:expr, $limit:literal) => {
        ready!(
            $db,
            [
                "",
                "FROM millpond.jobs j
                  WHERE j.queue = $1 AND j.state = 'ready' AND j.parked_gate IS NULL AND j.kind = ANY ($2)
                  ORDER BY j.priority, j.run_at, j.id LIMIT ",
                $limit
            ],
            $queue,
            $kinds
        )
    };
}

/// The first jobs of a queue, as far as a claim looks.
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) rows: Vec<ReadyRow>,
    /// There may be more behind them.
    pub(crate) is_cut: bool,
}

/// The first jobs of a queue in the order of claims, more than the `most` that may start, since some may be kept.
pub(crate) async fn first(
    db: impl PgExecutor<'_>,
    queue: &str,
    kinds: &[String],
    most: usize,
) -> Result<First, sqlx::Error> {
    let (looked_at, rows) = match most {
        0..=10 => (50, first_up_to!(db, queue, kinds, "50")?),
        11..=100 => (200, first_up_to!(db, queue, kinds, "200")?),
        101..=500 => (700, first_up_to!(db, queue, kinds, "700")?),
        _ => (1_400, first_up_to!(db, queue, kinds, "1400")?),
    };
    Ok(First {
        is_cut: rows.len() == looked_at,
        rows,
    })
}

/// The first priority after this one that any ready job of a queue has.
pub(crate) async fn next_priority(
    db: impl PgExecutor<'_>,
    queue: &str,
    after: i16,
) -> Result<Option<i16>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT priority FROM millpond.jobs
          WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL AND priority > $2
          ORDER BY priority, run_at, id LIMIT 1",
        queue,
        after,
    )
    .fetch_optional(db)
    .await
}

/// Where in a fair queue a claim looks for jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) queue: &'a str,
    pub(crate) priority: i16,
    /// The line that is first, if there is one of this name; else the next one.
    pub(crate) from: &'a str,
    pub(crate) kinds: &'a [String],
    /// How many jobs to find.
    pub(crate) most: i64,
}

/// The first jobs of the lines of a priority, from one line on and around: of each as many as it takes for `most` in all,
/// at least one, and of no more than 200 lines. One in which only other kinds wait is no line.
pub(crate) async fn lines(
    db: impl PgExecutor<'_>,
    lines: Lines<'_>,
) -> Result<Vec<ReadyRow>, sqlx::Error> {
    ready!(
        db,
        [
            "WITH RECURSIVE after (fair, place) AS (
                 (SELECT fair, 1 FROM millpond.jobs
                   WHERE queue = $1 AND priority = $2 AND fair >= $3 AND state = 'ready' AND parked_gate IS NULL
                     AND kind = ANY ($4)
                   ORDER BY fair LIMIT 1)
                 UNION ALL
                 SELECT next.fair, after.place + 1
                   FROM after
                  CROSS JOIN LATERAL (
                        SELECT fair FROM millpond.jobs
                         WHERE queue = $1 AND priority = $2 AND fair > after.fair AND state = 'ready' AND parked_gate IS NULL
                           AND kind = ANY ($4)
                         ORDER BY fair LIMIT 1) AS next
                  WHERE after.place < LEAST($5::int8, 200)),
             before (fair, place) AS (
                 (SELECT fair, 1 FROM millpond.jobs
                   WHERE queue = $1 AND priority = $2 AND fair < $3 AND state = 'ready' AND parked_gate IS NULL
                     AND kind = ANY ($4)
                   ORDER BY fair LIMIT 1)
                 UNION ALL
                 SELECT next.fair, before.place + 1
                   FROM before
                  CROSS JOIN LATERAL (
                        SELECT fair FROM millpond.jobs
                         WHERE queue = $1 AND priority = $2 AND fair > before.fair AND fair < $3
                           AND state = 'ready' AND parked_gate IS NULL AND kind = ANY ($4)
                         ORDER BY fair LIMIT 1) AS next
                  WHERE before.place < LEAST($5, 200)),
             line AS MATERIALIZED (
                 SELECT fair FROM (SELECT fair FROM after UNION ALL SELECT fair FROM before) AS around
                  LIMIT LEAST($5, 200))",
            "  FROM line
              CROSS JOIN LATERAL (
                    SELECT * FROM millpond.jobs
                     WHERE queue = $1 AND priority = $2 AND fair = line.fair AND state = 'ready' AND parked_gate IS NULL
                       AND kind = ANY ($4)
                     ORDER BY run_at, id
                     LIMIT (SELECT ($5 + count(*) - 1) / GREATEST(count(*), 1) FROM line)) AS j"
        ],
        lines.queue,
        lines.priority,
        lines.from,
        lines.kinds,
        lines.most
    )
}

/// Jobs of a priority in a fair queue of which nobody has found out yet whose turn they take, among its first 500.
pub(crate) async fn unmarked(
    db: impl PgExecutor<'_>,
    lines: Lines<'_>,
) -> Result<Vec<ReadyRow>, sqlx::Error> {
    ready!(
        db,
        [
            "",
            "FROM (SELECT * FROM millpond.jobs
                    WHERE queue = $1 AND priority = $2 AND state = 'ready' AND parked_gate IS NULL
                    ORDER BY run_at, id LIMIT 500) AS j
              WHERE j.fair IS NULL AND j.kind = ANY ($3) LIMIT $4"
        ],
        lines.queue,
        lines.priority,
        lines.kinds,
        lines.most
    )
}

/// Jobs that a gate has kept, told apart by what it kept them for.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) gate: String,
    pub(crate) what: String,
}

/// Up to 200 groups of parked jobs of a queue, from behind one on.
pub(crate) async fn groups(
    db: impl PgExecutor<'_>,
    queue: &str,
    (gate, what): (&str, &str),
) -> Result<Vec<Group>, sqlx::Error> {
    sqlx::query_as!(
        Group,
        r#"WITH RECURSIVE parked (gate, what, place) AS (
               (SELECT parked_gate, parked_for, 1 FROM millpond.jobs
                 WHERE queue = $1 AND state = 'ready' AND parked_gate IS NOT NULL AND (parked_gate, parked_for) > ($2, $3)
                 ORDER BY parked_gate, parked_for LIMIT 1)
               UNION ALL
               SELECT next.parked_gate, next.parked_for, parked.place + 1
                 FROM parked
                CROSS JOIN LATERAL (
                      SELECT parked_gate, parked_for FROM millpond.jobs
                       WHERE queue = $1 AND state = 'ready' AND parked_gate IS NOT NULL
                         AND (parked_gate, parked_for) > (parked.gate, parked.what)
                       ORDER BY parked_gate, parked_for LIMIT 1) AS next
                WHERE parked.place < 200)
           SELECT gate AS "gate!", what AS "what!" FROM parked"#,
        queue,
        gate,
        what,
    )
    .fetch_all(db)
    .await
}

/// Groups of parked jobs with how many to take of each, and up to which priority, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct Opened<'a> {
    pub(crate) gates: Vec<&'a str>,
    pub(crate) what: Vec<&'a str>,
    pub(crate) most: Vec<i64>,
    pub(crate) last_priorities: Vec<i16>,
}

/// The first jobs of groups whose gates are open.
pub(crate) async fn behind(
    db: impl PgExecutor<'_>,
    queue: &str,
    kinds: &[String],
    opened: &Opened<'_>,
) -> Result<Vec<ReadyRow>, sqlx::Error> {
    ready!(
        db,
        [
            "",
            "FROM unnest($3::text[], $4::text[], $5::int8[], $6::int2[]) AS opened (gate, what, most, last_priority)
             CROSS JOIN LATERAL (
                   SELECT * FROM millpond.jobs
                    WHERE queue = $1 AND state = 'ready' AND parked_gate = opened.gate AND parked_for = opened.what
                      AND priority <= opened.last_priority AND kind = ANY ($2)
                    ORDER BY priority, run_at, id LIMIT opened.most) AS j"
        ],
        queue,
        kinds,
        &opened.gates as &[&str],
        &opened.what as &[&str],
        &opened.most,
        &opened.last_priorities
    )
}

/// Whether any job of these kinds is ready in a queue, or parked there. Nobody reads what a paused queue holds for that.
pub(crate) async fn any_of(
    db: impl PgExecutor<'_>,
    queue: &str,
    kinds: &[String],
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT CASE WHEN (SELECT true FROM millpond.queues WHERE name = $1 AND paused_at IS NOT NULL
                                AND (paused_until IS NULL OR paused_until > now())) THEN false
                       ELSE COALESCE((SELECT true FROM millpond.jobs
                                       WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL
                                         AND kind = ANY ($2) LIMIT 1), false)
                            OR COALESCE((SELECT true FROM millpond.jobs
                                          WHERE queue = $1 AND state = 'ready' AND parked_gate IS NOT NULL
                                            AND kind = ANY ($2) LIMIT 1), false) END AS "any!""#,
        queue,
        kinds,
    )
    .fetch_one(db)
    .await
}

/// Jobs of one kind and key that may run in one call, none that may have spoilt its last one.
pub(crate) async fn mates(
    db: impl PgExecutor<'_>,
    queue: &str,
    (kind, key): (&str, &str),
    most: i64,
) -> Result<Vec<ReadyRow>, sqlx::Error> {
    ready!(
        db,
        [
            "",
            "FROM millpond.jobs j
              WHERE j.queue = $1 AND j.state = 'ready' AND j.parked_gate IS NULL AND j.kind = $2 AND j.key = $3
                AND COALESCE(j.attempts -> -1 ->> 'error_class', '') NOT IN ('panic', 'timeout', 'lost')
              ORDER BY j.priority, j.run_at, j.id LIMIT $4"
        ],
        queue,
        kind,
        key,
        most
    )
}
