//! What an earlier run left behind: a server that still runs because its `millpond dev` was killed, or a file that
//! names a process which is none.

use std::{fs, io, path::Path};

/// The file in which a server notes its process.
const PID_FILE: &str = "postmaster.pid";
/// The line of that file which says whether connections are taken.
const STATUS_LINE: usize = 7;
/// What the kernel calls the server.
const NAMES: [&str; 2] = ["postgres", "postmaster"];

/// What was left behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leftover {
    /// Nothing that a new server could not deal with by itself.
    Nothing,
    /// The file names a process that is not this server, or a dead one that nobody buried: PostgreSQL would take it for
    /// a running server and refuse to start.
    MisleadingFile,
    /// The server of this data runs.
    Server,
}

/// Looks for what was left behind; `processes` is `/proc`.
pub(super) fn look(data: &Path, processes: &Path) -> io::Result<Leftover> {
    let text = match fs::read_to_string(data.join(PID_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Leftover::Nothing),
        Err(error) => return Err(error),
    };
    let Some(pid) = pid(&text) else {
        return Ok(Leftover::MisleadingFile);
    };
    if !processes.join("self").exists() {
        // Without /proc there is no telling; `pg_ctl` will find out.
        return Ok(Leftover::Server);
    }
    let process = processes.join(pid.to_string());
    let Ok(name) = fs::read_to_string(process.join("comm")) else {
        return Ok(Leftover::Nothing);
    };
    if !NAMES.contains(&name.trim()) {
        return Ok(Leftover::MisleadingFile);
    }
    // A server works in its data folder; a dead process has none.
    let data = data.canonicalize()?;
    match fs::read_link(process.join("cwd")) {
        Ok(dir) if dir == data => Ok(Leftover::Server),
        Ok(_) => Ok(Leftover::MisleadingFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Leftover::MisleadingFile),
        Err(_) => Ok(Leftover::Server),
    }
}

/// Removes the file that names a process.
pub(super) fn remove_file(data: &Path) -> io::Result<()> {
    fs::remove_file(data.join(PID_FILE))
}

/// Whether the server with this process takes connections.
pub(super) fn is_ready(data: &Path, server: u32) -> bool {
    let Ok(text) = fs::read_to_string(data.join(PID_FILE)) else {
        return false;
    };
    let status = text.lines().nth(STATUS_LINE).map(str::trim);
    pid(&text) == Some(server) && status == Some("ready")
}

fn pid(text: &str) -> Option<u32> {
    text.lines().next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::scratch::Scratch;

    /// A data folder whose file names process 42, and a `/proc` in which that process has this name and folder.
    fn system(name: &str, works_in: Option<&str>) -> Scratch {
        let scratch = Scratch::new();
        scratch.file(
            "pg/postmaster.pid",
            "42\n/x/pg\n1700000000\n5433\n\n127.0.0.1\n123 4\nready   \n",
        );
        scratch.file("proc/self/comm", "millpond\n");
        scratch.file("proc/42/comm", &format!("{name}\n"));
        if let Some(dir) = works_in {
            symlink(scratch.path().join(dir), scratch.path().join("proc/42/cwd")).expect("linked");
        }
        scratch
    }

    fn look_in(scratch: &Scratch) -> Leftover {
        look(&scratch.path().join("pg"), &scratch.path().join("proc")).expect("readable")
    }

    #[test]
    fn a_server_of_this_data_is_recognised() {
        let scratch = system("postgres", Some("pg"));

        assert_eq!(look_in(&scratch), Leftover::Server);
        assert!(is_ready(&scratch.path().join("pg"), 42));
        assert!(!is_ready(&scratch.path().join("pg"), 43));
    }

    #[test]
    fn a_process_that_took_the_number_is_not_the_server() {
        for (name, works_in) in [
            ("vim", None),
            ("postgres", Some("other")),
            ("postgres", None),
        ] {
            let scratch = system(name, works_in);

            assert_eq!(
                look_in(&scratch),
                Leftover::MisleadingFile,
                "{name} in {works_in:?}"
            );
        }
    }

    #[test]
    fn a_process_that_is_gone_is_left_to_postgresql() {
        let scratch = Scratch::new();
        scratch.file("pg/postmaster.pid", "42\n");
        scratch.file("proc/self/comm", "millpond\n");

        assert_eq!(look_in(&scratch), Leftover::Nothing);
    }

    #[test]
    fn a_file_that_names_nothing_misleads() {
        let scratch = Scratch::new();
        scratch.file("pg/postmaster.pid", "");
        scratch.file("proc/self/comm", "millpond\n");

        assert_eq!(look_in(&scratch), Leftover::MisleadingFile);
    }

    #[test]
    fn no_file_means_that_nothing_was_left() {
        let scratch = Scratch::new();
        scratch.file("proc/self/comm", "millpond\n");

        assert_eq!(look_in(&scratch), Leftover::Nothing);
    }
}
