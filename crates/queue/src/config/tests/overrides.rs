//! Values that were set for a time: checked as the file is, over whatever it says, and never in its way.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::REGISTERED;
use crate::config::{Config, Layered, Origin, Override, canonical_key, typed_value};

fn setting(key: &str, value: Value) -> Override {
    Override {
        key: canonical_key(key).expect("it is a key"),
        value,
        author: "ada".to_owned(),
        reason: None,
        created_at: DateTime::UNIX_EPOCH,
        until: DateTime::UNIX_EPOCH + TimeDelta::hours(1),
    }
}

fn layered(text: &str, overrides: &[Override]) -> Layered {
    Config::layered(text, overrides, &REGISTERED).expect("the text is right")
}

/// Why an override is refused over a text; empty when it is not.
fn refusal(text: &str, holding: &[Override], setting: &Override) -> String {
    Config::check_override(text, holding, setting, &REGISTERED)
        .expect("the text is right")
        .err()
        .map_or_else(String::new, |problem| problem.to_string())
}

#[test]
fn an_override_lies_over_what_the_file_says_and_tells_whose_it_is() {
    let text = "[queues.sync]\nconcurrency = 8\n";
    let overrides = [
        setting("queues.sync.concurrency", json!(2)),
        setting("queues.email.max_ready", json!(500)),
        setting("kinds.\"email.send\".timeout", json!("5m")),
    ];

    let Layered {
        config, ignored, ..
    } = layered(text, &overrides);

    assert!(ignored.is_empty(), "{ignored:?}");
    assert_eq!(config.queues["sync"].concurrency, 2);
    assert_eq!(config.queues["email"].max_ready, Some(500));
    assert_eq!(config.policy("email.send").timeout.as_secs(), 300);
    let values = config.effective();
    let origin = |key: &str| {
        let value = values.iter().find(|value| value.key == key);
        value.map(|value| value.origin.clone())
    };
    let whose = Origin::Override {
        until: DateTime::UNIX_EPOCH + TimeDelta::hours(1),
        author: "ada".to_owned(),
    };
    assert_eq!(origin("queues.sync.concurrency"), Some(whose.clone()));
    assert_eq!(origin("kinds.\"email.send\".timeout"), Some(whose));
    assert_eq!(
        origin("queues.sync.priority"),
        Some(Origin::BuiltIn),
        "an override changes nothing beside it"
    );
}

#[test]
fn an_override_of_a_default_reaches_what_inherits_it() {
    let text = "[queues.email]\ntimeout = \"1m\"\n";

    let Layered { config, .. } = layered(text, &[setting("defaults.timeout", json!("2m"))]);

    assert_eq!(config.policy("http.request").timeout.as_secs(), 120);
    assert_eq!(config.policy("email.send").timeout.as_secs(), 60);
}

#[test]
fn a_composite_value_is_overridden_as_a_whole() {
    let text = "[kinds.\"email.send\"]\nbackoff = { strategy = \"fixed\", base = \"5s\", jitter = \"none\" }\n";
    let delays = setting("kinds.\"email.send\".backoff", json!({ "delays": ["7s"] }));

    let Layered { config, .. } = layered(text, &[delays]);

    let first = config.policy("email.send").backoff.delay(1, 1.0);
    assert_eq!(first.as_secs(), 7);
}

#[test]
fn the_reader_of_the_file_refuses_what_the_file_could_not_say_either() {
    let cases = [
        (
            setting("queues.sync.concurency", json!(2)),
            "unknown key \"concurency\" in [queues.sync]; did you mean \"concurrency\"?",
        ),
        (
            setting("queues.sync.concurrency", json!(0)),
            "concurrency in [queues.sync]: must be 1 to 10000",
        ),
        (
            setting("queues.sync.concurrency", json!("2")),
            "concurrency in [queues.sync]: expected a whole number (1 to 10000), found a string",
        ),
        (
            setting("queues.snyc.concurrency", json!(2)),
            "there is no [queues.snyc] that it could override; did you mean \"sync\"?",
        ),
        (
            setting("queues.sync", json!({ "concurrency": 2 })),
            "queues.sync is a section or a part of a value: name one of its keys",
        ),
        (
            setting("http.max_body", json!("2MiB")),
            "http.max_body takes effect after a restart: change it in jobs.toml",
        ),
        (
            setting("queues.sync.concurrency", Value::Null),
            "must not hold null: take the override away instead",
        ),
    ];

    for (setting, expected) in cases {
        assert_eq!(refusal("", &[], &setting), expected, "{}", setting.key);
    }
}

#[test]
fn a_refusal_tells_whether_the_key_or_the_value_is_at_fault() {
    let at_fault = |setting: &Override| {
        Config::check_override("", &[], setting, &REGISTERED)
            .expect("the text is right")
            .map_err(|problem| problem.is_in_key)
    };

    assert_eq!(at_fault(&setting("lease.tll", json!("2s"))), Err(true));
    assert_eq!(at_fault(&setting("lease.ttl", json!("2"))), Err(false));
    assert_eq!(at_fault(&setting("lease.ttl", json!("2s"))), Ok(()));
}

