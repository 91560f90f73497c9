//! Table `syncs`: the log of syncs and where each goes on. Whoever stores for one names the run that he began, and stores
//! nothing where somebody else has begun another one since.

use serde_json::Value;
use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, NaiveDate, Utc},
    },
};

/// What a sync is of, as columns.
pub(crate) struct WhatColumns<'a> {
    pub(crate) mode: Option<&'a str>,
    pub(crate) level: Option<&'a str>,
    pub(crate) granularity: Option<&'a str>,
    pub(crate) first_day: Option<NaiveDate>,
    pub(crate) last_day: Option<NaiveDate>,
    pub(crate) breakdowns: &'a str,
}

/// A sync that is begun.
pub(crate) struct NewRow<'a> {
    pub(crate) id: Uuid,
    pub(crate) account: Uuid,
    pub(crate) what: WhatColumns<'a>,
    pub(crate) job: Uuid,
}

/// A sync that was begun or is gone on with.
pub(crate) struct BegunRow {
    pub(crate) id: Uuid,
    pub(crate) run: i32,
    pub(crate) cursor: Option<Value>,
    pub(crate) counts: Value,
    pub(crate) started_at: DateTime<Utc>,
}

/// An attempt at a sync: the sync and the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) sync: Uuid,
    pub(crate) run: i32,
}

/// What went wrong.
#[derive(Clone, Copy)]
pub(crate) struct ErrorColumns<'a> {
    pub(crate) class: &'a str,
    pub(crate) message: &'a str,
}

/// Closes syncs that made no progress for so long, of one account or of all, up to 500, and tells of them; gives which.
pub(crate) async fn close_stale(
    db: impl PgExecutor<'_>,
    account: Option<Uuid>,
    idle_s: f64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH closed AS (
               UPDATE marketing.syncs s
                  SET state = 'failed', finished_at = now(), error_class = COALESCE(error_class, 'lost'),
                      error = COALESCE(error, 'no attempt went on with it')
                WHERE id = ANY (ARRAY(SELECT id FROM marketing.syncs
                                       WHERE state = 'running' AND ($1::uuid IS NULL OR account = $1)
                                         AND progressed_at < now() - make_interval(secs => $2)
                                       LIMIT 500 FOR UPDATE SKIP LOCKED)) -- in no order: that of ids is of all that there ever were
            RETURNING s.id, s.account, marketing.sync_as_told(s) AS data),
           told AS (
               INSERT INTO marketing.events (kind, tenant, account, data)
               SELECT 'sync.failed', a.tenant, c.account, c.data
                 FROM closed c
                 JOIN marketing.accounts a ON a.id = c.account
                ORDER BY c.id)
           SELECT id AS "id!" FROM closed"#,
        account,
        idle_s,
    )
    .fetch_all(db)
    .await
}

/// Begins a sync, or a further run of the one of this sort that is not finished; `None`: there is no such account.
pub(crate) async fn begin(
    db: impl PgExecutor<'_>,
    new: &NewRow<'_>,
) -> Result<Option<BegunRow>, sqlx::Error> {
    let what = &new.what;
    sqlx::query_as!(
        BegunRow,
        "INSERT INTO marketing.syncs AS known (id, account, mode, level, granularity, first_day, last_day, breakdowns, job)
         SELECT $1::uuid, a.id, $3::text, $4::text, $5::text, $6::date, $7::date, $8::text, $9::uuid
           FROM marketing.accounts a WHERE a.id = $2
         ON CONFLICT (account, COALESCE(mode, ''), COALESCE(level, ''), COALESCE(granularity, ''),
                      COALESCE(first_day, '-infinity'::date), COALESCE(last_day, '-infinity'::date), breakdowns)
               WHERE state = 'running'
         DO UPDATE SET run = known.run + 1, job = excluded.job
         RETURNING id, run, cursor, counts, started_at",
        new.id,
        new.account,
        what.mode,
        what.level,
        what.granularity,
        what.first_day,
        what.last_day,
        what.breakdowns,
        new.job,
    )
    .fetch_optional(db)
    .await
}

/// What this job has counted in a sync that has read everything; `None`: there is none among the newest of the account.
pub(crate) async fn done_by(
    db: impl PgExecutor<'_>,
    account: Uuid,
    job: Uuid,
) -> Result<Option<Value>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT counts AS "counts!"
             FROM (SELECT job, state, counts FROM marketing.syncs WHERE account = $1 ORDER BY id DESC LIMIT 500) newest
            WHERE job = $2 AND state = 'succeeded' LIMIT 1"#,
        account,
        job,
    )
    .fetch_optional(db)
    .await
}

