//! Our own processes, their work, and what they go by.

use sqlx::PgExecutor;

/// Jobs under leases that ran out more than so many seconds ago and were not rescued.
pub(crate) async fn stuck_leases(
    db: impl PgExecutor<'_>,
    overdue_seconds: f64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM millpond.jobs
            WHERE state = 'running' AND lease_until < now() - make_interval(secs => $1)"#,
        overdue_seconds,
    )
    .fetch_one(db)
    .await
}

/// A process that said that it is there, and says so no more.
#[derive(Debug)]
pub(crate) struct Silent {
    pub(crate) host: String,
    pub(crate) pid: i32,
    pub(crate) seconds: f64,
}

/// The twenty workers of the last hour that were silent for so many seconds, the latest first. Those that ended in good
/// order have taken themselves out of the list.
pub(crate) async fn silent_workers(
    db: impl PgExecutor<'_>,
    silent_seconds: f64,
) -> Result<Vec<Silent>, sqlx::Error> {
    sqlx::query_as!(
        Silent,
        r#"SELECT host, pid, extract(epoch FROM now() - seen_at)::float8 AS "seconds!" FROM millpond.workers
            WHERE seen_at < now() - make_interval(secs => $1) AND seen_at > now() - interval '1 hour'
            ORDER BY seen_at DESC LIMIT 20"#,
        silent_seconds,
    )
    .fetch_all(db)
    .await
}

/// The processes that go by one revision of the configuration.
#[derive(Debug)]
pub(crate) struct Followers {
    /// `None`: by a file, or by what is built in.
    pub(crate) revision: Option<i64>,
    pub(crate) processes: i64,
    /// Machines and processes, at most ten.
    pub(crate) which: String,
}

/// What the workers of the last so many seconds go by.
pub(crate) async fn followers(
    db: impl PgExecutor<'_>,
    silent_seconds: f64,
) -> Result<Vec<Followers>, sqlx::Error> {
    sqlx::query_as!(
        Followers,
        r#"SELECT config_revision AS revision, count(*) AS "processes!",
                  array_to_string((array_agg(host || ' ' || pid ORDER BY host, pid))[1:10], ', ') AS "which!"
             FROM millpond.workers
            WHERE seen_at > now() - make_interval(secs => $1)
            GROUP BY config_revision ORDER BY config_revision"#,
        silent_seconds,
    )
    .fetch_all(db)
    .await
}

/// A schedule whose ticks nobody has looked at.
#[derive(Debug)]
pub(crate) struct Late {
    pub(crate) schedule: String,
    pub(crate) seconds: f64,
}

/// The twenty schedules that nobody has looked at for longest, if that is more than so many seconds. Those that are paused
/// and those that cannot tick miss nothing.
pub(crate) async fn late_schedules(
    db: impl PgExecutor<'_>,
    late_seconds: f64,
    cannot_tick: &[String],
) -> Result<Vec<Late>, sqlx::Error> {
    sqlx::query_as!(
        Late,
        r#"SELECT name AS schedule, extract(epoch FROM now() - evaluated_until)::float8 AS "seconds!"
             FROM millpond.schedules
            WHERE removed_at IS NULL AND evaluated_until < now() - make_interval(secs => $1) AND name <> ALL ($2)
              AND (paused_at IS NULL OR paused_until <= now())
            ORDER BY evaluated_until LIMIT 20"#,
        late_seconds,
        cannot_tick,
    )
    .fetch_all(db)
    .await
}

/// A schedule whose latest tick got no job although it should have.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) schedule: String,
    /// Why.
    pub(crate) detail: Option<String>,
}

/// Schedules whose latest tick was refused, at most twenty.
pub(crate) async fn refused_ticks(db: impl PgExecutor<'_>) -> Result<Vec<Refused>, sqlx::Error> {
    sqlx::query_as!(
        Refused,
        r#"SELECT s.name AS schedule, t.detail AS "detail?"
             FROM millpond.schedules s
             LEFT JOIN millpond.schedule_ticks t ON t.schedule = s.name AND t.tick = s.last_tick
            WHERE s.removed_at IS NULL AND s.last_outcome = 'refused'
            ORDER BY s.name LIMIT 20"#
    )
    .fetch_all(db)
    .await
}
