//! Replay runs: which dead letters were chosen, and what became of each. A chosen one is enqueued at most once, however
//! often the run is interrupted, because its item and its job are one transaction.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

/// A new run.
#[derive(Debug)]
pub(crate) struct NewReplay<'a> {
    pub(crate) id: Uuid,
    pub(crate) by: &'a str,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) patch: Option<&'a Value>,
    pub(crate) total: i64,
}

/// Stores a run; its items follow in the same transaction.
pub(crate) async fn create(
    db: impl PgExecutor<'_>,
    replay: &NewReplay<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.replays (id, created_by, tenant, reason, patch, total) VALUES ($1, $2, $3, $4, $5, $6)",
        replay.id,
        replay.by,
        replay.tenant,
        replay.reason,
        replay.patch,
        replay.total,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds the chosen dead letters.
pub(crate) async fn add_items(
    db: impl PgExecutor<'_>,
    replay: Uuid,
    ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.replay_items (replay_id, dead_letter) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING",
        replay,
        ids,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whether any run is under way.
pub(crate) async fn any_running(db: impl PgExecutor<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM millpond.replays WHERE status = 'running') AS "any!""#
    )
    .fetch_one(db)
    .await
}

/// The oldest run that has work left, locked; one that another process advances is skipped.
pub(crate) async fn next_running(
    db: impl PgExecutor<'_>,
) -> Result<Option<RunningReplay>, sqlx::Error> {
    sqlx::query_as!(
        RunningReplay,
        "SELECT id, created_by, reason, patch FROM millpond.replays
          WHERE status = 'running' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    .fetch_optional(db)
    .await
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct RunningReplay {
    pub(crate) id: Uuid,
    pub(crate) created_by: String,
    pub(crate) reason: Option<String>,
    pub(crate) patch: Option<Value>,
}

/// A run under way, locked; `None` when it does not run or another process advances it.
pub(crate) async fn lock_running(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Option<RunningReplay>, sqlx::Error> {
    sqlx::query_as!(
        RunningReplay,
        "SELECT id, created_by, reason, patch FROM millpond.replays
          WHERE id = $1 AND status = 'running' FOR UPDATE SKIP LOCKED",
        id,
    )
    .fetch_optional(db)
    .await
}

/// A chosen dead letter that waits for its turn; what it was is `None` when it is gone.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: Uuid,
    pub(crate) kind: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) priority: Option<i16>,
    pub(crate) max_attempts: Option<i32>,
    pub(crate) tenant: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) tags: Option<Value>,
    pub(crate) payload: Option<String>,
    pub(crate) resolution: Option<String>,
    pub(crate) replay_of: Option<Uuid>,
}

