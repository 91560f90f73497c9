//! What a command's failure becomes: an exit code, and one text on standard error that says what is wrong, where, and
//! what to do next. Never a backtrace, never a secret.

use std::process::ExitCode;

use marketing::accounts::AccountsError;
use queue::{AdminError, DatabaseError, EnqueueError, PayloadProblem};

use crate::{
    commands::enqueue::NotAKey,
    config_file::ConfigFileError,
    environment::VariableProblem,
    needed_keys::MissingKeys,
    output::{self, OutputError},
    settings::SettingsProblems,
    telemetry::TelemetryError,
};

/// It failed, or a check found something.
pub(crate) const FAILED: u8 = 1;
/// Wrong use, or an invalid configuration.
pub(crate) const MISUSED: u8 = 2;

/// The command was used wrongly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misuse {
    /// No database is known.
    #[error(
        "DATABASE_URL is not set: set it to postgres://user:password@host:5432/name, or run `millpond dev` in this \
         folder, which brings a database of its own"
    )]
    NoDatabase,
    /// Nothing that a token could be.
    #[error(
        "standard input has no token: give the access token alone, or {{\"access_token\": …, \"refresh_token\": …, \"token_secret\": …}}"
    )]
    NoToken,
    /// Neither ids nor a filter.
    #[error("say which dead letters: give ids, or a filter such as --kind email.send")]
    NoSelection,
    /// An option that a later release brings.
    #[error("{0} is not in this release: leave it out, the replay then runs as one wave")]
    NotYet(&'static str),
    /// An argument that is no JSON.
    #[error("{argument} is not JSON")]
    NotJson {
        /// The argument as it is written on the command line.
        argument: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An idempotency key that is none.
    #[error("--idempotency-key: {0}")]
    NotAKey(NotAKey),
    /// An argument names a file that cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// An argument names more input than is taken.
    #[error(
        "{path} is longer than {limit_bytes} bytes, the largest body that [http] max_body allows"
    )]
    TooLong {
        /// The file.
        path: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// No file to put in force.
    #[error(
        "{path} does not exist: name the file to put in force, or an earlier one with --revision"
    )]
    NothingToApply {
        /// Where it would be.
        path: String,
    },
    /// A queue that jobs.toml does not have.
    #[error("there is no queue {name:?}: the queues are {known}, and jobs.toml can declare others")]
    UnknownQueue {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A schedule that jobs.toml does not have.
    #[error(
        "there is no schedule {name:?}: the schedules are {known}, and jobs.toml can declare others"
    )]
    UnknownSchedule {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Mail is on, but nobody is named as its sender.
    #[error(
        "mail is set up (MILLPOND_SMTP_URL or MILLPOND_RESEND_API_KEY), but [email] from is not: add from = \"Name <jobs@example.com>\" under [email] in \
         jobs.toml"
    )]
    NoSender,
    /// Targets that no call would ever be made to.
    #[error("jobs.toml has targets that are never called:{}", list(.0))]
    RefusedTargets(Vec<RefusedTarget>),
}

/// A kind's target that no call would ever be made to.
#[derive(Debug)]
pub(crate) struct RefusedTarget {
    /// The kind.
    pub(crate) kind: String,
    /// The target, without its query.
    pub(crate) url: String,
    /// Why it is not called.
    pub(crate) reason: String,
}

impl RefusedTarget {
    /// As a sentence about the configuration.
    pub(crate) fn in_words(&self) -> String {
        let Self { kind, url, reason } = self;
        format!("the target of {kind}, {url}, is never called: {reason}")
    }
}

fn list(targets: &[RefusedTarget]) -> String {
    let line = |RefusedTarget { kind, url, reason }: &RefusedTarget| {
        format!("\n  {kind}: {url}: {reason}")
    };
    targets.iter().map(line).collect()
}

