//! A private PostgreSQL for `millpond dev`: made once, started, watched and stopped with the run. It listens on
//! loopback alone, has no socket file (whose path could be too long), and keeps every promise of a real one.

mod access;
mod error;
mod leftover;
mod place;
mod runner;
mod tools;

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use tokio::process::Child;

pub(crate) use self::error::PostgresError;
pub(crate) use self::runner::Runner;
use self::{
    access::{Access, USER},
    leftover::Leftover,
    place::Place,
    runner::{last_lines, succeeded},
    tools::Tools,
};
use super::home::Home;
use crate::{environment::Environment, output};

/// The log in `.millpond`.
const LOG: &str = "postgres.log";
/// Longest that making the data may take.
const INIT_LIMIT: Duration = Duration::from_secs(180);
/// Longest that a start may take: after a crash the log is replayed.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longest that an orderly stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often a starting server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Starts that are tried: a port may be taken between choosing and using it.
const MOST_STARTS: usize = 3;
/// The wait before a start is tried again: processes of a killed server need a moment to notice.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Bytes of the log's end that are read to tell why a start failed.
const LOG_END: usize = 4_096;

/// A running private PostgreSQL.
pub(crate) struct Postgres {
    server: Child,
    cluster: Cluster,
    url: SecretString,
}

/// Data, and the programs that work on it.
struct Cluster {
    runner: Runner,
    tools: Tools,
    data: PathBuf,
}

impl Postgres {
    /// Makes the data unless it is there, deals with what an earlier run left, and starts the server.
    pub(crate) async fn start(
        home: &Home,
        environment: &Environment,
        runner: Runner,
    ) -> Result<Self, PostgresError> {
        let place = Place::choose(home.path(), &runner).await?;
        let data = place.dir().join("pg");
        let remembered = Access::remembered(home)?;
        let made_by = made_by(&data).map_err(PostgresError::file(&data))?;
        if let (Some(_), None, Place::Home(_)) = (made_by, &remembered, &place) {
            return Err(PostgresError::PasswordGone { data });
        }
        let tools = Tools::find(environment, &runner, made_by.map(|version| (&*data, version))).await?;
        tell(&tools, &place, &runner, made_by.is_none());
        let cluster = Cluster { runner, tools, data };
        let access = match (made_by, remembered) {
            (Some(_), Some(access)) => access,
            (made_by, remembered) => {
                let access = remembered.map_or_else(Access::new, Ok)?;
                if made_by.is_some() {
                    // Elsewhere, of a `.millpond` that was removed: it has no password any more.
                    cluster.clear_leftover().await?;
                    fs::remove_dir_all(&cluster.data).map_err(PostgresError::file(&cluster.data))?;
                }
                cluster.make(place.dir(), &access.password).await?;
                access
            }
        };
        cluster.clear_leftover().await?;
        cluster.run(home, access).await
    }

    /// Where it runs, with the password.
    pub(crate) fn url(&self) -> &SecretString {
        &self.url
    }

    /// Resolves when the server ends by itself, which it never should. Cancel-safe.
    pub(crate) async fn ended(&mut self) {
        // Whether it can be waited for or not: it is not known to run any more.
        let _ = self.server.wait().await;
    }

    /// Stops it in order, and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<(), PostgresError> {
        let stopped = self.cluster.stop("fast").await;
        if tokio::time::timeout(STOP_LIMIT, self.server.wait()).await.is_err() {
            // It heard nothing; the next start replays its log.
            let path = &self.cluster.data;
            self.server.kill().await.map_err(PostgresError::file(path))?;
        }
        stopped
    }

    /// What stops it at once, without waiting: for a process that must end now.
    pub(crate) fn last_act(&self) -> impl FnOnce() + Send + 'static {
        let mut stop = self.cluster.stop_command("immediate");
        stop.arg("-W").stdout(Stdio::null()).stderr(Stdio::null());
        // A failure has nobody to be told to; the next run deals with a server that was left behind.
        move || drop(stop.status())
    }
}

