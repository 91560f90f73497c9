//! What a change of the configuration would do.

use chrono::{DateTime, Utc};
use queue::plan;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{all, config::ValueOrigin};

/// What a text would change, and what follows for the work that is there.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigPlan {
    /// The revision that it was compared with; null: no process has stored one, so the built-in defaults.
    revision: Option<i64>,
    /// When, by the database's clock.
    at: DateTime<Utc>,
    /// What it does that loses or kills work: `dead_letters`, `rows_deleted`, `jobs_unclaimed`, `schedules_stop`; empty
    /// where nothing does.
    #[schema(value_type = Vec<String>, example = json!(["dead_letters"]))]
    harms: Vec<&'static str>,
    /// Keys that get other values; at most 500.
    changes: Vec<PlannedChange>,
    /// Sections of queues, kinds, budgets, schedules and objectives that are new.
    added_sections: Vec<String>,
    /// Those that are gone.
    removed_sections: Vec<String>,
    /// Queues with work, or for which something changes; these first.
    queues: Vec<PlannedQueue>,
    /// Kinds whose jobs become dead letters sooner.
    attempts: Vec<PlannedAttempts>,
    /// Kinds whose attempts may run for less time than some of them take.
    timeouts: Vec<PlannedTimeout>,
    /// What retention deletes and would not have deleted.
    deletions: Vec<PlannedDeletion>,
    /// Schedules with other ticks.
    schedules: Vec<PlannedSchedule>,
    /// New limits that more jobs than they allow are beyond now.
    over_limits: Vec<OverLimit>,
    /// Kinds whose new limit per key does not hold for all that wait.
    unlimited: Vec<UnlimitedJobs>,
    /// Jobs that no worker takes.
    unclaimed: Vec<UnclaimedJobs>,
    /// Overrides that do not fit the text and lose their effect.
    lost_overrides: Vec<LostOverride>,
    /// Keys that are right but have no effect in this release, with line and column.
    warnings: Vec<String>,
    /// `exact`, or `at_least`: a million jobs were counted and there are more.
    #[schema(value_type = String, example = "exact")]
    jobs_counted: &'static str,
    /// What was assumed, and what was left out.
    notes: Vec<String>,
}

impl From<queue::ConfigPlan> for ConfigPlan {
    fn from(plan: queue::ConfigPlan) -> Self {
        Self {
            revision: plan.revision,
            at: plan.at,
            harms: plan.harms.into_iter().map(plan::Harm::as_str).collect(),
            changes: all(plan.changes),
            added_sections: plan.added_sections,
            removed_sections: plan.removed_sections,
            queues: all(plan.queues),
            attempts: all(plan.attempts),
            timeouts: all(plan.timeouts),
            deletions: all(plan.deletions),
            schedules: all(plan.schedules),
            over_limits: all(plan.over_limits),
            unlimited: all(plan.unlimited),
            unclaimed: all(plan.unclaimed),
            lost_overrides: all(plan.lost_overrides),
            warnings: plan.warnings.iter().map(ToString::to_string).collect(),
            jobs_counted: plan.jobs_counted.as_str(),
            notes: plan.notes,
        }
    }
}

/// A key that gets another value.
#[derive(Serialize, ToSchema)]
struct PlannedChange {
    #[schema(example = "queues.sync.concurrency")]
    key: String,
    /// What the text in force says; null: nothing, and there is no default.
    before: Option<PlannedValue>,
    /// What the new text says.
    after: Option<PlannedValue>,
    /// Whether it takes effect only when a process starts anew.
    restart: bool,
    /// The override that keeps it from taking effect until it ends.
    hidden_by: Option<HidingOverride>,
    /// Keys that have no value of their own and change with it.
    inherited_by: Vec<String>,
}

impl From<plan::Change> for PlannedChange {
    fn from(change: plan::Change) -> Self {
        Self {
            key: change.key,
            before: change.before.map(PlannedValue::from),
            after: change.after.map(PlannedValue::from),
            restart: change.restart,
            hidden_by: change.hidden_by.map(|hiding| HidingOverride {
                author: hiding.author,
                until: hiding.until,
            }),
            inherited_by: change.inherited_by,
        }
    }
}

/// A value, and where it comes from.
#[derive(Serialize, ToSchema)]
struct PlannedValue {
    /// In the words of the file: durations as `"15m"`, sizes as `"1MiB"`.
    value: Value,
    /// A position is one in the text of its own side.
    origin: ValueOrigin,
}

impl From<plan::Setting> for PlannedValue {
    fn from(setting: plan::Setting) -> Self {
        Self {
            value: setting.value,
            origin: setting.origin.into(),
        }
    }
}

/// An override that stands over a key.
#[derive(Serialize, ToSchema)]
struct HidingOverride {
    author: String,
    /// When it ends by itself.
    until: DateTime<Utc>,
}