/// Reports a failure and tells the exit code. A reader that went away is no failure.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if matches!(
        error.downcast_ref::<OutputError>(),
        Some(OutputError::Closed)
    ) {
        return ExitCode::SUCCESS;
    }
    output::note(format_args!("millpond: {error:#}"));
    if let Some(EnqueueError::Payload(problems)) = error.downcast_ref() {
        for problem in problems {
            output::note(format_args!("  {}", payload_problem(problem)));
        }
    }
    if let Some(AdminError::Configuration(problems)) = error.downcast_ref() {
        for problem in problems {
            output::note(format_args!("  {problem}"));
        }
    }
    if let Some(hint) = hint(error) {
        output::note(format_args!("  next: {hint}"));
    }
    ExitCode::from(if is_misuse(error) { MISUSED } else { FAILED })
}

fn is_misuse(error: &anyhow::Error) -> bool {
    error.is::<Misuse>()
        || error.is::<SettingsProblems>()
        || error.is::<VariableProblem>()
        || error.is::<ConfigFileError>()
        || error.is::<MissingKeys>()
        || matches!(
            error.downcast_ref(),
            Some(
                AccountsError::Invalid { .. } | AccountsError::NoKeys | AccountsError::NotSetUp(_)
            )
        )
        || matches!(
            error.downcast_ref(),
            Some(AdminError::Invalid { .. } | AdminError::Configuration(_))
        )
        || matches!(
            error.downcast_ref::<TelemetryError>(),
            Some(TelemetryError::Filter(_))
        )
        || matches!(
            error.downcast_ref::<DatabaseError>(),
            Some(DatabaseError::InvalidUrl(_))
        )
}

/// A place in a payload and what is wrong there.
pub(crate) fn payload_problem(problem: &PayloadProblem) -> String {
    let PayloadProblem { pointer, message } = problem;
    let place = if pointer.is_empty() {
        "the payload"
    } else {
        pointer.as_str()
    };
    format!("{place}: {message}")
}

/// What to do next where the error itself cannot know.
fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(Misuse::RefusedTargets(_)) = error.downcast_ref() {
        return Some(
            "correct the target, or open the network it lies in with MILLPOND_OUTBOUND_ALLOW"
                .to_owned(),
        );
    }
    if let Some(database) = database_error(error) {
        return database_hint(database).map(str::to_owned);
    }
    if let Some(EnqueueError::UnknownKind { suggestion, .. }) = error.downcast_ref() {
        return Some(match suggestion {
            Some(kind) => format!("did you mean {kind:?}?"),
            None => {
                "`millpond config effective` names the kinds; your own need a `target`".to_owned()
            }
        });
    }
    match error.downcast_ref() {
        Some(AdminError::NotFound) => {
            Some("check the id or the name: the `list` commands show what there is".to_owned())
        }
        _ => None,
    }
}

/// The database's part in a failure.
fn database_error(error: &anyhow::Error) -> Option<&DatabaseError> {
    if let Some(AdminError::Database(database)) = error.downcast_ref() {
        return Some(database);
    }
    if let Some(EnqueueError::Unavailable(database)) = error.downcast_ref() {
        return Some(database);
    }
    error.downcast_ref()
}

fn database_hint(error: &DatabaseError) -> Option<&'static str> {
    match error {
        DatabaseError::Unavailable(_) | DatabaseError::TimedOut => Some(
            "check that PostgreSQL runs where DATABASE_URL says, or `millpond dev` in this folder",
        ),
        DatabaseError::Statement(_) => {
            Some("if the schema is missing or older than this program, run `millpond migrate`")
        }
        DatabaseError::Busy(_) => Some("try again"),
        DatabaseError::Migration(_) => {
            Some("nothing of that migration was kept; `millpond migrate --check` lists it")
        }
        DatabaseError::InvalidUrl(_) | DatabaseError::Refused(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_closed_pipe_ends_quietly() {
        let error = anyhow::Error::from(OutputError::Closed).context("listing jobs");

        assert_eq!(report(&error), ExitCode::SUCCESS);
    }

    #[test]
    fn wrong_use_is_told_apart_from_failure_through_any_context() {
        let misuse = Err::<(), _>(Misuse::NoSelection)
            .context("cannot replay")
            .expect_err("err");
        let failure = anyhow::Error::from(DatabaseError::TimedOut).context("cannot list jobs");

        assert!(is_misuse(&misuse));
        assert!(!is_misuse(&failure));
        assert!(hint(&failure).is_some_and(|hint| hint.contains("PostgreSQL")));
    }
}
