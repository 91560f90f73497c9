//! Every metric of the engine, with its labels, in one place. The promise is the list of the documentation; counters
//! and histograms are this process's, gauges marked F describe the fleet and are set by the leader alone.

use std::{
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::job::{AttemptOutcome, EnqueueOutcome, ErrorClass, Source, TickOutcome};

const JOBS_ENQUEUED: &str = "millpond_jobs_enqueued_total";
const JOBS_CLAIMED: &str = "millpond_jobs_claimed_total";
const JOB_ATTEMPTS: &str = "millpond_job_attempts_total";
const JOBS_DEAD: &str = "millpond_jobs_dead_total";
const JOBS_RESCUED: &str = "millpond_jobs_rescued_total";
const DEAD_LETTERS_RESOLVED: &str = "millpond_dead_letters_resolved_total";
const ADMIN_ACTIONS: &str = "millpond_admin_actions_total";
const SCHEDULE_TICKS: &str = "millpond_schedule_ticks_total";
const CONFIG_RELOADS: &str = "millpond_config_reloads_total";
const FENCED_WRITES: &str = "millpond_fenced_writes_total";
const JOB_WAIT: &str = "millpond_job_wait_seconds";
const JOB_RUN: &str = "millpond_job_run_seconds";
const CLAIM: &str = "millpond_claim_seconds";
const WORKER_SLOTS: &str = "millpond_worker_slots";
const WORKER_SLOTS_USED: &str = "millpond_worker_slots_used";
const CONFIG_REVISION: &str = "millpond_config_revision";
const POOL_CONNECTIONS: &str = "millpond_db_pool_connections";
const QUEUE_JOBS: &str = "millpond_queue_jobs";
const OLDEST_READY: &str = "millpond_queue_oldest_ready_seconds";
const OLDEST_RUNNING: &str = "millpond_queue_oldest_running_seconds";
const QUEUE_PAUSED: &str = "millpond_queue_paused";
const DEAD_LETTERS: &str = "millpond_dead_letters";
const OLDEST_DEAD: &str = "millpond_dead_letter_oldest_seconds";
const BLOCKED: &str = "millpond_blocked_jobs";
const UNCLAIMABLE: &str = "millpond_unclaimable_jobs";
const WORKERS: &str = "millpond_workers";
const REPLAYS: &str = "millpond_replays";
const BUDGET_REMAINING: &str = "millpond_budget_remaining_ratio";
const BUDGET_PAUSED: &str = "millpond_budget_paused_until_timestamp_seconds";
const NEXT_TICK: &str = "millpond_schedule_next_tick_timestamp_seconds";
const LAST_SUCCESS: &str = "millpond_schedule_last_success_timestamp_seconds";
const DEAD_TUPLES: &str = "millpond_db_dead_tuples";
const HOT_RATIO: &str = "millpond_db_hot_update_ratio";
const OLDEST_SNAPSHOT: &str = "millpond_db_oldest_snapshot_seconds";
const LEADER_TERM: &str = "millpond_leader_term";
const COLLECTED: &str = "millpond_stats_collected_timestamp_seconds";

/// The gauges that describe the fleet.
const FLEET: &[&str] = &[
    QUEUE_JOBS,
    OLDEST_READY,
    OLDEST_RUNNING,
    QUEUE_PAUSED,
    DEAD_LETTERS,
    OLDEST_DEAD,
    BLOCKED,
    UNCLAIMABLE,
    WORKERS,
    REPLAYS,
    BUDGET_REMAINING,
    BUDGET_PAUSED,
    NEXT_TICK,
    LAST_SUCCESS,
    DEAD_TUPLES,
    HOT_RATIO,
    OLDEST_SNAPSHOT,
    LEADER_TERM,
    COLLECTED,
];

/// Whether this process leads and so shows the fleet's gauges.
static LEADS: AtomicBool = AtomicBool::new(false);
/// Gauges of other crates that describe the fleet.
static OTHERS: RwLock<Vec<&str>> = RwLock::new(Vec::new());

/// Upper bounds of the buckets of every histogram of ours, in seconds.
pub const BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 900.0, 3_600.0,
];

