//! What limits make of the work that is there: how soon it is done under them, and which of them it is beyond.

use chrono::TimeDelta;
use serde_json::json;

use super::{facts, jobs, now, sides, worker};
use crate::{
    plan::{ConfigPlan, Drain, Facts, Limit, Outlook, QueuePlan, Unlimited, weigh},
    store::{
        budgets::StandingRow,
        plan::{CrowdedKeys, JobsOfKind, LinesOfKind, RunTimes, Starts},
    },
};

fn two_seconds() -> RunTimes {
    RunTimes {
        kind: "test.work".to_owned(),
        measured: 100,
        mean_seconds: 2.0,
        p95_seconds: 3.0,
        longer: 0,
    }
}

/// Two processes with five slots each, and a hundred jobs of two seconds.
fn at_work() -> Facts {
    Facts {
        jobs: vec![jobs("sync", "ready", 90), jobs("sync", "running", 10)],
        workers: vec![
            worker(json!({"sync": 5})),
            worker(json!({"sync": 5})),
            worker(json!({"email": 5})),
        ],
        run_times: vec![two_seconds()],
        ..facts()
    }
}

fn with_slots(slots: u32, more: &str) -> String {
    format!("[queues.sync]\nconcurrency = {slots}\n{more}\n")
}

fn only_queue(plan: &ConfigPlan) -> &QueuePlan {
    match plan.queues.as_slice() {
        [told] => told,
        others => panic!("{others:?}"),
    }
}

fn slots_and_drain(outlook: Option<&Outlook>) -> (i64, Option<f64>) {
    let outlook = outlook.expect("the queue is there");
    (outlook.slots, outlook.drain_seconds)
}

/// What a plan tells of limits: which, of what, how many are allowed, how many there are, of how many keys.
fn over(plan: &ConfigPlan) -> Vec<(Limit, &str, i64, i64, Option<i64>)> {
    let told = plan.over_limits.iter();
    told.map(|over| (over.limit, over.of.as_str(), over.most, over.now, over.keys))
        .collect()
}

#[test]
fn a_queue_drains_by_the_slots_of_the_processes_that_work_on_it() {
    let before = with_slots(5, "");
    let after = with_slots(50, "global_concurrency = 40");

    let plan = weigh(sides(&before, &after), &at_work());

    let told = only_queue(&plan);
    assert_eq!((told.ready, told.running, told.held), (90, 10, 0));
    assert_eq!(slots_and_drain(told.before.as_ref()), (10, Some(20.0)));
    assert_eq!(slots_and_drain(told.after.as_ref()), (40, Some(5.0)));
}

// Ten have been started within the minute before, the first of them half a minute ago: thirty start at once, forty when
// those count no more, and the last twenty a minute later.
#[test]
fn what_a_rate_has_let_start_is_reckoned_with() {
    let half_a_minute_ago = now() - TimeDelta::seconds(30);
    let facts = Facts {
        starts: vec![Starts {
            queue: "sync".to_owned(),
            times: vec![half_a_minute_ago, now()],
            counts: vec![4, 6],
        }],
        ..at_work()
    };
    let before = with_slots(50, "");
    let after = with_slots(50, "rate = \"40/m\"");

    let plan = weigh(sides(&before, &after), &facts);

    let told = only_queue(&plan);
    assert_eq!(slots_and_drain(told.before.as_ref()), (100, Some(2.0)));
    assert_eq!(slots_and_drain(told.after.as_ref()), (100, Some(92.0)));
}

#[test]
fn the_busiest_key_keeps_a_queue_from_being_done_sooner() {
    let line = LinesOfKind {
        queue: "sync".to_owned(),
        kind: "test.work".to_owned(),
        longest: 45,
        without_key: 3,
    };
    let facts = Facts {
        lines: vec![line],
        ..at_work()
    };
    let two_per_key = "[kinds.\"test.work\"]\nkey = \"name\"\nper_key_concurrency = 2\n";
    let before = with_slots(5, "");

    let plan = weigh(sides(&before, &format!("{before}{two_per_key}")), &facts);
    let lifted = weigh(sides(&format!("{before}{two_per_key}"), &before), &facts);

    let told = only_queue(&plan);
    assert_eq!(slots_and_drain(told.before.as_ref()), (10, Some(20.0)));
    assert_eq!(slots_and_drain(told.after.as_ref()), (10, Some(46.0)));
    let without_key = Unlimited {
        kind: "test.work".to_owned(),
        jobs: 3,
    };
    assert_eq!(plan.unlimited, [without_key]);
    let told = only_queue(&lifted);
    assert_eq!(slots_and_drain(told.after.as_ref()), (10, Some(20.0)));
    assert!(lifted.unlimited.is_empty());
}

