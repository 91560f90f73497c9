//! Settlements: an attempt ends, and its job leaves the hot table or waits again. Every statement names the queue and
//! the lease's token and tells whose row it changed: who is missing was fenced off. `id = ANY` beside the join has the
//! rows found by their ids whatever the planner thinks of the table. Only running jobs have a token; naming their state
//! as well would have all of them read by their own index instead, dead ones included.

use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use crate::job::AttemptOutcome;

/// What all settlements say of an attempt, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) tokens: Vec<Uuid>,
    pub(crate) outcomes: Vec<String>,
    pub(crate) classes: Vec<Option<String>>,
    pub(crate) errors: Vec<Option<String>>,
    pub(crate) progress: Vec<Option<Json<serde_json::Value>>>,
    /// Whether the payload is not to outlive the job; `None` where that is found out by looking whether it is sealed. Asked
    /// of jobs alone that are finished.
    pub(crate) wiped: Vec<Option<bool>>,
}

impl Ended {
    /// Adds a job that ends because somebody asked for it.
    pub(crate) fn push_cancelled(
        &mut self,
        id: Uuid,
        token: Uuid,
        progress: Option<Json<serde_json::Value>>,
        wiped: Option<bool>,
    ) {
        self.ids.push(id);
        self.tokens.push(token);
        self.outcomes
            .push(AttemptOutcome::Cancelled.as_str().to_owned());
        self.classes.push(None);
        self.errors.push(None);
        self.progress.push(progress);
        self.wiped.push(wiped);
    }
}

/// Deletes jobs that succeeded and of which nothing is kept.
pub(crate) async fn delete(
    db: impl PgExecutor<'_>,
    queue: &str,
    ended: &Ended,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM millpond.jobs j
          USING unnest($2::uuid[], $3::uuid[]) AS s (id, token)
          WHERE j.queue = $1 AND j.id = ANY ($2) AND j.id = s.id
            AND j.lease_token = s.token -- the fence
      RETURNING j.id",
        queue,
        &ended.ids,
        &ended.tokens,
    )
    .fetch_all(db)
    .await
}

/// Moves jobs that succeeded or were cancelled to the history. There the last attempt stands in columns and not in
/// `attempts`, unless it has an error to tell: a document for it would cost as much as the rest of the row. Readers put
/// both together by `millpond.attempts_of`. A payload that lay encrypted is not needed any more, and does not go along.
pub(crate) async fn finish(
    db: impl PgExecutor<'_>,
    queue: &str,
    ended: &Ended,
    results: &[Option<Json<serde_json::Value>>],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH gone AS (
               DELETE FROM millpond.jobs j
                USING unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::jsonb[], $9::bool[])
                      AS s (id, token, outcome, class, error, progress, result, wiped)
                WHERE j.queue = $1 AND j.id = ANY ($2) AND j.id = s.id
                  AND j.lease_token = s.token -- the fence
            RETURNING j.id, j.queue, j.kind, j.priority, j.run_at, j.created_at, j.started_at, j.attempts_used, j.max_attempts,
                      j.tenant, j.key, j.payload, j.tags, j.attempts, j.attempt, j.worker, j.replay_of,
                      COALESCE(s.progress, j.progress) AS progress, s.outcome, s.class, s.error, s.result, s.wiped,
                      s.class IS NULL AND s.error IS NULL AS is_plain)
           INSERT INTO millpond.job_history
                  (id, queue, kind, state, priority, run_at, created_at, started_at, attempts_used, max_attempts, tenant, key,
                   payload, tags, attempts, attempt, worker, progress, result, replay_of)
           SELECT id, queue, kind, outcome, priority, run_at, created_at, started_at, attempts_used, max_attempts, tenant, key,
                  CASE WHEN COALESCE(wiped, left(payload::text, 11) = '{"$sealed":') THEN '{"$sealed":null}' ELSE payload END,
                  tags,
                  CASE WHEN is_plain THEN attempts
                       ELSE COALESCE(attempts, '[]') || jsonb_build_object('number', attempt, 'started_at', started_at,
                           'finished_at', now(), 'outcome', outcome, 'error_class', class, 'error', error, 'worker', worker) END,
                  CASE WHEN is_plain THEN attempt END, CASE WHEN is_plain THEN worker END,
                  progress, result, replay_of
             FROM gone
        RETURNING id"#,
        queue,
        &ended.ids,
        &ended.tokens,
        &ended.outcomes,
        told(&ended.classes) as &[Option<String>],
        told(&ended.errors) as &[Option<String>],
        told(&ended.progress) as &[Option<Json<serde_json::Value>>],
        told(results) as &[Option<Json<serde_json::Value>>],
        told(&ended.wiped) as &[Option<bool>],
    )
    .fetch_all(db)
    .await
}

