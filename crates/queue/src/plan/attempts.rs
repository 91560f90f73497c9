//! What fewer attempts and shorter ones do to the jobs that are there.
//!
//! A job that waits is never made dead by a change: it gets its next attempt, and that one's failure is judged by what
//! holds when it began. A running attempt keeps what it began with, but a worker that is lost with it is judged by what
//! holds then.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Facts, Sides, kinds_of};
use crate::{
    config::Config,
    job::JobState,
    store::plan::{AttemptLimits, JobsOfKind, RunTimes},
};

/// A kind that no configuration has: the one that holds for all such.
const NO_KIND: &str = "";

/// A kind with fewer attempts, and its jobs that this touches now. Jobs with a number of attempts of their own are not
/// among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptsPlan {
    /// The kind.
    pub kind: String,
    /// Attempts before a job is dead, as it is.
    pub before: u32,
    /// As it would be.
    pub after: u32,
    /// Jobs that wait and would be dead if their next attempt failed; now they would have another one after it.
    pub last_chance: i64,
    /// Those of them that have used up the new number already. They get that attempt all the same.
    pub used_up: i64,
    /// Running jobs that would be dead at once if their worker was lost; now they would be ready again.
    pub running: i64,
}

impl AttemptsPlan {
    pub(super) fn is_harmful(&self) -> bool {
        self.last_chance > 0 || self.running > 0
    }
}

/// A kind whose attempts may run for less time than some of them take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeoutPlan {
    /// The kind.
    pub kind: String,
    /// Longest attempt, as it is.
    pub before_seconds: f64,
    /// As it would be: shorter than `p95_run_seconds`.
    pub after_seconds: f64,
    /// The time within which 95 of 100 attempts that succeeded were done.
    pub p95_run_seconds: f64,
    /// The share of them that took longer than the new time-out, 0 to 1.
    pub share_over: f64,
    /// How many were measured.
    pub measured: i64,
    /// Jobs of the kind that are still to be done.
    pub jobs: i64,
}

/// How many attempts each kind has on both sides.
pub(super) fn asked(before: &Config, after: &Config) -> AttemptLimits {
    let most = |config: &Config, kind: &str| as_stored(config.policy(kind).max_attempts);
    let mut asked = AttemptLimits {
        others_before: most(before, NO_KIND),
        others_after: most(after, NO_KIND),
        ..AttemptLimits::default()
    };
    for kind in kinds_of(before, after) {
        asked.before.push(most(before, kind));
        asked.after.push(most(after, kind));
        asked.kinds.push(kind.to_owned());
    }
    asked
}

fn as_stored(attempts: u32) -> i32 {
    i32::try_from(attempts).unwrap_or(i32::MAX)
}

pub(super) fn fewer(sides: &Sides, facts: &Facts) -> Vec<AttemptsPlan> {
    let mut plans: BTreeMap<&str, AttemptsPlan> = BTreeMap::new();
    let touched = |row: &&JobsOfKind| row.last_chance > 0 || row.used_up > 0;
    for row in facts.jobs.iter().filter(touched) {
        let attempts = |config: &Config| config.policy(&row.kind).max_attempts;
        let plan = plans.entry(&row.kind).or_insert_with(|| AttemptsPlan {
            kind: row.kind.clone(),
            before: attempts(&sides.before.holds),
            after: attempts(&sides.after.holds),
            last_chance: 0,
            used_up: 0,
            running: 0,
        });
        if row.state == JobState::Running.as_str() {
            plan.running += row.used_up;
        } else {
            plan.last_chance += row.last_chance;
            plan.used_up += row.used_up;
        }
    }
    plans
        .into_values()
        .filter(AttemptsPlan::is_harmful)
        .collect()
}

pub(super) fn shorter(sides: &Sides, facts: &Facts) -> Vec<TimeoutPlan> {
    let plan = |runs: &RunTimes| {
        let timeout = |config: &Config| config.policy(&runs.kind).timeout.as_secs_f64();
        let (before, after) = (timeout(&sides.before.holds), timeout(&sides.after.holds));
        let jobs = facts.jobs.iter().filter(|row| row.kind == runs.kind);
        (after < before && after < runs.p95_seconds).then(|| TimeoutPlan {
            kind: runs.kind.clone(),
            before_seconds: before,
            after_seconds: after,
            p95_run_seconds: runs.p95_seconds,
            share_over: runs.longer as f64 / runs.measured.max(1) as f64,
            measured: runs.measured,
            jobs: jobs.map(|row| row.jobs).sum(),
        })
    };
    facts.run_times.iter().filter_map(plan).collect()
}
