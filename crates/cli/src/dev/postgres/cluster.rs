//! Data, and the programs that work on it: made, served, stopped.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use tokio::{process::Child, time::sleep};

use super::{
    PostgresError,
    access::{Access, USER},
    leftover::{self, Leftover},
    runner::{Runner, last_lines, succeeded},
    tools::Tools,
};
use crate::{dev::home::Home, output};

/// The log in `.millpond`.
const LOG: &str = "postgres.log";
/// Longest that making the data may take.
const MAKE_LIMIT: Duration = Duration::from_secs(180);
/// Longest that a start may take: after a crash the log is replayed.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longest that an orderly stop may take, and how much longer we wait for the program that sees to it.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// How often a starting server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Starts that are tried: a port may be taken between choosing and using it.
const MOST_STARTS: usize = 3;
/// The wait before a start is tried again: processes of a killed server need a moment to notice.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Bytes of the log's end that are read to tell why a start failed.
const LOG_END: u64 = 4_096;

/// Data, and the programs that work on it.
pub(super) struct Cluster {
    pub(super) runner: Runner,
    pub(super) tools: Tools,
    pub(super) data: PathBuf,
}

impl Cluster {
    /// Makes the data beside its place and then moves it there: what was interrupted is never taken for whole.
    pub(super) async fn make(
        &self,
        dir: &Path,
        password: &SecretString,
    ) -> Result<(), PostgresError> {
        let (partial, secret) = (dir.join("pg.partial"), dir.join("password.tmp"));
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PostgresError::file(&partial)(error));
            }
            _ => {}
        }
        let prepared = DirBuilder::new()
            .mode(0o700)
            .create(&partial)
            .and_then(|()| self.runner.give(&partial))
            .and_then(|()| write_secret(&secret, password))
            .and_then(|()| self.runner.give(&secret));
        prepared.map_err(PostgresError::file(&partial))?;
        let mut initdb = self.runner.command(&self.tools.program("initdb"));
        initdb.args([
            "--username",
            USER,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        initdb
            .arg("--pgdata")
            .arg(&partial)
            .arg("--pwfile")
            .arg(&secret);
        let made = succeeded(initdb, MAKE_LIMIT).await;
        fs::remove_file(&secret).map_err(PostgresError::file(&secret))?;
        made?;
        fs::rename(&partial, &self.data).map_err(PostgresError::file(&self.data))
    }

    /// Removes the data, for good.
    pub(super) fn remove(&self) -> Result<(), PostgresError> {
        fs::remove_dir_all(&self.data).map_err(PostgresError::file(&self.data))
    }

    /// Sees to it that no server of this data runs and that nothing pretends that one does.
    pub(super) async fn clear_leftover(&self) -> Result<(), PostgresError> {
        let found = leftover::look(&self.data, Path::new("/proc"));
        match found.map_err(PostgresError::file(&self.data))? {
            Leftover::Nothing => Ok(()),
            Leftover::MisleadingFile => {
                leftover::remove_file(&self.data).map_err(PostgresError::file(&self.data))
            }
            Leftover::Server => {
                output::note("stopping the PostgreSQL that an earlier run left behind");
                match self.stop("fast").await {
                    Ok(()) => Ok(()),
                    Err(_) => self.stop("immediate").await,
                }
            }
        }
    }

    /// Starts the server on a free port, keeps where that is, and tells it.
    pub(super) async fn serve(
        &self,
        home: &Home,
        mut access: Access,
    ) -> Result<(Child, SecretString), PostgresError> {
        let mut starts = 1;
        loop {
            access = access.on_free_port()?;
            match self.try_serve(home, access.port).await {
                Ok(server) => {
                    let url = access.url();
                    home.keep_database_url(url.expose_secret())?;
                    return Ok((server, url));
                }
                Err(error) if starts == MOST_STARTS => return Err(error),
                Err(_) => {
                    starts += 1;
                    sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    async fn try_serve(&self, home: &Home, port: u16) -> Result<Child, PostgresError> {
        let path = home.path().join(LOG);
        let log = home.append(LOG)?;
        let errors = log.try_clone().map_err(PostgresError::file(&path))?;
        let program = self.tools.program("postgres");
        let mut postgres = self.runner.command(&program);
        postgres
            .arg("-D")
            .arg(&self.data)
            .stdout(log)
            .stderr(errors);
        for setting in settings(port) {
            postgres.arg("-c").arg(setting);
        }
        let mut postgres = tokio::process::Command::from(postgres);
        // Should the run end without stopping it: its other processes notice and end by themselves.
        let started = postgres.kill_on_drop(true).spawn();
        let mut server = started.map_err(|source| PostgresError::Unrunnable {
            program: program.display().to_string(),
            source,
        })?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if server
                .id()
                .is_some_and(|pid| leftover::is_ready(&self.data, pid))
            {
                return Ok(server);
            }
            let has_ended = server.try_wait().is_ok_and(|status| status.is_some());
            if has_ended || Instant::now() > deadline {
                let told = end_of(&path).map_err(PostgresError::file(&path))?;
                return Err(PostgresError::DidNotStart { told, log: path });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Stops the server and waits until it has: `fast` or `immediate`.
    pub(super) async fn stop(&self, how: &str) -> Result<(), PostgresError> {
        let mut stop = self.stop_command(how);
        stop.arg("-w")
            .arg("-t")
            .arg(STOP_LIMIT.as_secs().to_string());
        succeeded(stop, STOP_LIMIT + STOP_GRACE).await.map(drop)
    }

    /// What stops the server.
    pub(super) fn stop_command(&self, how: &str) -> Command {
        let mut stop = self.runner.command(&self.tools.program("pg_ctl"));
        stop.args(["stop", "-s", "-m", how, "-D"]).arg(&self.data);
        stop
    }
}

fn settings(port: u16) -> [String; 6] {
    [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "logging_collector=off".to_owned(),
        "fsync=on".to_owned(),
        "max_connections=200".to_owned(),
    ]
}

fn write_secret(path: &Path, secret: &SecretString) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)?
        .write_all(secret.expose_secret().as_bytes())
}

/// The end of a log, however long it is.
fn end_of(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_END)))?;
    let mut bytes = Vec::new();
    file.take(LOG_END).read_to_end(&mut bytes)?;
    Ok(last_lines(&String::from_utf8_lossy(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_server_listens_on_loopback_alone() {
        let settings = settings(5433);

        assert!(settings.contains(&"listen_addresses=127.0.0.1".to_owned()));
        assert!(settings.contains(&"port=5433".to_owned()));
        assert!(settings.contains(&"unix_socket_directories=".to_owned()));
    }

    #[test]
    fn the_end_of_a_long_log_is_told() {
        let scratch = Scratch::new();
        let log = format!("{}FATAL: no space left\n", "line\n".repeat(2_000));
        let path = scratch.file(LOG, &log);

        let told = end_of(Path::new(&path)).expect("readable");

        assert!(told.ends_with("FATAL: no space left"));
    }
}