/// Gives the exporter units and help texts; call once, before it answers.
pub fn describe() {
    describe_counter!(
        JOBS_ENQUEUED,
        "Jobs accepted, by what became of the request."
    );
    describe_counter!(JOBS_CLAIMED, "Jobs taken under lease.");
    describe_counter!(
        JOB_ATTEMPTS,
        "Attempts that ended, by outcome and error class."
    );
    describe_counter!(JOBS_DEAD, "Jobs that failed for good.");
    describe_counter!(JOBS_RESCUED, "Jobs taken back because their lease ran out.");
    describe_counter!(
        DEAD_LETTERS_RESOLVED,
        "Dead letters replayed, discarded or restored."
    );
    describe_counter!(ADMIN_ACTIONS, "Actions of people that were carried out.");
    describe_counter!(SCHEDULE_TICKS, "Ticks of schedules, by what each became.");
    describe_counter!(
        CONFIG_RELOADS,
        "Changes of the configuration that this process took, and those it could not take."
    );
    describe_counter!(
        FENCED_WRITES,
        "Writes of attempts that had lost their lease, and so changed nothing."
    );
    describe_histogram!(JOB_WAIT, Unit::Seconds, "From due to started.");
    describe_histogram!(JOB_RUN, Unit::Seconds, "Wall time of finished attempts.");
    describe_histogram!(CLAIM, Unit::Seconds, "Time of a claiming statement.");
    describe_gauge!(WORKER_SLOTS, "Jobs that this process may run at once.");
    describe_gauge!(WORKER_SLOTS_USED, "Jobs that this process runs now.");
    describe_gauge!(
        CONFIG_REVISION,
        "Revision of the configuration that this process goes by; 0: its own file."
    );
    describe_gauge!(
        POOL_CONNECTIONS,
        "Connections of this process to the database."
    );
    describe_fleet();
}

fn describe_fleet() {
    describe_gauge!(
        QUEUE_JOBS,
        "Jobs that are still to be done, by state. Fleet."
    );
    describe_gauge!(
        OLDEST_READY,
        Unit::Seconds,
        "How long the oldest ready job has waited. Fleet."
    );
    describe_gauge!(
        OLDEST_RUNNING,
        Unit::Seconds,
        "How long the oldest running attempt has run. Fleet."
    );
    describe_gauge!(QUEUE_PAUSED, "1 while the queue is paused. Fleet.");
    describe_gauge!(
        DEAD_LETTERS,
        "Dead letters that nobody has resolved. Fleet."
    );
    describe_gauge!(
        OLDEST_DEAD,
        Unit::Seconds,
        "How long ago the oldest open dead letter died. Fleet."
    );
    describe_gauge!(
        BLOCKED,
        "Jobs that a gate keeps from running, as far as claims have met them. Fleet."
    );
    describe_gauge!(
        UNCLAIMABLE,
        "Ready jobs of kinds that no live worker has registered. Fleet."
    );
    describe_gauge!(WORKERS, "Live workers. Fleet.");
    describe_gauge!(REPLAYS, "Replay runs by status. Fleet.");
    describe_gauge!(
        BUDGET_REMAINING,
        "Share of the budget that is left, of the account that has least. Fleet."
    );
    describe_gauge!(
        BUDGET_PAUSED,
        Unit::Seconds,
        "When the budget's last pause ends; 0 while nothing is paused. Fleet."
    );
    describe_gauge!(
        NEXT_TICK,
        Unit::Seconds,
        "The tick that each schedule makes next; long past: nobody makes it. Fleet."
    );
    describe_gauge!(
        LAST_SUCCESS,
        Unit::Seconds,
        "When the latest job of a schedule's tick succeeded. Fleet."
    );
    describe_gauge!(DEAD_TUPLES, "Dead rows of the engine's tables. Fleet.");
    describe_gauge!(HOT_RATIO, "Share of updates that touched no index. Fleet.");
    describe_gauge!(
        OLDEST_SNAPSHOT,
        Unit::Seconds,
        "Age of the oldest snapshot that keeps dead rows alive. Fleet."
    );
    describe_gauge!(
        LEADER_TERM,
        "Term of the leader that sets the fleet's gauges. Fleet."
    );
    describe_gauge!(
        COLLECTED,
        Unit::Seconds,
        "When the fleet's gauges were last read. Fleet."
    );
}

