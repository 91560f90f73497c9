//! PostgreSQL's programs: where they are, and of which version.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    PostgresError,
    runner::{Runner, succeeded},
};
use crate::environment::Environment;

/// What is needed of an installation.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];
/// The oldest major version that will do.
const OLDEST: u32 = 14;
/// Where distributions put versions beside each other: a folder, what its entries begin with, and what lies below.
const INSTALLED: [(&str, &str, &str); 2] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
];
/// Longest that a program may take to tell its version.
const QUICK: Duration = Duration::from_secs(10);

/// An installation of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tools {
    dir: PathBuf,
    /// Its major version.
    pub(super) major: u32,
}

impl Tools {
    /// The folder that `MILLPOND_PG_BIN` names, else the first on the `PATH`, else the newest installed. Data that is
    /// there already decides the version.
    ///
    /// # Errors
    /// [`PostgresError::NotFound`] or [`PostgresError::VersionGone`].
    pub(super) async fn find(
        environment: &Environment,
        runner: &Runner,
        data: Option<(&Path, u32)>,
    ) -> Result<Self, PostgresError> {
        let candidates = match environment.os("MILLPOND_PG_BIN") {
            Some(named) => vec![PathBuf::from(named)],
            None => candidates(environment),
        };
        let mut found = Vec::new();
        for dir in candidates.iter().filter_map(|dir| complete(dir)) {
            let mut command = runner.command(&dir.join("postgres"));
            command.arg("--version");
            if let Ok(told) = succeeded(command, QUICK).await
                && let Some(major) = major(&String::from_utf8_lossy(&told.stdout))
            {
                found.push(Self { dir, major });
            }
        }
        choose(found, data.map(|(_, made_by)| made_by)).ok_or_else(|| match data {
            Some((data, made_by)) => PostgresError::VersionGone {
                data: data.to_owned(),
                made_by,
            },
            None => PostgresError::NotFound {
                searched: searched(&candidates),
            },
        })
    }

    /// The path of a program.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn choose(found: Vec<Tools>, made_by: Option<u32>) -> Option<Tools> {
    found.into_iter().find(|tools| match made_by {
        Some(made_by) => tools.major == made_by,
        None => tools.major >= OLDEST,
    })
}

fn candidates(environment: &Environment) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = environment
        .os("PATH")
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    for (root, start, below) in INSTALLED {
        dirs.extend(
            newest_first(Path::new(root), start)
                .into_iter()
                .map(|dir| dir.join(below)),
        );
    }
    dirs
}

/// Folders named by a version after `start`, the newest first.
fn newest_first(root: &Path, start: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else {
        return Vec::new();
    };
    let mut dirs: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let version = entry
                .file_name()
                .to_str()?
                .strip_prefix(start)?
                .parse()
                .ok()?;
            Some((version, entry.path()))
        })
        .collect();
    dirs.sort_by(|a, b| b.cmp(a));
    dirs.into_iter().map(|(_, dir)| dir).collect()
}

/// The folder where all programs truly are; the one on the `PATH` may hold links to some of them.
fn complete(dir: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(dir.join("initdb")).ok()?;
    let dir = real.parent()?;
    PROGRAMS
        .iter()
        .all(|program| dir.join(program).is_file())
        .then(|| dir.to_owned())
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major(told: &str) -> Option<u32> {
    let word = told
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits = word.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn searched(candidates: &[PathBuf]) -> String {
    let shown: Vec<String> = candidates
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    match shown.as_slice() {
        [] => "/usr/lib/postgresql/*/bin".to_owned(),
        [named] => named.clone(),
        _ => "the PATH and /usr/lib/postgresql/*/bin".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn tools(major: u32) -> Tools {
        Tools {
            dir: PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")),
            major,
        }
    }

    #[test]
    fn versions_are_read_from_what_the_program_tells() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("command not found"), None);
    }

    #[test]
    fn data_decides_the_version() {
        let found = vec![tools(17), tools(15)];

        assert_eq!(choose(found.clone(), Some(15)), Some(tools(15)));
        assert_eq!(choose(found.clone(), None), Some(tools(17)));
        assert_eq!(choose(found, Some(16)), None);
        assert_eq!(choose(vec![tools(13)], None), None);
    }

    #[test]
    fn the_newest_installed_version_comes_first() {
        let scratch = Scratch::new();
        for version in ["9", "15", "17", "common"] {
            scratch.file(&format!("{version}/bin/initdb"), "");
        }

        let dirs = newest_first(scratch.path(), "");

        let names: Vec<_> = dirs
            .iter()
            .filter_map(|dir| dir.file_name()?.to_str())
            .collect();
        assert_eq!(names, ["17", "15", "9"]);
    }

    #[test]
    fn links_lead_to_the_folder_with_all_programs() {
        let scratch = Scratch::new();
        for program in PROGRAMS {
            scratch.file(&format!("lib/{program}"), "");
        }
        let linked = scratch.path().join("bin");
        fs::create_dir(&linked).expect("made");
        std::os::unix::fs::symlink("../lib/initdb", linked.join("initdb")).expect("linked");
        scratch.file("half/initdb", "");

        assert_eq!(complete(&linked), Some(scratch.path().join("lib")));
        assert_eq!(complete(&scratch.path().join("half")), None);
        assert_eq!(complete(&scratch.path().join("none")), None);
    }
}
