//! The process's environment, read once. Problems name the variable and never its value. Any secret `X` may be given as
//! a file that `X_FILE` names, as container platforms mount them.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use secrecy::SecretString;

/// Largest file that `X_FILE` may name, in bytes.
const LARGEST_SECRET_BYTES: u64 = 64 * 1024;

/// What is wrong with a variable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VariableProblem {
    /// Bytes that are no text.
    #[error("{name} is not valid UTF-8: write it as plain text")]
    NotText {
        /// The variable.
        name: String,
    },
    /// The value and the file are both given.
    #[error("{name} and {name}_FILE are both set: keep one of them")]
    GivenTwice {
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("{name}_FILE names {}: check that path and its permissions", .path.display())]
    Unreadable {
        /// The variable without `_FILE`.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be a secret.
    #[error("{name}_FILE names {}, which is empty, not text, or longer than 64 KiB", .path.display())]
    NotASecret {
        /// The variable without `_FILE`.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The value does not mean anything.
    #[error("{name} {problem}")]
    Invalid {
        /// The variable.
        name: String,
        /// What was expected, with an example.
        problem: &'static str,
    },
    /// The value means something that cannot be used.
    #[error("{name} is not usable: {problem}")]
    Unusable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl VariableProblem {
    /// The variable.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::NotText { name }
            | Self::GivenTwice { name }
            | Self::Unreadable { name, .. }
            | Self::NotASecret { name, .. }
            | Self::Invalid { name, .. }
            | Self::Unusable { name, .. } => name,
        }
    }
}

/// The variables of a process. No `Debug`: it holds secrets. One that is empty counts as unset, since that is what
/// Compose files make of variables they pass on.
#[derive(Clone)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// What this process was started with.
    pub(crate) fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
        }
    }

    /// The same with these values for variables that it has not.
    pub(crate) fn completed_with(
        mut self,
        values: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        for (name, value) in values {
            if self.os(name).is_none() {
                self.variables.insert(name.into(), value.into());
            }
        }
        self
    }

    /// A variable as it is; `None` when unset or empty.
    pub(crate) fn os(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|v| !v.is_empty())
    }

    /// The names of the variables that begin like this and are set.
    pub(crate) fn names_with<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        let set = self.variables.iter().filter(|(_, value)| !value.is_empty());
        set.filter_map(move |(name, _)| name.to_str().filter(|name| name.starts_with(start)))
    }

    /// A variable as text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, VariableProblem> {
        let Some(value) = self.os(name) else {
            return Ok(None);
        };
        match value.to_str() {
            Some(text) => Ok(Some(text.trim())),
            None => Err(VariableProblem::NotText {
                name: name.to_owned(),
            }),
        }
    }

    /// A variable as a value; `problem` completes the sentence that begins with its name.
    pub(crate) fn value<T>(
        &self,
        name: &str,
        problem: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, VariableProblem> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(VariableProblem::Invalid {
                name: name.to_owned(),
                problem,
            }),
        }
    }

    /// A secret, from the variable or from the file that its `_FILE` twin names, without its last line break.
    pub(crate) fn secret(&self, name: &str) -> Result<Option<SecretString>, VariableProblem> {
        let path = self.os(&format!("{name}_FILE")).map(PathBuf::from);
        match (self.text(name)?, path) {
            (Some(_), Some(_)) => Err(VariableProblem::GivenTwice {
                name: name.to_owned(),
            }),
            (Some(value), None) => Ok(Some(SecretString::from(value))),
            (None, Some(path)) => from_file(name, path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let variables = pairs.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Self {
            variables: variables.into(),
        }
    }
}

fn from_file(name: &str, path: PathBuf) -> Result<SecretString, VariableProblem> {
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| {
        file.take(LARGEST_SECRET_BYTES + 1)
            .read_to_string(&mut text)
    });
    match read {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
        Err(source) => {
            return Err(VariableProblem::Unreadable {
                name: name.to_owned(),
                path,
                source,
            });
        }
        Ok(length) => {
            let value = text.trim_end_matches(['\r', '\n']);
            if !value.is_empty() && length as u64 <= LARGEST_SECRET_BYTES {
                return Ok(SecretString::from(value));
            }
        }
    }
    Err(VariableProblem::NotASecret {
        name: name.to_owned(),
        path,
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let environment = Environment::from([("DATABASE_URL", "")]);

        assert!(
            environment
                .text("DATABASE_URL")
                .is_ok_and(|value| value.is_none())
        );
    }

    #[test]
    fn what_is_set_stays_and_what_is_not_can_be_completed() {
        let environment = Environment::from([("A", "set"), ("B", "")]);

        let values = ["A", "B", "C"].map(|name| (name, "given".to_owned()));
        let completed = environment.completed_with(values);

        let text = |name: &str| completed.text(name).ok().flatten();
        let texts = ["A", "B", "C"].map(text);
        assert_eq!(texts, [Some("set"), Some("given"), Some("given")]);
    }

    #[test]
    fn a_secret_is_read_from_the_file_without_its_last_line_break() {
        let scratch = Scratch::new();
        let path = scratch.file("token", "s3cret with spaces \r\n");
        let environment = Environment::from([("TOKEN_FILE", path.as_str())]);

        let secret = environment.secret("TOKEN").expect("readable").expect("set");

        assert_eq!(secret.expose_secret(), "s3cret with spaces ");
    }

    #[test]
    fn a_secret_given_twice_is_refused_without_showing_it() {
        let environment = Environment::from([("TOKEN", "s3cret"), ("TOKEN_FILE", "/x")]);

        let refused = environment
            .secret("TOKEN")
            .expect_err("both are set")
            .to_string();

        assert_eq!(
            refused,
            "TOKEN and TOKEN_FILE are both set: keep one of them"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let environment = Environment::from([("TOKEN_FILE", "/nowhere/token")]);

        let refused = environment
            .secret("TOKEN")
            .expect_err("no such file")
            .to_string();

        assert_eq!(
            refused,
            "TOKEN_FILE names /nowhere/token: check that path and its permissions"
        );
    }

    #[test]
    fn a_file_that_is_empty_or_too_long_is_no_secret() {
        let scratch = Scratch::new();
        for content in [String::from("\n"), "x".repeat(70_000)] {
            let path = scratch.file("token", &content);
            let environment = Environment::from([("TOKEN_FILE", path.as_str())]);

            let refused = environment.secret("TOKEN").expect_err("no secret");

            assert!(matches!(refused, VariableProblem::NotASecret { .. }));
        }
    }

    #[test]
    fn a_value_that_means_nothing_is_named_without_showing_it() {
        let environment = Environment::from([("PORT", "hunter2")]);

        let refused = environment
            .value("PORT", "is not a port such as 8080", |text| {
                text.parse::<u16>().ok()
            })
            .expect_err("no port")
            .to_string();

        assert_eq!(refused, "PORT is not a port such as 8080");
    }
}