/// Gauges of other crates are the fleet's too.
pub(crate) fn of_fleet(names: &[&'static str]) {
    let mut others = OTHERS.write().unwrap_or_else(PoisonError::into_inner);
    for name in names {
        if !others.contains(name) {
            others.push(name);
        }
    }
}

pub(crate) fn show_fleet(leads: bool) {
    LEADS.store(leads, Ordering::Relaxed);
}

/// What a scrape is answered: the exporter's text, without the fleet's gauges unless this process leads. The exporter
/// cannot forget a gauge, and a former leader's copy would be counted twice.
pub(crate) fn exposition(rendered: &str) -> String {
    shown(rendered, LEADS.load(Ordering::Relaxed))
}

/// A gauge of the fleet that is no number is of something that is no more, or of which nothing is known: it is absent.
fn shown(rendered: &str, leads: bool) -> String {
    let others = OTHERS.read().unwrap_or_else(PoisonError::into_inner);
    let is_hidden = |line: &&str| {
        let named = line
            .strip_prefix("# HELP ")
            .or_else(|| line.strip_prefix("# TYPE "))
            .unwrap_or(line);
        let name = named.split(['{', ' ']).next().unwrap_or_default();
        let is_fleet = FLEET.contains(&name) || others.contains(&name);
        is_fleet && (!leads || line.ends_with(" NaN"))
    };
    rendered
        .lines()
        .filter(|line| !is_hidden(line))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// What accepted jobs are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EnqueueLabels<'a> {
    pub(crate) queue: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) source: Source,
    pub(crate) outcome: EnqueueOutcome,
}

/// Jobs were accepted that are alike.
pub(crate) fn enqueued(labels: EnqueueLabels<'_>, jobs: u64) {
    let EnqueueLabels {
        queue,
        kind,
        source,
        outcome,
    } = labels;
    counter!(JOBS_ENQUEUED, "queue" => queue.to_owned(), "kind" => kind.to_owned(),
        "source" => source.as_str(), "outcome" => outcome.as_str())
    .increment(jobs);
}

pub(crate) fn dead_letter_resolved(kind: &str, action: &'static str) {
    counter!(DEAD_LETTERS_RESOLVED, "kind" => kind.to_owned(), "action" => action).increment(1);
}

pub(crate) fn admin_action(action: &'static str) {
    counter!(ADMIN_ACTIONS, "action" => action).increment(1);
}

/// The configuration changed here (`applied`), or could not be taken (`rejected`).
pub(crate) fn config_reload(outcome: &'static str) {
    counter!(CONFIG_RELOADS, "outcome" => outcome).increment(1);
}

/// Begins to count: a counter that first shows at 1 is no increase to Prometheus.
pub(crate) fn count_config_reloads() {
    for outcome in ["applied", "rejected"] {
        counter!(CONFIG_RELOADS, "outcome" => outcome).absolute(0);
    }
}

/// Begins to count a schedule's ticks, for the same reason.
pub(crate) fn count_schedule_ticks(schedule: &str) {
    for outcome in TickOutcome::WORDS {
        counter!(SCHEDULE_TICKS, "schedule" => schedule.to_owned(), "outcome" => *outcome)
            .absolute(0);
    }
}

/// A tick of a schedule is decided.
pub(crate) fn schedule_tick(schedule: &str, outcome: TickOutcome) {
    counter!(SCHEDULE_TICKS, "schedule" => schedule.to_owned(), "outcome" => outcome.as_str())
        .increment(1);
}

pub(crate) fn fenced(statement: &'static str, rows: u64) {
    counter!(FENCED_WRITES, "statement" => statement).increment(rows);
}

pub(crate) fn rescued(queue: &str, jobs: u64) {
    counter!(JOBS_RESCUED, "queue" => queue.to_owned()).increment(jobs);
}

/// Jobs of a kind were claimed that had waited for so long.
pub(crate) fn claimed(queue: &str, kind: &str, waited: &[Duration]) {
    counter!(JOBS_CLAIMED, "queue" => queue.to_owned(), "kind" => kind.to_owned())
        .increment(waited.len() as u64);
    let histogram = histogram!(JOB_WAIT, "queue" => queue.to_owned(), "kind" => kind.to_owned());
    for waited in waited {
        histogram.record(*waited);
    }
}

