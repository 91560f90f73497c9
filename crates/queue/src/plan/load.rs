//! How soon queues are empty: what waits, over what the slots do in a second less what arrives in one. No theory of
//! queues: what is not known of tomorrow's load is larger than what such a theory would add.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Facts, Sides};
use crate::{
    config::{Config, Queue, Rate},
    job::JobState,
    store::plan::Arrivals,
};

/// The parts of a span in which arrivals are counted.
const PARTS: usize = 12;
/// Shortest time that an attempt is taken to hold its slot: a claim and a settlement take some, too.
const SHORTEST_RUN_SECONDS: f64 = 0.001;

/// A queue, its work, and how soon that is done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueuePlan {
    /// The queue.
    pub queue: String,
    /// Jobs that could run now.
    pub ready: i64,
    /// Jobs that run.
    pub running: i64,
    /// Jobs that wait for their time.
    pub scheduled: i64,
    /// Jobs that failed and wait for their next attempt.
    pub retrying: i64,
    /// As it is; `None`: the configuration does not have the queue.
    pub before: Option<Outlook>,
    /// As it would be.
    pub after: Option<Outlook>,
}

/// What a queue can do, and how soon it is empty. Rates are of jobs in a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlook {
    /// Attempts that the fleet runs at a time.
    pub slots: i64,
    /// Jobs that arrive.
    pub arrivals_per_second: f64,
    /// How long an attempt runs on average; `None`: not measured.
    pub mean_run_seconds: Option<f64>,
    /// Jobs that can be done; `None`: not measured.
    pub capacity_per_second: Option<f64>,
    /// What becomes of what is ready and running.
    pub drain: Drain,
    /// When it is done, where `drain` is `drains`.
    pub drain_seconds: Option<f64>,
}

/// What becomes of a queue's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drain {
    /// There is none.
    Empty,
    /// It is done after a while.
    Drains,
    /// More arrives than can be done.
    Never,
    /// The queue is paused.
    Paused,
    /// No process works on the queue.
    NoWorker,
    /// How long its attempts run is not known.
    NotMeasured,
}

impl Drain {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Drains => "drains",
            Self::Never => "never",
            Self::Paused => "paused",
            Self::NoWorker => "no_worker",
            Self::NotMeasured => "not_measured",
        }
    }
}

pub(super) fn forecast(sides: &Sides, facts: &Facts) -> Vec<QueuePlan> {
    let (before, after) = (&sides.before.holds, &sides.after.holds);
    let load = Load {
        before,
        facts,
        runs: facts
            .run_times
            .iter()
            .map(|runs| (runs.kind.as_str(), runs.mean_seconds))
            .collect(),
        arrivals: steady(&facts.arrivals),
    };
    let with_jobs = facts.jobs.iter().map(|row| &row.queue);
    let names: BTreeSet<&String> = before
        .queues
        .keys()
        .chain(after.queues.keys())
        .chain(with_jobs)
        .collect();
    let mut plans: Vec<QueuePlan> = names
        .into_iter()
        .map(|queue| load.plan(queue, after))
        .filter(QueuePlan::is_worth_a_word)
        .collect();
    plans.sort_by_key(|plan| plan.before == plan.after);
    plans
}

impl QueuePlan {
    fn is_worth_a_word(&self) -> bool {
        let jobs = self.ready + self.running + self.scheduled + self.retrying;
        jobs > 0 || self.before != self.after
    }
}

/// What there is to do.
struct Load<'a> {
    before: &'a Config,
    facts: &'a Facts,
    /// The mean run time of each kind that was measured.
    runs: BTreeMap<&'a str, f64>,
    /// What arrives of each queue and kind.
    arrivals: BTreeMap<(&'a str, &'a str), f64>,
}

