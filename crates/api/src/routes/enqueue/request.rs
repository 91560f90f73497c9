//! What whoever enqueues sends, and the job it means.

use std::{collections::BTreeMap, time::Duration};

use axum::http::{HeaderMap, HeaderValue};
use chrono::{DateTime, Utc};
use queue::{JobState, NewJob, OnConflict, Source, Start, Unique};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{auth::Caller, error::ApiError, json::Object};

const TRACEPARENT: &str = "traceparent";
/// The states that hold a unique key where none are named.
const WHILE: [JobState; 4] = [
    JobState::Scheduled,
    JobState::Ready,
    JobState::Running,
    JobState::Retrying,
];

/// A job to be enqueued. Only `kind` is required; what is absent or null comes from the kind.
#[derive(ToSchema)]
#[schema(example = json!({
    "kind": "email.send",
    "payload": {"template": "welcome", "to": "a@example.com", "data": {"name": "Ada"}},
    "priority": 5,
    "delay": "15m",
    "tenant": "acme",
    "unique": {"key": "welcome-42", "on_conflict": "keep"},
    "tags": {"campaign": "spring"}
}))]
pub(super) struct EnqueueRequest {
    /// `family.action`; `GET /v1/kinds` lists them.
    kind: String,
    /// What the handler gets, as it is sent: checked against the kind's schema. Empty object unless sent.
    #[schema(value_type = Option<Object>)]
    payload: Option<Box<RawValue>>,
    /// Another queue than the kind's.
    queue: Option<String>,
    /// 0 (first) to 9.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<i16>,
    /// When it may start; not beside `delay`.
    run_at: Option<DateTime<Utc>>,
    /// How long after it was stored it may start, in words; not beside `run_at`.
    #[schema(value_type = Option<String>, example = "15m")]
    delay: Option<Duration>,
    /// 1 to 100.
    #[schema(minimum = 1, maximum = 100)]
    max_attempts: Option<u32>,
    /// The customer of the upstream app that it belongs to.
    tenant: Option<String>,
    /// Groups jobs; what the kind's own field of the payload says unless sent.
    key: Option<String>,
    /// Claims that it is the only job of its kind and tenant with a key.
    unique: Option<UniqueRequest>,
    /// At most 20; names to 60 characters, values to 255.
    tags: Option<BTreeMap<String, String>>,
    /// In a batch: makes the item safe to repeat, as the `Idempotency-Key` header does for a single job.
    idempotency_key: Option<String>,
}

/// A claim that a job is the only one of its kind and tenant with this key.
#[derive(ToSchema)]
struct UniqueRequest {
    /// 1 to 255 characters.
    key: String,
    /// The states in which the job holds the key: `scheduled`, `ready` and `retrying` must be among them, `running` may
    /// be; all four unless said.
    #[schema(rename = "while", value_type = Option<Vec<String>>, example = json!(["scheduled", "ready", "running", "retrying"]))]
    states: Option<Vec<JobState>>,
    /// What happens when the key is taken: `keep` (unless said), `replace`, `reject` or `one_behind`.
    #[schema(value_type = Option<String>, example = "keep")]
    on_conflict: Option<OnConflict>,
}

impl EnqueueRequest {
    /// Reads the members of a single enqueue.
    pub(super) fn read(object: Object<'_>) -> Result<Self, ApiError> {
        Self::read_with_key(object, |_| None)
    }

    /// Reads the members of a batch's item, which may have an idempotency key of its own.
    pub(super) fn read_item(object: Object<'_>) -> Result<Self, ApiError> {
        Self::read_with_key(object, |object| object.text("idempotency_key"))
    }