/// The next items of a run, with their dead letters locked.
pub(crate) async fn pending(
    db: impl PgExecutor<'_>,
    replay: Uuid,
    limit: i64,
) -> Result<Vec<Pending>, sqlx::Error> {
    sqlx::query_as!(
        Pending,
        r#"SELECT i.dead_letter AS "id!", d.kind AS "kind?", d.queue AS "queue?", d.priority AS "priority?", d.max_attempts,
                  d.tenant, d.key, d.tags, d.payload::text AS payload, d.resolution, d.replay_of
             FROM (SELECT dead_letter FROM millpond.replay_items
                    WHERE replay_id = $1 AND job_id IS NULL AND skipped IS NULL
                    ORDER BY dead_letter LIMIT $2) AS i
             LEFT JOIN LATERAL (SELECT * FROM millpond.dead_letters d WHERE d.id = i.dead_letter FOR UPDATE) AS d ON true
            ORDER BY i.dead_letter"#,
        replay,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Dead letters as a run would find them; those that are gone are missing.
pub(crate) async fn candidates(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<Pending>, sqlx::Error> {
    sqlx::query_as!(
        Pending,
        r#"SELECT id, kind AS "kind?", queue AS "queue?", priority AS "priority?", max_attempts, tenant, key, tags,
                  payload::text AS "payload?", resolution, replay_of
             FROM millpond.dead_letters WHERE id = ANY ($1)"#,
        ids,
    )
    .fetch_all(db)
    .await
}

/// What became of items, as arrays: a job, or a reason why there is none.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) dead_letters: Vec<Uuid>,
    pub(crate) jobs: Vec<Option<Uuid>>,
    pub(crate) skipped: Vec<Option<String>>,
}

/// Stores what became of items, resolves their dead letters, and keeps the counts of the run and of the groups.
pub(crate) async fn record(
    db: impl PgExecutor<'_>,
    replay: &RunningReplay,
    done: &Done,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH done AS (
               SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS d (dead_letter, job_id, skipped)),
           items AS (
               UPDATE millpond.replay_items i SET job_id = d.job_id, skipped = d.skipped
                 FROM done d WHERE i.replay_id = $1 AND i.dead_letter = d.dead_letter
            RETURNING i.job_id),
           resolved AS (
               UPDATE millpond.dead_letters l
                  SET resolution = 'replayed', resolved_at = now(), resolved_by = $5, resolve_reason = $6, replayed_as = d.job_id,
                      -- What lay encrypted goes on with the new job alone.
                      payload = CASE WHEN left(l.payload::text, 11) = '{"$sealed":' THEN '{"$sealed":null}' ELSE l.payload END
                 FROM done d WHERE l.id = d.dead_letter AND d.job_id IS NOT NULL AND l.resolution IS NULL
            RETURNING l.kind, l.fingerprint, l.queue, COALESCE(l.tenant, '') AS tenant),
           counted AS (
               UPDATE millpond.dead_groups g SET open = g.open - r.n
                 FROM (SELECT fingerprint, queue, tenant, count(*) AS n FROM resolved GROUP BY 1, 2, 3) r
                WHERE g.fingerprint = r.fingerprint AND g.queue = r.queue AND g.tenant = r.tenant),
           run AS (
               UPDATE millpond.replays
                  SET enqueued = enqueued + (SELECT count(*) FROM items WHERE job_id IS NOT NULL),
                      skipped = skipped + (SELECT count(*) FROM items WHERE job_id IS NULL)
                WHERE id = $1)
           SELECT kind AS "kind!" FROM resolved"#,
        replay.id,
        &done.dead_letters,
        &done.jobs as &[Option<Uuid>],
        &done.skipped as &[Option<String>],
        replay.created_by,
        replay.reason,
    )
    .fetch_all(db)
    .await
}

/// Ends a run that has no item left.
pub(crate) async fn finish(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE millpond.replays
            SET status = 'done', finished_at = now(), patch = CASE WHEN patch ->> '$sealed' IS NULL THEN patch END
          WHERE id = $1 AND status = 'running'", id)
        .execute(db)
        .await?;
    Ok(())
}

/// A replay run.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Replay {
    /// Its id.
    pub id: Uuid,
    /// `running`, `canary`, `paused`, `done`, `aborted` or `stopped_by_failures`.
    pub status: String,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// Who asked.
    pub created_by: String,
    /// Why.
    pub reason: Option<String>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Dead letters chosen.
    pub total: i64,
    /// Jobs enqueued so far.
    pub enqueued: i64,
    /// Dead letters for which nothing was enqueued.
    pub skipped: i64,
    /// Enqueued jobs that succeeded and are still in the history.
    pub succeeded: i64,
    /// Enqueued jobs that became dead letters again.
    pub dead: i64,
}

/// A page of runs, newest first; counts of outcomes are looked up by id for each.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    tenant: Option<&str>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Replay>, sqlx::Error> {
    sqlx::query_as!(
        Replay,
        r#"SELECT r.id, r.status, r.created_at, r.created_by, r.reason, r.finished_at, r.total, r.enqueued, r.skipped,
                  (SELECT count(*) FROM millpond.replay_items i JOIN millpond.job_history h ON h.id = i.job_id
                    WHERE i.replay_id = r.id AND h.state = 'succeeded') AS "succeeded!",
                  (SELECT count(*) FROM millpond.replay_items i JOIN millpond.dead_letters d ON d.id = i.job_id
                    WHERE i.replay_id = r.id) AS "dead!"
             FROM millpond.replays r
            WHERE ($1::text IS NULL OR r.tenant = $1) AND r.id < COALESCE($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            ORDER BY r.id DESC LIMIT $3"#,
        tenant,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}

/// One run.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<Replay>, sqlx::Error> {
    sqlx::query_as!(
        Replay,
        r#"SELECT r.id, r.status, r.created_at, r.created_by, r.reason, r.finished_at, r.total, r.enqueued, r.skipped,
                  (SELECT count(*) FROM millpond.replay_items i JOIN millpond.job_history h ON h.id = i.job_id
                    WHERE i.replay_id = r.id AND h.state = 'succeeded') AS "succeeded!",
                  (SELECT count(*) FROM millpond.replay_items i JOIN millpond.dead_letters d ON d.id = i.job_id
                    WHERE i.replay_id = r.id) AS "dead!"
             FROM millpond.replays r
            WHERE r.id = $1 AND ($2::text IS NULL OR r.tenant = $2)"#,
        id,
        tenant,
    )
    .fetch_optional(db)
    .await
}

