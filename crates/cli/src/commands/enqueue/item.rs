//! A line of `enqueue --ndjson`: the members of `POST /v1/jobs`, and what they make of a job. Idempotency keys, however
//! they are given.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use queue::{Idempotency, JobState, NewJob, OnConflict, Source, Start, Unique};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

use crate::output::words::span;

/// Idempotency keys of the command line never meet those of API keys.
const CLIENT: &str = "cli";

/// The states in which a unique job holds its key unless it names others.
const WAITING_OR_RUNNING: [JobState; 4] = [
    JobState::Scheduled,
    JobState::Ready,
    JobState::Running,
    JobState::Retrying,
];

/// One job as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    kind: String,
    payload: Option<Box<RawValue>>,
    queue: Option<String>,
    priority: Option<i16>,
    run_at: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "in_words")]
    delay: Option<Duration>,
    max_attempts: Option<u32>,
    tenant: Option<String>,
    key: Option<String>,
    unique: Option<UniqueItem>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UniqueItem {
    key: String,
    #[serde(rename = "while")]
    states: Option<Vec<JobState>>,
    on_conflict: Option<OnConflict>,
}

/// Reads a line. What the engine checks, such as the kind and the payload, is left to it.
pub(super) fn read(line: &str) -> Result<(NewJob, Option<Idempotency>), serde_json::Error> {
    let item: Item = serde_json::from_str(line)?;
    let start = match (item.delay, item.run_at) {
        (Some(_), Some(_)) => {
            return Err(serde_json::Error::custom(
                "give either `delay` or `run_at`, not both",
            ));
        }
        (Some(delay), None) => Start::After(delay),
        (None, Some(at)) => Start::At(at),
        (None, None) => Start::Now,
    };
    let payload = match item.payload {
        Some(payload) => payload,
        None => RawValue::from_string("{}".to_owned())?,
    };
    let job = NewJob {
        queue: item.queue,
        priority: item.priority,
        start,
        max_attempts: item.max_attempts,
        tenant: item.tenant,
        key: item.key,
        unique: item.unique.map(|unique| Unique {
            key: unique.key,
            states: unique.states.unwrap_or_else(|| WAITING_OR_RUNNING.to_vec()),
            on_conflict: unique.on_conflict.unwrap_or(OnConflict::Keep),
        }),
        tags: item.tags,
        ..NewJob::new(item.kind, payload, Source::Cli)
    };
    let idempotency = repeatable(item.idempotency_key, &job);
    Ok((job, idempotency.map_err(serde_json::Error::custom)?))
}

/// An idempotency key that is none.
#[derive(Debug, thiserror::Error)]
#[error("an idempotency key must have 1 to 255 visible ASCII characters")]
pub(crate) struct NotAKey;

/// What makes the job safe to repeat, if a key is given.
pub(super) fn repeatable(
    key: Option<String>,
    job: &NewJob,
) -> Result<Option<Idempotency>, NotAKey> {
    match key {
        None => Ok(None),
        Some(key) if Idempotency::is_key(&key) => Ok(Some(Idempotency {
            client: CLIENT.to_owned(),
            key,
            fingerprint: job.fingerprint(),
        })),
        Some(_) => Err(NotAKey),
    }
}

fn in_words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| {
        span(&text).map_err(|_| D::Error::custom("`delay` is a span such as \"15m\" or \"2h\""))
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kind_is_required() {
        let (job, idempotency) = read(r#"{"kind": "email.send"}"#).expect("valid");

        assert_eq!(&*job.kind, "email.send");
        assert_eq!(job.payload.get(), "{}");
        assert_eq!(job.start, Start::Now);
        assert!(idempotency.is_none());
    }

    #[test]
    fn every_member_is_taken_and_the_payload_is_kept_as_sent() {
        let (job, idempotency) = read(
            r#"{"kind": "a.b", "payload": {"n": 12345678901234567890123}, "queue": "q", "priority": 3,
                "delay": "15m", "max_attempts": 2, "tenant": "acme", "key": "k", "idempotency_key": "i",
                "unique": {"key": "u", "while": ["scheduled", "ready", "retrying"], "on_conflict": "reject"},
                "tags": {"campaign": "spring"}}"#,
        )
        .expect("valid");

        assert_eq!(job.payload.get(), r#"{"n": 12345678901234567890123}"#);
        assert_eq!(job.start, Start::After(Duration::from_secs(900)));
        assert_eq!(
            job.unique.map(|unique| unique.on_conflict),
            Some(OnConflict::Reject)
        );
        assert_eq!(job.tags.get("campaign").map(String::as_str), Some("spring"));
        assert_eq!(
            idempotency.map(|idempotency| idempotency.key),
            Some("i".to_owned())
        );
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told() {
        for (line, told) in [
            (r#"{"kind": "a.b", "prio": 1}"#, "unknown field `prio`"),
            (r#"{"payload": {}}"#, "missing field `kind`"),
            (r#"{"kind": "a.b", "delay": "soon"}"#, "`delay` is a span"),
            (
                r#"{"kind": "a.b", "delay": "1h", "run_at": "2026-05-20T09:00:00Z"}"#,
                "give either `delay` or `run_at`",
            ),
            ("{", "EOF while parsing"),
        ] {
            let refused = read(line).expect_err(line).to_string();

            assert!(refused.contains(told), "{line}: {refused}");
        }
    }

    #[test]
    fn a_key_has_a_bearable_length_and_stays_what_it_was() {
        let line = |key: &str| format!(r#"{{"kind": "a.b", "idempotency_key": "{key}"}}"#);

        for bad in [String::new(), "k".repeat(256), "a b".to_owned()] {
            let refused = read(&line(&bad)).expect_err(&bad).to_string();

            assert!(refused.contains("1 to 255 visible"), "{bad}: {refused}");
        }
        let (job, idempotency) = read(&line("order-42")).expect("valid");
        let alone = repeatable(Some("order-42".to_owned()), &job).expect("a key");
        assert_eq!(
            idempotency.map(|known| (known.key, known.fingerprint)),
            alone.map(|known| (known.key, known.fingerprint))
        );
    }
}