/// A queue, its work, and how soon that is done.
#[derive(Serialize, ToSchema)]
struct PlannedQueue {
    #[schema(example = "sync")]
    queue: String,
    /// Jobs that are due and wait for their turn.
    ready: i64,
    /// Those of them that a held account keeps, or a dry budget as far as claims have met them: they do not drain.
    held: i64,
    running: i64,
    scheduled: i64,
    retrying: i64,
    /// As it is; null: the configuration does not have the queue.
    before: Option<QueueOutlook>,
    /// As it would be.
    after: Option<QueueOutlook>,
}

impl From<plan::QueuePlan> for PlannedQueue {
    fn from(queue: plan::QueuePlan) -> Self {
        Self {
            queue: queue.queue,
            ready: queue.ready,
            held: queue.held,
            running: queue.running,
            scheduled: queue.scheduled,
            retrying: queue.retrying,
            before: queue.before.map(QueueOutlook::from),
            after: queue.after.map(QueueOutlook::from),
        }
    }
}

/// What a queue can do, and how soon it is empty.
#[derive(Serialize, ToSchema)]
struct QueueOutlook {
    /// Attempts that the fleet runs at a time.
    slots: i64,
    arrivals_per_second: f64,
    /// How long an attempt runs on average; null: not measured.
    mean_run_seconds: Option<f64>,
    /// Jobs that can be done in a second; null: not measured.
    capacity_per_second: Option<f64>,
    /// What becomes of what is ready and running: `empty` (there is none), `drains`, `never` (more arrives than can be
    /// done), `paused`, `no_worker`, `held` (accounts and budgets keep all of it) or `not_measured`.
    #[schema(value_type = String, example = "drains")]
    drain: &'static str,
    /// When it is done, where `drain` is `drains`.
    drain_seconds: Option<f64>,
}

impl From<plan::Outlook> for QueueOutlook {
    fn from(outlook: plan::Outlook) -> Self {
        Self {
            slots: outlook.slots,
            arrivals_per_second: outlook.arrivals_per_second,
            mean_run_seconds: outlook.mean_run_seconds,
            capacity_per_second: outlook.capacity_per_second,
            drain: outlook.drain.as_str(),
            drain_seconds: outlook.drain_seconds,
        }
    }
}

/// A kind with fewer attempts, and its jobs that this touches now. Nothing dies at once; jobs with a number of attempts
/// of their own are not touched.
#[derive(Serialize, ToSchema)]
struct PlannedAttempts {
    #[schema(example = "email.send")]
    kind: String,
    /// `max_attempts` as it is.
    before: u32,
    /// As it would be.
    after: u32,
    /// Jobs that wait and would be dead if their next attempt failed; now they would have another one after it.
    last_chance: i64,
    /// Those of them that have used up the new number already. They get that attempt all the same.
    used_up: i64,
    /// Running jobs that would be dead if their worker was lost; now they would be ready again.
    running: i64,
}

impl From<plan::AttemptsPlan> for PlannedAttempts {
    fn from(attempts: plan::AttemptsPlan) -> Self {
        Self {
            kind: attempts.kind,
            before: attempts.before,
            after: attempts.after,
            last_chance: attempts.last_chance,
            used_up: attempts.used_up,
            running: attempts.running,
        }
    }
}

/// A kind whose attempts may run for less time than some of them take.
#[derive(Serialize, ToSchema)]
struct PlannedTimeout {
    #[schema(example = "sync.account")]
    kind: String,
    before_seconds: f64,
    /// Shorter than `p95_run_seconds`.
    after_seconds: f64,
    /// The time within which 95 of 100 attempts that succeeded were done.
    p95_run_seconds: f64,
    /// The share of them that took longer than the new timeout, 0 to 1.
    share_over: f64,
    /// How many were measured.
    measured: i64,
    /// Jobs of the kind that are still to be done.
    jobs: i64,
}

impl From<plan::TimeoutPlan> for PlannedTimeout {
    fn from(timeout: plan::TimeoutPlan) -> Self {
        Self {
            kind: timeout.kind,
            before_seconds: timeout.before_seconds,
            after_seconds: timeout.after_seconds,
            p95_run_seconds: timeout.p95_run_seconds,
            share_over: timeout.share_over,
            measured: timeout.measured,
            jobs: timeout.jobs,
        }
    }
}

/// What is deleted within minutes of the change.
#[derive(Serialize, ToSchema)]
struct PlannedDeletion {
    /// `finished_jobs` or `dead_letters`.
    #[schema(value_type = String, example = "finished_jobs")]
    of: &'static str,
    /// The kind of finished jobs; null for dead letters, and for kinds that no configuration has.
    kind: Option<String>,
    /// How long they are kept as it is.
    before_seconds: f64,
    /// As it would be.
    after_seconds: f64,
    rows: i64,
    /// How many of the dead letters are neither replayed nor discarded.
    open: Option<i64>,
    /// `exact`, `at_least` (so many were counted, and there are more) or `estimate` (reckoned up from a part).
    #[schema(value_type = String, example = "exact")]
    counted: &'static str,
}