impl Cluster {
    /// Makes the data beside its place and then moves it there: what was interrupted is never taken for whole.
    async fn make(&self, dir: &Path, password: &SecretString) -> Result<(), PostgresError> {
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
        initdb.args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
        initdb.arg("--pgdata").arg(&partial).arg("--pwfile").arg(&secret);
        let made = succeeded(initdb, INIT_LIMIT).await;
        fs::remove_file(&secret).map_err(PostgresError::file(&secret))?;
        made?;
        fs::rename(&partial, &self.data).map_err(PostgresError::file(&self.data))
    }

    /// Sees to it that no server of this data runs and that nothing pretends that one does.
    async fn clear_leftover(&self) -> Result<(), PostgresError> {
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

    async fn run(self, home: &Home, mut access: Access) -> Result<Postgres, PostgresError> {
        let mut starts = 1;
        loop {
            access = access.on_free_port()?;
            match self.try_run(home, &access).await {
                Ok(server) => {
                    let url = access.url();
                    home.keep_database_url(url.expose_secret())?;
                    return Ok(Postgres { server, cluster: self, url });
                }
                Err(error) if starts == MOST_STARTS => return Err(error),
                Err(_) => {
                    starts += 1;
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    async fn try_run(&self, home: &Home, access: &Access) -> Result<Child, PostgresError> {
        let log = home.append(LOG)?;
        let errors = log.try_clone().map_err(PostgresError::file(home.path().join(LOG)))?;
        let program = self.tools.program("postgres");
        let mut postgres = self.runner.command(&program);
        postgres.arg("-D").arg(&self.data).stdout(log).stderr(errors);
        for setting in settings(access.port) {
            postgres.arg("-c").arg(setting);
        }
        let mut postgres = tokio::process::Command::from(postgres);
        // Should the run end without stopping it: its other processes notice and end by themselves.
        let mut server = postgres.kill_on_drop(true).spawn().map_err(|source| {
            PostgresError::Unrunnable { program: program.display().to_string(), source }
        })?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if server.id().is_some_and(|pid| leftover::is_ready(&self.data, pid)) {
                return Ok(server);
            }
            let has_ended = server.try_wait().is_ok_and(|status| status.is_some());
            if has_ended || Instant::now() > deadline {
                let log = home.path().join(LOG);
                return Err(PostgresError::DidNotStart { told: end_of(&log), log });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn stop(&self, how: &str) -> Result<(), PostgresError> {
        let mut stop = self.stop_command(how);
        stop.arg("-w").arg("-t").arg(STOP_LIMIT.as_secs().to_string());
        succeeded(stop, STOP_LIMIT + Duration::from_secs(5)).await.map(drop)
    }

    fn stop_command(&self, how: &str) -> Command {
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

/// The version that made the data; `None` where there is none.
fn made_by(data: &Path) -> io::Result<Option<u32>> {
    match fs::read_to_string(data.join("PG_VERSION")) {
        Ok(version) => Ok(version.trim().parse().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn tell(tools: &Tools, place: &Place, runner: &Runner, is_new: bool) {
    let doing = if is_new { "making and starting" } else { "starting" };
    let user = runner.user().map(|user| format!(" as user {:?}", user.name)).unwrap_or_default();
    output::note(format_args!("{doing} a private PostgreSQL {}{user}", tools.major));
    if let Place::Elsewhere(dir) = place {
        output::note(format_args!(
            "its data lies in {}, since that user cannot enter this folder",
            dir.display()
        ));
    }
}

fn write_secret(path: &Path, secret: &SecretString) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};

    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(secret.expose_secret().as_bytes())
}

fn end_of(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let start = bytes.len().saturating_sub(LOG_END);
    last_lines(&String::from_utf8_lossy(&bytes[start..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_version_of_the_data_is_read() {
        let scratch = Scratch::new();
        assert_eq!(made_by(scratch.path()).ok(), Some(None));

        scratch.file("PG_VERSION", "15\n");

        assert_eq!(made_by(scratch.path()).ok(), Some(Some(15)));
    }

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

        assert!(end_of(Path::new(&path)).ends_with("FATAL: no space left"));
    }
}