// Fails when jobs that no slot helps are taken for work that drains.
#[test]
fn what_accounts_and_budgets_hold_is_told_and_does_not_drain() {
    let held = |ready| JobsOfKind {
        held: 60,
        ..jobs("sync", "ready", ready)
    };
    let with = |ready| Facts {
        jobs: vec![held(ready)],
        ..at_work()
    };
    let (before, after) = (with_slots(5, ""), with_slots(10, ""));

    let some = weigh(sides(&before, &after), &with(90));
    let all = weigh(sides(&before, &after), &with(60));

    let told = only_queue(&some);
    assert_eq!((told.ready, told.held), (90, 60));
    assert_eq!(slots_and_drain(told.before.as_ref()), (10, Some(6.0)));
    let told = only_queue(&all).after.as_ref();
    assert_eq!(told.map(|outlook| outlook.drain), Some(Drain::Held));
}

#[test]
fn a_limit_below_what_there_is_now_is_told() {
    let facts = Facts {
        jobs: vec![jobs("sync", "ready", 80), jobs("sync", "running", 12)],
        workers: vec![worker(json!({"sync": 8})), worker(json!({"sync": 8}))],
        crowded: vec![CrowdedKeys {
            kind: "sync.account".to_owned(),
            keys: 2,
            running: 9,
        }],
        starts: vec![Starts {
            queue: "sync".to_owned(),
            times: vec![now()],
            counts: vec![31],
        }],
        ..facts()
    };
    let before = "[queues.sync]\nconcurrency = 8\nrate = \"100/m\"\n";
    let after = "[queues.sync]\nconcurrency = 5\nglobal_concurrency = 6\nmax_ready = 50\nrate = \"30/m\"\n\
                 [kinds.\"sync.account\"]\nkey = \"account_id\"\nper_key_concurrency = 3\n";
    let wide = "[queues.sync]\nconcurrency = 6\nmax_ready = 81\nrate = \"31/m\"\n";

    let plan = weigh(sides(before, after), &facts);
    let wide = weigh(sides(before, wide), &facts);

    assert_eq!(
        over(&plan),
        [
            (Limit::MaxReady, "sync", 50, 80, None),
            (Limit::Concurrency, "sync", 10, 12, None),
            (Limit::GlobalConcurrency, "sync", 6, 12, None),
            (Limit::Rate, "sync", 30, 31, None),
            (Limit::PerKeyConcurrency, "sync.account", 3, 9, Some(2)),
        ]
    );
    assert!(wide.over_limits.is_empty(), "{:?}", wide.over_limits);
    assert!(plan.harms.is_empty());
}

#[test]
fn a_queue_with_as_many_ready_jobs_as_it_may_have_refuses_already() {
    let facts = Facts {
        jobs: vec![jobs("sync", "ready", 80)],
        ..facts()
    };

    let plan = weigh(sides("", "[queues.sync]\nmax_ready = 80\n"), &facts);

    assert_eq!(over(&plan), [(Limit::MaxReady, "sync", 80, 80, None)]);
}

#[test]
fn what_runs_where_no_process_is_known_is_beyond_no_limit_of_processes() {
    let facts = Facts {
        jobs: vec![jobs("sync", "running", 4)],
        ..facts()
    };

    let plan = weigh(sides("", "[queues.sync]\nconcurrency = 2\n"), &facts);

    assert!(plan.over_limits.is_empty(), "{:?}", plan.over_limits);
}

fn standing(account: &str, used: i64) -> StandingRow {
    StandingRow {
        name: "meta".to_owned(),
        account: account.to_owned(),
        used,
        places: 0,
        paused_until: None,
        pause_reason: None,
        used_share: None,
        remaining: None,
        told_until: None,
        dry_until: None,
        dry_detail: None,
    }
}

// Fails when what is reserved for urgent jobs counts as left for the others.
#[test]
fn a_budget_of_which_more_is_used_than_the_new_day_gives_is_told() {
    let facts = Facts {
        budgets: vec![
            standing("a", 950),
            standing("b", 900),
            standing("c", 899),
            standing("d", 10),
        ],
        ..facts()
    };
    let daily = |calls: u32| format!("[budgets.meta]\ndaily = {calls}\n");

    let fewer = weigh(sides(&daily(5_000), &daily(1_000)), &facts);
    let more = weigh(sides(&daily(500), &daily(1_000)), &facts);

    assert_eq!(over(&fewer), [(Limit::Daily, "meta", 900, 950, Some(2))]);
    assert!(more.over_limits.is_empty() && fewer.harms.is_empty());
}