impl From<plan::Deletion> for PlannedDeletion {
    fn from(deletion: plan::Deletion) -> Self {
        Self {
            of: deletion.of.as_str(),
            kind: deletion.kind,
            before_seconds: deletion.before_seconds,
            after_seconds: deletion.after_seconds,
            rows: deletion.rows,
            open: deletion.open,
            counted: deletion.counted.as_str(),
        }
    }
}

/// A schedule with other ticks.
#[derive(Serialize, ToSchema)]
struct PlannedSchedule {
    #[schema(example = "token-check")]
    schedule: String,
    /// `added`, `removed` or `changed`.
    #[schema(value_type = String, example = "changed")]
    change: &'static str,
    /// Whether it ticks now and would not any more, or not within a day although it does.
    stops: bool,
    /// Whether it is paused now: ticks of the pause are not among these.
    is_paused: bool,
    /// Ticks within the next 24 hours as it is.
    ticks_before: usize,
    /// As it would be.
    ticks_after: usize,
    /// Whether that is not all of them: at most 10,000 are counted on each side.
    is_cut: bool,
    next_before: Option<DateTime<Utc>>,
    next_after: Option<DateTime<Utc>>,
    /// The first three ticks that come now and would not.
    lost: Vec<DateTime<Utc>>,
    /// The first three that do not and would.
    gained: Vec<DateTime<Utc>>,
}

impl From<plan::SchedulePlan> for PlannedSchedule {
    fn from(schedule: plan::SchedulePlan) -> Self {
        Self {
            schedule: schedule.schedule,
            change: schedule.change.as_str(),
            stops: schedule.stops,
            is_paused: schedule.is_paused,
            ticks_before: schedule.ticks_before,
            ticks_after: schedule.ticks_after,
            is_cut: schedule.is_cut,
            next_before: schedule.next_before,
            next_after: schedule.next_after,
            lost: schedule.lost,
            gained: schedule.gained,
        }
    }
}

/// A limit that is lower than what there is now. Nothing is stopped for it: enqueues are refused (`max_ready`), jobs of
/// ordinary priority wait until calls count no more (`daily`), or no attempt begins until enough have ended (`rate`: until
/// enough starts are a span ago).
#[derive(Serialize, ToSchema)]
struct OverLimit {
    /// `max_ready`, `concurrency`, `global_concurrency`, `rate`, `per_key_concurrency` or `daily`.
    #[schema(value_type = String, example = "concurrency")]
    limit: &'static str,
    /// Of which queue; of which kind, where it is a limit per key; of which budget, where it is one of calls.
    of: String,
    /// How many it allows: in the whole fleet, and with one key where it is a limit per key.
    most: i64,
    /// How many there are; of all keys that have too many, where it is a limit per key; the most calls of one account,
    /// where it is one of calls.
    now: i64,
    /// Keys with too many, where it is a limit per key; accounts, where each has a budget.
    keys: Option<i64>,
}

impl From<plan::OverLimit> for OverLimit {
    fn from(over: plan::OverLimit) -> Self {
        Self {
            limit: over.limit.as_str(),
            of: over.of,
            most: over.most,
            now: over.now,
            keys: over.keys,
        }
    }
}

/// Waiting jobs of a kind that a new limit per key does not hold for: they have no key, which is found when a job is
/// enqueued.
#[derive(Serialize, ToSchema)]
struct UnlimitedJobs {
    #[schema(example = "sync.account")]
    kind: String,
    jobs: i64,
}

impl From<plan::Unlimited> for UnlimitedJobs {
    fn from(unlimited: plan::Unlimited) -> Self {
        Self {
            kind: unlimited.kind,
            jobs: unlimited.jobs,
        }
    }
}

/// Jobs that wait and that no worker takes.
#[derive(Serialize, ToSchema)]
struct UnclaimedJobs {
    queue: String,
    /// Null: of any kind.
    kind: Option<String>,
    /// How many wait now.
    jobs: i64,
    /// `queue_gone` (the text does not have the queue), `kind_gone` (it does not have the kind: processes that start anew
    /// take none) or `no_worker` (the kind's new jobs wait in a queue on which no process works).
    #[schema(value_type = String, example = "queue_gone")]
    why: &'static str,
    /// Whether it is the change that does it; else nobody takes them now either.
    is_new: bool,
}

impl From<plan::Unclaimed> for UnclaimedJobs {
    fn from(unclaimed: plan::Unclaimed) -> Self {
        Self {
            queue: unclaimed.queue,
            kind: unclaimed.kind,
            jobs: unclaimed.jobs,
            why: unclaimed.why.as_str(),
            is_new: unclaimed.is_new,
        }
    }
}

/// An override that loses its effect.
#[derive(Serialize, ToSchema)]
struct LostOverride {
    #[schema(example = "queues.extra.concurrency")]
    key: String,
    author: String,
    until: DateTime<Utc>,
    /// Why.
    problem: String,
}

impl From<queue::config::Ignored> for LostOverride {
    fn from(lost: queue::config::Ignored) -> Self {
        Self {
            key: lost.setting.key,
            author: lost.setting.author,
            until: lost.setting.until,
            problem: lost.problem,
        }
    }
}
