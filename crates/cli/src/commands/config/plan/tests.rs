//! Plans as people read them.

use chrono::{DateTime, TimeDelta, Utc};
use queue::{
    ConfigPlan,
    config::{Ignored, Origin, Override},
    plan::{
        AttemptsPlan, Change, Counted, Deletion, Drain, Harm, HiddenBy, Kept, Limit, Outlook,
        OverLimit, QueuePlan, ScheduleChange, SchedulePlan, Setting, TimeoutPlan, Unclaimed,
        Unlimited, WhyUnclaimed,
    },
};
use serde_json::{Value, json};

use super::told::{lasting, told};

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_268_800, 0).expect("a time")
}

fn nothing() -> ConfigPlan {
    ConfigPlan {
        revision: Some(12),
        at: noon(),
        harms: Vec::new(),
        changes: Vec::new(),
        added_sections: Vec::new(),
        removed_sections: Vec::new(),
        queues: Vec::new(),
        attempts: Vec::new(),
        timeouts: Vec::new(),
        deletions: Vec::new(),
        schedules: Vec::new(),
        over_limits: Vec::new(),
        unlimited: Vec::new(),
        unclaimed: Vec::new(),
        lost_overrides: Vec::new(),
        warnings: Vec::new(),
        jobs_counted: Counted::Exact,
        notes: Vec::new(),
    }
}

fn change(key: &str, before: Value, after: Value, line: usize) -> Change {
    Change {
        key: key.to_owned(),
        before: Some(Setting {
            value: before,
            origin: Origin::BuiltIn,
        }),
        after: Some(Setting {
            value: after,
            origin: Origin::File { line, column: 1 },
        }),
        restart: false,
        hidden_by: None,
        inherited_by: Vec::new(),
    }
}

fn outlook(slots: i64, drain: Drain, drain_seconds: Option<f64>) -> Outlook {
    Outlook {
        slots,
        arrivals_per_second: 3.0,
        mean_run_seconds: Some(2.0),
        capacity_per_second: Some(2.5),
        drain,
        drain_seconds,
    }
}

#[test]
fn a_text_that_changes_nothing_is_one_line() {
    let of_defaults = ConfigPlan {
        revision: None,
        ..nothing()
    };

    assert_eq!(told(&nothing()), "nothing changes against revision 12\n");
    assert_eq!(
        told(&of_defaults),
        "nothing changes against the built-in defaults\n"
    );
}

fn harmful() -> ConfigPlan {
    ConfigPlan {
        harms: vec![
            Harm::DeadLetters,
            Harm::RowsDeleted,
            Harm::JobsUnclaimed,
            Harm::SchedulesStop,
        ],
        changes: vec![change(
            "kinds.\"email.send\".max_attempts",
            json!(8),
            json!(4),
            2,
        )],
        removed_sections: vec!["queues.extra".to_owned()],
        attempts: vec![AttemptsPlan {
            kind: "email.send".to_owned(),
            before: 8,
            after: 4,
            last_chance: 40,
            used_up: 30,
            running: 1,
        }],
        deletions: vec![
            Deletion {
                of: Kept::FinishedJobs,
                kind: Some("email.send".to_owned()),
                before_seconds: 2_592_000.0,
                after_seconds: 86_400.0,
                rows: 15_200,
                open: None,
                counted: Counted::Estimate,
            },
            Deletion {
                of: Kept::DeadLetters,
                kind: None,
                before_seconds: 7_776_000.0,
                after_seconds: 604_800.0,
                rows: 4,
                open: Some(3),
                counted: Counted::Exact,
            },
        ],
        unclaimed: vec![Unclaimed {
            queue: "extra".to_owned(),
            kind: None,
            jobs: 7,
            why: WhyUnclaimed::QueueGone,
            is_new: true,
        }],
        schedules: vec![SchedulePlan {
            schedule: "nightly".to_owned(),
            change: ScheduleChange::Removed,
            stops: true,
            is_paused: false,
            ticks_before: 1,
            ticks_after: 0,
            is_cut: false,
            next_before: Some(noon()),
            next_after: None,
            lost: vec![noon()],
            gained: Vec::new(),
        }],
        ..nothing()
    }
}

#[test]
fn what_loses_or_kills_work_comes_first() {
    let text = told(&harmful());

    assert_eq!(
        text,
        "compared with revision 12: 1 key with other values

loses or kills work
  40 waiting jobs of email.send: dead letters if the next attempt fails (max_attempts 8 → 4; 30 have used 4 or more and still get it)
  1 running job of email.send: dead letters at once if the worker is lost (max_attempts 8 → 4)
  deleted within minutes: about 15200 finished jobs of email.send (retain_succeeded 30d → 24h)
  deleted within minutes: 4 dead letters, 3 of them open (retain in [dead_letters] 90d → 7d)
  7 waiting jobs in extra, a queue that is gone: no worker takes them
  schedule nightly stops: it would have had 1 tick in the next 24 hours, the first at 2026-01-01T12:00:00Z

changes
  key                              before  after  from
  kinds.\"email.send\".max_attempts       8      4  2:1

sections that are gone
  queues.extra

schedules, in the next 24 hours
  schedule           ticks  next                      no more at
  nightly   removed  1 → 0  2026-01-01T12:00:00Z → -  2026-01-01T12:00:00Z
"
    );
}

