//! Jobs that no worker takes: of queues and kinds that are gone, and of kinds that move to where nobody works.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Facts, Sides};

/// Jobs that wait and that no worker takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unclaimed {
    /// Where they wait.
    pub queue: String,
    /// Of which kind; `None`: of any.
    pub kind: Option<String>,
    /// How many wait now.
    pub jobs: i64,
    /// Why.
    pub why: WhyUnclaimed,
    /// Whether it is the change that does it; else nobody takes them now either.
    pub is_new: bool,
}

/// Why no worker takes a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyUnclaimed {
    /// The text does not have the queue.
    QueueGone,
    /// The text does not have the kind: processes that start with it do not run it.
    KindGone,
    /// The kind's new jobs wait in a queue on which no process works.
    NoWorker,
}

impl WhyUnclaimed {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueGone => "queue_gone",
            Self::KindGone => "kind_gone",
            Self::NoWorker => "no_worker",
        }
    }
}

pub(super) fn find(sides: &Sides, facts: &Facts) -> Vec<Unclaimed> {
    let (before, after) = (&sides.before.holds, &sides.after.holds);
    let mut in_lost_queues: BTreeMap<&str, i64> = BTreeMap::new();
    let mut of_lost_kinds: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for row in facts.waiting() {
        let is_kind_gone =
            before.kinds.contains_key(&row.kind) && !after.kinds.contains_key(&row.kind);
        if !after.queues.contains_key(&row.queue) {
            *in_lost_queues.entry(&row.queue).or_default() += row.jobs;
        } else if is_kind_gone {
            *of_lost_kinds
                .entry((row.queue.as_str(), row.kind.as_str()))
                .or_default() += row.jobs;
        }
    }

    let queues = in_lost_queues.into_iter().map(|(queue, jobs)| Unclaimed {
        queue: queue.to_owned(),
        kind: None,
        jobs,
        why: WhyUnclaimed::QueueGone,
        is_new: before.queues.contains_key(queue),
    });
    let kinds = of_lost_kinds
        .into_iter()
        .map(|((queue, kind), jobs)| Unclaimed {
            queue: queue.to_owned(),
            kind: Some(kind.to_owned()),
            jobs,
            why: WhyUnclaimed::KindGone,
            is_new: true,
        });
    queues.chain(kinds).chain(moved(sides, facts)).collect()
}

/// Kinds whose jobs will wait where nobody works. Where nobody works at all it says nothing of the change.
fn moved(sides: &Sides, facts: &Facts) -> Vec<Unclaimed> {
    let (before, after) = (&sides.before.holds, &sides.after.holds);
    let find = |kind: &String| {
        let policy = after.policy(kind);
        let queue = &policy.queue;
        let is_moved = before.kinds.contains_key(kind) && before.policy(kind).queue != *queue;
        let has_nobody = is_moved && facts.processes(queue, before) == 0;
        has_nobody.then(|| Unclaimed {
            queue: queue.clone(),
            kind: Some(kind.clone()),
            jobs: 0,
            why: WhyUnclaimed::NoWorker,
            is_new: true,
        })
    };
    if facts.workers.is_empty() {
        return Vec::new();
    }
    after.kinds.keys().filter_map(find).collect()
}
