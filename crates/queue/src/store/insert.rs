//! New jobs go in: many rows in one statement.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::settle::told;
use crate::{
    job::{EnqueueOutcome, JobId, OnConflict},
    sealing::{self, Sealer, Unopened},
};

/// A job that passed every check and has every default filled in.
#[derive(Debug, Clone)]
pub(crate) struct JobRow {
    pub(crate) id: JobId,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) priority: i16,
    /// Wins over `delay_seconds`; both `None`: at once.
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) delay_seconds: Option<f64>,
    pub(crate) max_attempts: Option<i32>,
    pub(crate) tenant: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) unique: Option<UniqueRow>,
    /// As it is stored: sealed for `id` where there is a `sealer`.
    pub(crate) payload: String,
    /// Who has sealed the payload.
    pub(crate) sealer: Option<Sealer>,
    pub(crate) tags: Option<serde_json::Value>,
    pub(crate) traceparent: Option<String>,
    pub(crate) replay_of: Option<Uuid>,
    /// The account that the job works for.
    pub(crate) account: Option<String>,
    /// Whose turn it takes, where its queue is fair; empty where it has no tenant.
    pub(crate) fair: Option<String>,
}

impl JobRow {
    /// The payload as it is stored with another job.
    pub(super) fn payload_for(&self, job: Uuid) -> Result<Cow<'_, str>, Unopened> {
        let Some(sealer) = &self.sealer else {
            return Ok(Cow::Borrowed(&self.payload));
        };
        let plain = sealing::opened(Some(sealer), self.id.0, &self.payload)?;
        Ok(Cow::Owned(sealer.seal(job, &plain)))
    }
}

/// A unique key as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct UniqueRow {
    pub(crate) key: String,
    /// Bits of [`crate::job::JobState::bit`].
    pub(crate) states: i16,
    pub(crate) on_conflict: OnConflict,
}

/// Where a job that was stored stands.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) id: Uuid,
    pub(crate) state: String,
    pub(crate) run_at: DateTime<Utc>,
}

/// What is answered to whoever enqueued.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) stored: Stored,
    pub(crate) queue: String,
    pub(crate) outcome: EnqueueOutcome,
}

/// Columns of many rows, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct Columns<'a> {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) queues: Vec<&'a str>,
    pub(crate) kinds: Vec<&'a str>,
    pub(crate) priorities: Vec<i16>,
    pub(crate) run_ats: Vec<Option<DateTime<Utc>>>,
    pub(crate) delays: Vec<Option<f64>>,
    pub(crate) max_attempts: Vec<Option<i32>>,
    pub(crate) tenants: Vec<Option<&'a str>>,
    pub(crate) keys: Vec<Option<&'a str>>,
    pub(crate) payloads: Vec<&'a str>,
    pub(crate) tags: Vec<Option<&'a serde_json::Value>>,
    pub(crate) traceparents: Vec<Option<&'a str>>,
    pub(crate) replays: Vec<Option<Uuid>>,
    pub(crate) accounts: Vec<Option<&'a str>>,
    pub(crate) turns: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(rows: impl IntoIterator<Item = &'a JobRow>) -> Self {
        let mut columns = Self::default();
        for row in rows {
            columns.ids.push(row.id.0);
            columns.queues.push(&row.queue);
            columns.kinds.push(&row.kind);
            columns.priorities.push(row.priority);
            columns.run_ats.push(row.run_at);
            columns.delays.push(row.delay_seconds);
            columns.max_attempts.push(row.max_attempts);
            columns.tenants.push(row.tenant.as_deref());
            columns.keys.push(row.key.as_deref());
            columns.payloads.push(&row.payload);
            columns.tags.push(row.tags.as_ref());
            columns.traceparents.push(row.traceparent.as_deref());
            columns.replays.push(row.replay_of);
            columns.accounts.push(row.account.as_deref());
            columns.turns.push(row.fair.as_deref());
        }
        columns
    }
}

/// Stores jobs that have no unique key. The database's clock decides what is due.
pub(crate) async fn insert(
    db: impl PgExecutor<'_>,
    c: &Columns<'_>,
) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as!(
        Stored,
        r#"INSERT INTO millpond.jobs
                  (id, queue, kind, priority, run_at, state, max_attempts, tenant, key, payload, tags, traceparent, replay_of,
                   account, fair)
           SELECT n.id, n.queue, n.kind, n.priority, due.at, CASE WHEN due.at <= now() THEN 'ready' ELSE 'scheduled' END,
                  n.max_attempts, n.tenant, n.key, n.payload::json, n.tags, n.traceparent, n.replay_of, n.account, n.fair
             FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int2[], $5::timestamptz[], $6::float8[], $7::int4[],
                         $8::text[], $9::text[], $10::text[], $11::jsonb[], $12::text[], $13::uuid[], $14::text[], $15::text[])
                  AS n (id, queue, kind, priority, run_at, delay, max_attempts, tenant, key, payload, tags, traceparent, replay_of,
                        account, fair),
                  LATERAL (SELECT GREATEST(COALESCE(n.run_at, now() + make_interval(secs => n.delay), now()), now())) AS due (at)
           RETURNING id, state, run_at"#,
        &c.ids,
        &c.queues as &[&str],
        &c.kinds as &[&str],
        &c.priorities,
        &c.run_ats as &[Option<DateTime<Utc>>],
        &c.delays as &[Option<f64>],
        &c.max_attempts as &[Option<i32>],
        &c.tenants as &[Option<&str>],
        &c.keys as &[Option<&str>],
        &c.payloads as &[&str],
        &c.tags as &[Option<&serde_json::Value>],
        &c.traceparents as &[Option<&str>],
        &c.replays as &[Option<Uuid>],
        told(&c.accounts) as &[Option<&str>],
        told(&c.turns) as &[Option<&str>],
    )
    .fetch_all(db)
    .await
}