    fn read_with_key(
        mut object: Object<'_>,
        idempotency_key: impl FnOnce(&mut Object<'_>) -> Option<String>,
    ) -> Result<Self, ApiError> {
        let request = Self {
            kind: object.required_text("kind"),
            payload: object.raw("payload").map(RawValue::to_owned),
            queue: object.text("queue"),
            priority: object.integer("priority", 0..=9),
            run_at: object.time("run_at"),
            delay: object.duration("delay"),
            max_attempts: object.integer("max_attempts", 1..=100),
            tenant: object.text("tenant"),
            key: object.text("key"),
            unique: UniqueRequest::take(&mut object),
            tags: object.texts_by_name("tags"),
            idempotency_key: idempotency_key(&mut object),
        };
        if request.run_at.is_some() && request.delay.is_some() {
            object.problem("delay", "cannot be given beside `run_at`");
        }
        object.finish()?;
        Ok(request)
    }

    /// The item's idempotency key.
    pub(super) fn take_idempotency_key(&mut self) -> Option<String> {
        self.idempotency_key.take()
    }

    /// The job that is meant, if this caller may enqueue it.
    pub(super) fn into_job(
        self,
        caller: &Caller,
        traceparent: Option<String>,
    ) -> Result<NewJob, ApiError> {
        caller.may_enqueue(&self.kind)?;
        let payload = match self.payload {
            Some(payload) => payload,
            None => RawValue::from_string("{}".to_owned()).expect("an empty object is JSON"),
        };
        let start = match (self.run_at, self.delay) {
            (Some(time), _) => Start::At(time),
            (None, Some(delay)) => Start::After(delay),
            (None, None) => Start::Now,
        };
        Ok(NewJob {
            queue: self.queue,
            priority: self.priority,
            start,
            max_attempts: self.max_attempts,
            tenant: caller.tenant_for(self.tenant)?,
            key: self.key,
            unique: self.unique.map(UniqueRequest::into_unique),
            tags: self.tags.unwrap_or_default(),
            traceparent,
            ..NewJob::new(self.kind, payload, Source::Http)
        })
    }
}

impl UniqueRequest {
    fn take(object: &mut Object<'_>) -> Option<Self> {
        let mut inner = object.object("unique")?;
        let unique = Self {
            key: inner.required_text("key"),
            states: inner.words("while"),
            on_conflict: inner.word("on_conflict"),
        };
        object.close(inner);
        Some(unique)
    }

    fn into_unique(self) -> Unique {
        Unique {
            key: self.key,
            states: self.states.unwrap_or_else(|| WHILE.to_vec()),
            on_conflict: self.on_conflict.unwrap_or(OnConflict::Keep),
        }
    }
}

/// The W3C trace context of a request. One that is malformed is left out, as its specification asks.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let mut sent = headers.get_all(TRACEPARENT).iter();
    match (sent.next().map(HeaderValue::to_str), sent.next()) {
        (Some(Ok(context)), None) if is_trace_context(context) => Some(context.to_owned()),
        _ => None,
    }
}

/// Version 00: `00-` trace id `-` parent id `-` flags, in lower-case hexadecimal, neither id all zeros.
fn is_trace_context(text: &str) -> bool {
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags] = parts.as_slice() else {
        return false;
    };
    *version == "00"
        && is_hex(trace, 32)
        && !is_zero(trace)
        && is_hex(parent, 16)
        && !is_zero(parent)
        && is_hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_carried_only_when_it_is_sound() {
        let sound = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

        assert!(is_trace_context(sound));
        for odd in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert!(!is_trace_context(odd), "{odd}");
        }
    }

    #[test]
    fn a_delay_beside_a_time_is_wrong() {
        let text = r#"{"kind": "email.send", "delay": "15m", "run_at": "2030-01-31T08:00:00Z"}"#;

        let refused = EnqueueRequest::read(Object::parse(text).expect("an object"));

        assert!(matches!(refused, Err(ApiError::Invalid(errors)) if errors[0].pointer == "/delay"));
    }

    #[test]
    fn a_single_enqueue_knows_no_idempotency_key_among_its_members() {
        let text = r#"{"kind": "email.send", "idempotency_key": "a"}"#;

        let single = EnqueueRequest::read(Object::parse(text).expect("an object"));
        let item = EnqueueRequest::read_item(Object::parse(text).expect("an object"));

        assert!(matches!(single, Err(ApiError::Invalid(_))));
        assert!(item.is_ok());
    }
}
