//! What follows from which change, from facts made up here; and, in `applied` and `drained`, the numbers against what
//! then happens.

mod applied;
mod drained;
mod fleet;
mod limits;
mod ticks;

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    config::{Origin, Override},
    store::{
        plan::{FinishedOfKind, JobsOfKind, Letters, RunTimes},
        workers::WorkerStatus,
    },
};

const KINDS: [&str; 1] = ["test.work"];

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_268_800, 0).expect("a time")
}

fn side(text: &str) -> Side {
    let written = Config::parse(text, &KINDS).expect("the text is right");
    Side {
        holds: written.config.clone(),
        written: written.config,
    }
}

fn sides(before: &str, after: &str) -> Sides {
    Sides {
        before: side(before),
        after: side(after),
        revision: Revision::Number(7),
        lost_overrides: Vec::new(),
        warnings: Vec::new(),
    }
}

fn facts() -> Facts {
    Facts {
        at: now(),
        registered: KINDS.map(str::to_owned).into(),
        finished_percent: 100.0,
        others_percent: 100.0,
        ..Facts::default()
    }
}

fn jobs(queue: &str, state: &str, jobs: i64) -> JobsOfKind {
    JobsOfKind {
        queue: queue.to_owned(),
        kind: "test.work".to_owned(),
        state: state.to_owned(),
        jobs,
        held: 0,
        last_chance: 0,
        used_up: 0,
    }
}

/// A process that works on these queues.
fn worker(slots: Value) -> WorkerStatus {
    WorkerStatus {
        id: Uuid::nil(),
        host: "loom".to_owned(),
        pid: 1,
        version: "test".to_owned(),
        roles: vec!["worker".to_owned()],
        slots,
        kinds: KINDS.map(str::to_owned).into(),
        started_at: now(),
        seen_at: now(),
        running: 0,
        config_revision: Some(7),
    }
}

fn keys(plan: &ConfigPlan) -> Vec<&str> {
    plan.changes
        .iter()
        .map(|change| change.key.as_str())
        .collect()
}

fn change<'a>(plan: &'a ConfigPlan, key: &str) -> &'a Change {
    let found = plan.changes.iter().find(|change| change.key == key);
    found.unwrap_or_else(|| panic!("{key} is not told: {:?}", keys(plan)))
}

#[test]
fn the_same_text_changes_and_harms_nothing() {
    let text = "[defaults]\ntimeout = \"5m\"\n";

    let plan = weigh(sides(text, &format!("# another day\n{text}")), &facts());

    assert!(plan.is_empty(), "{plan:?}");
    assert!(plan.harms.is_empty() && plan.queues.is_empty(), "{plan:?}");
    assert_eq!((plan.revision, plan.at), (Some(7), now()));
}

#[test]
fn a_line_of_the_defaults_is_one_change_with_all_that_inherit_it() {
    let before = "[queues.sync]\ntimeout = \"1m\"\n";
    let after = format!("[defaults]\ntimeout = \"5m\"\n{before}");

    let plan = weigh(sides(before, &after), &facts());

    assert_eq!(keys(&plan), ["defaults.timeout"]);
    let change = change(&plan, "defaults.timeout");
    let before = change.before.as_ref().expect("a default");
    let after = change.after.as_ref().expect("a value");
    assert_eq!(
        (&before.value, &before.origin),
        (&json!("15m"), &Origin::BuiltIn)
    );
    assert_eq!(
        (&after.value, &after.origin),
        (&json!("5m"), &Origin::File { line: 2, column: 1 })
    );
    let inherits = |key: &str| change.inherited_by.iter().any(|other| other == key);
    assert!(inherits("queues.email.timeout") && inherits("kinds.\"email.send\".timeout"));
    assert!(!inherits("queues.sync.timeout") && !inherits("kinds.\"sync.account\".timeout"));
}

#[test]
fn a_section_that_comes_or_goes_is_told_by_what_it_says_itself() {
    let text = "[queues.extra]\nconcurrency = 3\n[queues.bare]\n";

    let comes = weigh(sides("", text), &facts());
    let goes = weigh(sides(text, ""), &facts());

    assert_eq!(keys(&comes), ["queues.extra.concurrency"]);
    assert_eq!(comes.added_sections, ["queues.bare", "queues.extra"]);
    assert!(comes.changes[0].before.is_none() && comes.changes[0].after.is_some());
    assert_eq!(keys(&goes), ["queues.extra.concurrency"]);
    assert_eq!(goes.removed_sections, ["queues.bare", "queues.extra"]);
}

