//! Claims: ready jobs become running ones, each under a lease whose token is the claim's own and random. Those here are
//! of queues and kinds without limits; the others are decided in `gates` and end in [`these`].

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// A job under lease.
#[derive(Debug)]
pub(crate) struct ClaimedRow {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) priority: i16,
    pub(crate) token: Uuid,
    pub(crate) attempt: i32,
    pub(crate) attempts_used: i32,
    pub(crate) max_attempts: Option<i32>,
    pub(crate) tenant: Option<String>,
    pub(crate) key: Option<String>,
    /// As text: what does not decode is that job's failure, never the claim's.
    pub(crate) payload: String,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) created_at: DateTime<Utc>,
    /// By the database's clock, as all times here.
    pub(crate) claimed_at: DateTime<Utc>,
    pub(crate) replay_of: Option<Uuid>,
    pub(crate) traceparent: Option<String>,
    /// Why the attempt before this one failed, if it did.
    pub(crate) last_error_class: Option<String>,
}

/// Who claims what.
#[derive(Debug, Clone)]
pub(crate) struct Claim<'a> {
    pub(crate) queue: &'a str,
    pub(crate) worker: Uuid,
    pub(crate) ttl_seconds: f64,
    /// The kinds that this worker has registered; others are left to workers that know them.
    pub(crate) kinds: &'a [String],
}

// Deliberately not joined to a CTE: a generic plan then takes 250 ms at a million ready jobs. One token serves all jobs of
// a claim: a job has it once, and making random ones costs more than the rest of a row.
macro_rules! claim {
    ($db:expr, $claim:expr, [$($found:literal),+] $(, $argument:expr)*) => {
        sqlx::query_as!(
            ClaimedRow,
            r#"UPDATE millpond.jobs
                  SET state = 'running', attempt = attempt + 1, attempts_used = attempts_used + 1,
                      lease_token = (SELECT gen_random_uuid()), lease_until = now() + make_interval(secs => $3), worker = $2,
                      started_at = now(), unique_key = CASE WHEN unique_states & 4 <> 0 THEN unique_key END
                WHERE queue = $1
                  AND id = ANY (ARRAY("# $(+ $found)+ + r#" FOR UPDATE SKIP LOCKED))
            RETURNING id, kind, priority, lease_token AS "token!", attempt, attempts_used, max_attempts, tenant, key,
                      payload::text AS "payload!", run_at, created_at, now() AS "claimed_at!", replay_of, traceparent,
                      attempts -> -1 ->> 'error_class' AS last_error_class"#,
            $claim.queue,
            $claim.worker,
            $claim.ttl_seconds
            $(, $argument)*
        )
        .fetch_all($db)
        .await
    };
}

// Whether its account is held, or that one's budget dry, is asked of jobs that have one alone. A queue whose limits the fleet
// keeps gives nothing here, whatever the claiming process knows of them.
//
// The limit is a literal in a few prepared sizes: with a parameter the statement is planned anew each time or flips to
// a sequential scan.
macro_rules! claim_up_to {
    ($db:expr, $claim:expr, $limit:literal) => {
        claim!(
            $db,
            $claim,
            [
                "SELECT id FROM millpond.jobs j
                  WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL AND kind = ANY ($4)
                    AND (account IS NULL OR (SELECT true FROM millpond.stopped_accounts s
                                              WHERE s.account = j.account AND s.from_priority <= j.priority LIMIT 1) IS NULL)
                    AND NOT EXISTS (SELECT FROM millpond.queues q WHERE q.name = $1 AND (
                            q.global_concurrency IS NOT NULL OR q.rate_count IS NOT NULL OR q.fair_by IS NOT NULL
                            OR (q.paused_at IS NOT NULL AND (q.paused_until IS NULL OR q.paused_until > now()))))
                  ORDER BY priority, run_at, id LIMIT ",
                $limit
            ],
            $claim.kinds
        )
    };
}

/// Claims at most `most` jobs, fewer where that saves a statement: sizes are 1, 10, 100 and 500.
pub(crate) async fn next(
    db: impl PgExecutor<'_>,
    claim: &Claim<'_>,
    most: usize,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    match most {
        0 => Ok(Vec::new()),
        1..10 => claim_up_to!(db, claim, "1"),
        10..100 => claim_up_to!(db, claim, "10"),
        100..500 => claim_up_to!(db, claim, "100"),
        _ => claim_up_to!(db, claim, "500"),
    }
}

