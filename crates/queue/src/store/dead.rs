//! Dead letters and their groups: lists, discard, restore, retention. Replays stand in `replays`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::rows::{DeathRow, SummaryRow};

/// Which dead letters are meant; `None` is no condition, but `resolution` `None` means those still open.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeadQuery {
    pub(crate) kind: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) resolution: Option<String>,
}

/// A dead letter in a list.
struct FlatRow {
    id: Uuid,
    queue: String,
    kind: String,
    priority: i16,
    tenant: Option<String>,
    key: Option<String>,
    tags: Option<Value>,
    created_at: DateTime<Utc>,
    run_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    died_at: DateTime<Utc>,
    attempts_used: i32,
    max_attempts: Option<i32>,
    error_class: String,
    error: String,
    replay_of: Option<Uuid>,
    replayed_as: Option<Uuid>,
    fingerprint: String,
    resolution: Option<String>,
    resolved_at: Option<DateTime<Utc>>,
    resolved_by: Option<String>,
    resolve_reason: Option<String>,
}

fn split(row: FlatRow) -> (SummaryRow, DeathRow) {
    let summary = SummaryRow {
        id: row.id,
        queue: row.queue,
        kind: row.kind,
        state: "dead".to_owned(),
        priority: row.priority,
        tenant: row.tenant,
        key: row.key,
        tags: row.tags,
        created_at: row.created_at,
        run_at: row.run_at,
        started_at: row.started_at,
        finished_at: Some(row.died_at),
        attempts_used: row.attempts_used,
        max_attempts: row.max_attempts,
        error_class: Some(row.error_class),
        error: Some(row.error),
        replay_of: row.replay_of,
        replayed_as: row.replayed_as,
    };
    let death = DeathRow {
        died_at: row.died_at,
        fingerprint: row.fingerprint,
        resolution: row.resolution,
        resolved_at: row.resolved_at,
        resolved_by: row.resolved_by,
        resolve_reason: row.resolve_reason,
    };
    (summary, death)
}

// A statement for each leading filter, since a generic plan finds no index behind `$1 IS NULL OR`.
macro_rules! list {
    ($db:expr, $q:expr, $before:expr, $limit:expr, $leading:literal) => {
        sqlx::query_as!(
            FlatRow,
            "SELECT id, queue, kind, priority, tenant, key, tags, created_at, run_at, started_at, died_at, attempts_used,
                    max_attempts, error_class, error, replay_of, replayed_as, fingerprint, resolution, resolved_at,
                    resolved_by, resolve_reason
               FROM millpond.dead_letters
              WHERE " + $leading + "
                AND ($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR queue = $2)
                AND ($3::text IS NULL OR error_class = $3) AND ($4::text IS NULL OR fingerprint = $4)
                AND ($5::text IS NULL OR tenant = $5)
                AND ($6::timestamptz IS NULL OR died_at >= $6) AND ($7::timestamptz IS NULL OR died_at < $7)
                AND resolution IS NOT DISTINCT FROM $8
                AND id < COALESCE($9::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
              ORDER BY id DESC LIMIT $10",
            $q.kind,
            $q.queue,
            $q.class,
            $q.fingerprint,
            $q.tenant,
            $q.since,
            $q.until,
            $q.resolution,
            $before,
            $limit,
        )
        .fetch_all($db)
        .await
    };
}

/// A page of dead letters, newest first.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    query: &DeadQuery,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(SummaryRow, DeathRow)>, sqlx::Error> {
    let rows = match query {
        DeadQuery {
            resolution: Some(_),
            tenant: Some(_),
            ..
        } => list!(
            db,
            query,
            before,
            limit,
            "resolution IS NOT NULL AND tenant = $5"
        ),
        DeadQuery {
            resolution: Some(_),
            queue: Some(_),
            ..
        } => list!(
            db,
            query,
            before,
            limit,
            "resolution IS NOT NULL AND queue = $2"
        ),
        DeadQuery {
            resolution: Some(_),
            ..
        } => list!(db, query, before, limit, "resolution IS NOT NULL"),
        DeadQuery {
            fingerprint: Some(_),
            ..
        } => {
            list!(
                db,
                query,
                before,
                limit,
                "resolution IS NULL AND fingerprint = $4"
            )
        }
        DeadQuery {
            tenant: Some(_), ..
        } => list!(
            db,
            query,
            before,
            limit,
            "resolution IS NULL AND tenant = $5"
        ),
        DeadQuery { kind: Some(_), .. } => {
            list!(db, query, before, limit, "resolution IS NULL AND kind = $1")
        }
        DeadQuery { queue: Some(_), .. } => list!(
            db,
            query,
            before,
            limit,
            "resolution IS NULL AND queue = $2"
        ),
        _ => list!(db, query, before, limit, "resolution IS NULL"),
    }?;
    Ok(rows.into_iter().map(split).collect())
}