#[test]
fn a_key_that_needs_a_restart_or_is_overridden_says_so() {
    let before = "[http]\nmax_batch = 10\n[queues.sync]\nconcurrency = 2\n";
    let after = "[http]\nmax_batch = 20\n[queues.sync]\nconcurrency = 4\n";
    let until = now() + TimeDelta::hours(1);
    let setting = Override {
        key: "queues.sync.concurrency".to_owned(),
        value: json!(1),
        author: "ada".to_owned(),
        reason: None,
        created_at: now(),
        until,
    };
    let mut sides = sides(before, after);
    let layered = Config::layered(after, &[setting], &KINDS).expect("the override fits");
    sides.after.holds = layered.config;

    let plan = weigh(sides, &facts());

    let batch = change(&plan, "http.max_batch");
    assert!(batch.restart && batch.hidden_by.is_none());
    let slots = change(&plan, "queues.sync.concurrency");
    let author = "ada".to_owned();
    assert_eq!(slots.hidden_by, Some(HiddenBy { author, until }));
    assert!(!slots.restart);
}

#[test]
fn fewer_attempts_are_told_by_kind_over_all_queues() {
    let waiting = |queue: &str, state: &str| JobsOfKind {
        last_chance: 5,
        used_up: 2,
        ..jobs(queue, state, 9)
    };
    let facts = Facts {
        jobs: vec![
            waiting("default", "retrying"),
            waiting("email", "ready"),
            waiting("default", "running"),
        ],
        ..facts()
    };

    let plan = weigh(
        sides(
            "[defaults]\nmax_attempts = 9\n",
            "[defaults]\nmax_attempts = 4\n",
        ),
        &facts,
    );

    let expected = AttemptsPlan {
        kind: "test.work".to_owned(),
        before: 9,
        after: 4,
        last_chance: 10,
        used_up: 4,
        running: 2,
    };
    assert_eq!(plan.attempts, [expected]);
    assert_eq!(plan.harms, [Harm::DeadLetters]);
}

#[test]
fn a_time_out_below_what_attempts_take_is_a_warning_and_no_harm() {
    let runs = RunTimes {
        kind: "test.work".to_owned(),
        measured: 200,
        mean_seconds: 20.0,
        p95_seconds: 50.0,
        longer: 30,
    };
    let facts = Facts {
        run_times: vec![runs],
        jobs: vec![jobs("default", "ready", 4)],
        ..facts()
    };
    let timeout = |time: &str| format!("[defaults]\ntimeout = \"{time}\"\n");

    let tight = weigh(sides("", &timeout("40s")), &facts);
    let wide = weigh(sides("", &timeout("60s")), &facts);
    let longer = weigh(sides(&timeout("30s"), &timeout("40s")), &facts);

    let [told] = tight.timeouts.as_slice() else {
        panic!("{:?}", tight.timeouts);
    };
    assert_eq!(
        (told.share_over, told.jobs, told.after_seconds),
        (0.15, 4, 40.0)
    );
    assert!(tight.harms.is_empty());
    assert!(wide.timeouts.is_empty() && longer.timeouts.is_empty());
}

#[test]
fn what_retention_deletes_is_told_with_how_it_was_counted() {
    let facts = Facts {
        finished: vec![FinishedOfKind {
            kind: "test.work".to_owned(),
            jobs: 50,
        }],
        finished_percent: 10.0,
        finished_of_others: 3,
        letters: Letters {
            letters: 100_001,
            open: 7,
        },
        ..facts()
    };
    let after = "[defaults]\nretain_succeeded = \"1h\"\n[dead_letters]\nretain = \"7d\"\n";

    let plan = weigh(sides("", after), &facts);

    let told: Vec<_> = plan
        .deletions
        .iter()
        .map(|deletion| (deletion.of, deletion.rows, deletion.open, deletion.counted))
        .collect();
    assert_eq!(
        told,
        [
            (Kept::DeadLetters, 100_000, Some(7), Counted::AtLeast),
            (Kept::FinishedJobs, 500, None, Counted::Estimate),
            (Kept::FinishedJobs, 3, None, Counted::Exact),
        ]
    );
    assert_eq!(plan.harms, [Harm::RowsDeleted]);
}

#[test]
fn switching_encryption_on_tells_of_the_backlog_and_of_the_keys() {
    let facts = Facts {
        jobs: vec![jobs("default", "ready", 4), jobs("default", "scheduled", 3)],
        ..facts()
    };
    let on = "[kinds.\"test.work\"]\nencrypt = true\n";

    let switched_on = weigh(sides("", on), &facts).notes;
    let switched_off = weigh(sides(on, ""), &facts).notes;
    let unchanged = weigh(sides(on, on), &facts).notes;

    let has = |notes: &[String], part: &str| notes.iter().any(|note| note.contains(part));
    assert!(has(
        &switched_on,
        "payloads of 7 jobs of test.work stay in the clear"
    ));
    assert!(has(&switched_on, "without MILLPOND_ENCRYPTION_KEYS"));
    assert!(has(
        &switched_off,
        "payloads of 7 jobs of test.work stay encrypted"
    ));
    assert!(!has(&unchanged, "test.work"));
}

