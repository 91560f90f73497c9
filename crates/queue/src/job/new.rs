//! What whoever enqueues says about a job, and what it is told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{json, value::RawValue};
use sha2::{Digest, Sha256};

use super::{EnqueueOutcome, JobId, JobState, OnConflict, Source};

/// Most characters of an idempotency key.
const LONGEST_KEY: usize = 255;

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

    /// A hash of what is asked for, for [`Idempotency`]: the same by whatever way the job comes, however the request is
    /// laid out, in whatever trace.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let start = match self.start {
            Start::Now => json!("now"),
            Start::After(delay) => {
                json!({"seconds": delay.as_secs(), "nanos": delay.subsec_nanos()})
            }
            Start::At(time) => json!(time),
        };
        let unique = self.unique.as_ref().map(|unique| {
            let states = unique.states.iter();
            json!({
                "key": unique.key,
                "states": states.fold(0, |bits, state| bits | state.bit()),
                "on_conflict": unique.on_conflict.as_str(),
            })
        });
        let asked = json!({
            "kind": &*self.kind,
            "payload": without_layout(self.payload.get()),
            "queue": self.queue,
            "priority": self.priority,
            "start": start,
            "max_attempts": self.max_attempts,
            "tenant": self.tenant,
            "key": self.key,
            "unique": unique,
            "tags": self.tags,
        });
        Sha256::digest(asked.to_string()).into()
    }
}

/// JSON without the white space between its tokens, otherwise as it was sent.
fn without_layout(text: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let mut kept = text.to_owned();
    kept.retain(|c| {
        let is_kept = is_text || !matches!(c, ' ' | '\t' | '\n' | '\r');
        if c == '"' && !is_escaped {
            is_text = !is_text;
        }
        is_escaped = is_text && c == '\\' && !is_escaped;
        is_kept
    });
    kept
}

/// Makes an enqueue safe to repeat: the same key with the same request answers as the first time.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Who asks: keys of different API clients never meet.
    pub client: String,
    /// As [`Self::is_key`] has it.
    pub key: String,
    /// [`NewJob::fingerprint`]: another job under the same key is refused.
    pub fingerprint: [u8; 32],
}

impl Idempotency {
    /// Whether a text can be a key: 1 to 255 visible ASCII characters.
    #[must_use]
    pub fn is_key(text: &str) -> bool {
        (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn job(payload: &str) -> NewJob {
        let payload = RawValue::from_string(payload.to_owned()).expect("JSON");
        NewJob::new("email.send", payload, Source::Http)
    }

    #[test]
    fn layout_and_trace_are_no_part_of_what_is_asked_for() {
        let plain = job(r#"{"a":" \\\"b ","n":1.0}"#);
        let other = NewJob {
            traceparent: Some("00-trace".to_owned()),
            source: Source::Cli,
            ..job("{\n\t\"a\" : \" \\\\\\\"b \",\r\n \"n\":1.0 }")
        };

        assert_eq!(plain.fingerprint(), other.fingerprint());
    }

    #[test]
    fn every_member_is_part_of_what_is_asked_for() {
        let first = || job("{}");
        let unique = Unique {
            key: "a".to_owned(),
            states: vec![JobState::Ready],
            on_conflict: OnConflict::Keep,
        };
        let one = || Some("1".to_owned());

        for other in [
            job("[]"),
            job(r#"{"a": " "}"#),
            job(r#"{"a": "  "}"#),
            NewJob {
                kind: "email.other".into(),
                ..first()
            },
            NewJob {
                queue: one(),
                ..first()
            },
            NewJob {
                priority: Some(1),
                ..first()
            },
            NewJob {
                start: Start::After(Duration::from_secs(1)),
                ..first()
            },
            NewJob {
                start: Start::At(DateTime::UNIX_EPOCH),
                ..first()
            },
            NewJob {
                max_attempts: Some(1),
                ..first()
            },
            NewJob {
                tenant: one(),
                ..first()
            },
            NewJob {
                key: one(),
                ..first()
            },
            NewJob {
                unique: Some(unique),
                ..first()
            },
            NewJob {
                tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
                ..first()
            },
        ] {
            assert_ne!(other.fingerprint(), first().fingerprint(), "{other:?}");
        }
        assert_ne!(
            job(r#"{"a": " "}"#).fingerprint(),
            job(r#"{"a": "  "}"#).fingerprint()
        );
    }
}
