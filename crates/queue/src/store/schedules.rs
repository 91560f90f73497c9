//! Schedules and their ticks. The row of a schedule is locked by whoever decides its ticks; the database's clock says
//! which are due.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// Makes schedules known. A new one starts now, and so does one that comes back after it was removed for longer than
/// the grace; for less, some process merely had not read the configuration yet.
pub(crate) async fn keep(
    db: impl PgExecutor<'_>,
    names: &[String],
    grace_seconds: f64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.schedules AS s (name, evaluated_until)
         SELECT n.name, now() FROM unnest($1::text[]) AS n (name) ORDER BY n.name
         ON CONFLICT (name) DO UPDATE
            SET removed_at = NULL,
                evaluated_until = CASE WHEN s.removed_at < now() - make_interval(secs => $2)
                                       THEN GREATEST(s.evaluated_until, now()) ELSE s.evaluated_until END
          WHERE s.removed_at IS NOT NULL",
        names,
        grace_seconds,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that the configuration has none but these. What another transaction has is left to the next time: whoever has
/// others locked must not wait.
pub(crate) async fn remove_others(
    db: impl PgExecutor<'_>,
    names: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.schedules SET removed_at = now()
          WHERE name = ANY (ARRAY(SELECT name FROM millpond.schedules
                                   WHERE removed_at IS NULL AND name <> ALL ($1)
                                     FOR NO KEY UPDATE SKIP LOCKED))",
        names,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How far a schedule is decided, and the database's time.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) name: String,
    pub(crate) evaluated_until: DateTime<Utc>,
    pub(crate) now: DateTime<Utc>,
}

/// How far these schedules are decided; those that are not known are missing.
pub(crate) async fn standings(
    db: impl PgExecutor<'_>,
    names: &[String],
) -> Result<Vec<Standing>, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        r#"SELECT name, evaluated_until, now() AS "now!" FROM millpond.schedules WHERE name = ANY ($1)"#,
        names,
    )
    .fetch_all(db)
    .await
}

/// Notes that these schedules have no tick up to this transaction's time.
pub(crate) async fn advance(db: impl PgExecutor<'_>, names: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.schedules SET evaluated_until = now() WHERE name = ANY ($1) AND evaluated_until < now()",
        names,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What the ticks of a schedule are decided by.
#[derive(Debug)]
pub(crate) struct Locked {
    pub(crate) now: DateTime<Utc>,
    pub(crate) evaluated_until: DateTime<Utc>,
    pub(crate) paused_at: Option<DateTime<Utc>>,
    pub(crate) paused_until: Option<DateTime<Utc>>,
}

/// Locks a schedule; `None` while another transaction has it, and for one that is not known.
pub(crate) async fn lock(
    db: impl PgExecutor<'_>,
    name: &str,
) -> Result<Option<Locked>, sqlx::Error> {
    sqlx::query_as!(
        Locked,
        r#"SELECT now() AS "now!", evaluated_until, paused_at, paused_until
             FROM millpond.schedules WHERE name = $1 FOR UPDATE SKIP LOCKED"#,
        name,
    )
    .fetch_optional(db)
    .await
}

/// Whether a job of a schedule is still to be done: one that people made, or that of a tick, among the latest 10,000 of
/// which no end is noted. The subselects are no joins, so that each job is looked up by its id, however many others there
/// are.
pub(crate) async fn has_open_job(db: impl PgExecutor<'_>, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM (SELECT job_id FROM millpond.schedule_ticks
                                        WHERE schedule = $1 AND job_id IS NOT NULL AND ended IS NULL
                                        ORDER BY tick DESC LIMIT 10000) AS t
                           WHERE (SELECT true FROM millpond.jobs j WHERE j.id = t.job_id))
               OR EXISTS (SELECT FROM millpond.schedule_triggers t
                           WHERE t.schedule = $1 AND (SELECT true FROM millpond.jobs j WHERE j.id = t.job_id)) AS "is_open!""#,
        name,
    )
    .fetch_one(db)
    .await
}

