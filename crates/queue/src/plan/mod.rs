//! What a text would change if it were put in force, and what follows for the work that is there: comparison and
//! arithmetic alone. What it is weighed against is gathered by `admin/plan.rs`. A file for each sort of consequence.

mod attempts;
mod capacity;
mod changes;
mod deletions;
mod encryption;
mod facts;
mod limits;
mod load;
mod schedules;
#[cfg(test)]
mod tests;
mod unclaimed;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::config::{Config, Ignored, Problem};

pub use attempts::{AttemptsPlan, TimeoutPlan};
pub use capacity::{Drain, Outlook};
pub use changes::{Change, HiddenBy, Setting};
pub use deletions::{Deletion, Kept};
pub(crate) use facts::{Asked, Facts, Revision, Side, Sides};
pub use limits::{Limit, OverLimit, Unlimited};
pub use load::QueuePlan;
pub use schedules::{ScheduleChange, SchedulePlan};
pub use unclaimed::{Unclaimed, WhyUnclaimed};

/// What a text would change, and what follows.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigPlan {
    /// The revision that it was compared with; `None`: no process has stored one, so the built-in defaults.
    pub revision: Option<i64>,
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
    /// What it does that loses or kills work; empty: nothing does.
    pub harms: Vec<Harm>,
    /// Keys that get other values, those of the file's first sections first.
    pub changes: Vec<Change>,
    /// Sections of queues, kinds, budgets, schedules and objectives that are new.
    pub added_sections: Vec<String>,
    /// Those that are gone.
    pub removed_sections: Vec<String>,
    /// Queues with work, or for which something changes; these first.
    pub queues: Vec<QueuePlan>,
    /// Kinds whose jobs become dead letters sooner.
    pub attempts: Vec<AttemptsPlan>,
    /// Kinds whose attempts may run for less time than some of them take.
    pub timeouts: Vec<TimeoutPlan>,
    /// What retention deletes and would not have deleted.
    pub deletions: Vec<Deletion>,
    /// Schedules with other ticks.
    pub schedules: Vec<SchedulePlan>,
    /// New limits that more jobs than they allow are beyond now.
    pub over_limits: Vec<OverLimit>,
    /// Kinds whose new limit per key does not hold for all that wait.
    pub unlimited: Vec<Unlimited>,
    /// Jobs that no worker takes.
    pub unclaimed: Vec<Unclaimed>,
    /// Overrides that do not fit the text and lose their effect.
    pub lost_overrides: Vec<Ignored>,
    /// Keys that are right but have no effect in this release.
    pub warnings: Vec<Problem>,
    /// How jobs were counted: one by one, or up to a million of them and the rest by the leader's last count.
    pub jobs_counted: Counted,
    /// What was assumed, and what was left out.
    pub notes: Vec<String>,
}

impl ConfigPlan {
    /// Whether nothing changes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.added_sections.is_empty()
            && self.removed_sections.is_empty()
    }
}

/// What loses or kills work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// Jobs become dead letters sooner than they would have.
    DeadLetters,
    /// Finished jobs or dead letters are deleted that would have been kept.
    RowsDeleted,
    /// Jobs wait where no worker takes them.
    JobsUnclaimed,
    /// Schedules tick no more.
    SchedulesStop,
}

impl Harm {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetters => "dead_letters",
            Self::RowsDeleted => "rows_deleted",
            Self::JobsUnclaimed => "jobs_unclaimed",
            Self::SchedulesStop => "schedules_stop",
        }
    }

    fn all_of(plan: &ConfigPlan) -> Vec<Self> {
        let found = [
            (
                Self::DeadLetters,
                plan.attempts.iter().any(AttemptsPlan::is_harmful),
            ),
            (
                Self::RowsDeleted,
                plan.deletions.iter().any(|deletion| deletion.rows > 0),
            ),
            (
                Self::JobsUnclaimed,
                plan.unclaimed.iter().any(|unclaimed| unclaimed.is_new),
            ),
            (
                Self::SchedulesStop,
                plan.schedules.iter().any(|schedule| schedule.stops),
            ),
        ];
        let harms = found.into_iter().filter(|(_, is_found)| *is_found);
        harms.map(|(harm, _)| harm).collect()
    }
}

/// How far a number can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// It was counted.
    Exact,
    /// So many were counted, and there are more.
    AtLeast,
    /// It was reckoned up from a part.
    Estimate,
}

impl Counted {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::AtLeast => "at_least",
            Self::Estimate => "estimate",
        }
    }
}

/// What follows from putting the one side in the place of the other. Ticks of schedules are counted one by one, which
/// may take half a second: not for a thread that others wait for.
pub(crate) fn weigh(sides: Sides, facts: &Facts) -> ConfigPlan {
    let changed = changes::between(&sides);
    let ticks = schedules::compare(&sides, facts);
    let mut notes = notes(&sides, facts);
    if changed.left_out > 0 {
        notes.push(format!(
            "{} more keys with other values are left out",
            changed.left_out
        ));
    }
    if ticks.left_out > 0 {
        notes.push(format!(
            "{} more schedules were not looked at",
            ticks.left_out
        ));
    }

    let mut plan = ConfigPlan {
        revision: sides.revision.number(),
        at: facts.at,
        harms: Vec::new(),
        changes: changed.changes,
        added_sections: changed.added_sections,
        removed_sections: changed.removed_sections,
        queues: load::forecast(&sides, facts),
        attempts: attempts::fewer(&sides, facts),
        timeouts: attempts::shorter(&sides, facts),
        deletions: deletions::all(&sides, facts),
        schedules: ticks.plans,
        over_limits: limits::exceeded(&sides, facts),
        unlimited: limits::unlimited(&sides, facts),
        unclaimed: unclaimed::find(&sides, facts),
        jobs_counted: if facts.counts_all() {
            Counted::Exact
        } else {
            Counted::AtLeast
        },
        lost_overrides: sides.lost_overrides,
        warnings: sides.warnings,
        notes,
    };
    plan.harms = Harm::all_of(&plan);
    plan
}

fn notes(sides: &Sides, facts: &Facts) -> Vec<String> {
    let mut notes = vec![
        "a queue drains at its slots (of the processes that work on it now) over the mean run time of what waits, less what \
         arrives; no sooner than its rate lets that start, and than the jobs of one key take under a limit per key; \
         attempts that fail, batches, budgets, and what arrives for one key are not reckoned with"
            .to_owned(),
        "what arrives is measured over the last hour or the newest 20,000 jobs, without the busiest twelfth of that \
         time; of kinds that keep no succeeded jobs only those that wait are seen"
            .to_owned(),
        "run times are those of the newest 2,000 attempts of each kind that succeeded within a day".to_owned(),
    ];
    match sides.revision {
        Revision::None => notes.push(
            "no process has stored a revision yet: compared with the built-in defaults".to_owned(),
        ),
        Revision::Unreadable(number) => notes.push(format!(
            "this release cannot read revision {number}: compared with what this process goes by instead"
        )),
        Revision::Number(_) => {}
    }
    notes.extend(encryption::notes(sides, facts));
    if facts.workers.is_empty() {
        notes.push("no worker is running, so nothing drains now".to_owned());
    }
    notes
}

/// The kinds that either configuration has.
fn kinds_of<'a>(before: &'a Config, after: &'a Config) -> BTreeSet<&'a str> {
    let kinds = before.kinds.keys().chain(after.kinds.keys());
    kinds.map(String::as_str).collect()
}
