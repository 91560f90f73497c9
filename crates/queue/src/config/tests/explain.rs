//! What is told about a configuration that is right: every value with its origin, and the schema for editors.

use serde_json::{Value, json};

use super::{FILE, accepted, file_with_examples};
use crate::config::{Config, Origin, json_schema};

fn effective(config: &Config, key: &str) -> (Value, Origin) {
    let values = config.effective();
    let found = values.iter().find(|value| value.key == key);
    let found = found.unwrap_or_else(|| panic!("{key} is not listed"));
    (found.value.clone(), found.origin.clone())
}

#[test]
fn every_value_is_listed_with_the_place_that_set_it() {
    let text = "[defaults]\ntimeout = \"90s\"\n\n[queues.email]\n  concurrency = 3\n";

    let config = accepted(text).config;

    let cases = [
        ("http.max_body", json!("1MiB"), Origin::BuiltIn),
        ("lease.lost_window", json!("72h"), Origin::BuiltIn),
        (
            "queues.email.concurrency",
            json!(3),
            Origin::File { line: 5, column: 3 },
        ),
        ("queues.sync.concurrency", json!(10), Origin::BuiltIn),
        (
            "defaults.timeout",
            json!("1m30s"),
            Origin::File { line: 2, column: 1 },
        ),
        (
            "kinds.\"email.send\".timeout",
            json!("1m30s"),
            Origin::File { line: 2, column: 1 },
        ),
        (
            "kinds.\"email.send\".max_attempts",
            json!(8),
            Origin::BuiltIn,
        ),
        (
            "kinds.\"email.send\".on.rate_limited",
            json!({ "action": "wait", "max": "2h" }),
            Origin::BuiltIn,
        ),
        ("dead_letters.replay.rate", json!("10/s"), Origin::BuiltIn),
    ];
    for (key, value, origin) in cases {
        assert_eq!(effective(&config, key), (value, origin), "{key}");
    }
}

#[test]
fn composite_values_are_listed_as_the_file_would_write_them() {
    let text = "[kinds.\"email.send\"]\nbackoff = { strategy = \"fixed\", base = \"5s\" }\n\
                unique = { fields = [\"to\"] }\n";

    let config = accepted(text).config;

    let (backoff, _) = effective(&config, "kinds.\"email.send\".backoff");
    let (unique, _) = effective(&config, "kinds.\"email.send\".unique");
    assert_eq!(
        backoff,
        json!({ "strategy": "fixed", "base": "5s", "jitter": "full" })
    );
    assert_eq!(
        unique,
        json!({
            "fields": ["to"],
            "while": ["scheduled", "ready", "running", "retrying"],
            "on_conflict": "keep",
        })
    );
}

#[test]
fn each_value_is_listed_once() {
    let config = accepted(&file_with_examples()).config;

    let mut keys: Vec<String> = config
        .effective()
        .into_iter()
        .map(|value| value.key)
        .collect();

    let listed = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), listed);
}

#[test]
fn the_schema_takes_what_the_check_takes() {
    let validator = jsonschema::validator_for(&json_schema()).expect("the schema is right");

    for text in [FILE.to_owned(), file_with_examples()] {
        let document: Value = toml::from_str(&text).expect("the file is TOML");

        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();

        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[test]
fn the_schema_refuses_what_the_check_refuses() {
    let validator = jsonschema::validator_for(&json_schema()).expect("the schema is right");
    let wrong = [
        json!({ "htp": {} }),
        json!({ "version": 2 }),
        json!({ "defaults": { "timeout": "5min" } }),
        json!({ "queues": { "Sync": {} } }),
        json!({ "queues": { "sync": { "concurrency": 0 } } }),
        json!({ "kinds": { "email.send": { "on": { "invalid": {} } } } }),
        json!({ "schedules": { "s": { "kind": "token.check" } } }),
        json!({ "slo": { "s": { "kind": "email.send", "within": "1h", "target": 0.9 } } }),
    ];

    for document in wrong {
        assert!(!validator.is_valid(&document), "{document}");
    }
}

#[test]
fn the_schema_says_what_a_key_is_for_and_what_holds_without_it() {
    let schema = json_schema();

    let max_body = &schema["properties"]["http"]["properties"]["max_body"];

    assert_eq!(max_body["default"], json!("1MiB"));
    assert_eq!(
        max_body["description"],
        json!(
            "Largest body of a request, 1KiB to 64MiB; inbound webhooks: 5MiB. A change takes effect after a restart."
        )
    );
}
