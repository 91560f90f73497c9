//! What a change of the configuration is weighed against. Each statement reads a bounded part of its table, however deep
//! the backlog and the history are.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::queues::Depth;

/// Most jobs that are counted one by one.
pub(crate) const COUNTED_JOBS: i64 = 1_000_000;
/// Most dead letters that are counted one by one.
pub(crate) const COUNTED_LETTERS: i64 = 100_000;
/// Newest finished jobs of a kind whose run times are looked at.
const MEASURED: i64 = 2_000;
/// Newest jobs of each table that say how fast jobs arrive.
const NEWEST: i64 = 20_000;

/// The database's time.
pub(crate) async fn clock(db: impl PgExecutor<'_>) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
        .fetch_one(db)
        .await
}

/// How many attempts each kind has, before a change and after it, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct AttemptLimits {
    pub(crate) kinds: Vec<String>,
    pub(crate) before: Vec<i32>,
    pub(crate) after: Vec<i32>,
    /// Of kinds that are not among them.
    pub(crate) others_before: i32,
    pub(crate) others_after: i32,
}

/// Jobs of one kind and state in one queue.
#[derive(Debug, Clone)]
pub(crate) struct JobsOfKind {
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) jobs: i64,
    /// Ready ones that a held account keeps, or a budget as far as claims have met them.
    pub(crate) held: i64,
    /// Those whose next attempt is their last with the new number of attempts, and not with the old one. Of running jobs
    /// it says nothing.
    pub(crate) last_chance: i64,
    /// Those that have used up the new number, and not the old one.
    pub(crate) used_up: i64,
}

/// Counts jobs that are still to be done, up to a million. One with a number of attempts of its own is not touched by
/// what its kind says.
pub(crate) async fn jobs(
    db: impl PgExecutor<'_>,
    limits: &AttemptLimits,
) -> Result<Vec<JobsOfKind>, sqlx::Error> {
    sqlx::query_as!(
        JobsOfKind,
        r#"SELECT j.queue AS "queue!", j.kind AS "kind!", j.state AS "state!", count(*) AS "jobs!",
                  count(*) FILTER (WHERE j.state = 'ready' AND (h.account IS NOT NULL OR j.parked_gate = 'budget')) AS "held!",
                  count(*) FILTER (WHERE j.max_attempts IS NULL AND j.attempts_used + 1 >= COALESCE(k.after, $5::int4)
                                     AND j.attempts_used + 1 < COALESCE(k.before, $6::int4)) AS "last_chance!",
                  count(*) FILTER (WHERE j.max_attempts IS NULL AND j.attempts_used >= COALESCE(k.after, $5::int4)
                                     AND j.attempts_used + CASE j.state WHEN 'running' THEN 0 ELSE 1 END
                                         < COALESCE(k.before, $6::int4)) AS "used_up!"
             FROM (SELECT queue, kind, state, attempts_used, max_attempts, account, parked_gate FROM millpond.jobs LIMIT $1) j
             LEFT JOIN millpond.holds h ON h.account = j.account
             LEFT JOIN unnest($2::text[], $3::int4[], $4::int4[]) AS k (kind, before, after) ON k.kind = j.kind
            GROUP BY j.queue, j.kind, j.state"#,
        COUNTED_JOBS,
        &limits.kinds,
        &limits.before,
        &limits.after,
        limits.others_after,
        limits.others_before,
    )
    .fetch_all(db)
    .await
}

/// How the jobs of a kind are spread over its keys in one queue.
#[derive(Debug, Clone)]
pub(crate) struct LinesOfKind {
    pub(crate) queue: String,
    pub(crate) kind: String,
    /// The most jobs with one key that run or could; held accounts and budgets keep none of them.
    pub(crate) longest: i64,
    /// Jobs that wait, whatever for, and have no key.
    pub(crate) without_key: i64,
}

