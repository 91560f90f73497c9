//! New limits that the jobs of now are beyond.

use serde::Serialize;

use super::{Facts, Sides};
use crate::{
    config::{Config, Queue},
    job::JobState,
};

/// A limit of `jobs.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Ready jobs of a queue: enqueues are refused until there are fewer.
    MaxReady,
    /// Attempts of a queue in each process: none begins until enough have ended.
    Concurrency,
    /// Attempts of a queue in the fleet: likewise.
    GlobalConcurrency,
    /// Attempts of a kind with the same key in the fleet: likewise.
    PerKeyConcurrency,
}

impl Limit {
    /// The key of `jobs.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxReady => "max_ready",
            Self::Concurrency => "concurrency",
            Self::GlobalConcurrency => "global_concurrency",
            Self::PerKeyConcurrency => "per_key_concurrency",
        }
    }
}

/// A limit that is lower than what there is now. Nothing is stopped for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverLimit {
    /// Which.
    pub limit: Limit,
    /// Of which queue; of which kind, where it is a limit per key.
    pub of: String,
    /// How many it allows: in the whole fleet, and with one key where it is a limit per key.
    pub most: i64,
    /// How many there are; of all keys that have too many, where it is a limit per key.
    pub now: i64,
    /// Keys with too many, where it is a limit per key.
    pub keys: Option<i64>,
}

/// The new limit, if it is lower than the one before or there was none.
fn lower<T: PartialOrd>(before: Option<T>, after: Option<T>) -> Option<T> {
    after.filter(|after| before.is_none_or(|before| *after < before))
}

/// Kinds whose limit per key has become lower, with what it is.
pub(super) fn lower_per_key<'a>(before: &Config, after: &'a Config) -> Vec<(&'a str, u32)> {
    let limit = |name: &str| before.kinds.get(name)?.per_key_concurrency;
    let kinds = after.kinds.iter();
    kinds
        .filter_map(|(name, kind)| {
            let most = lower(limit(name), kind.per_key_concurrency)?;
            Some((name.as_str(), most))
        })
        .collect()
}

pub(super) fn exceeded(sides: &Sides, facts: &Facts) -> Vec<OverLimit> {
    let (before, after) = (&sides.before.holds, &sides.after.holds);
    let mut found = Vec::new();
    for (name, queue) in &after.queues {
        let limits = of_queue(before.queues.get(name), queue);
        let processes = facts.processes(name, before);
        let ready = facts.count(name, JobState::Ready);
        let running = facts.count(name, JobState::Running);
        for (limit, most) in limits {
            let (most, now) = match limit {
                Limit::MaxReady => (most, ready),
                Limit::Concurrency => (most.saturating_mul(processes), running),
                Limit::GlobalConcurrency | Limit::PerKeyConcurrency => (most, running),
            };
            if now > most {
                found.push(OverLimit {
                    limit,
                    of: name.clone(),
                    most,
                    now,
                    keys: None,
                });
            }
        }
    }
    for (kind, most) in lower_per_key(before, after) {
        let crowded = facts.crowded.iter().filter(|row| row.kind == kind);
        found.extend(crowded.map(|row| OverLimit {
            limit: Limit::PerKeyConcurrency,
            of: kind.to_owned(),
            most: i64::from(most),
            now: row.running,
            keys: Some(row.keys),
        }));
    }
    found
}

/// The limits of a queue that have become lower.
fn of_queue(was: Option<&Queue>, is: &Queue) -> Vec<(Limit, i64)> {
    let max_ready = lower(was.and_then(|queue| queue.max_ready), is.max_ready);
    let global = lower(
        was.and_then(|queue| queue.global_concurrency),
        is.global_concurrency,
    );
    let each = lower(was.map(|queue| queue.concurrency), Some(is.concurrency));
    let max_ready = max_ready.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
    [
        (Limit::MaxReady, max_ready),
        (Limit::Concurrency, each.map(i64::from)),
        (Limit::GlobalConcurrency, global.map(i64::from)),
    ]
    .into_iter()
    .filter_map(|(limit, most)| Some((limit, most?)))
    .collect()
}
