//! A PostgreSQL of the suite's own that keeps every promise of a real one, so that it may be killed: `fsync` on, on a
//! port and in a folder of its own, run by another user where we are root.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use sqlx::{Connection, PgConnection};

use super::passes;

/// Users that may run PostgreSQL for root, the best first.
const STAND_INS: [&str; 2] = ["postgres", "nobody"];
/// Longest that making the data may take.
const MAKE_LIMIT: Duration = Duration::from_secs(120);
/// Longest that a start may take: after a crash the log is replayed.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longest that a stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Data, and the server that works on it unless it is down.
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// Makes the data in a folder that must not be there yet, and starts the server.
    pub(crate) async fn make(folder: PathBuf, port: u16) -> anyhow::Result<Self> {
        let user = stand_in()?;
        fs::create_dir(&folder)?;
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid))?;
        }
        let mut postgres = Self {
            programs: programs()?,
            folder,
            user,
            port,
            server: None,
        };
        let data = postgres.data();
        let mut initdb = postgres.command("initdb");
        initdb
            .args(["--username=millpond", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--pgdata"])
            .arg(data);
        finished(initdb, MAKE_LIMIT).await?;
        postgres.start().await?;
        Ok(postgres)
    }

    /// The address of its database by way of this port: its own, or a proxy's.
    pub(crate) fn url(port: u16) -> String {
        format!("postgres://millpond@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    /// Starts the server unless it runs, in a loop: what a killed one leaves behind may be in the way at first.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        let url = Self::url(self.port);
        let starting = async {
            loop {
                if self.has_ended()? {
                    self.server = Some(self.spawn()?);
                }
                if let Ok(connection) = PgConnection::connect(&url).await {
                    connection.close().await?;
                    return anyhow::Ok(());
                }
                passes(Duration::from_millis(50)).await;
            }
        };
        let started = tokio::time::timeout(START_LIMIT, starting).await;
        started.with_context(|| format!("PostgreSQL did not start: {}", self.last_words()))?
    }

    /// Stops the server as `pg_ctl` does: `fast`, or `immediate`, which is a crash.
    pub(crate) async fn stop(&mut self, how: &str) -> anyhow::Result<()> {
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "-s", "-w", "-t", "30", "-m", how, "-D"])
            .arg(self.data());
        finished(stop, STOP_LIMIT + Duration::from_secs(5)).await?;
        self.gone().await
    }

    /// Kills the server and every process of it.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.kill_all()?;
        self.gone().await
    }

    fn kill_all(&mut self) -> anyhow::Result<()> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        // The children first: nobody else knows them once their parent is gone.
        let pid = server.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        server.kill()?;
        for child in children.unwrap_or_default().split_whitespace() {
            // One that noticed the end of its parent has gone already.
            let _ = Command::new("kill")
                .args(["-s", "KILL", child])
                .stderr(Stdio::null())
                .status()?;
        }
        Ok(())
    }

    async fn gone(&mut self) -> anyhow::Result<()> {
        let ending = async {
            while !self.has_ended()? {
                passes(Duration::from_millis(10)).await;
            }
            anyhow::Ok(())
        };
        let ended = tokio::time::timeout(STOP_LIMIT, ending).await;
        ended.context("PostgreSQL does not end")?
    }

    /// Whether there is no server; buries one that has ended.
    fn has_ended(&mut self) -> anyhow::Result<bool> {
        if let Some(server) = &mut self.server
            && server.try_wait()?.is_some()
        {
            self.server = None;
        }
        Ok(self.server.is_none())
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())?;
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.data());
        let port = format!("port={}", self.port);
        for setting in [
            port.as_str(),
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "logging_collector=off",
            "fsync=on",
            "full_page_writes=on",
            "synchronous_commit=on",
            "max_connections=600",
            "shared_buffers=64MB",
        ] {
            postgres.args(["-c", setting]);
        }
        let errors = log.try_clone()?;
        let started = postgres.stdout(log).stderr(errors).spawn();
        started.context("PostgreSQL starts")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .env("LC_ALL", "C")
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" / ")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.kill_all();
        if let Some(server) = &mut self.server {
            let _ = server.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a program to its end.
async fn finished(command: Command, limit: Duration) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let output = tokio::time::timeout(limit, command.output())
        .await
        .with_context(|| format!("{program} takes too long"))??;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program} failed: {told}");
    Ok(())
}

/// Where `initdb` and its kin are: in the `PATH`, or else in Debian's folder of the newest version.
fn programs() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    folders.extend(versions.into_iter().map(|(_, folder)| folder.join("bin")));
    let found = folders.iter().find_map(|folder| {
        let real = fs::canonicalize(folder.join("initdb")).ok()?;
        let folder = real.parent()?;
        folder.join("postgres").is_file().then(|| folder.to_owned())
    });
    found.context("found no PostgreSQL server; scripts/up installs it")
}

/// Who runs PostgreSQL, which refuses to run as root; `None`: we do.
fn stand_in() -> anyhow::Result<Option<(u32, u32)>> {
    let id = Command::new("id").arg("-u").output()?;
    if id.stdout.trim_ascii() != b"0" {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let found = STAND_INS.iter().find_map(|name| {
        users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields[..] {
                [user, _, uid, gid, ..] if user == *name => {
                    Some((uid.parse().ok()?, gid.parse().ok()?))
                }
                _ => None,
            }
        })
    });
    found
        .map(Some)
        .context("we are root, and there is no user postgres or nobody")
}
