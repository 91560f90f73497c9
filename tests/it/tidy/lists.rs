//! Lists that people read beside the code must say what the code does: metrics and environment.

use std::collections::BTreeSet;

use super::source::{Source, sources};
use super::tree::{assert_none, names, numbered, read, words};

#[test]
fn metrics_in_code_are_those_of_the_list_for_dashboards() {
    let list = read("dashboards/metrics.txt");
    let listed: Vec<(usize, &str)> = numbered(&list.text)
        .filter_map(|(line, text)| Some((line, text.split_whitespace().next()?)))
        .filter(|(_, name)| !name.starts_with('#'))
        .collect();

    let mut findings = Vec::new();
    let mut declared = BTreeSet::new();
    for source in sources() {
        for (line, name) in declared_metrics(&source) {
            if !listed.iter().any(|(_, listed)| *listed == name) {
                findings.push(format!(
                    "{}:{line}: add {name} to {} with its labels, and to a panel or an alert",
                    source.path, list.path
                ));
            }
            declared.insert(name.to_owned());
        }
    }
    for (line, name) in listed {
        if !declared.contains(name) {
            findings.push(format!(
                "{}:{line}: no metrics.rs declares {name}: feed it, or take it out",
                list.path
            ));
        }
    }

    assert_none(&findings);
}

#[test]
fn every_environment_variable_is_explained_in_the_example() {
    let example = read(".env.example");
    let explained: BTreeSet<&str> = variables(&example.text).collect();

    let mut findings = Vec::new();
    for source in sources() {
        if !source.path.starts_with("crates/cli/src/") {
            continue;
        }
        for (line, literal) in source.production_literals() {
            for name in variables(literal).filter(|name| !explained.contains(name)) {
                findings.push(format!(
                    "{}:{line}: explain {name} in {}",
                    source.path, example.path
                ));
            }
        }
    }

    assert_none(&findings);
}

#[test]
fn names_are_found_where_they_stand() {
    let text =
        "/// millpond_no_total\nconst A: &str = \"millpond_jobs_total\";\nb(\"millpond dev\");";
    let source = Source::read("crates/queue/src/metrics.rs", text);

    let metrics: Vec<(usize, &str)> = declared_metrics(&source).collect();
    let variables: Vec<&str> = variables("MILLPOND_URL=a, MILLPOND_KEY_FILE; MILLPOND_").collect();

    assert_eq!(metrics, [(2, "millpond_jobs_total")]);
    assert_eq!(variables, ["MILLPOND_URL", "MILLPOND_KEY"]);
}

/// The metrics that a `metrics.rs` names, each with its line; of other files none.
fn declared_metrics(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let is_home = source.path.ends_with("/metrics.rs");
    source.production_literals().filter(move |(_, literal)| {
        is_home && literal.starts_with("millpond_") && names(literal, literal)
    })
}

/// Millpond's environment variables that a text names; `X_FILE` stands for `X`.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    words(text)
        .filter(|word| word.starts_with("MILLPOND_") && !word.ends_with('_'))
        .map(|word| word.strip_suffix("_FILE").unwrap_or(word))
}
