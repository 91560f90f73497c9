//! Holds: accounts whose jobs wait. What is held is read where claims read what gates stand on.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// Holds accounts, whatever held them before. In the order of their names, as all who hold or release several.
pub(crate) async fn hold(
    db: impl PgExecutor<'_>,
    accounts: &[String],
    reason: &str,
    until: Option<DateTime<Utc>>,
    by: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.holds (account, reason, until, by)
         SELECT a.account, $2::text, $3::timestamptz, $4::text FROM (SELECT DISTINCT unnest($1::text[])) AS a (account) ORDER BY a.account
         ON CONFLICT ON CONSTRAINT holds_pkey DO UPDATE
            SET reason = excluded.reason, until = excluded.until, by = excluded.by, since = now()",
        accounts,
        reason,
        until,
        by,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Accounts that attempts could not use, as arrays for `unnest`; an account may be there more than once.
#[derive(Debug, Default)]
pub(crate) struct Unusable {
    pub(crate) accounts: Vec<String>,
    pub(crate) reasons: Vec<String>,
    /// Of which kind the job was.
    pub(crate) kinds: Vec<String>,
}

/// Holds accounts for so many seconds because attempts could not use them. One that is held already stays as it is:
/// whoever holds it may know more.
pub(crate) async fn hold_for_attempts(
    db: impl PgExecutor<'_>,
    unusable: &Unusable,
    seconds: f64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.holds AS held (account, reason, until, by)
         SELECT DISTINCT ON (u.account) u.account, left(u.reason, 500), now() + make_interval(secs => $4),
                'a job of kind ' || u.kind
           FROM unnest($1::text[], $2::text[], $3::text[]) AS u (account, reason, kind)
          ORDER BY u.account, u.kind, u.reason
         ON CONFLICT ON CONSTRAINT holds_pkey DO UPDATE
            SET reason = excluded.reason, until = excluded.until, by = excluded.by, since = now()
          WHERE held.until <= now()",
        &unusable.accounts,
        &unusable.reasons,
        &unusable.kinds,
        seconds,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Lets accounts go; tells which of them were held.
pub(crate) async fn release(
    db: impl PgExecutor<'_>,
    accounts: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM millpond.holds
          WHERE account = ANY (ARRAY(SELECT h.account FROM millpond.holds h
                                      WHERE h.account = ANY ($1) ORDER BY h.account FOR UPDATE))
      RETURNING account",
        accounts,
    )
    .fetch_all(db)
    .await
}

/// The queues in which claims have met jobs of these held accounts.
pub(crate) async fn queues_behind(
    db: impl PgExecutor<'_>,
    accounts: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT q.name FROM millpond.queues q
            WHERE COALESCE((SELECT true FROM unnest($1::text[]) AS a (account)
                             WHERE COALESCE((SELECT true FROM millpond.jobs j
                                              WHERE j.queue = q.name AND j.state = 'ready'
                                                AND j.parked_gate = 'account_held' AND j.parked_for = a.account LIMIT 1), false)
                             LIMIT 1), false)"#,
        accounts,
    )
    .fetch_all(db)
    .await
}

/// Takes away up to 1,000 holds that have ended; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let pruned = sqlx::query!(
        "DELETE FROM millpond.holds
          WHERE account = ANY (ARRAY(SELECT account FROM millpond.holds WHERE until <= now()
                                      ORDER BY account LIMIT 1000 FOR UPDATE SKIP LOCKED))
            AND until <= now()",
    )
    .execute(db)
    .await?;
    Ok(pruned.rows_affected())
}

/// Up to 1,000 jobs of accounts that wait, whatever for.
pub(crate) async fn waiting_jobs(
    db: impl PgExecutor<'_>,
    accounts: &[String],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM millpond.jobs WHERE account = ANY ($1) AND state <> 'running' ORDER BY id LIMIT 1000",
        accounts,
    )
    .fetch_all(db)
    .await
}

/// Ends those of these jobs as cancelled that wait; tells how many did. Payloads are wiped that lay encrypted, and those of
/// the kinds `wiped`.
pub(crate) async fn cancel(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    wiped: &[String],
) -> Result<u64, sqlx::Error> {
    let cancelled = sqlx::query!(
        r#"WITH gone AS (
             DELETE FROM millpond.jobs
              WHERE id = ANY (ARRAY(SELECT id FROM millpond.jobs WHERE id = ANY ($1) AND state <> 'running'
                                     ORDER BY id FOR UPDATE SKIP LOCKED))
          RETURNING *)
         INSERT INTO millpond.job_history
                (id, queue, kind, state, priority, run_at, created_at, started_at, attempts_used, max_attempts, tenant, key,
                 payload, tags, attempts, progress, replay_of)
         SELECT id, queue, kind, 'cancelled', priority, run_at, created_at, started_at, attempts_used, max_attempts, tenant, key,
                CASE WHEN kind = ANY ($2) OR left(payload::text, 11) = '{"$sealed":' THEN '{"$sealed":null}' ELSE payload END,
                tags, attempts, progress, replay_of
           FROM gone"#,
        ids,
        wiped,
    )
    .execute(db)
    .await?;
    Ok(cancelled.rows_affected())
}
