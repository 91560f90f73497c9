//! Why there is no private PostgreSQL, and what to do about it.

use std::{io, path::PathBuf};

use crate::dev::home::HomeError;

/// Why there is no private PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresError {
    /// None is installed.
    #[error(
        "no PostgreSQL 14 or newer was found (looked in {searched}): install it (Debian: apt-get install postgresql), \
         name its bin folder in MILLPOND_PG_BIN, or set DATABASE_URL to one that runs"
    )]
    NotFound {
        /// Where it was looked for.
        searched: String,
    },
    /// The data needs a version that is not installed any more.
    #[error(
        "the data in {} was made by PostgreSQL {made_by}, which was not found: install it (Debian: apt-get install \
         postgresql-{made_by}), or remove the folder .millpond to start anew",
        .data.display()
    )]
    VersionGone {
        /// The data.
        data: PathBuf,
        /// The version that made it.
        made_by: u32,
    },
    /// PostgreSQL refuses to run as root, and nobody else can run it.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user \"postgres\" nor \"nobody\": run `millpond dev` \
         as an ordinary user"
    )]
    NoUser,
    /// The password of the data was lost.
    #[error(
        "{} holds data, but .millpond/database-url with its password is gone: put it back, or remove .millpond to \
         start anew",
        .data.display()
    )]
    PasswordGone {
        /// The data.
        data: PathBuf,
    },
    /// A folder in a place that others can write belongs to somebody else.
    #[error("{} belongs to another user: remove it", .path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// A program cannot be started.
    #[error("cannot run {program}")]
    Unrunnable {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {told}")]
    Failed {
        /// The program.
        program: String,
        /// The end of what it said.
        told: String,
    },
    /// A program took too long.
    #[error("{program} did not end in time")]
    TimedOut {
        /// The program.
        program: String,
    },
    /// The server ended, or was not ready in time.
    #[error("PostgreSQL did not start: {told}; its log is {}", .log.display())]
    DidNotStart {
        /// The end of its log.
        told: String,
        /// Its log.
        log: PathBuf,
    },
    /// The server ended while it was needed.
    #[error("the private PostgreSQL ended by itself: its log is .millpond/postgres.log")]
    EndedByItself,
    /// A file cannot be used.
    #[error("cannot use {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No port of this machine is free.
    #[error("no port is free on 127.0.0.1")]
    NoPort(#[source] io::Error),
    /// The folder `.millpond` cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl PostgresError {
    /// For `map_err`: a file that cannot be used.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
