//! Kinds and queues that this process lacks but another one has, so that a command can act on the fleet without its
//! `jobs.toml`. Payloads of such kinds are left to the workers: only who registers a kind has its schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Deserialize;
use sqlx::PgConnection;

use super::Shared;
use crate::{
    config::{Policy, UniqueRule},
    job::{JobState, OnConflict, payload::field_of},
    store::{
        payload_keys,
        schema::{self, KindSeen},
    },
};

/// The states in which a job can hold its unique key.
const HOLDING: [JobState; 4] = [
    JobState::Scheduled,
    JobState::Ready,
    JobState::Running,
    JobState::Retrying,
];

/// A job's kind and the queue it asks for.
pub(crate) type Asked<'a> = (&'a str, Option<&'a str>);

/// What the database was told of kinds, queues and keys that this process lacks.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    kinds: BTreeMap<String, Arc<Policy>>,
    queues: BTreeSet<String>,
    has_keys: bool,
}

impl Seen {
    pub(super) fn policy(&self, kind: &str) -> Option<Arc<Policy>> {
        self.kinds.get(kind).map(Arc::clone)
    }

    pub(super) fn has_queue(&self, queue: &str) -> bool {
        self.queues.contains(queue)
    }

    /// Whether other processes have keys, where this one has none and was asked for a kind that they are for.
    pub(super) fn has_keys(&self) -> bool {
        self.has_keys
    }
}

/// A kind's rule for unique keys, as [`Shared`] tells it to the database.
#[derive(Deserialize)]
struct RuleSeen {
    paths: Vec<Vec<String>>,
    states: i16,
    on_conflict: OnConflict,
}

impl Shared {
    /// What the database knows of that which this process lacks.
    pub(crate) async fn seen(
        &self,
        conn: &mut PgConnection,
        asked: &[Asked<'_>],
    ) -> Result<Seen, sqlx::Error> {
        let mut seen = Seen::default();
        let kinds: BTreeSet<&str> = asked.iter().map(|(kind, _)| *kind).collect();
        if kinds.iter().any(|kind| self.lies_in_the_clear(kind)) {
            seen.has_keys = !payload_keys::known(&mut *conn).await?.is_empty();
        }
        let kinds = missing(kinds, |kind| self.kinds.contains_key(kind));
        if !kinds.is_empty() {
            for kind in schema::kinds_seen(&mut *conn, &kinds).await? {
                let name = kind.kind.clone();
                seen.kinds.insert(name, Arc::new(self.policy_seen(kind)));
            }
        }
        let queues: BTreeSet<&str> = asked.iter().filter_map(|(_, queue)| *queue).collect();
        let config = self.config();
        let queues = missing(queues, |queue| config.queues.contains_key(queue));
        if !queues.is_empty() {
            seen.queues
                .extend(schema::queues_seen(conn, &queues).await?);
        }
        Ok(seen)
    }

    /// Whether this process knows the kind and the queue by itself.
    pub(super) fn knows(&self, (kind, queue): Asked<'_>) -> bool {
        self.kinds.contains_key(kind)
            && queue.is_none_or(|queue| self.config().queues.contains_key(queue))
    }

    /// Whether payloads of a kind would be encrypted here, were there keys.
    pub(super) fn lies_in_the_clear(&self, kind: &str) -> bool {
        self.sealer().is_none() && self.config().policy(kind).encrypt
    }

    /// What a new job needs to know of such a kind; the rest of its policy is the workers' and is not looked at.
    fn policy_seen(&self, seen: KindSeen) -> Policy {
        Policy {
            queue: seen.queue,
            priority: seen.priority,
            key: seen.key_path.map(|path| field_of(&path)),
            account: seen.account_path.map(|path| field_of(&path)),
            encrypt: seen.encrypt,
            needs_keys: seen.encrypt,
            unique: seen
                .unique_rule
                .and_then(|rule| serde_json::from_value(rule).ok())
                .map(unique_rule),
            ..(*self.config().policy(&seen.kind)).clone()
        }
    }
}

fn missing(names: BTreeSet<&str>, is_here: impl Fn(&str) -> bool) -> Vec<String> {
    let missing = names.into_iter().filter(|name| !is_here(name));
    missing.map(str::to_owned).collect()
}

fn unique_rule(seen: RuleSeen) -> UniqueRule {
    UniqueRule {
        fields: seen.paths.iter().map(|path| field_of(path)).collect(),
        states: HOLDING
            .into_iter()
            .filter(|state| seen.states & state.bit() != 0)
            .collect(),
        on_conflict: seen.on_conflict,
    }
}