/// What an array tells: nothing, where every element is NULL. `unnest` fills it up with NULL to the length of the others,
/// so nobody has to write, send and read that.
pub(super) fn told<T>(values: &[Option<T>]) -> &[Option<T>] {
    if values.iter().all(Option::is_none) {
        &[]
    } else {
        values
    }
}

/// Moves jobs that failed for good to the dead letters and keeps the count of their groups.
pub(crate) async fn bury(
    db: impl PgExecutor<'_>,
    queue: &str,
    ended: &Ended,
    fingerprints: &[String],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH gone AS (
               DELETE FROM millpond.jobs j
                USING unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::text[])
                      AS s (id, token, outcome, class, error, progress, fingerprint)
                WHERE j.queue = $1 AND j.id = ANY ($2) AND j.id = s.id
                  AND j.lease_token = s.token -- the fence
            RETURNING j.id, j.queue, j.kind, j.priority, j.run_at, j.created_at, j.started_at, j.attempts_used, j.max_attempts,
                      j.tenant, j.key, j.payload, j.tags, j.attempts, j.attempt, j.worker, j.replay_of,
                      COALESCE(s.progress, j.progress) AS progress, s.outcome, s.class, s.error, s.fingerprint),
           buried AS (
               INSERT INTO millpond.dead_letters
                      (id, queue, kind, priority, run_at, created_at, started_at, attempts_used, max_attempts, tenant, key,
                       payload, tags, attempts, progress, error_class, error, fingerprint, replay_of)
               SELECT id, queue, kind, priority, run_at, created_at, started_at, attempts_used, max_attempts, tenant, key,
                      payload, tags,
                      COALESCE(attempts, '[]') || jsonb_build_object('number', attempt, 'started_at', started_at,
                          'finished_at', now(), 'outcome', outcome, 'error_class', class, 'error', error, 'worker', worker),
                      progress, class, error, fingerprint, replay_of
                 FROM gone
            RETURNING id, queue, kind, tenant, error_class, error, fingerprint),
           counted AS (
               INSERT INTO millpond.dead_groups AS g
                      (fingerprint, queue, tenant, kind, error_class, sample_error, open)
               SELECT fingerprint, queue, COALESCE(tenant, ''), min(kind), min(error_class), min(error), count(*)
                 FROM buried GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
               ON CONFLICT ON CONSTRAINT dead_groups_pkey DO UPDATE
                  SET open = g.open + excluded.open, sample_error = excluded.sample_error, last_seen = now(),
                      state = CASE WHEN g.state = 'resolved' THEN 'open' ELSE g.state END)
           SELECT id AS "id!" FROM buried"#,
        queue,
        &ended.ids,
        &ended.tokens,
        &ended.outcomes,
        &ended.classes as &[Option<String>],
        &ended.errors as &[Option<String>],
        &ended.progress as &[Option<Json<serde_json::Value>>],
        fingerprints,
    )
    .fetch_all(db)
    .await
}

/// Where a job goes that is not done, as arrays beside [`Ended`].
#[derive(Debug, Default)]
pub(crate) struct Again {
    pub(crate) states: Vec<String>,
    pub(crate) delays: Vec<f64>,
    /// Whether the attempt used one up.
    pub(crate) used: Vec<bool>,
    /// The account that the job waits for behind the gate of held accounts.
    pub(crate) held: Vec<Option<String>>,
}