/// Notes a job that people made for a schedule.
pub(crate) async fn note_trigger(
    db: impl PgExecutor<'_>,
    name: &str,
    job: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.schedule_triggers (schedule, job_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        name,
        job,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets jobs that people made and that are done, up to 1,000 of them.
pub(crate) async fn forget_triggers(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM millpond.schedule_triggers
          WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM millpond.schedule_triggers t
                                   WHERE (SELECT true FROM millpond.jobs j WHERE j.id = t.job_id) IS NULL LIMIT 1000))",
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Ticks of one schedule and what they became, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct TickColumns {
    pub(crate) ticks: Vec<DateTime<Utc>>,
    pub(crate) outcomes: Vec<&'static str>,
    pub(crate) jobs: Vec<Option<Uuid>>,
    pub(crate) details: Vec<Option<String>>,
}

/// Stores ticks. One that is there already fails the transaction: its job was made before.
pub(crate) async fn record(
    db: impl PgExecutor<'_>,
    name: &str,
    columns: &TickColumns,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.schedule_ticks (schedule, tick, outcome, job_id, detail)
         SELECT $1, t.tick, t.outcome, t.job_id, t.detail
           FROM unnest($2::timestamptz[], $3::text[], $4::uuid[], $5::text[]) AS t (tick, outcome, job_id, detail)",
        name,
        &columns.ticks,
        &columns.outcomes as &[&str],
        &columns.jobs as &[Option<Uuid>],
        &columns.details as &[Option<String>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How far a schedule is decided now, and what its latest tick became.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) until: DateTime<Utc>,
    pub(crate) last_tick: DateTime<Utc>,
    pub(crate) last_outcome: &'static str,
}

/// Moves a schedule on.
pub(crate) async fn move_on(
    db: impl PgExecutor<'_>,
    name: &str,
    progress: &Progress,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.schedules SET evaluated_until = $2, last_tick = $3, last_outcome = $4 WHERE name = $1",
        name,
        progress.until,
        progress.last_tick,
        progress.last_outcome,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What is known of a schedule.
#[derive(Debug)]
pub(crate) struct ScheduleRow {
    pub(crate) name: String,
    pub(crate) evaluated_until: DateTime<Utc>,
    pub(crate) is_paused: bool,
    pub(crate) paused_at: Option<DateTime<Utc>>,
    pub(crate) paused_by: Option<String>,
    pub(crate) pause_reason: Option<String>,
    pub(crate) paused_until: Option<DateTime<Utc>>,
    pub(crate) last_tick: Option<DateTime<Utc>>,
    pub(crate) last_outcome: Option<String>,
    /// Of the latest tick, as long as that is kept.
    pub(crate) tick_job: Option<Uuid>,
    pub(crate) tick_ended: Option<String>,
    pub(crate) tick_detail: Option<String>,
    pub(crate) last_success_at: Option<DateTime<Utc>>,
}

/// What is known of all schedules, or of one.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    name: Option<&str>,
) -> Result<Vec<ScheduleRow>, sqlx::Error> {
    sqlx::query_as!(
        ScheduleRow,
        r#"SELECT s.name AS "name!", s.evaluated_until AS "evaluated_until!",
                  s.paused_at IS NOT NULL AND (s.paused_until IS NULL OR s.paused_until > now()) AS "is_paused!",
                  s.paused_at, s.paused_by, s.pause_reason, s.paused_until, s.last_tick, s.last_outcome,
                  t.job_id AS "tick_job?", t.ended AS "tick_ended?", t.detail AS "tick_detail?", s.last_success_at
             FROM millpond.schedules s
             LEFT JOIN millpond.schedule_ticks t ON t.schedule = s.name AND t.tick = s.last_tick
            WHERE $1::text IS NULL OR s.name = $1
            ORDER BY s.name"#,
        name,
    )
    .fetch_all(db)
    .await
}

/// Pauses a schedule, or changes its pause.
pub(crate) async fn pause(
    db: impl PgExecutor<'_>,
    name: &str,
    by: &str,
    reason: Option<&str>,
    until: Option<DateTime<Utc>>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.schedules AS s (name, evaluated_until, paused_at, paused_by, pause_reason, paused_until)
         VALUES ($1, now(), now(), $2, $3, $4)
         ON CONFLICT (name) DO UPDATE
            SET paused_at = CASE WHEN s.paused_at IS NOT NULL AND (s.paused_until IS NULL OR s.paused_until > now())
                                 THEN s.paused_at ELSE now() END,
                paused_by = excluded.paused_by, pause_reason = excluded.pause_reason, paused_until = excluded.paused_until",
        name,
        by,
        reason,
        until,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Ends the pause of a schedule; tells whether it was paused.
pub(crate) async fn resume(db: impl PgExecutor<'_>, name: &str) -> Result<bool, sqlx::Error> {
    let resumed = sqlx::query!(
        "UPDATE millpond.schedules SET paused_until = now()
          WHERE name = $1 AND paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > now())",
        name,
    )
    .execute(db)
    .await?;
    Ok(resumed.rows_affected() == 1)
}

/// A job of a tick that is done.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) schedule: String,
    pub(crate) ended: String,
    pub(crate) at: DateTime<Utc>,
}