pub(crate) fn claim_took(queue: &str, took: Duration) {
    histogram!(CLAIM, "queue" => queue.to_owned()).record(took);
}

/// What attempts are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AttemptLabels<'a> {
    pub(crate) queue: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) class: Option<ErrorClass>,
}

/// An attempt ended that ran in no time, or nobody knows for how long, and its outcome is stored.
pub(crate) fn attempt_settled(labels: AttemptLabels<'_>) {
    attempts_settled(labels, 1, &[]);
}

/// Attempts ended alike, and their outcomes are stored; those that ran took so long.
pub(crate) fn attempts_settled(labels: AttemptLabels<'_>, attempts: u64, took: &[Duration]) {
    let AttemptLabels {
        queue,
        kind,
        outcome,
        class,
    } = labels;
    let (queue, kind) = (queue.to_owned(), kind.to_owned());
    counter!(JOB_ATTEMPTS, "queue" => queue.clone(), "kind" => kind.clone(), "outcome" => outcome.as_str(),
        "error_class" => class.map_or("", ErrorClass::as_str))
    .increment(attempts);
    if outcome == AttemptOutcome::Dead {
        counter!(JOBS_DEAD, "queue" => queue.clone(), "kind" => kind.clone(),
            "error_class" => class.map_or("", ErrorClass::as_str))
        .increment(attempts);
    }
    if !took.is_empty() {
        let histogram =
            histogram!(JOB_RUN, "queue" => queue, "kind" => kind, "outcome" => outcome.as_str());
        for took in took {
            histogram.record(*took);
        }
    }
}

/// A lost attempt made its job dead.
pub(crate) fn died_of_loss(queue: &str, kind: &str) {
    counter!(JOBS_DEAD, "queue" => queue.to_owned(), "kind" => kind.to_owned(),
        "error_class" => ErrorClass::Lost.as_str())
    .increment(1);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are doubles; counts stay far below 2^53"
)]
fn set(name: &'static str, labels: &[(&'static str, String)], value: i64) {
    gauge!(name, labels).set(value as f64);
}

pub(crate) fn slots(queue: &str, slots: usize, used: usize) {
    let labels = [("queue", queue.to_owned())];
    set(
        WORKER_SLOTS,
        &labels,
        i64::try_from(slots).unwrap_or(i64::MAX),
    );
    set(
        WORKER_SLOTS_USED,
        &labels,
        i64::try_from(used).unwrap_or(i64::MAX),
    );
}

pub(crate) fn config_revision(revision: Option<i64>) {
    set(CONFIG_REVISION, &[], revision.unwrap_or(0));
}

pub(crate) fn connections(open: u32, idle: usize) {
    let idle = i64::try_from(idle).unwrap_or(i64::MAX);
    set(POOL_CONNECTIONS, &[("state", "idle".to_owned())], idle);
    set(
        POOL_CONNECTIONS,
        &[("state", "used".to_owned())],
        (i64::from(open) - idle).max(0),
    );
}

/// Setters for the fleet's gauges; only the leader calls them.
pub(crate) mod fleet {
    use chrono::{DateTime, Utc};
    use metrics::gauge;

    use crate::config::is_provider;

    use super::{
        BLOCKED, BUDGET_PAUSED, BUDGET_REMAINING, COLLECTED, DEAD_LETTERS, DEAD_TUPLES, HOT_RATIO,
        LAST_SUCCESS, LEADER_TERM, NEXT_TICK, OLDEST_DEAD, OLDEST_READY, OLDEST_RUNNING,
        OLDEST_SNAPSHOT, QUEUE_JOBS, QUEUE_PAUSED, REPLAYS, UNCLAIMABLE, WORKERS, set,
    };

    pub(crate) fn queue_jobs(queue: &str, state: &str, jobs: i64) {
        set(
            QUEUE_JOBS,
            &[("queue", queue.to_owned()), ("state", state.to_owned())],
            jobs,
        );
    }

    pub(crate) fn oldest_ready(queue: &str, seconds: f64) {
        gauge!(OLDEST_READY, "queue" => queue.to_owned()).set(seconds);
    }

