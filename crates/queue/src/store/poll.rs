//! What is there to do: one read for all queues, and the promotion of jobs whose time has come.

use sqlx::PgExecutor;

/// What waits in a queue.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) queue: String,
    /// Jobs are ready that no gate was found to hold.
    pub(crate) has_unparked: bool,
    /// Jobs are ready that a gate held when a claim met them.
    pub(crate) has_parked: bool,
    /// Limits, held accounts or dry budgets of accounts are to be looked at before anything is claimed.
    pub(crate) is_limited: bool,
    pub(crate) is_paused: bool,
    /// Seconds until the next scheduled or retrying job is due; negative when it is overdue.
    pub(crate) next_due_seconds: Option<f64>,
    pub(crate) has_expired: bool,
    /// How often the configuration of the fleet has changed: who looks after queues need not ask for it.
    pub(crate) config_change: Option<i64>,
}

impl Waiting {
    /// Whether a claim may find something. What a paused queue holds is not ready for anybody.
    pub(crate) fn has_ready(&self) -> bool {
        (self.has_unparked || self.has_parked) && !self.is_paused
    }

    /// Whether claims have to look closely at what they find, and at what is parked.
    pub(crate) fn wants_close_look(&self) -> bool {
        self.is_limited || self.has_parked
    }
}

/// Looks at these queues, or at all that there are, in one statement. It touches a few index entries of each, and where
/// no lease has run out every running job of the queue: no more than the fleet has slots, and cheaper than an index that
/// each renewal would have to change. While any account is held or any budget dry, the first 100 ready jobs of each are
/// looked at too. No EXISTS on jobs: a plan made while the table was empty hashes all of them.
pub(crate) async fn look(
    db: impl PgExecutor<'_>,
    queues: Option<&[String]>,
) -> Result<Vec<Waiting>, sqlx::Error> {
    sqlx::query_as!(
        Waiting,
        r#"SELECT q.name AS "queue!",
                  COALESCE((SELECT true FROM millpond.jobs j
                             WHERE j.queue = q.name AND j.state = 'ready' AND j.parked_gate IS NULL LIMIT 1), false) AS "has_unparked!",
                  COALESCE((SELECT true FROM millpond.jobs j
                             WHERE j.queue = q.name AND j.state = 'ready' AND j.parked_gate IS NOT NULL LIMIT 1), false) AS "has_parked!",
                  EXISTS (SELECT FROM millpond.queues p WHERE p.name = q.name AND (
                              p.global_concurrency IS NOT NULL OR p.rate_count IS NOT NULL OR p.fair_by IS NOT NULL))
                  OR CASE WHEN (SELECT true FROM millpond.holds LIMIT 1) OR (SELECT true FROM millpond.dry_budgets LIMIT 1) THEN
                         COALESCE((SELECT true
                                     FROM (SELECT j.account, j.priority FROM millpond.jobs j
                                            WHERE j.queue = q.name AND j.state = 'ready' AND j.parked_gate IS NULL
                                            ORDER BY j.priority, j.run_at, j.id LIMIT 100) AS first
                                    WHERE (SELECT true FROM millpond.stopped_accounts s
                                            WHERE s.account = first.account AND s.from_priority <= first.priority LIMIT 1)
                                    LIMIT 1), false)
                     ELSE false END AS "is_limited!",
                  EXISTS (SELECT FROM millpond.queues p WHERE p.name = q.name AND p.paused_at IS NOT NULL
                             AND (p.paused_until IS NULL OR p.paused_until > now())) AS "is_paused!",
                  (SELECT extract(epoch FROM j.run_at - now())::float8 FROM millpond.jobs j
                    WHERE j.queue = q.name AND j.state IN ('scheduled', 'retrying')
                    ORDER BY j.run_at LIMIT 1) AS next_due_seconds,
                  COALESCE((SELECT true FROM millpond.jobs j
                             WHERE j.queue = q.name AND j.state = 'running' AND j.lease_until < now() LIMIT 1), false) AS "has_expired!",
                  (SELECT c.change FROM millpond.config_state c WHERE c.id = 1) AS config_change
             FROM (SELECT unnest($1::text[]) UNION ALL SELECT name FROM millpond.queues WHERE $1 IS NULL) AS q (name)"#,
        queues as Option<&[String]>,
    )
    .fetch_all(db)
    .await
}

/// Makes up to 1,000 due jobs of a queue ready; tells how many. A unique key that a job gave up is taken back
/// where it is free.
pub(crate) async fn promote(db: impl PgExecutor<'_>, queue: &str) -> Result<u64, sqlx::Error> {
    let promoted = sqlx::query!(
        "UPDATE millpond.jobs
            SET state = 'ready',
                unique_key = CASE WHEN unique_states & 2 <> 0
                    THEN COALESCE(unique_key, millpond.free_unique_key(kind, tenant, unique_wanted)) END
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