/// What a dead letter has beside its job.
pub(crate) async fn death(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Option<DeathRow>, sqlx::Error> {
    sqlx::query_as!(
        DeathRow,
        "SELECT died_at, fingerprint, resolution, resolved_at, resolved_by, resolve_reason
           FROM millpond.dead_letters WHERE id = $1",
        id,
    )
    .fetch_optional(db)
    .await
}

/// Ids of up to `limit` dead letters that a filter means, after the last one of the portion before.
pub(crate) async fn matching(
    db: impl PgExecutor<'_>,
    query: &DeadQuery,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM millpond.dead_letters
          WHERE ($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR queue = $2)
            AND ($3::text IS NULL OR error_class = $3) AND ($4::text IS NULL OR fingerprint = $4)
            AND ($5::text IS NULL OR tenant = $5)
            AND ($6::timestamptz IS NULL OR died_at >= $6) AND ($7::timestamptz IS NULL OR died_at < $7)
            AND resolution IS NOT DISTINCT FROM $8
            AND id > COALESCE($9::uuid, '00000000-0000-0000-0000-000000000000')
          ORDER BY id LIMIT $10",
        query.kind,
        query.queue,
        query.class,
        query.fingerprint,
        query.tenant,
        query.since,
        query.until,
        query.resolution,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// How a named dead letter stands: its resolution, or that it is open.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) id: Uuid,
    pub(crate) resolution: Option<String>,
}

/// How named dead letters stand; those that do not exist, or belong to another tenant, are missing.
pub(crate) async fn standings(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    tenant: Option<&str>,
) -> Result<Vec<Standing>, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        "SELECT id, resolution FROM millpond.dead_letters WHERE id = ANY ($1) AND ($2::text IS NULL OR tenant = $2)",
        ids,
        tenant,
    )
    .fetch_all(db)
    .await
}

/// Resolves open dead letters as discarded and takes them out of their groups' counts; gives those it changed.
pub(crate) async fn discard(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    tenant: Option<&str>,
    by: &str,
    reason: &str,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH resolved AS (
               UPDATE millpond.dead_letters
                  SET resolution = 'discarded', resolved_at = now(), resolved_by = $3, resolve_reason = $4
                WHERE id = ANY ($1) AND resolution IS NULL AND ($2::text IS NULL OR tenant = $2)
            RETURNING kind, fingerprint, queue, COALESCE(tenant, '') AS tenant),
           counted AS (
               UPDATE millpond.dead_groups g SET open = g.open - r.n
                 FROM (SELECT fingerprint, queue, tenant, count(*) AS n FROM resolved GROUP BY 1, 2, 3) r
                WHERE g.fingerprint = r.fingerprint AND g.queue = r.queue AND g.tenant = r.tenant)
           SELECT kind AS "kind!" FROM resolved"#,
        ids,
        tenant,
        by,
        reason,
    )
    .fetch_all(db)
    .await
}

/// Opens discarded dead letters again; gives the kinds of those it changed.
pub(crate) async fn restore(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    tenant: Option<&str>,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH opened AS (
               UPDATE millpond.dead_letters
                  SET resolution = NULL, resolved_at = NULL, resolved_by = NULL, resolve_reason = NULL
                WHERE id = ANY ($1) AND resolution = 'discarded' AND ($2::text IS NULL OR tenant = $2)
            RETURNING kind, fingerprint, queue, COALESCE(tenant, '') AS tenant),
           counted AS (
               UPDATE millpond.dead_groups g SET open = g.open + r.n
                 FROM (SELECT fingerprint, queue, tenant, count(*) AS n FROM opened GROUP BY 1, 2, 3) r
                WHERE g.fingerprint = r.fingerprint AND g.queue = r.queue AND g.tenant = r.tenant)
           SELECT kind AS "kind!" FROM opened"#,
        ids,
        tenant,
    )
    .fetch_all(db)
    .await
}

