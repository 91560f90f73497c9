//! What is compared and what it is weighed against, and what has to be asked for that.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{attempts, deletions, limits};
use crate::{
    config::{Config, Ignored, Problem, Rate},
    gates::Window,
    job::JobState,
    store::{
        budgets::StandingRow,
        plan::{
            Ages, Arrivals, AttemptLimits, COUNTED_JOBS, CrowdedKeys, FinishedOfKind, JobsOfKind,
            KindAges, Letters, LinesOfKind, RunTimes, Starts,
        },
        queues::Depth,
        schedules::ScheduleRow,
        workers::WorkerStatus,
    },
};

/// A configuration as its text has it, and under the overrides of now.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) written: Config,
    pub(crate) holds: Config,
}

/// What is compared.
#[derive(Debug)]
pub(crate) struct Sides {
    pub(crate) before: Side,
    pub(crate) after: Side,
    pub(crate) revision: Revision,
    /// Overrides that hold now and would not hold over the new text.
    pub(crate) lost_overrides: Vec<Ignored>,
    pub(crate) warnings: Vec<Problem>,
}

/// Where the side before the change comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Revision {
    Number(i64),
    /// There is none: the built-in defaults.
    None,
    /// The newest is from a later release: what this process goes by.
    Unreadable(i64),
}

impl Revision {
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) | Self::Unreadable(number) => Some(number),
            Self::None => None,
        }
    }
}

/// What the database has to be asked for two sides.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) attempts: AttemptLimits,
    /// Every kind, and beside it the longest attempt that it may have, in seconds.
    pub(crate) kinds: Vec<String>,
    pub(crate) timeouts: Vec<f64>,
    /// Kinds whose limit per key has become lower, and beside each its limit.
    pub(crate) keyed_kinds: Vec<String>,
    pub(crate) per_key: Vec<i32>,
    /// Kinds that have a limit per key before or after.
    pub(crate) lined_kinds: Vec<String>,
    /// Whether budgets have fewer calls a day.
    pub(crate) has_tighter_budgets: bool,
    /// What retention deletes of the history, and the span of all of these ages.
    pub(crate) finished: Option<(Ages, KindAges)>,
    /// The same of kinds that are not known.
    pub(crate) finished_of_others: Option<Ages>,
    /// Those that are.
    pub(crate) known: Vec<String>,
    pub(crate) letters: Option<Ages>,
    pub(crate) registered: BTreeSet<String>,
}

impl Asked {
    /// `registered` are the kinds that this program has handlers for.
    pub(crate) fn for_sides(sides: &Sides, registered: BTreeSet<String>) -> Self {
        let (before, after) = (&sides.before.holds, &sides.after.holds);
        let kinds = super::kinds_of(before, after);
        let per_key = limits::lower_per_key(before, after);
        let known = kinds.iter().map(|kind| (*kind).to_owned());
        Self {
            known: known.chain(registered.iter().cloned()).collect(),
            attempts: attempts::asked(before, after),
            timeouts: kinds
                .iter()
                .map(|kind| after.policy(kind).timeout.as_secs_f64())
                .collect(),
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            keyed_kinds: per_key.iter().map(|(kind, _)| (*kind).to_owned()).collect(),
            per_key: per_key
                .iter()
                .map(|(_, most)| i32::try_from(*most).unwrap_or(i32::MAX))
                .collect(),
            lined_kinds: limits::kinds_with_lines(before, after),
            has_tighter_budgets: !limits::tighter_budgets(before, after).is_empty(),
            finished: deletions::of_kinds(before, after, &registered),
            finished_of_others: deletions::of_others(before, after, &registered),
            letters: deletions::of_letters(before, after),
            registered,
        }
    }
}

/// What a change is weighed against.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// By the database's clock.
    pub(crate) at: DateTime<Utc>,
    /// The kinds that this program has handlers for.
    pub(crate) registered: BTreeSet<String>,
    /// Up to a million jobs that are still to be done.
    pub(crate) jobs: Vec<JobsOfKind>,
    /// What the leader counted last.
    pub(crate) kept: Vec<Depth>,
    pub(crate) run_times: Vec<RunTimes>,
    pub(crate) arrivals: Vec<Arrivals>,
    pub(crate) workers: Vec<WorkerStatus>,
    pub(crate) paused_queues: BTreeSet<String>,
    pub(crate) crowded: Vec<CrowdedKeys>,
    pub(crate) lines: Vec<LinesOfKind>,
    pub(crate) starts: Vec<Starts>,
    /// Where some have fewer calls a day.
    pub(crate) budgets: Vec<StandingRow>,
    pub(crate) schedules: Vec<ScheduleRow>,
    /// Counted on so many per cent of the history.
    pub(crate) finished: Vec<FinishedOfKind>,
    pub(crate) finished_percent: f32,
    pub(crate) finished_of_others: i64,
    pub(crate) others_percent: f32,
    pub(crate) letters: Letters,
}

impl Facts {
    /// Whether every job was counted, and not a million of them.
    pub(super) fn counts_all(&self) -> bool {
        self.jobs.iter().map(|row| row.jobs).sum::<i64>() < COUNTED_JOBS
    }

    /// How many jobs of a queue are in a state.
    pub(super) fn count(&self, queue: &str, state: JobState) -> i64 {
        let is_meant = |row: &&JobsOfKind| row.queue == queue && row.state == state.as_str();
        let counted: i64 = self.jobs.iter().filter(is_meant).map(|row| row.jobs).sum();
        if self.counts_all() {
            return counted;
        }
        let kept = self.kept.iter();
        let kept = kept.filter(|depth| depth.queue == queue && depth.state == state.as_str());
        kept.map(|depth| depth.jobs).sum::<i64>().max(counted)
    }

    /// How many ready jobs of a queue a held account keeps, or a budget as far as claims have met them.
    pub(super) fn held(&self, queue: &str) -> i64 {
        let here = self.jobs.iter().filter(|row| row.queue == queue);
        here.map(|row| row.held).sum()
    }

    /// What counts of a queue's latest starts under a rate, as a claim would see it.
    pub(super) fn window(&self, queue: &str, rate: Rate) -> Window {
        let now = self.at;
        let row = self.starts.iter().find(|row| row.queue == queue);
        let starts = row.into_iter().flat_map(move |row| {
            // Kept as if they were at the end of a part of their span, which lies ahead; under another rate they are not.
            let times = row.times.iter().map(move |at| now.min(*at));
            times.zip(row.counts.iter().map(|count| count.unsigned_abs()))
        });
        Window::new((rate.count, rate.per.as_secs_f64()), starts, now)
    }

    /// Jobs that wait, whatever for.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &JobsOfKind> {
        let rows = self.jobs.iter();
        rows.filter(|row| row.state != JobState::Running.as_str())
    }

    /// How many processes work on a queue; on one that is new, those that work on all others.
    pub(super) fn processes(&self, queue: &str, before: &Config) -> i64 {
        let is_new = !before.queues.contains_key(queue);
        let works = |worker: &&WorkerStatus| {
            let has = |queue: &str| worker.slots.get(queue).is_some();
            has(queue) || (is_new && before.queues.keys().all(|other| has(other)))
        };
        let processes = self.workers.iter().filter(works).count();
        i64::try_from(processes).unwrap_or(i64::MAX)
    }
}
