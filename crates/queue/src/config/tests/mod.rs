//! The configuration as people meet it: a file goes in, values or problems come out.

mod explain;
mod file;
mod fuzz;
mod layers;
mod overrides;
mod rules;
mod several;

use super::{Config, Parsed, Problem};

/// The file at the root of the repository.
const FILE: &str = include_str!("../../../../../jobs.toml");

/// The kinds of a program of these days.
const REGISTERED: [&str; 3] = ["conversion.send", "email.send", "http.request"];

/// Reads a text that is right.
fn accepted(text: &str) -> Parsed {
    Config::parse(text, &REGISTERED)
        .unwrap_or_else(|problems| panic!("{:#?} in:\n{text}", shown(&problems)))
}

/// Reads a text that is wrong, and shows what is told about it.
fn refused(text: &str) -> Vec<String> {
    let problems = Config::parse(text, &REGISTERED)
        .map(|_| text)
        .expect_err("it is wrong");
    shown(&problems)
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

/// The shipped file with all of its example lines in force.
fn file_with_examples() -> String {
    let is_example = |line: &str| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let lines = FILE.lines().map(|line| match line.strip_prefix('#') {
        Some(example) if is_example(example) => example,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}
