//! Who runs PostgreSQL's programs: we ourselves, or, since they refuse to run as root, another user on our behalf.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use super::PostgresError;
use crate::{environment::Environment, output::one_line};

/// Users that may run PostgreSQL for root, the best first.
const STAND_INS: [&str; 2] = ["postgres", "nobody"];
/// Variables that the programs are given; others could change what they do, or are secrets.
const PASSED_ON: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];
/// Longest that a question about the system may take.
const QUICK: Duration = Duration::from_secs(10);
/// Longest text of a failed program that is shown, in characters.
const LONGEST_TOLD: usize = 600;

/// A user of this system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SystemUser {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Runs programs as ourselves or as another user.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    user: Option<SystemUser>,
    variables: Vec<(&'static str, OsString)>,
}

impl Runner {
    /// Ourselves, unless we are root.
    ///
    /// # Errors
    /// [`PostgresError::NoUser`] when we are root and nobody can stand in.
    pub(crate) async fn choose(environment: &Environment) -> Result<Self, PostgresError> {
        let variables = PASSED_ON
            .into_iter()
            .filter_map(|name| Some((name, environment.os(name)?.to_owned())))
            .collect();
        let ourselves = Self {
            user: None,
            variables,
        };
        // `id` is asked since nothing in the standard library knows the effective user.
        let mut id = ourselves.command(Path::new("id"));
        id.arg("-u");
        let is_root = succeeded(id, QUICK).await?.stdout.trim_ascii() == b"0";
        if !is_root {
            return Ok(ourselves);
        }
        let path = "/etc/passwd";
        let users = fs::read_to_string(path).map_err(PostgresError::file(path))?;
        let user = STAND_INS.iter().find_map(|name| find_user(&users, name));
        Ok(Self {
            user: Some(user.ok_or(PostgresError::NoUser)?),
            ..ourselves
        })
    }

    /// The other user, where there is one.
    pub(super) fn user(&self) -> Option<&SystemUser> {
        self.user.as_ref()
    }

    /// Whether programs run as another user, who must pass through our folders.
    pub(crate) fn is_another(&self) -> bool {
        self.user.is_some()
    }

    /// A program to be run, away from our terminal: Ctrl-C reaches us, and we stop it in order.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null());
        if let Some(SystemUser { uid, gid, .. }) = &self.user {
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Gives a file or folder to whoever runs the programs.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        match &self.user {
            Some(SystemUser { uid, gid, .. }) => {
                std::os::unix::fs::chown(path, Some(*uid), Some(*gid))
            }
            None => Ok(()),
        }
    }

    /// Whether whoever runs the programs can enter this folder.
    pub(super) async fn can_enter(&self, dir: &Path) -> bool {
        let mut enter = self.command(Path::new("sh"));
        enter.args(["-c", "cd \"$1\"", "sh"]).arg(dir);
        succeeded(enter, QUICK).await.is_ok()
    }
}

/// Runs a program to its end.
///
/// # Errors
/// With the end of what it said when it failed.
pub(super) async fn succeeded(command: Command, limit: Duration) -> Result<Output, PostgresError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    match tokio::time::timeout(limit, command.output()).await {
        Err(_) => Err(PostgresError::TimedOut { program }),
        Ok(Err(source)) => Err(PostgresError::Unrunnable { program, source }),
        Ok(Ok(output)) if output.status.success() => Ok(output),
        Ok(Ok(output)) => {
            let said = if output.stderr.is_empty() {
                &output.stdout
            } else {
                &output.stderr
            };
            Err(PostgresError::Failed {
                program,
                told: last_lines(&String::from_utf8_lossy(said)),
            })
        }
    }
}

/// The end of a program's output or log, on one line.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines.len().saturating_sub(4);
    one_line(&lines[last..].join(" / "), LONGEST_TOLD)
}

/// Finds a user in the text of /etc/passwd.
fn find_user(users: &str, name: &str) -> Option<SystemUser> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(SystemUser {
            name: name.to_owned(),
            uid,
            gid,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\n\
                         broken\n\
                         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
                         postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn a_user_is_found_with_both_ids() {
        let user = find_user(USERS, "postgres");

        assert_eq!(
            user,
            Some(SystemUser {
                name: "postgres".to_owned(),
                uid: 101,
                gid: 104
            })
        );
        assert_eq!(find_user(USERS, "broken"), None);
        assert_eq!(find_user(USERS, "postgr"), None);
    }

    #[test]
    fn the_end_of_a_log_is_told_on_one_line() {
        let log = "one\ntwo\n\nthree\nFATAL: four\nfive\u{7}\n";

        assert_eq!(last_lines(log), "two / three / FATAL: four / five\\u{7}");
        assert_eq!(last_lines(""), "");
    }

    #[tokio::test]
    async fn a_program_that_fails_tells_why() {
        let runner = Runner {
            user: None,
            variables: Vec::new(),
        };
        let mut command = runner.command(Path::new("/bin/sh"));
        command.args(["-c", "echo out of disk >&2; exit 3"]);

        let failed = succeeded(command, QUICK)
            .await
            .expect_err("it failed")
            .to_string();

        assert_eq!(failed, "/bin/sh failed: out of disk");
    }
}