/// Notes of the jobs of ticks what became of them, the oldest 1,000 of each schedule that nothing is known of yet. A job
/// of which nothing is left has succeeded where its kind keeps no succeeded jobs: those that end otherwise are kept. The
/// subselects are no joins, so that each job is looked up by its id, however many others there are.
pub(crate) async fn note_ended(
    db: impl PgExecutor<'_>,
    keep_nothing: &[String],
) -> Result<Vec<Ended>, sqlx::Error> {
    sqlx::query_as!(
        Ended,
        r#"WITH gone AS (
               SELECT t.schedule, t.tick, t.job_id
                 FROM millpond.schedules s
                CROSS JOIN LATERAL (SELECT schedule, tick, job_id FROM millpond.schedule_ticks
                                     WHERE schedule = s.name AND job_id IS NOT NULL AND ended IS NULL
                                     ORDER BY tick LIMIT 1000) AS t
                WHERE (SELECT true FROM millpond.jobs j WHERE j.id = t.job_id) IS NULL),
           ended AS (
               SELECT g.schedule, g.tick, COALESCE(h.finished_at, d.died_at, now()) AS at,
                      CASE WHEN h.state IS NOT NULL THEN h.state WHEN d.died_at IS NOT NULL THEN 'dead'
                           WHEN g.schedule = ANY ($1) THEN 'succeeded' ELSE 'gone' END AS ended
                 FROM gone g
                 LEFT JOIN LATERAL (SELECT state, finished_at FROM millpond.job_history WHERE id = g.job_id LIMIT 1) h ON true
                 LEFT JOIN LATERAL (SELECT died_at FROM millpond.dead_letters WHERE id = g.job_id LIMIT 1) d ON true)
           UPDATE millpond.schedule_ticks t SET ended = e.ended
             FROM ended e WHERE t.schedule = e.schedule AND t.tick = e.tick
        RETURNING t.schedule AS "schedule!", e.ended AS "ended!", e.at AS "at!""#,
        keep_nothing,
    )
    .fetch_all(db)
    .await
}

/// Notes when the latest job of each schedule succeeded. Rows are locked in the order of their names, as [`keep`] locks
/// them: otherwise each of the two might wait for the other.
pub(crate) async fn note_successes(
    db: impl PgExecutor<'_>,
    names: &[String],
    times: &[DateTime<Utc>],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.schedules s SET last_success_at = GREATEST(s.last_success_at, n.at)
           FROM (SELECT l.name, g.at
                   FROM unnest($1::text[], $2::timestamptz[]) AS g (name, at)
                   JOIN millpond.schedules l ON l.name = g.name
                  ORDER BY l.name FOR NO KEY UPDATE OF l) AS n
          WHERE s.name = n.name",
        names,
        times,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes up to 5,000 ticks of each schedule that are older than so many seconds; tells how many.
pub(crate) async fn prune_ticks(
    db: impl PgExecutor<'_>,
    age_seconds: f64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.schedule_ticks t
          USING millpond.schedules s
          CROSS JOIN LATERAL (SELECT schedule, tick FROM millpond.schedule_ticks
                               WHERE schedule = s.name AND tick < now() - make_interval(secs => $1)
                               ORDER BY tick LIMIT 5000) AS old
          WHERE t.schedule = old.schedule AND t.tick = old.tick",
        age_seconds,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes schedules that were removed longer than so many seconds ago and have no tick left; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, age_seconds: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.schedules s
          WHERE s.removed_at < now() - make_interval(secs => $1)
            AND NOT EXISTS (SELECT FROM millpond.schedule_ticks t WHERE t.schedule = s.name)",
        age_seconds,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
