//! The file that operators start from.

use serde_json::Value;

use super::{FILE, accepted, file_with_examples};
use crate::config::{Config, json_schema};

#[test]
fn the_shipped_file_is_right_and_all_of_it_has_effect() {
    let parsed = accepted(FILE);

    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
}

#[test]
fn every_example_in_the_shipped_file_is_right() {
    let parsed = accepted(&file_with_examples());

    assert_eq!(parsed.config.target_kinds().count(), 1);
    let schedule = &parsed.config.schedules["token-check"];
    assert_eq!(schedule.timezone.name(), "Europe/Berlin");
    assert_eq!(parsed.config.slos.len(), 1);
    assert_eq!(parsed.config.kpis.len(), 1);
}

#[test]
fn the_shipped_file_repeats_what_is_built_in() {
    let built_in = Config::builtin();

    let config = accepted(FILE).config;

    assert_eq!(config.http, built_in.http);
    assert_eq!(config.lease, built_in.lease);
    assert_eq!(config.worker, built_in.worker);
    assert_eq!(config.defaults, built_in.defaults);
    assert_eq!(config.dead_letters, built_in.dead_letters);
    assert_eq!(config.kinds, built_in.kinds);
    assert_eq!(config.budgets, built_in.budgets);
}

#[test]
fn every_key_stands_in_the_shipped_file() {
    let mut keys = Vec::new();
    collect_keys(&json_schema(), &mut keys);

    let missing: Vec<&String> = keys
        .iter()
        .filter(|key| !FILE.contains(key.as_str()))
        .collect();

    assert!(keys.len() > 70, "{keys:?}");
    assert!(missing.is_empty(), "{missing:?}");
}

fn collect_keys(schema: &Value, keys: &mut Vec<String>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        keys.push(key.clone());
        collect_keys(property, keys);
    }
    if let Some(entry) = schema.get("additionalProperties") {
        collect_keys(entry, keys);
    }
}
