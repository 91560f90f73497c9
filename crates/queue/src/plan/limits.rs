//! New limits that the jobs of now are beyond, and jobs that a new limit does not hold for.

use serde::Serialize;

use super::{Facts, Sides, kinds_of};
use crate::{
    budgets::ordinary_calls,
    config::{BudgetScope, Config, Queue},
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
    /// Attempts of a queue that the fleet starts in a span: none begins until enough of the latest are a span ago.
    Rate,
    /// Attempts of a kind with the same key in the fleet: none begins until enough have ended.
    PerKeyConcurrency,
    /// Calls a day that jobs of ordinary priority make from a budget: they wait until enough calls count no more.
    Daily,
}

impl Limit {
    /// The key of `jobs.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxReady => "max_ready",
            Self::Concurrency => "concurrency",
            Self::GlobalConcurrency => "global_concurrency",
            Self::Rate => "rate",
            Self::PerKeyConcurrency => "per_key_concurrency",
            Self::Daily => "daily",
        }
    }
}

/// A limit that is lower than what there is now. Nothing is stopped for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverLimit {
    /// Which.
    pub limit: Limit,
    /// Of which queue; of which kind, where it is a limit per key; of which budget, where it is one of calls.
    pub of: String,
    /// How many it allows: in the whole fleet, and with one key where it is a limit per key.
    pub most: i64,
    /// How many there are; of all keys that have too many, where it is a limit per key; the most calls of one account,
    /// where it is one of calls.
    pub now: i64,
    /// Keys with too many, where it is a limit per key; accounts, where each has a budget.
    pub keys: Option<i64>,
}

/// Waiting jobs of a kind that a new limit per key does not hold for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unlimited {
    /// The kind.
    pub kind: String,
    /// Those that have no key: it is found when a job is enqueued.
    pub jobs: i64,
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

/// Kinds that have a limit per key before or after.
pub(super) fn kinds_with_lines(before: &Config, after: &Config) -> Vec<String> {
    let is_limited = |config: &Config, name: &str| {
        let kind = config.kinds.get(name);
        kind.is_some_and(|kind| kind.per_key_concurrency.is_some())
    };
    let kinds = kinds_of(before, after).into_iter();
    kinds
        .filter(|kind| is_limited(before, kind) || is_limited(after, kind))
        .map(str::to_owned)
        .collect()
}

/// Budgets that give fewer calls a day to jobs of ordinary priority, with how many, and whether each account has them.
pub(super) fn tighter_budgets<'a>(
    before: &Config,
    after: &'a Config,
) -> Vec<(&'a str, u64, BudgetScope)> {
    let was = |name: &str| ordinary_calls(name, before.budgets.get(name)?);
    let budgets = after.budgets.iter();
    budgets
        .filter_map(|(name, budget)| {
            let most = lower(was(name), ordinary_calls(name, budget))?;
            Some((name.as_str(), most, budget.per))
        })
        .collect()
}

pub(super) fn exceeded(sides: &Sides, facts: &Facts) -> Vec<OverLimit> {
    let (before, after) = (&sides.before.holds, &sides.after.holds);
    let mut found = Vec::new();
    for (name, queue) in &after.queues {
        let was = before.queues.get(name);
        let here = OfQueue {
            ready: facts.count(name, JobState::Ready),
            running: facts.count(name, JobState::Running),
            processes: facts.processes(name, before),
        };
        found.extend(
            here.exceeded(was, queue)
                .into_iter()
                .chain(rate_of(name, was, queue, facts))
                .map(|(limit, most, now)| OverLimit {
                    limit,
                    of: name.clone(),
                    most,
                    now,
                    keys: None,
                }),
        );
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
    found.extend(spent(before, after, facts));
    found
}

/// Budgets of which more is used than the new day gives.
fn spent(before: &Config, after: &Config, facts: &Facts) -> Vec<OverLimit> {
    let mut found = Vec::new();
    for (name, most, per) in tighter_budgets(before, after) {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = facts.budgets.iter();
        let used: Vec<i64> = rows
            .filter(|row| row.name == name && row.used >= most)
            .map(|row| row.used)
            .collect();
        found.extend(
            used.iter().max().map(|now| OverLimit {
                limit: Limit::Daily,
                of: name.to_owned(),
                most,
                now: *now,
                keys: (per == BudgetScope::Account)
                    .then(|| i64::try_from(used.len()).unwrap_or(i64::MAX)),
            }),
        );
    }
    found
}

/// What there is of a queue.
struct OfQueue {
    ready: i64,
    running: i64,
    processes: i64,
}

impl OfQueue {
    /// The limits that have become lower and are exceeded: which, how many they allow, how many there are.
    fn exceeded(&self, was: Option<&Queue>, is: &Queue) -> Vec<(Limit, i64, i64)> {
        let max_ready = lower(was.and_then(|queue| queue.max_ready), is.max_ready);
        let max_ready = max_ready.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        let each = lower(was.map(|queue| queue.concurrency), Some(is.concurrency));
        // Where no process is known to work, what runs is nobody's share.
        let each = each.filter(|_| self.processes > 0);
        let of_processes = each.map(|most| i64::from(most).saturating_mul(self.processes));
        let global = lower(
            was.and_then(|queue| queue.global_concurrency),
            is.global_concurrency,
        );
        let mut found = Vec::new();
        // With as many as it allows, an enqueue is refused already.
        if let Some(most) = max_ready.filter(|most| self.ready >= *most) {
            found.push((Limit::MaxReady, most, self.ready));
        }
        if let Some(most) = of_processes.filter(|most| self.running > *most) {
            found.push((Limit::Concurrency, most, self.running));
        }
        if let Some(most) = global.map(i64::from).filter(|most| self.running > *most) {
            found.push((Limit::GlobalConcurrency, most, self.running));
        }
        found
    }
}

/// A new rate under which more was started lately than it allows.
fn rate_of(
    name: &str,
    was: Option<&Queue>,
    is: &Queue,
    facts: &Facts,
) -> Option<(Limit, i64, i64)> {
    let was = was.and_then(|queue| queue.rate);
    let rate = is.rate.filter(|rate| was != Some(*rate))?;
    let (_, counts) = facts.window(name, rate).to_keep();
    let started: i64 = counts.into_iter().map(i64::from).sum();
    let most = i64::from(rate.count);
    (started > most).then_some((Limit::Rate, most, started))
}

/// Kinds with a new limit per key, or another key, whose waiting jobs have none.
pub(super) fn unlimited(sides: &Sides, facts: &Facts) -> Vec<Unlimited> {
    let (before, after) = (&sides.before.holds, &sides.after.holds);
    let grouped = |config: &Config, name: &str| {
        let kind = config.kinds.get(name)?;
        kind.per_key_concurrency?;
        kind.policy.key.clone()
    };
    let kinds = after.kinds.keys().filter(|name| {
        let is = grouped(after, name);
        is.is_some() && is != grouped(before, name)
    });
    kinds
        .filter_map(|kind| {
            let lines = facts.lines.iter().filter(|line| line.kind == *kind);
            let jobs: i64 = lines.map(|line| line.without_key).sum();
            (jobs > 0).then(|| Unlimited {
                kind: kind.clone(),
                jobs,
            })
        })
        .collect()
}