fn over(limit: Limit, of: &str, (most, now): (i64, i64), keys: Option<i64>) -> OverLimit {
    OverLimit {
        limit,
        of: of.to_owned(),
        most,
        now,
        keys,
    }
}

fn remarkable() -> ConfigPlan {
    let until = noon() + TimeDelta::hours(1);
    let slots = Change {
        hidden_by: Some(HiddenBy {
            author: "ada".to_owned(),
            until,
        }),
        ..change("queues.sync.concurrency", json!(8), json!(5), 3)
    };
    let batch = Change {
        restart: true,
        inherited_by: vec!["a".to_owned(), "b".to_owned()],
        ..change("http.max_batch", json!(1_000), json!(10), 5)
    };
    let lost = Ignored {
        setting: Override {
            key: "queues.extra.concurrency".to_owned(),
            value: json!(1),
            author: "ada".to_owned(),
            reason: None,
            created_at: noon(),
            until,
        },
        problem: "there is no [queues.extra] that it could override".to_owned(),
    };
    ConfigPlan {
        changes: vec![slots, batch],
        queues: vec![QueuePlan {
            queue: "sync".to_owned(),
            ready: 1_200,
            held: 40,
            running: 8,
            scheduled: 0,
            retrying: 4,
            before: Some(outlook(8, Drain::Drains, Some(190.0))),
            after: Some(outlook(5, Drain::Never, None)),
        }],
        timeouts: vec![TimeoutPlan {
            kind: "sync.account".to_owned(),
            before_seconds: 900.0,
            after_seconds: 40.0,
            p95_run_seconds: 50.0,
            share_over: 0.15,
            measured: 200,
            jobs: 1_208,
        }],
        over_limits: vec![
            over(Limit::MaxReady, "sync", (1_200, 1_200), None),
            over(Limit::Rate, "sync", (20, 31), None),
            over(Limit::PerKeyConcurrency, "sync.account", (1, 5), Some(2)),
            over(Limit::Daily, "meta", (900, 950), Some(2)),
        ],
        unlimited: vec![Unlimited {
            kind: "sync.account".to_owned(),
            jobs: 3,
        }],
        lost_overrides: vec![lost],
        jobs_counted: Counted::AtLeast,
        notes: vec!["tomorrow is like today".to_owned()],
        ..nothing()
    }
}

#[test]
fn what_is_worth_knowing_comes_before_the_tables() {
    let text = told(&remarkable());

    assert_eq!(
        text,
        "compared with revision 12: 2 keys with other values

worth knowing
  sync grows: 3 jobs arrive in a second and 2.5 can be done
  40 ready jobs of sync wait for a held account or a dry budget, and are not reckoned with
  sync has 1200 ready jobs of max_ready = 1200: enqueues are refused until there are fewer
  sync has started 31 attempts within the span of its new rate, which allows 20: none begins until enough of them are a span ago
  sync.account has 2 keys with more than per_key_concurrency = 1 running, together 5 jobs: none is stopped, their number falls as they end
  950 calls count against meta (the most of 2 accounts), and its new daily gives 900 to jobs of ordinary priority: they wait until enough count no more
  3 waiting jobs of sync.account have no key, so the limit per key does not hold for them: a key is found when a job is enqueued
  15 % of the attempts of sync.account took longer than its new timeout (15m → 40s; of 100 that succeeded 95 took at most 50s): 1208 jobs still to be done
  http.max_batch takes effect when processes start anew
  queues.sync.concurrency is overridden by ada until 2026-01-01T13:00:00Z: the change takes effect then
  the override of queues.extra.concurrency loses its effect: there is no [queues.extra] that it could override
  a million jobs were counted, and there are more: numbers of jobs are at least so many

changes
  key                      before  after  from
  queues.sync.concurrency       8      5  3:1
  http.max_batch             1000     10  5:1, and 2 keys that inherit it

queues
  queue  ready  running  scheduled  retrying  slots  arrive/s  done in
  sync    1200        8          0         4  8 → 5       3.0  3m 10s → never

assumed
  tomorrow is like today
"
    );
}

// Fails when a change of a few seconds or hours cannot be told from none.
#[test]
fn spans_are_told_in_their_two_largest_units() {
    let words = [
        (0.0, "0s"),
        (0.4, "under 1s"),
        (59.6, "1m"),
        (61.0, "1m 1s"),
        (3_600.0, "1h"),
        (90_000.0, "25h"),
        (180_000.0, "2d 2h"),
        (7_776_000.0, "90d"),
    ];

    for (seconds, told) in words {
        assert_eq!(lasting(seconds), told, "{seconds}");
    }
}

#[test]
fn names_of_others_stay_on_their_line() {
    let mut plan = harmful();
    plan.unclaimed[0].queue = "a\nb\u{1b}[2J".to_owned();

    let text = told(&plan);

    assert!(
        text.contains("7 waiting jobs in a\\nb\\u{1b}[2J, a queue"),
        "{text}"
    );
}