/// Claims up to `most` more jobs of one kind and key, for a batch that is being formed, but none that may have spoilt its
/// last call: that one runs alone. Jobs with a key are found by an index of theirs. Those without one have none, so that
/// they need not pay for it: they are looked for among the first 5,000 of the queue. As for [`next`], a queue whose limits
/// the fleet keeps gives nothing.
pub(crate) async fn mates(
    db: impl PgExecutor<'_>,
    claim: &Claim<'_>,
    kind: &str,
    key: Option<&str>,
    most: i64,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    match key {
        Some(key) => claim!(
            db,
            claim,
            ["SELECT id FROM millpond.jobs j
              WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL AND kind = $4 AND key = $6
                AND COALESCE(attempts -> -1 ->> 'error_class', '') NOT IN ('panic', 'timeout', 'lost')
                AND (account IS NULL OR (SELECT true FROM millpond.stopped_accounts s
                                          WHERE s.account = j.account AND s.from_priority <= j.priority LIMIT 1) IS NULL)
                AND NOT EXISTS (SELECT FROM millpond.queues q WHERE q.name = $1 AND (
                        q.global_concurrency IS NOT NULL OR q.rate_count IS NOT NULL OR q.fair_by IS NOT NULL
                        OR (q.paused_at IS NOT NULL AND (q.paused_until IS NULL OR q.paused_until > now()))))
              ORDER BY priority, run_at, id LIMIT $5"],
            kind,
            most,
            key
        ),
        None => claim!(
            db,
            claim,
            ["SELECT id FROM millpond.jobs
              WHERE id = ANY (ARRAY(
                    SELECT first.id
                      FROM (SELECT id, kind, key, account, priority, attempts FROM millpond.jobs
                             WHERE queue = $1 AND state = 'ready' AND parked_gate IS NULL
                             ORDER BY priority, run_at, id LIMIT 5000) AS first
                     WHERE first.kind = $4 AND first.key IS NULL
                       AND COALESCE(first.attempts -> -1 ->> 'error_class', '') NOT IN ('panic', 'timeout', 'lost')
                       AND (first.account IS NULL
                            OR (SELECT true FROM millpond.stopped_accounts s
                                 WHERE s.account = first.account AND s.from_priority <= first.priority LIMIT 1) IS NULL)
                     LIMIT $5))
                AND state IS NOT DISTINCT FROM 'ready' -- so that no index of all ready jobs is read for these
                AND NOT EXISTS (SELECT FROM millpond.queues q WHERE q.name = $1 AND (
                        q.global_concurrency IS NOT NULL OR q.rate_count IS NOT NULL OR q.fair_by IS NOT NULL
                        OR (q.paused_at IS NOT NULL AND (q.paused_until IS NULL OR q.paused_until > now()))))"],
            kind,
            most
        ),
    }
}

/// Claims those of these jobs that are still ready, in a transaction that has decided that they may run. Jobs that are
/// locked are left alone. What they are of the kinds in `placed` takes a place of its key, for as long as it runs. The
/// clock is read here: the transaction may have waited for its turn.
pub(crate) async fn these(
    db: impl PgExecutor<'_>,
    claim: &Claim<'_>,
    ids: &[Uuid],
    placed: &[String],
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    sqlx::query_as!(
        ClaimedRow,
        r#"UPDATE millpond.jobs
              SET state = 'running', attempt = attempt + 1, attempts_used = attempts_used + 1,
                  lease_token = (SELECT gen_random_uuid()),
                  lease_until = (SELECT clock_timestamp()) + make_interval(secs => $3), worker = $2,
                  started_at = (SELECT clock_timestamp()),
                  unique_key = CASE WHEN unique_states & 4 <> 0 THEN unique_key END,
                  parked_gate = NULL, parked_for = NULL,
                  takes_place = CASE WHEN key IS NOT NULL AND kind = ANY ($5) THEN true END
            WHERE queue = $1
              AND id = ANY (ARRAY(SELECT id FROM millpond.jobs
                                   WHERE queue = $1 AND id = ANY ($4)
                                     AND state IS NOT DISTINCT FROM 'ready' -- so that no index of all ready jobs is read
                                     FOR UPDATE SKIP LOCKED))
        RETURNING id, kind, priority, lease_token AS "token!", attempt, attempts_used, max_attempts, tenant, key,
                  payload::text AS "payload!", run_at, created_at, started_at AS "claimed_at!", replay_of, traceparent,
                  attempts -> -1 ->> 'error_class' AS last_error_class"#,
        claim.queue,
        claim.worker,
        claim.ttl_seconds,
        ids,
        placed,
    )
    .fetch_all(db)
    .await
}
