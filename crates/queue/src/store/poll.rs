//! What is there to do: one read for all queues, and the promotion of jobs whose time has come.

use sqlx::PgExecutor;

/// What waits in a queue.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) queue: String,
    pub(crate) has_ready: bool,
    /// Seconds until the next scheduled or retrying job is due; negative when it is overdue.
    pub(crate) next_due_seconds: Option<f64>,
    pub(crate) has_expired: bool,
}

/// Looks at all queues in one statement that touches a few index entries of each.
pub(crate) async fn look(
    db: impl PgExecutor<'_>,
    queues: &[String],
) -> Result<Vec<Waiting>, sqlx::Error> {
    sqlx::query_as!(
        Waiting,
        r#"SELECT q.name AS "queue!",
                  EXISTS (SELECT FROM millpond.jobs j WHERE j.queue = q.name AND j.state = 'ready') AS "has_ready!",
                  (SELECT extract(epoch FROM j.run_at - now())::float8 FROM millpond.jobs j
                    WHERE j.queue = q.name AND j.state IN ('scheduled', 'retrying')
                    ORDER BY j.run_at LIMIT 1) AS next_due_seconds,
                  EXISTS (SELECT FROM millpond.jobs j
                           WHERE j.queue = q.name AND j.state = 'running' AND j.lease_until < now()) AS "has_expired!"
             FROM unnest($1::text[]) AS q (name)"#,
        queues,
    )
    .fetch_all(db)
    .await
}

/// Makes up to 1,000 due jobs of a queue ready; tells how many. A unique key is given up where `ready` is not among
/// its states.
pub(crate) async fn promote(db: impl PgExecutor<'_>, queue: &str) -> Result<u64, sqlx::Error> {
    let promoted = sqlx::query!(
        "UPDATE millpond.jobs
            SET state = 'ready', unique_key = CASE WHEN unique_states & 2 <> 0 THEN unique_key END
          WHERE queue = $1
            AND id = ANY (ARRAY(
                SELECT id FROM millpond.jobs
                 WHERE queue = $1 AND state IN ('scheduled', 'retrying') AND run_at <= now()
                 ORDER BY run_at LIMIT 1000 FOR UPDATE SKIP LOCKED))",
        queue,
    )
    .execute(db)
    .await?;
    Ok(promoted.rows_affected())
}

/// Rings the doorbell of queues: a hint, sent from a session of its own after the commit it tells of.
pub(crate) async fn ring(db: impl PgExecutor<'_>, messages: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"SELECT pg_notify('millpond_doorbell', m) AS "done!: ()" FROM unnest($1::text[]) AS u (m)"#, messages)
        .fetch_all(db)
        .await?;
    Ok(())
}