impl Load<'_> {
    fn plan(&self, queue: &str, after: &Config) -> QueuePlan {
        QueuePlan {
            queue: queue.to_owned(),
            ready: self.facts.count(queue, JobState::Ready),
            running: self.facts.count(queue, JobState::Running),
            scheduled: self.facts.count(queue, JobState::Scheduled),
            retrying: self.facts.count(queue, JobState::Retrying),
            before: self.outlook(queue, self.before),
            after: self.outlook(queue, after),
        }
    }

    fn outlook(&self, queue: &str, side: &Config) -> Option<Outlook> {
        let settings = side.queues.get(queue)?;
        let arrivals = self.arrivals_at(queue, side);
        let capacity = Capacity {
            slots: slots(settings, self.facts.processes(queue, self.before)),
            rate: settings.rate.map(per_second),
            is_paused: self.facts.paused_queues.contains(queue),
        };
        let [ready, running] =
            [JobState::Ready, JobState::Running].map(|state| self.facts.count(queue, state));
        Some(capacity.outlook(Work {
            jobs: ready + running,
            arrivals_per_second: arrivals.values().sum(),
            mean_run_seconds: self.mean_run(queue, &arrivals),
        }))
    }

    /// What arrives at a queue, by kind. A kind that moves to another queue takes along what arrives at its own.
    fn arrivals_at(&self, queue: &str, side: &Config) -> BTreeMap<&str, f64> {
        let mut arrivals: BTreeMap<&str, f64> = BTreeMap::new();
        for ((at, kind), rate) in &self.arrivals {
            let comes_here = if self.before.policy(kind).queue == *at {
                side.policy(kind).queue == queue
            } else {
                *at == queue
            };
            if comes_here {
                *arrivals.entry(kind).or_default() += rate;
            }
        }
        arrivals
    }

    /// The mean run time of what is ready and runs; where that tells nothing, of what arrives.
    fn mean_run(&self, queue: &str, arrivals: &BTreeMap<&str, f64>) -> Option<f64> {
        let states = [JobState::Ready, JobState::Running].map(JobState::as_str);
        let here = self.facts.jobs.iter();
        let here = here.filter(|row| row.queue == queue && states.contains(&row.state.as_str()));
        let waiting = here.map(|row| (row.kind.as_str(), row.jobs as f64));
        let arriving = arrivals.iter().map(|(kind, rate)| (*kind, *rate));
        self.mean(waiting).or_else(|| self.mean(arriving))
    }

    fn mean<'k>(&self, weights: impl Iterator<Item = (&'k str, f64)>) -> Option<f64> {
        let (mut weight, mut seconds) = (0.0, 0.0);
        for (kind, of_kind) in weights {
            if let Some(run) = self.runs.get(kind) {
                weight += of_kind;
                seconds += of_kind * run;
            }
        }
        (weight > 0.0).then(|| (seconds / weight).max(SHORTEST_RUN_SECONDS))
    }
}

/// What a queue may do.
#[derive(Debug, Clone, Copy)]
struct Capacity {
    slots: i64,
    rate: Option<f64>,
    is_paused: bool,
}

/// What a queue has to do.
#[derive(Debug, Clone, Copy)]
struct Work {
    jobs: i64,
    arrivals_per_second: f64,
    mean_run_seconds: Option<f64>,
}

impl Capacity {
    fn outlook(self, work: Work) -> Outlook {
        let by_slots = work.mean_run_seconds.map(|run| self.slots as f64 / run);
        let capacity = by_slots.map(|jobs| self.rate.map_or(jobs, |rate| jobs.min(rate)));
        let arrivals = work.arrivals_per_second;
        let has_work = work.jobs > 0 || arrivals > 0.0;
        let (drain, seconds) = match (capacity, work.mean_run_seconds) {
            _ if !has_work => (Drain::Empty, None),
            _ if self.is_paused => (Drain::Paused, None),
            _ if self.slots == 0 => (Drain::NoWorker, None),
            (Some(capacity), _) if arrivals >= capacity => (Drain::Never, None),
            (Some(_), _) if work.jobs == 0 => (Drain::Empty, None),
            (Some(capacity), Some(run)) => {
                let seconds = work.jobs as f64 / (capacity - arrivals);
                (Drain::Drains, Some(seconds.max(run)))
            }
            _ => (Drain::NotMeasured, None),
        };
        Outlook {
            slots: self.slots,
            arrivals_per_second: rounded(arrivals),
            mean_run_seconds: work.mean_run_seconds.map(rounded),
            capacity_per_second: capacity.map(rounded),
            drain,
            drain_seconds: seconds.map(rounded),
        }
    }
}

/// To thousandths: nothing here is known better.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// The attempts of a queue that so many processes run at a time.
fn slots(settings: &Queue, processes: i64) -> i64 {
    let of_processes = i64::from(settings.concurrency).saturating_mul(processes);
    let most = settings.global_concurrency.map_or(i64::MAX, i64::from);
    of_processes.min(most)
}

fn per_second(rate: Rate) -> f64 {
    f64::from(rate.count) / rate.per.as_secs_f64()
}

