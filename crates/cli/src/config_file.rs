//! `jobs.toml` as a file: finding it, reading it, and telling what is wrong in it by `FILE:LINE:COLUMN`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use queue::config::{Config, Problem};

use crate::{compose, environment::Environment};

/// The file that is read when none is named.
const DEFAULT_NAME: &str = "jobs.toml";
/// Largest file that is read, in bytes.
const LARGEST_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigFileError {
    /// The file was named and cannot be read.
    #[error("cannot read {}; name the file with --config or MILLPOND_CONFIG", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no text, or far too long to be a configuration.
    #[error("{} is not a UTF-8 text of at most 4 MiB", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// What the file says does not hold together.
    #[error("{} is not valid:\n{}", .path.display(), lines_of(.path, .problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong in it.
        problems: Vec<Problem>,
    },
    /// It is right, but this process cannot run with it.
    #[error("this process cannot run with {origin}:{}", indented(.reasons))]
    Unsuitable {
        /// Where it comes from: a file, a revision, the built-in defaults.
        origin: String,
        /// Why not.
        reasons: Vec<String>,
    },
}

/// Where the configuration is.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    is_named: bool,
}

/// A configuration that holds together.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Arc<Config>,
    /// What is allowed but has no effect.
    pub(crate) warnings: Vec<Problem>,
    /// The file it came from; `None`: the built-in defaults.
    pub(crate) path: Option<PathBuf>,
    /// Its text.
    pub(crate) text: Option<String>,
}

impl ConfigFile {
    /// The file that was named on the command line, else by `MILLPOND_CONFIG`, else `jobs.toml`.
    pub(crate) fn find(argument: Option<PathBuf>, environment: &Environment) -> Self {
        let named = argument.or_else(|| environment.os("MILLPOND_CONFIG").map(PathBuf::from));
        Self {
            is_named: named.is_some(),
            path: named.unwrap_or_else(|| PathBuf::from(DEFAULT_NAME)),
        }
    }

    /// Another file, if one is given.
    pub(crate) fn or_given(&self, path: Option<&Path>) -> Self {
        path.map_or_else(
            || self.clone(),
            |path| Self {
                path: path.to_owned(),
                is_named: true,
            },
        )
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and checks the file. Without one the built-in defaults hold, unless it was named.
    pub(crate) fn load(&self) -> Result<Loaded, ConfigFileError> {
        let text = self.text()?;
        let kinds = compose::kind_names();
        let kinds: Vec<&str> = kinds.iter().map(|kind| &**kind).collect();
        match Config::parse(text.as_deref().unwrap_or_default(), &kinds) {
            Ok(parsed) => Ok(Loaded {
                config: Arc::new(parsed.config),
                warnings: parsed.warnings,
                path: text.as_ref().map(|_| self.path.clone()),
                text,
            }),
            Err(problems) => Err(ConfigFileError::Invalid {
                path: self.path.clone(),
                problems,
            }),
        }
    }

    fn text(&self) -> Result<Option<String>, ConfigFileError> {
        let unreadable = |source| ConfigFileError::Unreadable {
            path: self.path.clone(),
            source,
        };
        let length = match fs::metadata(&self.path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.is_named => {
                return Ok(None);
            }
            Err(error) => return Err(unreadable(error)),
        };
        if length > LARGEST_FILE_BYTES {
            return Err(ConfigFileError::NotText {
                path: self.path.clone(),
            });
        }
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(ConfigFileError::NotText {
                    path: self.path.clone(),
                })
            }
            Err(error) => Err(unreadable(error)),
        }
    }
}

fn indented(reasons: &[String]) -> String {
    let lines = reasons.iter().map(|reason| format!("\n  {reason}"));
    lines.collect()
}

/// A line for each problem, as compilers write them, so that editors can jump there.
pub(crate) fn lines_of(path: &Path, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}:{problem}", path.display()))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn named(path: &str) -> ConfigFile {
        ConfigFile::find(Some(path.into()), &Environment::from([]))
    }

    #[test]
    fn the_argument_comes_before_the_environment() {
        let environment = Environment::from([("MILLPOND_CONFIG", "/etc/millpond/jobs.toml")]);

        let by_argument = ConfigFile::find(Some("mine.toml".into()), &environment);
        let by_environment = ConfigFile::find(None, &environment);

        assert_eq!(by_argument.path(), Path::new("mine.toml"));
        assert_eq!(by_environment.path(), Path::new("/etc/millpond/jobs.toml"));
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error() {
        let refused = named("/nowhere/jobs.toml").load().expect_err("missing");

        assert!(
            refused
                .to_string()
                .starts_with("cannot read /nowhere/jobs.toml")
        );
    }

    #[test]
    fn every_kind_of_this_program_may_have_a_section() {
        let scratch = Scratch::new();
        let path = scratch.file(
            "jobs.toml",
            "[kinds.\"demo.work\"]\nmax_attempts = 3\n[kinds.\"http.request\"]\nmax_attempts = 3\n",
        );

        let loaded = named(&path).load().expect("valid");

        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        assert_eq!(loaded.config.policy("demo.work").max_attempts, 3);
    }

    #[test]
    fn every_problem_is_told_with_file_line_and_column() {
        let scratch = Scratch::new();
        let path = scratch.file(
            "jobs.toml",
            "[queues.sync]\nconcurency = 8\n[lease]\nttl = 5\n",
        );

        let refused = named(&path).load().expect_err("invalid").to_string();

        for place in ["2:1", "4:7"] {
            let start = format!("{path}:{place}: ");
            assert!(
                refused.lines().any(|line| line.starts_with(&start)),
                "{refused}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let scratch = Scratch::new();
        let path = scratch.path().join("jobs.toml");
        fs::write(&path, [0xff, 0xfe, 0x00]).expect("written");
        let file = ConfigFile {
            path,
            is_named: true,
        };

        assert!(matches!(file.load(), Err(ConfigFileError::NotText { .. })));
    }
}
