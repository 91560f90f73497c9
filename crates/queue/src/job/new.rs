//! What whoever enqueues says about a job, and what it is told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::{EnqueueOutcome, JobId, JobState, OnConflict, Source};

/// When a job may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At once.
    Now,
    /// So long after it was stored, by the database's clock.
    After(Duration),
    /// At this time; in the past means at once.
    At(DateTime<Utc>),
}

/// A claim that at most one job of this kind and tenant has this key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// 1 to 255 characters.
    pub key: String,
    /// The states in which the job holds the key; `scheduled`, `ready` and `retrying` among them.
    pub states: Vec<JobState>,
    /// What happens when the key is taken.
    pub on_conflict: OnConflict,
}

/// A job to be stored. Only `kind` and `payload` are needed; the rest comes from the kind's policy.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// `family.action`.
    pub kind: Arc<str>,
    /// The JSON that the handler gets, as it was sent.
    pub payload: Box<RawValue>,
    /// `None`: the kind's queue.
    pub queue: Option<String>,
    /// 0 (first) to 9; `None`: the kind's.
    pub priority: Option<i16>,
    /// When it may start.
    pub start: Start,
    /// 1 to 100; `None`: the kind's, as it stands when an attempt fails.
    pub max_attempts: Option<u32>,
    /// The customer of the upstream app that it belongs to.
    pub tenant: Option<String>,
    /// Groups jobs; `None`: from the payload, where the kind names a field.
    pub key: Option<String>,
    /// `None`: from the payload, where the kind has a rule.
    pub unique: Option<Unique>,
    /// At most 20; names to 60 characters, values to 255.
    pub tags: BTreeMap<String, String>,
    /// W3C trace context of the request that enqueued it.
    pub traceparent: Option<String>,
    /// The dead letter it replays.
    pub replay_of: Option<JobId>,
    /// Where it came from.
    pub source: Source,
}

impl NewJob {
    /// A job of this kind with this payload that may start at once.
    #[must_use]
    pub fn new(kind: impl Into<Arc<str>>, payload: Box<RawValue>, source: Source) -> Self {
        Self {
            kind: kind.into(),
            payload,
            queue: None,
            priority: None,
            start: Start::Now,
            max_attempts: None,
            tenant: None,
            key: None,
            unique: None,
            tags: BTreeMap::new(),
            traceparent: None,
            replay_of: None,
            source,
        }
    }
}

/// Makes an enqueue safe to repeat: the same key with the same request answers as the first time.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Who asks: keys of different API clients never meet.
    pub client: String,
    /// 1 to 255 characters.
    pub key: String,
    /// What was sent, hashed: another one under the same key is refused.
    pub fingerprint: [u8; 32],
}

/// What became of an enqueue; sent only after the job is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueued {
    /// The job: the new one, or the one that was there.
    pub id: JobId,
    /// Its kind.
    pub kind: Arc<str>,
    /// The queue it waits in.
    pub queue: String,
    /// Its state when this was answered first.
    pub state: JobState,
    /// When it is due.
    pub run_at: DateTime<Utc>,
    /// What was done.
    pub outcome: EnqueueOutcome,
    /// True where an idempotency key was known: this is the first answer once more.
    pub repeated: bool,
}
