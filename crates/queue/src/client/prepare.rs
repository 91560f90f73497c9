//! From what was asked to a row that can be stored: defaults filled in by the kind's policy, everything checked.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{EnqueueError, KnownKind, Shared, seen::Seen};
use crate::{
    config::{FairBy, Policy, UniqueRule},
    job::{
        JobId, NewJob, PayloadProblem, Start, Unique,
        payload::{self, NoKey},
    },
    schedules::stamp,
    sealing,
    store::insert::{JobRow, UniqueRow},
};

/// Longest wait for a job's time: ten years, in seconds.
const LONGEST_DELAY_SECONDS: u64 = 10 * 365 * 24 * 3_600;
/// Most characters of a key, a tenant, a tag's value.
const LONGEST_NAME: usize = 255;
/// Most tags of a job, and most characters of a tag's name.
const MOST_TAGS: usize = 20;
const LONGEST_TAG_NAME: usize = 60;
/// Most schema violations told of one payload.
const MOST_VIOLATIONS: usize = 20;

impl Shared {
    /// Checks a job and fills in what its kind's policy says.
    pub(crate) fn prepare(&self, job: NewJob) -> Result<JobRow, EnqueueError> {
        self.prepare_seen(job, &Seen::default())
    }

    /// The same, with kinds and queues of other processes: what payloads of such kinds must be like is not known here.
    pub(crate) fn prepare_seen(&self, job: NewJob, seen: &Seen) -> Result<JobRow, EnqueueError> {
        let config = self.config();
        let (known, policy) = match seen.policy(&job.kind) {
            Some(policy) => (None, policy),
            None => (Some(self.known_kind(&job.kind)?), config.policy(&job.kind)),
        };
        let limit_bytes = config.http.max_body_bytes;
        if job.payload.get().len() > limit_bytes {
            return Err(EnqueueError::TooLarge { limit_bytes });
        }
        let mut value = payload::read(job.payload.get()).map_err(EnqueueError::PayloadSyntax)?;
        if value.get(sealing::MEMBER).is_some() {
            return Err(reserved());
        }
        if let Some(known) = known {
            let fits = fits_schema(known, &value);
            if fits.is_err() && stamp::may_bear_one(job.source) && stamp::take_off(&mut value) {
                fits_schema(known, &value)?;
            } else {
                fits?;
            }
            let late = too_late(known, &value);
            if !late.is_empty() {
                return Err(EnqueueError::Payload(late));
            }
        }
        self.fields(job, &policy, seen)
    }

    /// Whether a payload of this kind has come too late for what it asks for, as far as this process knows the kind.
    pub(crate) fn is_late(&self, kind: &str, payload: &str) -> bool {
        let Some(known) = self.kinds.get(kind) else {
            return false;
        };
        payload::read(payload).is_ok_and(|value| !too_late(known, &value).is_empty())
    }

    fn known_kind(&self, kind: &Arc<str>) -> Result<&KnownKind, EnqueueError> {
        self.kinds
            .get(kind)
            .ok_or_else(|| EnqueueError::UnknownKind {
                kind: kind.chars().take(LONGEST_NAME).collect(),
                suggestion: self
                    .kinds
                    .keys()
                    .map(|known| (strsim::damerau_levenshtein(known, kind), known))
                    .filter(|(distance, _)| *distance <= 3)
                    .min()
                    .map(|(_, known)| known.to_string()),
            })
    }