/// Moves a sync on; `false`: it is not this run's any more.
pub(crate) async fn advance(
    db: impl PgExecutor<'_>,
    fence: Fence,
    cursor: Option<&Value>,
    counts: &Value,
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query!(
        "UPDATE marketing.syncs
            SET cursor = $3, counts = $4, setbacks = 0, progressed_at = now(), error_class = NULL, error = NULL
          WHERE id = $1 AND run = $2 AND state = 'running'",
        fence.sync,
        fence.run,
        cursor,
        counts,
    )
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// A failure at a place, and how many of them in a row it may have before the sync begins anew.
pub(crate) struct Setback {
    /// Whether this failure says anything of the place.
    pub(crate) counts: bool,
    /// So many are too many.
    pub(crate) most: i32,
}

/// Notes what went wrong with a run that another one follows, and gives up its place where it has failed too often; tells
/// whether it did. `None`: it is not this run's any more.
pub(crate) async fn set_back(
    db: impl PgExecutor<'_>,
    fence: Fence,
    error: ErrorColumns<'_>,
    setback: Setback,
) -> Result<Option<bool>, sqlx::Error> {
    let more = i32::from(setback.counts);
    sqlx::query_scalar!(
        r#"UPDATE marketing.syncs
              SET error_class = $3, error = $4, cursor = CASE WHEN setbacks + $5 < $6 THEN cursor END,
                  setbacks = CASE WHEN setbacks + $5 < $6 THEN setbacks + $5 ELSE 0 END
            WHERE id = $1 AND run = $2 AND state = 'running'
        RETURNING setbacks = 0 AND $5 > 0 AS "is_given_up!""#,
        fence.sync,
        fence.run,
        error.class,
        error.message,
        more,
        setback.most,
    )
    .fetch_optional(db)
    .await
}

/// Ends a sync, and tells of it; `false`: it is not this run's any more.
pub(crate) async fn finish(
    db: impl PgExecutor<'_>,
    fence: Fence,
    state: &str,
    error: Option<ErrorColumns<'_>>,
) -> Result<bool, sqlx::Error> {
    let finished = sqlx::query!(
        "WITH finished AS (
             UPDATE marketing.syncs s
                SET state = $3, finished_at = now(), progressed_at = now(), cursor = NULL, error_class = $4, error = $5
              WHERE id = $1 AND run = $2 AND state = 'running'
          RETURNING s.account, s.state, marketing.sync_as_told(s) AS data)
         INSERT INTO marketing.events (kind, tenant, account, data)
         SELECT CASE f.state WHEN 'failed' THEN 'sync.failed' ELSE 'sync.completed' END, a.tenant, f.account, f.data
           FROM finished f
           JOIN marketing.accounts a ON a.id = f.account",
        fence.sync,
        fence.run,
        state,
        error.map(|error| error.class),
        error.map(|error| error.message),
    )
    .execute(db)
    .await?;
    Ok(finished.rows_affected() == 1)
}

/// A sync as it is listed.
pub(crate) struct SyncRow {
    pub(crate) id: Uuid,
    pub(crate) account: Uuid,
    pub(crate) mode: Option<String>,
    pub(crate) level: Option<String>,
    pub(crate) granularity: Option<String>,
    pub(crate) first_day: Option<NaiveDate>,
    pub(crate) last_day: Option<NaiveDate>,
    pub(crate) breakdowns: String,
    pub(crate) job: Uuid,
    pub(crate) run: i32,
    pub(crate) state: String,
    pub(crate) counts: Value,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) progressed_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) error_class: Option<String>,
    pub(crate) error: Option<String>,
}

/// A page of an account's syncs, the newest first.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    account: Uuid,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<SyncRow>, sqlx::Error> {
    sqlx::query_as!(
        SyncRow,
        "SELECT id, account, mode, level, granularity, first_day, last_day, breakdowns, job, run, state, counts, started_at,
                progressed_at, finished_at, error_class, error
           FROM marketing.syncs
          WHERE account = $1 AND id < COALESCE($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
          ORDER BY id DESC LIMIT $3",
        account,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}

/// When the newest sync of what an ad account holds began that read all that it has a right to; `None`: there was none within
/// the time for which syncs are kept.
pub(crate) async fn last_entities(
    db: impl PgExecutor<'_>,
    account: Uuid,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let told = sqlx::query_scalar!(
        r#"SELECT entities_as_of AS "as_of?" FROM marketing.bi_freshness WHERE account_id = $1"#,
        account,
    )
    .fetch_optional(db)
    .await?;
    Ok(told.flatten())
}

/// When a sync began that has read what an account holds.
pub(crate) struct ReadRow {
    pub(crate) account: Uuid,
    pub(crate) started_at: DateTime<Utc>,
}

/// When the syncs began that have read what these accounts hold: of each the newest that read everything, if that is no
/// longer ago than so, else the newest that read any of it. Accounts that have none are left out.
pub(crate) async fn reads_of_entities(
    db: impl PgExecutor<'_>,
    accounts: &[Uuid],
    whole_s: f64,
) -> Result<Vec<ReadRow>, sqlx::Error> {
    sqlx::query_as!(
        ReadRow,
        r#"SELECT a.id AS "account!", newest.started_at AS "started_at!"
             FROM unnest($1::uuid[]) AS a (id)
            CROSS JOIN LATERAL (
                  SELECT s.started_at
                    FROM ((SELECT started_at, true AS is_whole FROM marketing.syncs
                            WHERE account = a.id AND mode IS NOT NULL AND state = 'succeeded' ORDER BY id DESC LIMIT 1)
                          UNION ALL
                          (SELECT started_at, false FROM marketing.syncs
                            WHERE account = a.id AND mode IS NOT NULL AND state = 'partial' ORDER BY id DESC LIMIT 1)) AS s
                   ORDER BY s.is_whole AND s.started_at > now() - make_interval(secs => $2) DESC, s.started_at DESC
                   LIMIT 1) AS newest"#,
        accounts,
        whole_s,
    )
    .fetch_all(db)
    .await
}

/// Deletes up to 5,000 syncs that ended so long ago; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.syncs
          WHERE id = ANY (ARRAY(SELECT id FROM marketing.syncs WHERE finished_at < now() - make_interval(secs => $1)
                                 ORDER BY finished_at LIMIT 5000 FOR UPDATE SKIP LOCKED))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
