//! What is wrong with a configuration, where it stands, and where a value comes from.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Most problems that are told at once; the last one says how many were left out.
const MAX_SHOWN: usize = 100;

/// Something in `jobs.toml` that is wrong, or that has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong and what is allowed.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Problem {
    pub(super) fn new(at: Position, refusal: Refusal) -> Self {
        Self {
            line: at.line,
            column: at.column,
            message: refusal.message,
            suggestion: refusal.suggestion,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean \"{suggestion}\"?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// Where a value that holds was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nowhere: it is Millpond's own.
    BuiltIn,
    /// By this key of the file.
    File {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// For a time, over whatever the file says.
    Override {
        /// When it ends by itself.
        until: DateTime<Utc>,
        /// Who set it.
        author: String,
    },
}

/// A value that holds, and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effective {
    /// Its full name, as TOML writes it: `queues.sync.concurrency`, `kinds."email.send".timeout`.
    pub key: String,
    /// The value in the words of the file: durations as `"15m"`, sizes as `"1MiB"`.
    pub value: serde_json::Value,
    /// Where it was set.
    pub origin: Origin,
    /// Whether a change takes effect only when a process starts anew.
    pub restart: bool,
}

/// A place in the text: both numbers from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Why a text is not taken, before it is known where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

impl Refusal {
    pub(super) fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            suggestion: None,
        }
    }

    pub(super) fn suggesting(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

/// Puts problems into the order of the file, each once, and no more than a person can read.
pub(super) fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
    problems.dedup();

    let left_out = problems.len().saturating_sub(MAX_SHOWN);
    problems.truncate(MAX_SHOWN);
    if let (Some(last), true) = (problems.last(), left_out > 0) {
        let at = Position {
            line: last.line,
            column: last.column,
        };
        let refusal = Refusal::new(format!("{left_out} more problems are left out"));
        problems.push(Problem::new(at, refusal));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: usize, message: &str) -> Problem {
        Problem::new(Position { line, column: 5 }, Refusal::new(message))
    }

    #[test]
    fn a_problem_reads_as_place_message_and_suggestion() {
        let refusal = Refusal::new("unknown key \"concurency\" in [queues.sync]")
            .suggesting(Some("concurrency".to_owned()));

        let shown = Problem::new(Position { line: 3, column: 5 }, refusal).to_string();

        assert_eq!(
            shown,
            "3:5: unknown key \"concurency\" in [queues.sync]; did you mean \"concurrency\"?"
        );
    }

    #[test]
    fn problems_are_told_in_the_order_of_the_file_and_each_once() {
        let problems = vec![problem(9, "b"), problem(2, "a"), problem(9, "b")];

        let ordered = in_order(problems);

        assert_eq!(ordered, [problem(2, "a"), problem(9, "b")]);
    }

    #[test]
    fn more_problems_than_a_person_reads_are_counted() {
        let problems = (1..=150).map(|line| problem(line, "a")).collect();

        let ordered = in_order(problems);

        assert_eq!(ordered.len(), 101);
        assert_eq!(ordered[100].message, "50 more problems are left out");
    }
}