    fn fields(&self, job: NewJob, policy: &Policy, seen: &Seen) -> Result<JobRow, EnqueueError> {
        let queue = job.queue.unwrap_or_else(|| policy.queue.clone());
        let config = self.config();
        let is_known =
            queue == policy.queue || config.queues.contains_key(&queue) || seen.has_queue(&queue);
        if !is_known {
            let known = config.queues.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(field(
                "/queue",
                &format!(
                    "there is no queue \"{}\"; there are {known}",
                    shortened(&queue)
                ),
            ));
        }
        let priority = job.priority.unwrap_or(policy.priority);
        if !(0..=9).contains(&priority) {
            return Err(field("/priority", "must be 0 (first) to 9"));
        }
        let (run_at, delay_seconds) = start(job.start)?;
        let sealer = self.sealer_of(&job.kind, policy, seen)?;
        let key = match (job.key, policy.key.as_deref()) {
            (Some(key), _) => Some(key),
            (None, Some(name)) => key_of(job.payload.get(), name, sealer.is_some())?,
            (None, None) => None,
        };
        let unique = match job.unique {
            Some(unique) => Some(stated_unique(unique)?),
            None => match &policy.unique {
                Some(rule) => Some(unique_by_rule(rule, job.payload.get())?),
                None => None,
            },
        };
        let tenant = name("/tenant", job.tenant)?;
        let account = policy.account.as_deref();
        let id = JobId::new();
        let payload = job.payload.get();
        Ok(JobRow {
            id,
            account: account.and_then(|field| account_of(payload, field)),
            fair: self.turn_of(&queue, tenant.as_deref()),
            queue,
            kind: job.kind.to_string(),
            priority,
            run_at,
            delay_seconds,
            max_attempts: max_attempts(job.max_attempts)?,
            tenant,
            key: name("/key", key)?,
            unique,
            payload: match sealer {
                Some(sealer) => sealer.seal(id.0, payload),
                None => Box::<str>::from(job.payload).into_string(),
            },
            sealer: sealer.cloned(),
            tags: tags(job.tags)?,
            traceparent: job.traceparent,
            replay_of: job.replay_of.map(|id| id.0),
        })
    }

    /// Whose turn a job takes in a queue where somebody's jobs take turns. In a queue that another process alone knows the
    /// leader finds that out.
    fn turn_of(&self, queue: &str, tenant: Option<&str>) -> Option<String> {
        match self.config().queues.get(queue)?.fair_by? {
            FairBy::Tenant => Some(tenant.unwrap_or_default().to_owned()),
        }
    }
}

fn too_late(known: &KnownKind, value: &Value) -> Vec<PayloadProblem> {
    let late = known.info.late;
    late.map_or_else(Vec::new, |late| late(value, Utc::now()))
}

fn fits_schema(known: &KnownKind, value: &Value) -> Result<(), EnqueueError> {
    // Most payloads fit, and that alone is found out much faster than what is wrong.
    if known.validator.is_valid(value) {
        return Ok(());
    }
    let violations = known.validator.iter_errors(value).take(MOST_VIOLATIONS);
    let problems = violations.map(|violation| PayloadProblem {
        pointer: violation.instance_path().to_string(),
        // The library's text quotes the value, which can be personal data or a secret.
        message: violation.masked_with("the value").to_string(),
    });
    Err(EnqueueError::Payload(problems.collect()))
}

fn start(start: Start) -> Result<(Option<DateTime<Utc>>, Option<f64>), EnqueueError> {
    match start {
        Start::Now => Ok((None, None)),
        Start::After(delay) if delay.as_secs() > LONGEST_DELAY_SECONDS => {
            Err(field("/delay", "must be at most ten years"))
        }
        Start::After(delay) => Ok((None, Some(delay.as_secs_f64()))),
        Start::At(time) => {
            let latest = Utc::now() + chrono::Duration::days(3_650);
            let earliest = DateTime::UNIX_EPOCH;
            if time > latest || time < earliest {
                return Err(field(
                    "/run_at",
                    "must lie between 1970 and ten years from now",
                ));
            }
            Ok((Some(time), None))
        }
    }
}

fn max_attempts(asked: Option<u32>) -> Result<Option<i32>, EnqueueError> {
    match asked {
        None => Ok(None),
        Some(n @ 1..=100) => Ok(i32::try_from(n).ok()),
        Some(_) => Err(field("/max_attempts", "must be 1 to 100")),
    }
}

/// A name that is stored and shown: 1 to 255 characters without controls.
fn name(pointer: &'static str, name: Option<String>) -> Result<Option<String>, EnqueueError> {
    match name {
        Some(text) if !is_name(&text, LONGEST_NAME) => Err(field(
            pointer,
            "must have 1 to 255 characters, none of them a control character",
        )),
        name => Ok(name),
    }
}

fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn tags(tags: BTreeMap<String, String>) -> Result<Option<Value>, EnqueueError> {
    if tags.is_empty() {
        return Ok(None);
    }
    if tags.len() > MOST_TAGS {
        return Err(field("/tags", "there may be at most 20 tags"));
    }
    let fits = |(name, value): (&String, &String)| {
        is_name(name, LONGEST_TAG_NAME)
            && value.chars().count() <= LONGEST_NAME
            && !value.chars().any(char::is_control)
    };
    if !tags.iter().all(fits) {
        return Err(field(
            "/tags",
            "names have 1 to 60 characters, values at most 255, none of them a control character",
        ));
    }
    Ok(Some(Value::Object(
        tags.into_iter()
            .map(|(name, value)| (name, Value::String(value)))
            .collect(),
    )))
}

fn stated_unique(unique: Unique) -> Result<UniqueRow, EnqueueError> {
    if !is_name(&unique.key, LONGEST_NAME) {
        return Err(field(
            "/unique/key",
            "must have 1 to 255 characters, none of them a control character",
        ));
    }
    let states = unique
        .states
        .iter()
        .fold(0, |bits, state| bits | state.bit());
    // Without these a job could never take its key, or would lose it while it still waits.
    if states & 0b1011 != 0b1011 || unique.states.iter().any(|state| state.is_final()) {
        return Err(field(
            "/unique/while",
            "must hold scheduled, ready and retrying, may hold running, and nothing else",
        ));
    }
    Ok(UniqueRow {
        key: unique.key,
        states,
        on_conflict: unique.on_conflict,
    })
}

/// The key that a kind's rule makes of a payload; `millpond.unique_key_of` makes the same text.
fn unique_by_rule(rule: &UniqueRule, payload: &str) -> Result<UniqueRow, EnqueueError> {
    let mut fields = Vec::with_capacity(rule.fields.len());
    for name in &rule.fields {
        let text = payload::field_text(payload, name).map_err(|why| no_key(name, why))?;
        fields.push(text.unwrap_or_default());
    }
    let digest = Sha256::digest(fields.join("\u{1f}").as_bytes());
    Ok(UniqueRow {
        key: format!("fields:{}", hex::encode(digest)),
        states: rule.states.iter().fold(0, |bits, state| bits | state.bit()),
        on_conflict: rule.on_conflict,
    })
}

/// What groups a job with others; nothing where the payload has no single value there. Of a payload that lies encrypted
/// only a hash is kept outside of it.
fn key_of(payload: &str, name: &str, is_sealed: bool) -> Result<Option<String>, EnqueueError> {
    match payload::field_text(payload, name) {
        Ok(Some(key)) if is_sealed => Ok(Some(format!(
            "sha256:{}",
            hex::encode(Sha256::digest(key.as_bytes()))
        ))),
        Ok(key) => Ok(key),
        Err(NoKey::NotSingle) => Ok(None),
        Err(why @ NoKey::NotAsWritten) => Err(no_key(name, why)),
    }
}

/// The account that a job works for. What cannot be one's name is none: nothing is refused for the sake of a field that a
/// kind need not have.
pub(crate) fn account_of(payload: &str, field: &str) -> Option<String> {
    let account = payload::field_text(payload, field).ok()??;
    is_name(&account, LONGEST_NAME).then_some(account)
}

fn reserved() -> EnqueueError {
    EnqueueError::Payload(vec![PayloadProblem {
        pointer: payload::field_of(&[sealing::MEMBER.to_owned()]),
        message: "is the name that encrypted payloads have for themselves".to_owned(),
    }])
}

fn no_key(field: &str, why: NoKey) -> EnqueueError {
    EnqueueError::Payload(vec![PayloadProblem {
        pointer: payload::field_of(&payload::field_path(field)),
        message: why.to_string(),
    }])
}

fn field(pointer: &'static str, message: &str) -> EnqueueError {
    EnqueueError::Field {
        pointer,
        message: message.to_owned(),
    }
}

fn shortened(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_TAG_NAME)
        .collect()
}
