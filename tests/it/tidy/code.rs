//! What Rust code may say, and where.

use super::source::{Source, sources};
use super::tree::{assert_none, names, numbered, words};

const STORES: [&str; 2] = ["crates/queue/src/store/", "crates/marketing/src/store/"];
const RUNTIME: &str = "crates/queue/src/worker/runtime/";

#[test]
fn sql_stands_only_in_store_folders() {
    hold(
        misplaced_sql,
        "SQL outside of a store: move the statement to `store/` of queue or marketing, and call it",
    );
}

#[test]
fn the_worker_runtime_is_named_in_one_folder_alone() {
    hold(
        misplaced_apalis,
        "apalis outside of queue/src/worker/runtime/: give the rest of the house a name of ours",
    );
}

#[test]
fn anyhow_is_for_the_program_and_for_tests() {
    hold(
        misplaced_anyhow,
        "anyhow in a library: callers decide on an error, so name its cases in a thiserror enum",
    );
}

#[test]
fn unwrap_stands_in_tests_alone() {
    hold(
        misplaced_unwrap,
        "unwrap outside of tests: return the error, or `expect(\"why it holds\")` if that is proved",
    );
}

#[test]
fn nothing_unfinished_or_silenced_is_left() {
    hold(
        unfinished,
        "unfinished or silenced: finish it, or leave it out and say so in the issue",
    );
}

#[test]
fn tests_wait_for_conditions_and_never_sleep() {
    hold(
        sleeps_in_tests,
        "a sleep in a test: wait for a condition, with a deadline",
    );
}

#[test]
fn each_rule_catches_the_offence_it_is_there_for() {
    let queue = "crates/queue/src/wake.rs";
    let store = "crates/queue/src/store/wake.rs";
    let whole_program = "tests/it/jobs.rs";

    assert_eq!(caught(misplaced_sql, queue, "\nsqlx::query(text)"), [2]);
    assert_eq!(caught(misplaced_sql, queue, "a(\"SELECT 1\")"), [1]);
    assert!(caught(misplaced_sql, queue, "a(\"DELETE /v1/jobs\")").is_empty());
    assert!(caught(misplaced_sql, store, "a(\"SELECT 1\")").is_empty());
    assert_eq!(caught(misplaced_apalis, queue, "use apalis_core::x;"), [1]);
    assert_eq!(caught(misplaced_anyhow, queue, "use anyhow::bail;"), [1]);
    assert_eq!(caught(misplaced_unwrap, queue, "a().unwrap()"), [1]);
    assert!(caught(misplaced_unwrap, whole_program, "a().unwrap()").is_empty());
    assert_eq!(caught(unfinished, whole_program, "dbg![a]"), [1]);
    assert_eq!(caught(sleeps_in_tests, whole_program, "\n\nsleep"), [3]);
    assert!(caught(sleeps_in_tests, queue, "sleep").is_empty());
}

/// What a rule about Rust files finds in one: the lines, from 1.
type Rule = fn(&Source) -> Vec<usize>;

/// Fails with every offence in the tree: where it is, and what to do.
fn hold(rule: Rule, remedy: &str) {
    let mut findings = Vec::new();
    for source in sources() {
        for line in rule(&source) {
            findings.push(format!("{}:{line}: {remedy}", source.path));
        }
    }

    assert_none(&findings);
}

fn caught(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    rule(&Source::read(path, text))
}

fn misplaced_sql(source: &Source) -> Vec<usize> {
    const MARKS: [&str; 6] = [
        "sqlx::query",
        "sqlx::raw_sql",
        "QueryBuilder",
        "query!",
        "query_as!",
        "query_scalar!",
    ];
    if STORES.iter().any(|store| source.path.starts_with(store)) {
        return Vec::new();
    }
    let mut lines = source.production_lines(|code| MARKS.iter().any(|mark| code.contains(mark)));
    for (line, literal) in source.production_literals() {
        if is_statement(literal) {
            lines.push(line);
        }
    }
    lines
}

/// Whether a text begins as SQL does; `DELETE me/permissions` does not.
fn is_statement(literal: &str) -> bool {
    const VERBS: [&str; 12] = [
        "ALTER", "COPY", "CREATE", "DROP", "INSERT", "LISTEN", "NOTIFY", "SELECT", "TRUNCATE",
        "UPDATE", "VACUUM", "WITH",
    ];
    let mut words = literal.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let object = words.next().unwrap_or_default();
    match verb {
        "DELETE" => object == "FROM",
        verb => {
            VERBS.contains(&verb)
                && object.starts_with(|c: char| c.is_alphanumeric() || "*\"(".contains(c))
        }
    }
}

fn misplaced_apalis(source: &Source) -> Vec<usize> {
    if source.path.starts_with(RUNTIME) {
        return Vec::new();
    }
    numbered(&source.code)
        .filter(|(_, code)| words(code).any(|word| word.starts_with("apalis")))
        .map(|(line, _)| line)
        .collect()
}

fn misplaced_anyhow(source: &Source) -> Vec<usize> {
    if source.path.starts_with("crates/cli/") {
        return Vec::new();
    }
    source.production_lines(|code| names(code, "anyhow"))
}

fn misplaced_unwrap(source: &Source) -> Vec<usize> {
    source.production_lines(|code| code.contains(".unwrap()"))
}

fn unfinished(source: &Source) -> Vec<usize> {
    const MARKS: [&str; 5] = [
        concat!("#[", "ignore"),
        "todo!",
        "unimplemented!",
        "dbg!",
        "allow(dead_code",
    ];
    numbered(&source.code)
        .filter(|(_, code)| MARKS.iter().any(|mark| code.contains(mark)))
        .map(|(line, _)| line)
        .collect()
}

fn sleeps_in_tests(source: &Source) -> Vec<usize> {
    source
        .lines(true)
        .filter(|(_, code)| names(code, "sleep") || names(code, "sleep_until"))
        .map(|(line, _)| line)
        .collect()
}