/// How the jobs of these kinds are spread over their keys, from up to a million jobs of all kinds.
pub(crate) async fn lines(
    db: impl PgExecutor<'_>,
    kinds: &[String],
) -> Result<Vec<LinesOfKind>, sqlx::Error> {
    sqlx::query_as!(
        LinesOfKind,
        r#"SELECT l.queue AS "queue!", l.kind AS "kind!",
                  COALESCE(max(l.due) FILTER (WHERE l.key IS NOT NULL), 0) AS "longest!",
                  COALESCE(sum(l.waiting) FILTER (WHERE l.key IS NULL), 0)::bigint AS "without_key!"
             FROM (SELECT j.queue, j.kind, j.key,
                          count(*) FILTER (WHERE j.state = 'running' OR (j.state = 'ready' AND h.account IS NULL
                              AND j.parked_gate IS DISTINCT FROM 'budget')) AS due,
                          count(*) FILTER (WHERE j.state <> 'running') AS waiting
                     FROM (SELECT queue, kind, key, state, account, parked_gate FROM millpond.jobs LIMIT $1) j
                     LEFT JOIN millpond.holds h ON h.account = j.account
                    WHERE j.kind = ANY ($2)
                    GROUP BY j.queue, j.kind, j.key) l
            GROUP BY l.queue, l.kind"#,
        COUNTED_JOBS,
        kinds,
    )
    .fetch_all(db)
    .await
}

/// Attempts that were started lately in a queue which has a rate, or had one.
#[derive(Debug, Clone)]
pub(crate) struct Starts {
    pub(crate) queue: String,
    /// Up to when, the oldest first.
    pub(crate) times: Vec<DateTime<Utc>>,
    /// How many, beside each time.
    pub(crate) counts: Vec<i32>,
}

/// What was started lately in queues with a rate.
pub(crate) async fn starts(db: impl PgExecutor<'_>) -> Result<Vec<Starts>, sqlx::Error> {
    sqlx::query_as!(
        Starts,
        "SELECT name AS queue, rate_times AS times, rate_starts AS counts FROM millpond.queues WHERE rate_times <> '{}'"
    )
    .fetch_all(db)
    .await
}

/// The leader's last count of every queue and state.
pub(crate) async fn kept_depths(db: impl PgExecutor<'_>) -> Result<Vec<Depth>, sqlx::Error> {
    sqlx::query_as!(Depth, "SELECT queue, state, jobs FROM millpond.queue_stats")
        .fetch_all(db)
        .await
}

/// How long attempts of a kind ran that succeeded.
#[derive(Debug, Clone)]
pub(crate) struct RunTimes {
    pub(crate) kind: String,
    /// How many were measured.
    pub(crate) measured: i64,
    pub(crate) mean_seconds: f64,
    pub(crate) p95_seconds: f64,
    /// How many of them ran longer than asked for.
    pub(crate) longer: i64,
}

/// The run times of kinds in the last day, from the newest 2,000 jobs of each, and how many took longer than so many
/// seconds; kinds of which nothing is known are missing. Compared as rows, so that the index of kind and id is walked: by
/// id alone a rare kind would be looked for among all others.
pub(crate) async fn run_times(
    db: impl PgExecutor<'_>,
    kinds: &[String],
    seconds: &[f64],
) -> Result<Vec<RunTimes>, sqlx::Error> {
    sqlx::query_as!(
        RunTimes,
        r#"SELECT k.kind AS "kind!", m.measured AS "measured!", m.mean AS "mean_seconds!", m.p95 AS "p95_seconds!",
                  m.longer AS "longer!"
             FROM unnest($1::text[], $2::float8[]) AS k (kind, most)
            CROSS JOIN LATERAL (
                SELECT count(*) AS measured, avg(r.seconds) AS mean,
                       percentile_cont(0.95) WITHIN GROUP (ORDER BY r.seconds) AS p95,
                       count(*) FILTER (WHERE r.seconds > k.most) AS longer
                  FROM (SELECT extract(epoch FROM h.finished_at - h.started_at)::float8 AS seconds
                          FROM (SELECT state, started_at, finished_at FROM millpond.job_history
                                 WHERE (kind, id) >= (k.kind, '00000000-0000-0000-0000-000000000000'::uuid)
                                   AND (kind, id) <= (k.kind, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
                                   AND finished_at >= date_trunc('day', now() - interval '1 day', 'UTC')
                                 ORDER BY kind DESC, id DESC LIMIT $3) AS h
                         WHERE h.state = 'succeeded' AND h.started_at IS NOT NULL
                           AND h.finished_at > now() - interval '1 day') AS r) AS m
            WHERE m.measured > 0"#,
        kinds,
        seconds,
        MEASURED,
    )
    .fetch_all(db)
    .await
}

/// Jobs that came in one twelfth of a span of time that ends now.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals {
    pub(crate) queue: String,
    pub(crate) kind: String,
    /// Which twelfth: 1 to 12.
    pub(crate) part: i32,
    pub(crate) jobs: i64,
    /// The whole span.
    pub(crate) span_seconds: f64,
}