#[test]
fn only_kinds_that_are_kept_for_less_time_are_asked_for() {
    let after = "[kinds.\"test.work\"]\nretain_succeeded = \"1h\"\n[kinds.\"email.send\"]\nretain_succeeded = \"30d\"\n";

    let asked = Asked::for_sides(&sides("", after), BTreeSet::new());

    let (span, ages) = asked.finished.expect("one is kept for less time");
    assert_eq!(ages.kinds, ["test.work"]);
    assert_eq!(
        (span.youngest_seconds, span.oldest_seconds),
        (3_600.0, 86_400.0)
    );
    assert!(asked.finished_of_others.is_none() && asked.letters.is_none());
}

#[test]
fn jobs_of_a_queue_or_a_kind_that_goes_are_claimed_by_nobody() {
    let kind = "[kinds.\"billing.close\"]\ntarget = \"https://app.example.com/jobs\"\n";
    let of_kind = JobsOfKind {
        kind: "billing.close".to_owned(),
        ..jobs("default", "ready", 2)
    };
    let facts = Facts {
        jobs: vec![
            jobs("extra", "ready", 3),
            jobs("extra", "running", 5),
            jobs("older", "scheduled", 1),
            of_kind,
        ],
        ..facts()
    };

    let plan = weigh(sides(&format!("[queues.extra]\n{kind}"), ""), &facts);

    let told: Vec<_> = plan
        .unclaimed
        .iter()
        .map(|row| (row.queue.as_str(), row.jobs, row.why, row.is_new))
        .collect();
    assert_eq!(
        told,
        [
            ("extra", 3, WhyUnclaimed::QueueGone, true),
            ("older", 1, WhyUnclaimed::QueueGone, false),
            ("default", 2, WhyUnclaimed::KindGone, true),
        ]
    );
    assert_eq!(plan.harms, [Harm::JobsUnclaimed]);
}

#[test]
fn a_kind_that_moves_to_where_no_process_works_is_told() {
    let after = "[kinds.\"test.work\"]\nqueue = \"sync\"\n";
    let facts_with = |slots: Value| Facts {
        workers: vec![worker(slots)],
        ..facts()
    };

    let nobody = weigh(sides("", after), &facts_with(json!({"default": 8})));
    let somebody = weigh(
        sides("", after),
        &facts_with(json!({"default": 8, "sync": 8})),
    );

    let told = nobody.unclaimed.first().map(|row| (row.why, row.jobs));
    assert_eq!(told, Some((WhyUnclaimed::NoWorker, 0)));
    assert!(somebody.unclaimed.is_empty());
}

#[test]
fn words_are_the_same_in_every_answer() {
    let harms = [
        Harm::DeadLetters,
        Harm::RowsDeleted,
        Harm::JobsUnclaimed,
        Harm::SchedulesStop,
    ];
    let drains = [
        Drain::Empty,
        Drain::Drains,
        Drain::Never,
        Drain::Paused,
        Drain::NoWorker,
        Drain::Held,
        Drain::NotMeasured,
    ];

    for harm in harms {
        assert_eq!(json!(harm), json!(harm.as_str()));
    }
    for drain in drains {
        assert_eq!(json!(drain), json!(drain.as_str()));
    }
    for counted in [Counted::Exact, Counted::AtLeast, Counted::Estimate] {
        assert_eq!(json!(counted), json!(counted.as_str()));
    }
    for limit in [
        Limit::MaxReady,
        Limit::Concurrency,
        Limit::GlobalConcurrency,
        Limit::Rate,
        Limit::PerKeyConcurrency,
        Limit::Daily,
    ] {
        assert_eq!(json!(limit), json!(limit.as_str()));
    }
    for why in [
        WhyUnclaimed::QueueGone,
        WhyUnclaimed::KindGone,
        WhyUnclaimed::NoWorker,
    ] {
        assert_eq!(json!(why), json!(why.as_str()));
    }
    for kept in [Kept::FinishedJobs, Kept::DeadLetters] {
        assert_eq!(json!(kept), json!(kept.as_str()));
    }
    for change in [
        ScheduleChange::Added,
        ScheduleChange::Removed,
        ScheduleChange::Changed,
    ] {
        assert_eq!(json!(change), json!(change.as_str()));
    }
}