/// Puts jobs back to wait for another attempt. One that somebody asked to stop is left as it is: it is to be settled
/// as cancelled. A job keeps the newest 200 of its attempts while it waits, and takes back the unique key that it gave up
/// while it ran, where nobody else has it. One whose account is held is parked at once: no claim needs to meet it.
pub(crate) async fn put_back(
    db: impl PgExecutor<'_>,
    queue: &str,
    ended: &Ended,
    again: &Again,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"UPDATE millpond.jobs j
              SET state = s.state, run_at = now() + make_interval(secs => s.delay),
                  attempts_used = j.attempts_used - CASE WHEN s.used THEN 0 ELSE 1 END,
                  attempts = (CASE WHEN jsonb_array_length(j.attempts) >= 200 THEN j.attempts - 0
                                   ELSE COALESCE(j.attempts, '[]') END)
                      || jsonb_build_object('number', j.attempt, 'started_at', j.started_at, 'finished_at', now(),
                             'outcome', s.outcome, 'error_class', s.class, 'error', s.error, 'worker', j.worker),
                  progress = COALESCE(s.progress, j.progress),
                  lease_token = NULL, lease_until = NULL, worker = NULL, started_at = NULL,
                  account = COALESCE(s.held, j.account),
                  parked_gate = CASE WHEN s.held IS NOT NULL THEN 'account_held' END, parked_for = s.held,
                  unique_key = CASE WHEN j.unique_states
                      & CASE s.state WHEN 'ready' THEN 2 WHEN 'scheduled' THEN 1 ELSE 8 END <> 0
                      THEN COALESCE(j.unique_key, millpond.free_unique_key(j.kind, j.tenant, j.unique_wanted)) END
             FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::text[], $9::float8[], $10::bool[],
                         $11::text[])
                  AS s (id, token, outcome, class, error, progress, state, delay, used, held)
            WHERE j.queue = $1 AND j.id = ANY ($2) AND j.id = s.id
              AND j.lease_token = s.token -- the fence
              AND j.cancel_requested_at IS NULL
        RETURNING j.id"#,
        queue,
        &ended.ids,
        &ended.tokens,
        &ended.outcomes,
        &ended.classes as &[Option<String>],
        &ended.errors as &[Option<String>],
        &ended.progress as &[Option<Json<serde_json::Value>>],
        &again.states,
        &again.delays,
        &again.used,
        told(&again.held) as &[Option<String>],
    )
    .fetch_all(db)
    .await
}

/// Hands back jobs that were claimed but never started, as if they had not been claimed. One that somebody asked to stop
/// is left as it is: it is to be settled as cancelled.
pub(crate) async fn unclaim(
    db: impl PgExecutor<'_>,
    queue: &str,
    ids: &[Uuid],
    tokens: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "UPDATE millpond.jobs j
            SET state = 'ready', attempt = j.attempt - 1, attempts_used = j.attempts_used - 1,
                lease_token = NULL, lease_until = NULL, worker = NULL, started_at = NULL,
                unique_key = CASE WHEN j.unique_states & 2 <> 0
                    THEN COALESCE(j.unique_key, millpond.free_unique_key(j.kind, j.tenant, j.unique_wanted)) END
           FROM unnest($2::uuid[], $3::uuid[]) AS s (id, token)
          WHERE j.queue = $1 AND j.id = ANY ($2) AND j.id = s.id
            AND j.lease_token = s.token -- the fence
            AND j.cancel_requested_at IS NULL
      RETURNING j.id",
        queue,
        ids,
        tokens,
    )
    .fetch_all(db)
    .await
}

/// How the latest attempt of a job ended that has one.
#[derive(Debug)]
pub(crate) struct LatestEnd {
    pub(crate) id: Uuid,
    pub(crate) number: Option<i32>,
    pub(crate) outcome: Option<String>,
}

/// Where jobs stand, for whoever does not know whether a settlement took effect. A job that is missing in the answer is
/// deleted.
pub(crate) async fn latest_ends(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<LatestEnd>, sqlx::Error> {
    sqlx::query_as!(
        LatestEnd,
        r#"SELECT id AS "id!", (attempts -> -1 ->> 'number')::int4 AS number, attempts -> -1 ->> 'outcome' AS outcome
             FROM (SELECT id, attempts FROM millpond.jobs WHERE id = ANY ($1)
                   UNION ALL
                   SELECT id, millpond.attempts_of(h) FROM millpond.job_history h WHERE id = ANY ($1)
                   UNION ALL
                   SELECT id, attempts FROM millpond.dead_letters WHERE id = ANY ($1)) AS anywhere"#,
        ids,
    )
    .fetch_all(db)
    .await
}
