//! What the tables show, and what must hold in them whatever happened before.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

/// Outcomes that give back the attempt they used.
const USE_NONE: [&str; 3] = ["snoozed", "rate_limited", "interrupted"];

/// Who holds a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) worker: Uuid,
    pub(super) token: Uuid,
    pub(super) is_expired: bool,
}

/// A job as the tables show it, wherever it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) state: String,
    pub(super) priority: i16,
    /// `None` for one that has ended.
    pub(super) attempt: Option<i32>,
    pub(super) used: i32,
    pub(super) max_attempts: Option<i32>,
    pub(super) holding: Option<Holding>,
    pub(super) unique_key: Option<String>,
    pub(super) is_cancel_requested: bool,
    /// Numbers and outcomes of the attempts that ended.
    pub(super) history: Vec<(i64, String)>,
    pub(super) replay_of: Option<Uuid>,
    pub(super) replayed_as: Option<Uuid>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    state: String,
    priority: i16,
    attempt: Option<i32>,
    attempts_used: i32,
    max_attempts: Option<i32>,
    worker: Option<Uuid>,
    lease_token: Option<Uuid>,
    is_expired: Option<bool>,
    unique_key: Option<String>,
    is_cancel_requested: bool,
    attempts: Option<Value>,
    replay_of: Option<Uuid>,
    replayed_as: Option<Uuid>,
}

/// Empties the tables.
pub(super) async fn reset(db: &PgPool) -> anyhow::Result<()> {
    sqlx::query(
        "TRUNCATE millpond.jobs, millpond.job_history, millpond.dead_letters, millpond.dead_groups, millpond.replays,
                  millpond.replay_items, millpond.idempotency_keys, millpond.audit",
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Reads every job wherever it stands; one that stands in two places is an error.
pub(super) async fn read(db: &PgPool) -> anyhow::Result<BTreeMap<Uuid, Seen>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, state, priority, attempt, attempts_used, max_attempts, worker, lease_token,
                lease_until < now() AS is_expired, unique_key, cancel_requested_at IS NOT NULL AS is_cancel_requested,
                attempts, replay_of, NULL::uuid AS replayed_as
           FROM millpond.jobs
         UNION ALL
         SELECT id, state, priority, NULL, attempts_used, max_attempts, NULL, NULL, NULL, NULL, false,
                millpond.attempts_of(h), replay_of, NULL
           FROM millpond.job_history h
         UNION ALL
         SELECT id, 'dead', priority, NULL, attempts_used, max_attempts, NULL, NULL, NULL, NULL, false,
                attempts, replay_of, replayed_as
           FROM millpond.dead_letters",
    )
    .fetch_all(db)
    .await?;
    let count = rows.len();
    let seen: BTreeMap<Uuid, Seen> = rows.into_iter().map(|row| (row.id, row.into())).collect();
    ensure!(seen.len() == count, "a job stands in two tables");
    Ok(seen)
}

impl From<Row> for Seen {
    fn from(row: Row) -> Self {
        let history = row.attempts.as_ref().and_then(Value::as_array);
        Self {
            state: row.state,
            priority: row.priority,
            attempt: row.attempt,
            used: row.attempts_used,
            max_attempts: row.max_attempts,
            holding: match (row.worker, row.lease_token, row.is_expired) {
                (Some(worker), Some(token), Some(is_expired)) => Some(Holding {
                    worker,
                    token,
                    is_expired,
                }),
                _ => None,
            },
            unique_key: row.unique_key,
            is_cancel_requested: row.is_cancel_requested,
            history: history
                .into_iter()
                .flatten()
                .map(|attempt| {
                    let outcome = attempt["outcome"].as_str().unwrap_or_default();
                    (
                        attempt["number"].as_i64().unwrap_or_default(),
                        outcome.to_owned(),
                    )
                })
                .collect(),
            replay_of: row.replay_of,
            replayed_as: row.replayed_as,
        }
    }
}

/// Checks what holds without any model: attempts have no gaps and no doubles, and each is counted as its outcome says.
pub(super) fn check(id: Uuid, job: &Seen) -> anyhow::Result<()> {
    let under_way = i32::from(job.state == "running");
    let ended = i32::try_from(job.history.len())?;
    ensure!(
        (1..)
            .zip(&job.history)
            .all(|(number, (found, _))| number == *found),
        "the attempts of {id} have gaps: {job:?}"
    );
    ensure!(
        job.attempt
            .is_none_or(|attempt| attempt == ended + under_way),
        "the attempts of {id} are not numbered as they ended: {job:?}"
    );
    let used = job
        .history
        .iter()
        .filter(|(_, outcome)| !USE_NONE.contains(&outcome.as_str()));
    // Fewer where the job was replaced: it has all its attempts anew.
    ensure!(
        job.used <= i32::try_from(used.count())? + under_way,
        "the attempts that {id} used up are miscounted: {job:?}"
    );
    Ok(())
}

/// Checks that the kept counts of groups are those of the dead letters that are open.
pub(super) async fn check_groups(db: &PgPool) -> anyhow::Result<()> {
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*)
           FROM (SELECT fingerprint, queue, tenant, open FROM millpond.dead_groups WHERE open <> 0) kept
           FULL JOIN (SELECT fingerprint, queue, COALESCE(tenant, '') AS tenant, count(*) AS open
                        FROM millpond.dead_letters WHERE resolution IS NULL GROUP BY 1, 2, 3) counted
          USING (fingerprint, queue, tenant)
          WHERE kept.open IS DISTINCT FROM counted.open",
    )
    .fetch_one(db)
    .await?;
    ensure!(
        wrong == 0,
        "{wrong} groups do not count their open dead letters"
    );
    Ok(())
}