#[test]
fn what_does_not_go_together_with_the_file_is_refused() {
    let text = "[lease]\nttl = \"60s\"\nrenew_every = \"20s\"\n";

    let refused = refusal(text, &[], &setting("lease.ttl", json!("30s")));

    assert!(
        refused.starts_with("does not go together with the file: 3:15: renew_every in [lease]"),
        "{refused}"
    );
}

#[test]
fn an_override_gives_way_to_another_of_its_key_and_not_to_a_conflict() {
    let text = "[kinds.\"email.send\"]\nbackoff = { strategy = \"fixed\", base = \"5s\" }\n";
    let whole = setting("kinds.\"email.send\".backoff", json!({ "delays": ["7s"] }));
    let again = setting("kinds.\"email.send\".backoff", json!({ "delays": ["9s"] }));
    let part = setting("kinds.\"email.send\".backoff.base", json!("9s"));

    assert_eq!(refusal(text, std::slice::from_ref(&whole), &again), "");
    assert_ne!(refusal(text, &[whole], &part), "");
}

#[test]
fn an_override_that_a_new_text_makes_wrong_is_ignored_and_the_others_hold() {
    let before = "[queues.extra]\nconcurrency = 8\n";
    let overrides = [
        setting("queues.extra.concurrency", json!(2)),
        setting("queues.sync.concurrency", json!(3)),
    ];

    let held = layered(before, &overrides);
    let after = layered("", &overrides);

    assert_eq!(held.overrides.len(), 2);
    assert_eq!(after.config.queues["sync"].concurrency, 3);
    assert_eq!(after.overrides, overrides[1..]);
    assert_eq!(after.ignored.len(), 1);
    assert_eq!(after.ignored[0].setting, overrides[0]);
    assert!(!after.config.queues.contains_key("extra"));
}

#[test]
fn a_wrong_text_is_wrong_whatever_lies_over_it() {
    let overrides = [setting("queues.sync.concurrency", json!(2))];

    let refused = Config::layered("[queues.sync]\nconcurrency = 0\n", &overrides, &REGISTERED);

    let problems = refused.map(|_| ()).expect_err("it is wrong");
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].line, problems[0].column), (2, 15));
}

#[test]
fn keys_have_one_way_to_be_written() {
    for (key, written) in [
        ("queues.sync.concurrency", "queues.sync.concurrency"),
        (
            " queues . \"sync\" . 'concurrency' ",
            "queues.sync.concurrency",
        ),
        ("kinds.'email.send'.timeout", "kinds.\"email.send\".timeout"),
    ] {
        assert_eq!(canonical_key(key), Ok(written.to_owned()), "{key}");
    }
    for key in ["", ".", "a.", "a = 1\nb", "a = 1 #", "[a]", "a, b", "a b"] {
        assert!(canonical_key(key).is_err(), "{key}");
    }
}

#[test]
fn what_a_person_types_needs_no_quotes() {
    for (typed, value) in [
        ("2", json!(2)),
        ("0.5", json!(0.5)),
        ("true", json!(true)),
        ("5m", json!("5m")),
        ("20/s", json!("20/s")),
        ("\"5m\"", json!("5m")),
        ("tenant", json!("tenant")),
        ("2026-01-01", json!("2026-01-01")),
        ("1\nb = 2", json!("1\nb = 2")),
        (
            "{ action = \"wait\", max = \"1h\" }",
            json!({ "action": "wait", "max": "1h" }),
        ),
    ] {
        assert_eq!(typed_value(typed), value, "{typed}");
    }
}

#[test]
fn values_that_need_a_restart_stay_as_they_began_and_are_named() {
    let started = Config::builtin();
    let text = "[http]\nmax_body = \"2MiB\"\nrate_per_key = \"5/s\"\n[worker]\ndrain = \"1m\"\n\
                [kinds.\"billing.close\"]\ntarget = \"https://a.example.com/\"\n";

    let changed = layered(text, &[]).config;
    let waiting = changed.waiting_for_restart(&started);
    let held = changed.until_restart(&started);

    assert_eq!(
        waiting,
        [
            "http.max_body",
            "kinds.\"billing.close\".target",
            "worker.drain"
        ]
    );
    assert_eq!(held.http.max_body_bytes, started.http.max_body_bytes);
    assert_eq!(held.worker, started.worker);
    assert!(held.http.rate_per_key.is_some());
}

#[test]
fn times_are_those_of_the_override() {
    let until = Utc::now();
    let mut timed = setting("queues.sync.concurrency", json!(2));
    timed.until = until;

    let config = layered("", &[timed]).config;

    let values = config.effective();
    let found = values
        .iter()
        .find(|value| value.key == "queues.sync.concurrency");
    assert!(
        matches!(found.map(|value| &value.origin), Some(Origin::Override { until: told, .. }) if *told == until)
    );
}
