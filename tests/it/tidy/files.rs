//! What holds for files of every sort: what they open with, how long they are, what they may name.

use std::collections::BTreeSet;
use std::path::Path;

use super::tree::{assert_none, names, numbered, tree};

const LONGEST_FILE: usize = 600;

#[test]
fn every_rust_file_opens_by_saying_what_it_is_for() {
    let findings: Vec<String> = tree()
        .iter()
        .filter(|file| file.path.ends_with(".rs") && !file.text.starts_with("//!"))
        .map(|file| format!("{}:1: open with `//!`: what is this file for?", file.path))
        .collect();

    assert_none(&findings);
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let findings: Vec<String> = tree()
        .iter()
        .filter(|file| is_code(&file.path) && file.text.lines().count() > LONGEST_FILE)
        .map(|file| format!("{}:{LONGEST_FILE}: split it by what it does", file.path))
        .collect();

    assert_none(&findings);
}

#[test]
fn no_mark_of_later_work_is_left_in_code() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];

    let mut findings = Vec::new();
    for file in tree().iter().filter(|file| is_code(&file.path)) {
        for (line, text) in numbered(&file.text) {
            if marks.iter().any(|mark| names(text, mark)) {
                findings.push(format!("{}:{line}: do it now, or open an issue", file.path));
            }
        }
    }

    assert_none(&findings);
}

#[test]
fn migrations_are_numbered_and_say_why() {
    let mut findings = Vec::new();
    let mut numbers = BTreeSet::new();
    for file in tree() {
        let Some(name) = file.path.strip_prefix("migrations/") else {
            continue;
        };
        if !is_migration_name(name) {
            findings.push(format!("{}:1: name it NNNN_words.sql", file.path));
        } else if !numbers.insert(name[..4].to_owned()) {
            findings.push(format!("{}:1: its number is taken: count on", file.path));
        }
        let why = file.text.lines().find(|line| *line != "-- no-transaction");
        if !why.is_some_and(|line| line.starts_with("-- ")) {
            findings.push(format!("{}:1: say why in a first comment", file.path));
        }
    }

    assert_none(&findings);
}

#[test]
fn the_name_of_a_migration_is_a_number_and_words() {
    assert!(is_migration_name("0001_engine.sql"));

    let wrong = [
        "engine.sql",
        "1_engine.sql",
        "0001-engine.sql",
        "0001_Engine.sql",
        "0001_.sql",
        "0001_engine",
    ];
    for name in wrong {
        assert!(!is_migration_name(name), "{name}");
    }
}

#[test]
fn no_file_names_a_package_registry() {
    let hosts = [
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("pythonhosted", ".org"),
        concat!("npmjs", ".org"),
        concat!("deb.debian", ".org"),
    ];

    let mut findings = Vec::new();
    for file in tree() {
        for (line, text) in numbered(&file.text) {
            if hosts.iter().any(|host| text.contains(host)) {
                findings.push(format!(
                    "{}:{line}: leave the choice of a package registry to the machine",
                    file.path
                ));
            }
        }
    }

    assert_none(&findings);
}

/// What people write and read line by line, as opposed to data.
fn is_code(path: &str) -> bool {
    let ending = Path::new(path)
        .extension()
        .and_then(|ending| ending.to_str());
    match ending {
        Some(ending) => ["rs", "sql", "py", "sh", "html", "css", "js"].contains(&ending),
        None => path.starts_with("scripts/") || path.starts_with(".ci/"),
    }
}

fn is_migration_name(name: &str) -> bool {
    let (number, rest) = name.split_at_checked(4).unwrap_or_default();
    let words = rest
        .strip_prefix('_')
        .and_then(|rest| rest.strip_suffix(".sql"))
        .unwrap_or_default();
    let is_of_words = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    number.bytes().all(|b| b.is_ascii_digit())
        && !words.is_empty()
        && words.bytes().all(is_of_words)
}
