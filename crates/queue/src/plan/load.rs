//! The work of each queue, before a change and after it: what waits and runs there, what arrives, how long it takes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Facts, Outlook, Sides,
    capacity::{Allowance, Capacity, Work},
};
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
    /// Jobs that are due and wait for their turn.
    pub ready: i64,
    /// Those of them that a held account keeps, or a dry budget as far as claims have met them: when they go on is not
    /// reckoned.
    pub held: i64,
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
            held: self.facts.held(queue),
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
            rate: settings.rate.map(|rate| allowance(queue, rate, self.facts)),
            is_paused: self.facts.paused_queues.contains(queue),
        };
        let held = self.facts.held(queue);
        Some(capacity.outlook(Work {
            ready: (self.facts.count(queue, JobState::Ready) - held).max(0),
            running: self.facts.count(queue, JobState::Running),
            held,
            arrivals_per_second: arrivals.values().sum(),
            mean_run_seconds: self.mean_run(queue, &arrivals),
            longest_line_seconds: self.longest_line(queue, side),
        }))
    }

    /// How long the jobs of one key take of which few may run at a time: of the key that takes longest.
    fn longest_line(&self, queue: &str, side: &Config) -> f64 {
        let lines = self.facts.lines.iter().filter(|line| line.queue == queue);
        let seconds = lines.filter_map(|line| {
            let places = side.kinds.get(&line.kind)?.per_key_concurrency?;
            let turns = (line.longest as f64 / f64::from(places)).ceil();
            Some(turns * self.runs.get(line.kind.as_str())?)
        });
        seconds.fold(0.0, f64::max)
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

/// The attempts of a queue that so many processes run at a time.
fn slots(settings: &Queue, processes: i64) -> i64 {
    let of_processes = i64::from(settings.concurrency).saturating_mul(processes);
    let most = settings.global_concurrency.map_or(i64::MAX, i64::from);
    of_processes.min(most)
}

/// What is left of a queue's rate now.
fn allowance(queue: &str, rate: Rate, facts: &Facts) -> Allowance {
    let window = facts.window(queue, rate);
    let span_seconds = rate.per.as_secs_f64();
    let (starts, _) = window.to_keep();
    let refills_in_seconds = starts.first().map_or(span_seconds, |oldest| {
        let ago = (facts.at - *oldest).as_seconds_f64();
        (span_seconds - ago).clamp(0.0, span_seconds)
    });
    Allowance {
        count: f64::from(rate.count),
        span_seconds,
        room: f64::from(window.room()),
        refills_in_seconds,
    }
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
