//! Leases: renewed while an attempt runs, taken back when nobody renews them.

use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

/// Leases of one queue and what their attempts have said since the last renewal, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct Renewals {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) tokens: Vec<Uuid>,
    pub(crate) progress: Vec<Option<Json<serde_json::Value>>>,
}

/// A lease that is still ours.
#[derive(Debug)]
pub(crate) struct Renewed {
    pub(crate) id: Uuid,
    pub(crate) token: Uuid,
    pub(crate) cancel_requested: bool,
}

/// Extends leases. One that is missing in the answer is lost: its attempt must stop.
pub(crate) async fn renew(
    db: impl PgExecutor<'_>,
    queue: &str,
    renewals: &Renewals,
    ttl_seconds: f64,
) -> Result<Vec<Renewed>, sqlx::Error> {
    sqlx::query_as!(
        Renewed,
        r#"UPDATE millpond.jobs j
              SET lease_until = now() + make_interval(secs => $4), progress = COALESCE(r.progress, j.progress)
             FROM unnest($2::uuid[], $3::uuid[], $5::jsonb[]) AS r (id, token, progress)
            WHERE j.queue = $1 AND j.id = ANY ($2) AND j.id = r.id
              AND j.lease_token = r.token -- the fence
        RETURNING j.id, j.lease_token AS "token!", (j.cancel_requested_at IS NOT NULL) AS "cancel_requested!""#,
        queue,
        &renewals.ids,
        &renewals.tokens,
        ttl_seconds,
        &renewals.progress as &[Option<Json<serde_json::Value>>],
    )
    .fetch_all(db)
    .await
}

/// Which of these running jobs somebody asked to stop.
pub(crate) async fn cancelled_among(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM millpond.jobs WHERE id = ANY ($1) AND state = 'running' AND cancel_requested_at IS NOT NULL",
        ids,
    )
    .fetch_all(db)
    .await
}

/// A running job whose lease ran out.
#[derive(Debug)]
pub(crate) struct Expired {
    pub(crate) id: Uuid,
    pub(crate) token: Uuid,
    pub(crate) kind: String,
    pub(crate) attempts_used: i32,
    pub(crate) max_attempts: Option<i32>,
    /// Attempts lost within the window before this one.
    pub(crate) lost_before: i64,
    pub(crate) cancel_requested: bool,
}

/// Up to 500 jobs of a queue whose lease ran out, locked; those that another process is rescuing are skipped.
pub(crate) async fn expired(
    db: impl PgExecutor<'_>,
    queue: &str,
    lost_window_seconds: f64,
) -> Result<Vec<Expired>, sqlx::Error> {
    sqlx::query_as!(
        Expired,
        r#"SELECT id, lease_token AS "token!", kind, attempts_used, max_attempts,
                  (SELECT count(*) FROM jsonb_array_elements(COALESCE(attempts, '[]')) a
                    WHERE a ->> 'outcome' = 'lost'
                      AND (a ->> 'finished_at')::timestamptz > now() - make_interval(secs => $2)) AS "lost_before!",
                  (cancel_requested_at IS NOT NULL) AS "cancel_requested!"
             FROM millpond.jobs
            WHERE queue = $1 AND state = 'running' AND lease_until < now()
            ORDER BY id LIMIT 500
              FOR UPDATE SKIP LOCKED"#,
        queue,
        lost_window_seconds,
    )
    .fetch_all(db)
    .await
}
