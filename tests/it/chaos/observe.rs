//! What the database says: whether everything has ended, and where every job stands.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::{
    conservation::{Attempt, Evidence, Place, Row, Sent, Totals},
    scene::{MOST_ATTEMPTS, Scene},
    until,
};

/// Longest that what is left may take after everything was healed.
const QUIET_LIMIT: Duration = Duration::from_secs(120);
/// Every job, wherever it stands; times as seconds.
const ROWS: &str = "
SELECT r.place, r.id, r.state, r.attempts_used, r.max_attempts, r.token,
       (SELECT COALESCE(jsonb_agg(jsonb_build_object(
                   'number', a -> 'number', 'outcome', a -> 'outcome',
                   'started', extract(epoch FROM (a ->> 'started_at')::timestamptz),
                   'finished', extract(epoch FROM (a ->> 'finished_at')::timestamptz)) ORDER BY n), '[]')
          FROM jsonb_array_elements(COALESCE(r.attempts, '[]')) WITH ORDINALITY AS t (a, n))
  FROM (SELECT 'live' AS place, id::text, state, attempts_used, max_attempts, payload ->> 'token' AS token, attempts
          FROM millpond.jobs
        UNION ALL
        SELECT 'ended', id::text, state, attempts_used, max_attempts, payload ->> 'token', millpond.attempts_of(h)
          FROM millpond.job_history h
        UNION ALL
        SELECT 'dead', id::text, 'dead', attempts_used, max_attempts, payload ->> 'token', attempts
          FROM millpond.dead_letters) AS r";
/// The same, counted by the database.
const TOTALS: &str = "
SELECT (SELECT count(*) FROM millpond.job_history WHERE state = 'succeeded'),
       (SELECT count(*) FROM millpond.job_history WHERE state = 'cancelled'),
       (SELECT count(*) FROM millpond.dead_letters),
       (SELECT COALESCE(sum(open), 0)::bigint FROM millpond.dead_groups)";

type RawRow = (
    String,
    String,
    String,
    i32,
    Option<i32>,
    Option<String>,
    Value,
);

/// Waits until no job is left and the receiver has nothing under way.
pub(super) async fn quiet(scene: &Scene) -> anyhow::Result<()> {
    until("all jobs have ended", QUIET_LIMIT, || async {
        let mut sql = scene.sql().await?;
        let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM millpond.jobs)")
            .fetch_one(&mut sql)
            .await?;
        Ok((!left && !scene.receiver.is_busy()).then_some(()))
    })
    .await
}

/// Everything that the conservation check goes by.
pub(super) async fn evidence(scene: &Scene, sent: &[Sent]) -> anyhow::Result<Evidence> {
    let mut sql = scene.sql().await?;
    let rows: Vec<RawRow> = sqlx::query_as(ROWS).fetch_all(&mut sql).await?;
    let keys: Vec<(String, String)> =
        sqlx::query_as("SELECT key, job_id::text FROM millpond.idempotency_keys")
            .fetch_all(&mut sql)
            .await?;
    let (succeeded, cancelled, dead, in_groups): (i64, i64, i64, i64) =
        sqlx::query_as(TOTALS).fetch_one(&mut sql).await?;
    let rows: anyhow::Result<Vec<Row>> = rows.into_iter().map(row).collect();
    Ok(Evidence {
        sent: sent.to_vec(),
        rows: rows?,
        keys,
        effects: scene.receiver.effects()?,
        totals: Totals {
            succeeded: u64::try_from(succeeded)?,
            cancelled: u64::try_from(cancelled)?,
            dead: u64::try_from(dead)?,
            dead_in_groups: u64::try_from(in_groups)?,
        },
        excuses: scene.excuses(),
    })
}

fn row(raw: RawRow) -> anyhow::Result<Row> {
    let (place, id, state, attempts_used, max_attempts, token, attempts) = raw;
    let place = match (place.as_str(), state.as_str()) {
        ("live", _) => Place::Live(state),
        ("dead", _) => Place::Dead,
        (_, "succeeded") => Place::Succeeded,
        (_, "cancelled") => Place::Cancelled,
        (place, state) => anyhow::bail!("job {id} is {state} in {place}"),
    };
    let attempts: anyhow::Result<Vec<Attempt>> = attempts
        .as_array()
        .context("a list of attempts")?
        .iter()
        .map(attempt)
        .collect();
    Ok(Row {
        id,
        token,
        place,
        attempts_used: u32::try_from(attempts_used)?,
        max_attempts: max_attempts.map_or(Ok(MOST_ATTEMPTS), u32::try_from)?,
        attempts: attempts?,
    })
}

fn attempt(raw: &Value) -> anyhow::Result<Attempt> {
    Ok(Attempt {
        number: u32::try_from(raw["number"].as_u64().context("a number")?)?,
        started: raw["started"].as_f64().context("a start")?,
        finished: raw["finished"].as_f64().context("an end")?,
        outcome: raw["outcome"].as_str().context("an outcome")?.to_owned(),
    })
}