/// Deletes up to 1,000 dead letters older than so many seconds and takes open ones out of their groups' counts.
pub(crate) async fn prune(
    db: impl PgExecutor<'_>,
    older_than_seconds: f64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH gone AS (
               DELETE FROM millpond.dead_letters
                WHERE id = ANY (ARRAY(SELECT id FROM millpond.dead_letters
                                       WHERE died_at < now() - make_interval(secs => $1) ORDER BY died_at LIMIT 1000))
            RETURNING fingerprint, queue, COALESCE(tenant, '') AS tenant, resolution),
           counted AS (
               UPDATE millpond.dead_groups g SET open = g.open - r.n
                 FROM (SELECT fingerprint, queue, tenant, count(*) AS n FROM gone WHERE resolution IS NULL GROUP BY 1, 2, 3) r
                WHERE g.fingerprint = r.fingerprint AND g.queue = r.queue AND g.tenant = r.tenant)
           SELECT count(*) AS "count!" FROM gone"#,
        older_than_seconds,
    )
    .fetch_one(db)
    .await
}

/// Deletes up to 1,000 groups that have had no open dead letter for so many seconds or longer; tells how many.
pub(crate) async fn prune_groups(
    db: impl PgExecutor<'_>,
    older_than_seconds: f64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM millpond.dead_groups
          WHERE open = 0
            AND ctid = ANY (ARRAY(SELECT ctid FROM millpond.dead_groups
                                   WHERE open = 0 AND last_seen < now() - make_interval(secs => $1) LIMIT 1000))",
        older_than_seconds,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// Dead letters of one cause.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DeadGroup {
    /// What makes two failures the same failure.
    pub fingerprint: String,
    /// `family.action`.
    pub kind: String,
    /// The class they share.
    pub error_class: String,
    /// The newest one's error.
    pub sample_error: String,
    /// How many are open.
    pub count: i64,
    /// When the first one died.
    pub first_seen: DateTime<Utc>,
    /// When the last one died.
    pub last_seen: DateTime<Utc>,
    /// `open`, `acknowledged` or `resolved`.
    pub state: String,
    /// What somebody noted.
    pub note: Option<String>,
}

/// Groups with open dead letters, by fingerprint. A group that is open in one queue or tenant is open.
pub(crate) async fn groups(
    db: impl PgExecutor<'_>,
    query: &DeadQuery,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<DeadGroup>, sqlx::Error> {
    sqlx::query_as!(
        DeadGroup,
        r#"SELECT fingerprint, min(kind) AS "kind!", min(error_class) AS "error_class!",
                  (array_agg(sample_error ORDER BY last_seen DESC))[1] AS "sample_error!",
                  sum(open)::bigint AS "count!", min(first_seen) AS "first_seen!", max(last_seen) AS "last_seen!",
                  CASE WHEN bool_or(state = 'open') THEN 'open'
                       WHEN bool_or(state = 'acknowledged') THEN 'acknowledged' ELSE 'resolved' END AS "state!",
                  (array_agg(note ORDER BY last_seen DESC) FILTER (WHERE note IS NOT NULL))[1] AS note
             FROM millpond.dead_groups
            WHERE open > 0 AND fingerprint > COALESCE($8, '')
              AND ($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR queue = $2)
              AND ($3::text IS NULL OR error_class = $3) AND ($4::text IS NULL OR fingerprint = $4)
              AND ($5::text IS NULL OR tenant = $5)
              AND ($6::timestamptz IS NULL OR last_seen >= $6) AND ($7::timestamptz IS NULL OR first_seen < $7)
            GROUP BY fingerprint ORDER BY fingerprint LIMIT $9"#,
        query.kind,
        query.queue,
        query.class,
        query.fingerprint,
        query.tenant,
        query.since,
        query.until,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Sets the state or the note of a group, whose note an empty one takes away; `false` when there is
/// no group with open dead letters.
pub(crate) async fn update_group(
    db: impl PgExecutor<'_>,
    fingerprint: &str,
    tenant: Option<&str>,
    state: Option<&str>,
    note: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query!(
        "UPDATE millpond.dead_groups SET state = COALESCE($3, state), note = NULLIF(COALESCE($4, note), '')
          WHERE fingerprint = $1 AND ($2::text IS NULL OR tenant = $2) AND open > 0",
        fingerprint,
        tenant,
        state,
        note,
    )
    .execute(db)
    .await?;
    Ok(updated.rows_affected() > 0)
}