/// Whether a run has ended and none of its jobs is still to be done; `None` when there is no such run.
pub(crate) async fn is_settled(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT r.finished_at IS NOT NULL
                  AND NOT EXISTS (SELECT FROM millpond.replay_items i JOIN millpond.jobs j ON j.id = i.job_id
                                   WHERE i.replay_id = r.id) AS "is_settled!"
             FROM millpond.replays r
            WHERE r.id = $1 AND ($2::text IS NULL OR r.tenant = $2)"#,
        id,
        tenant,
    )
    .fetch_optional(db)
    .await
}

/// What became of a chosen dead letter.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ReplayItem {
    /// The dead letter.
    pub dead_letter: Uuid,
    /// The job that replays it.
    pub job: Option<Uuid>,
    /// `pending`, the state of the job, or why it was skipped; `None` when the job ended and nothing of it was kept.
    pub outcome: Option<String>,
}

/// The first 500 items of a run.
pub(crate) async fn items(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Vec<ReplayItem>, sqlx::Error> {
    sqlx::query_as!(
        ReplayItem,
        r#"SELECT i.dead_letter, i.job_id AS job,
                  CASE WHEN i.skipped IS NOT NULL THEN i.skipped
                       WHEN i.job_id IS NULL THEN 'pending'
                       ELSE COALESCE((SELECT j.state FROM millpond.jobs j WHERE j.id = i.job_id),
                                     (SELECT h.state FROM millpond.job_history h WHERE h.id = i.job_id LIMIT 1),
                                     (SELECT 'dead' FROM millpond.dead_letters d WHERE d.id = i.job_id)) END AS outcome
             FROM millpond.replay_items i WHERE i.replay_id = $1 ORDER BY i.dead_letter LIMIT 500"#,
        id,
    )
    .fetch_all(db)
    .await
}

/// Changes the status of a run from one of `from`; gives whether it did.
pub(crate) async fn set_status(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
    from: &[String],
    to: &str,
) -> Result<bool, sqlx::Error> {
    let changed = sqlx::query!(
        "UPDATE millpond.replays
            SET status = $4, finished_at = CASE WHEN $4 = 'aborted' THEN now() END,
                patch = CASE WHEN $4 <> 'aborted' OR patch ->> '$sealed' IS NULL THEN patch END
          WHERE id = $1 AND ($2::text IS NULL OR tenant = $2) AND status = ANY ($3)",
        id,
        tenant,
        from,
        to,
    )
    .execute(db)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Deletes up to 5,000 items of runs that ended so many seconds ago; tells how many.
pub(crate) async fn prune_items(
    db: impl PgExecutor<'_>,
    older_than_seconds: f64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.replay_items
          WHERE ctid = ANY (ARRAY(SELECT i.ctid FROM millpond.replays r
                                    JOIN millpond.replay_items i ON i.replay_id = r.id
                                   WHERE r.finished_at < now() - make_interval(secs => $1) LIMIT 5000))",
        older_than_seconds,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes up to 1,000 runs that ended so many seconds ago and have no item left; tells how many.
pub(crate) async fn prune(
    db: impl PgExecutor<'_>,
    older_than_seconds: f64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.replays
          WHERE id = ANY (ARRAY(SELECT id FROM millpond.replays r
                                 WHERE finished_at < now() - make_interval(secs => $1)
                                   AND NOT EXISTS (SELECT FROM millpond.replay_items i WHERE i.replay_id = r.id)
                                 LIMIT 1000))",
        older_than_seconds,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