/// What arrived within the last hour, or within the shorter time that the newest 20,000 jobs of a table reach back to.
/// Ids grow with time, so those are found by them.
pub(crate) async fn arrivals(db: impl PgExecutor<'_>) -> Result<Vec<Arrivals>, sqlx::Error> {
    sqlx::query_as!(
        Arrivals,
        r#"WITH newest AS MATERIALIZED (
               SELECT 1 AS source, queue, kind, created_at
                 FROM (SELECT queue, kind, created_at FROM millpond.jobs ORDER BY id DESC LIMIT $1) AS j
               UNION ALL
               SELECT 2, queue, kind, created_at
                 FROM (SELECT queue, kind, created_at FROM millpond.job_history ORDER BY id DESC LIMIT $1) AS h
               UNION ALL
               SELECT 3, queue, kind, created_at
                 FROM (SELECT queue, kind, created_at FROM millpond.dead_letters ORDER BY id DESC LIMIT $1) AS d),
           since AS (
               SELECT GREATEST(now() - interval '1 hour', max(f.first)) AS at
                 FROM (SELECT CASE WHEN count(*) >= $1 THEN min(created_at) END AS first FROM newest GROUP BY source) AS f),
           span AS (
               SELECT at, GREATEST(extract(epoch FROM now() - at)::float8, 1.0) AS seconds FROM since)
           SELECT n.queue AS "queue!", n.kind AS "kind!", p.part AS "part!", count(*) AS "jobs!", s.seconds AS "span_seconds!"
             FROM newest n
            CROSS JOIN span s
            CROSS JOIN LATERAL (
                SELECT LEAST(width_bucket(extract(epoch FROM n.created_at - s.at)::float8, 0.0::float8, s.seconds, 12), 12)) AS p (part)
            WHERE n.created_at >= s.at
            GROUP BY n.queue, n.kind, p.part, s.seconds"#,
        NEWEST,
    )
    .fetch_all(db)
    .await
}

/// Keys of a kind of which more jobs run than asked for.
#[derive(Debug, Clone)]
pub(crate) struct CrowdedKeys {
    pub(crate) kind: String,
    pub(crate) keys: i64,
    /// Jobs of these keys that run.
    pub(crate) running: i64,
}

/// How many keys of each kind have more than so many running jobs; kinds that have none are missing.
pub(crate) async fn crowded_keys(
    db: impl PgExecutor<'_>,
    kinds: &[String],
    most: &[i32],
) -> Result<Vec<CrowdedKeys>, sqlx::Error> {
    sqlx::query_as!(
        CrowdedKeys,
        r#"SELECT k.kind AS "kind!", count(*) AS "keys!", sum(r.running)::bigint AS "running!"
             FROM unnest($1::text[], $2::int4[]) AS k (kind, most)
             JOIN (SELECT kind, key, count(*) AS running FROM millpond.jobs
                    WHERE state = 'running' AND key IS NOT NULL GROUP BY kind, key) AS r
               ON r.kind = k.kind AND r.running > k.most
            GROUP BY k.kind"#,
        kinds,
        most,
    )
    .fetch_all(db)
    .await
}

/// A span of ages: rows that are older than `youngest_seconds`, up to `oldest_seconds`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ages {
    pub(crate) youngest_seconds: f64,
    pub(crate) oldest_seconds: f64,
}