/// How many jobs of each queue and kind arrive in a second, without the busiest part of the span: one burst is no
/// stream, and would make a queue that is about to be empty look as if it never was.
fn steady(rows: &[Arrivals]) -> BTreeMap<(&str, &str), f64> {
    let mut parts: BTreeMap<(&str, &str), ([i64; PARTS], f64)> = BTreeMap::new();
    for row in rows {
        let (counts, span) = parts
            .entry((row.queue.as_str(), row.kind.as_str()))
            .or_default();
        let part = usize::try_from(row.part).unwrap_or_default();
        if let Some(count) = counts.get_mut(part.saturating_sub(1)) {
            *count += row.jobs;
        }
        *span = row.span_seconds;
    }
    let rate = |counts: [i64; PARTS], span: f64| {
        let busiest = counts.iter().max().copied().unwrap_or_default();
        let others = counts.iter().sum::<i64>() - busiest;
        let seconds = span * (PARTS - 1) as f64 / PARTS as f64;
        if seconds > 0.0 {
            others as f64 / seconds
        } else {
            0.0
        }
    };
    let parts = parts.into_iter();
    parts
        .map(|(place, (counts, span))| (place, rate(counts, span)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Work = Work {
        jobs: 0,
        arrivals_per_second: 0.0,
        mean_run_seconds: Some(2.0),
    };
    const TEN: Capacity = Capacity {
        slots: 10,
        rate: None,
        is_paused: false,
    };

    fn drain(capacity: Capacity, work: Work) -> (Drain, Option<f64>) {
        let outlook = capacity.outlook(work);
        (outlook.drain, outlook.drain_seconds)
    }

    #[test]
    fn a_backlog_drains_at_the_slots_pace_less_what_arrives() {
        let work = Work {
            jobs: 1_000,
            ..QUIET
        };
        let arriving = Work {
            arrivals_per_second: 3.0,
            ..work
        };

        assert_eq!(drain(TEN, work), (Drain::Drains, Some(200.0)));
        assert_eq!(drain(TEN, arriving), (Drain::Drains, Some(500.0)));
    }

    #[test]
    fn a_rate_that_is_lower_than_what_the_slots_do_holds() {
        let work = Work {
            jobs: 1_000,
            ..QUIET
        };
        let limited = |rate| Capacity {
            rate: Some(rate),
            ..TEN
        };

        assert_eq!(drain(limited(2.0), work), (Drain::Drains, Some(500.0)));
        assert_eq!(drain(limited(50.0), work), (Drain::Drains, Some(200.0)));
    }

    #[test]
    fn no_attempt_is_done_sooner_than_it_runs() {
        let work = Work { jobs: 1, ..QUIET };

        assert_eq!(drain(TEN, work), (Drain::Drains, Some(2.0)));
    }

    #[test]
    fn more_arrivals_than_capacity_never_drain_even_from_empty() {
        let work = Work {
            arrivals_per_second: 5.0,
            ..QUIET
        };

        assert_eq!(drain(TEN, work), (Drain::Never, None));
        assert_eq!(drain(TEN, Work { jobs: 9, ..work }), (Drain::Never, None));
    }

    #[test]
    fn what_is_not_known_or_not_worked_on_is_said_and_not_guessed() {
        let work = Work { jobs: 7, ..QUIET };
        let unknown = Work {
            mean_run_seconds: None,
            ..work
        };
        let paused = Capacity {
            is_paused: true,
            ..TEN
        };
        let unmanned = Capacity { slots: 0, ..TEN };

        assert_eq!(drain(TEN, unknown), (Drain::NotMeasured, None));
        assert_eq!(drain(paused, work), (Drain::Paused, None));
        assert_eq!(drain(unmanned, work), (Drain::NoWorker, None));
        assert_eq!(drain(unmanned, QUIET), (Drain::Empty, None));
    }

    fn arrived(part: i32, jobs: i64) -> Arrivals {
        Arrivals {
            queue: "default".to_owned(),
            kind: "test.work".to_owned(),
            part,
            jobs,
            span_seconds: 1_200.0,
        }
    }

    #[test]
    fn a_stream_counts_and_a_burst_does_not() {
        let stream: Vec<_> = (1..=12).map(|part| arrived(part, 200)).collect();
        let with_burst: Vec<_> = (1..=12)
            .map(|part| arrived(part, if part == 4 { 90_000 } else { 200 }))
            .collect();
        let burst = [arrived(7, 90_000)];
        let place = ("default", "test.work");

        assert_eq!(steady(&stream).get(&place), Some(&2.0));
        assert_eq!(steady(&with_burst).get(&place), Some(&2.0));
        assert_eq!(steady(&burst).get(&place), Some(&0.0));
    }
}