    pub(crate) fn oldest_running(queue: &str, seconds: f64) {
        gauge!(OLDEST_RUNNING, "queue" => queue.to_owned()).set(seconds);
    }

    pub(crate) fn paused(queue: &str, is_paused: bool) {
        set(
            QUEUE_PAUSED,
            &[("queue", queue.to_owned())],
            i64::from(is_paused),
        );
    }

    pub(crate) fn dead_letters(queue: &str, kind: &str, open: i64) {
        set(
            DEAD_LETTERS,
            &[("queue", queue.to_owned()), ("kind", kind.to_owned())],
            open,
        );
    }

    pub(crate) fn oldest_dead(queue: &str, seconds: f64) {
        gauge!(OLDEST_DEAD, "queue" => queue.to_owned()).set(seconds);
    }

    pub(crate) fn blocked(gate: &str, jobs: i64) {
        set(BLOCKED, &[("gate", gate.to_owned())], jobs);
    }

    pub(crate) fn unclaimable(kind: &str, jobs: i64) {
        set(UNCLAIMABLE, &[("kind", kind.to_owned())], jobs);
    }

    pub(crate) fn workers(version: &str, count: i64) {
        set(WORKERS, &[("version", version.to_owned())], count);
    }

    pub(crate) fn replays(status: &str, count: i64) {
        set(REPLAYS, &[("status", status.to_owned())], count);
    }

    /// A provider's own budget has its name; others belong to none in particular.
    pub(crate) fn budget(budget: &str, remaining: f64, paused_until: f64) {
        let provider = if is_provider(budget) { budget } else { "" };
        let labels = [
            ("provider", provider.to_owned()),
            ("budget", budget.to_owned()),
        ];
        gauge!(BUDGET_REMAINING, &labels).set(remaining);
        gauge!(BUDGET_PAUSED, &labels).set(paused_until);
    }

    pub(crate) fn next_tick(schedule: &str, at: Option<DateTime<Utc>>) {
        moment(NEXT_TICK, schedule, at);
    }

    pub(crate) fn last_success(schedule: &str, at: Option<DateTime<Utc>>) {
        moment(LAST_SUCCESS, schedule, at);
    }

    /// The exporter forgets no series: what there is no moment for is no number, which no alert compares with.
    fn moment(name: &'static str, schedule: &str, at: Option<DateTime<Utc>>) {
        let labels = [("schedule", schedule.to_owned())];
        match at {
            Some(at) => set(name, &labels, at.timestamp()),
            None => gauge!(name, &labels).set(f64::NAN),
        }
    }

    pub(crate) fn table(table: &str, dead_tuples: i64, hot_ratio: Option<f64>) {
        set(DEAD_TUPLES, &[("table", table.to_owned())], dead_tuples);
        if let Some(ratio) = hot_ratio {
            gauge!(HOT_RATIO, "table" => table.to_owned()).set(ratio);
        }
    }

    pub(crate) fn oldest_snapshot(seconds: f64) {
        gauge!(OLDEST_SNAPSHOT).set(seconds);
    }

    pub(crate) fn term(term: i64) {
        set(LEADER_TERM, &[], term);
    }

    pub(crate) fn collected(at: DateTime<Utc>) {
        set(COLLECTED, &[], at.timestamp());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_of_the_fleet_are_absent_where_nobody_leads() {
        let rendered = "# TYPE millpond_queue_jobs gauge\nmillpond_queue_jobs{queue=\"a\"} 1\nmillpond_worker_slots{queue=\"a\"} 2\n";

        assert_eq!(
            shown(rendered, false),
            "millpond_worker_slots{queue=\"a\"} 2\n"
        );
    }

    // Fails when a schedule or a budget that is gone stays on every graph, as a curve of no number.
    #[test]
    fn gauges_of_what_is_no_more_are_absent_where_somebody_leads() {
        let rendered = "millpond_budget_remaining_ratio{provider=\"\",budget=\"crm\"} NaN\n\
                        millpond_budget_remaining_ratio{provider=\"x\",budget=\"x\"} 0.5\n";

        assert_eq!(
            shown(rendered, true),
            "millpond_budget_remaining_ratio{provider=\"x\",budget=\"x\"} 0.5\n"
        );
    }
}