/// How large the parts of the history are in which rows of these ages can stand.
pub(crate) async fn history_bytes(db: impl PgExecutor<'_>, ages: Ages) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT COALESCE(sum(pg_relation_size(c.oid)), 0)::bigint AS "bytes!"
             FROM pg_inherits i
             JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'millpond.job_history'::regclass
              AND CASE WHEN c.relname ~ '_[0-9]{8}$'
                       THEN to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC'
                                < now() - make_interval(secs => $1)
                        AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC'
                                > now() - make_interval(secs => $2)
                       ELSE true END"#,
        ages.youngest_seconds,
        ages.oldest_seconds,
    )
    .fetch_one(db)
    .await
}

/// Of each kind the ages of rows that a change of its retention deletes, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct KindAges {
    pub(crate) kinds: Vec<String>,
    pub(crate) youngest_seconds: Vec<f64>,
    pub(crate) oldest_seconds: Vec<f64>,
}

/// Finished jobs of one kind.
#[derive(Debug, Clone)]
pub(crate) struct FinishedOfKind {
    pub(crate) kind: String,
    pub(crate) jobs: i64,
}

/// Finished jobs of these kinds and ages, counted on so many per cent of the pages: on all of them it is exact. `within`
/// spans all of the kinds' ages, so that other days are not looked at.
pub(crate) async fn finished(
    db: impl PgExecutor<'_>,
    percent: f32,
    within: Ages,
    ages: &KindAges,
) -> Result<Vec<FinishedOfKind>, sqlx::Error> {
    sqlx::query_as!(
        FinishedOfKind,
        r#"SELECT h.kind AS "kind!", count(*) AS "jobs!"
             FROM millpond.job_history h TABLESAMPLE SYSTEM ($1::float4)
             JOIN unnest($4::text[], $5::float8[], $6::float8[]) AS k (kind, youngest, oldest) ON k.kind = h.kind
            WHERE h.finished_at < now() - make_interval(secs => $2)
              AND h.finished_at >= now() - make_interval(secs => $3)
              AND h.finished_at < now() - make_interval(secs => k.youngest)
              AND h.finished_at >= now() - make_interval(secs => k.oldest)
            GROUP BY h.kind"#,
        percent,
        within.youngest_seconds,
        within.oldest_seconds,
        &ages.kinds,
        &ages.youngest_seconds,
        &ages.oldest_seconds,
    )
    .fetch_all(db)
    .await
}

/// The same for all other kinds: of theirs only whole days are dropped.
pub(crate) async fn finished_of_others(
    db: impl PgExecutor<'_>,
    percent: f32,
    ages: Ages,
    known: &[String],
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!"
             FROM millpond.job_history h TABLESAMPLE SYSTEM ($1::float4)
            WHERE h.finished_at < date_trunc('day', now() - make_interval(secs => $2), 'UTC')
              AND h.finished_at >= date_trunc('day', now() - make_interval(secs => $3), 'UTC')
              AND h.kind <> ALL ($4)"#,
        percent,
        ages.youngest_seconds,
        ages.oldest_seconds,
        known,
    )
    .fetch_one(db)
    .await
}

/// Dead letters.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Letters {
    pub(crate) letters: i64,
    /// Those that nobody has replayed or discarded.
    pub(crate) open: i64,
}

/// Dead letters of these ages, counted up to one more than 100,000.
pub(crate) async fn letters(db: impl PgExecutor<'_>, ages: Ages) -> Result<Letters, sqlx::Error> {
    sqlx::query_as!(
        Letters,
        r#"SELECT count(*) AS "letters!", count(*) FILTER (WHERE d.resolution IS NULL) AS "open!"
             FROM (SELECT resolution FROM millpond.dead_letters
                    WHERE died_at < now() - make_interval(secs => $1) AND died_at >= now() - make_interval(secs => $2)
                    LIMIT $3) AS d"#,
        ages.youngest_seconds,
        ages.oldest_seconds,
        COUNTED_LETTERS + 1,
    )
    .fetch_one(db)
    .await
}
