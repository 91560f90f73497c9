//! The program itself as a child process. It is ended with whoever holds it, however that comes.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret;
use tokio::time::sleep;

use super::{ground::Ground, load};

/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// Longest that an answer to "are you ready" may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Longest that a child may take to end after it was asked to.
const END: Duration = Duration::from_secs(45);
/// The same for one that is dropped in the middle.
const END_DROPPED: Duration = Duration::from_secs(15);
/// Lines of a log that tell why a child failed.
const LAST_LINES: usize = 5;
/// The command that has children of its own.
const DEV: &str = "dev";
/// The one variable of ours that says something about the machine and not about what runs on it.
const PG_BIN: &str = "MILLPOND_PG_BIN";
/// Bytes of a megabyte.
pub(super) const MEGABYTE: f64 = 1_000_000.0;
/// What the kernel counts the time on cores in: hundredths of a second.
const TICKS: f64 = 100.0;
/// Every role of a process.
pub(super) const ALL_ROLES: &str = "api,worker,scheduler";

/// A child.
pub(super) struct Child {
    process: process::Child,
    started: Instant,
    /// Where it serves HTTP.
    pub(super) addr: SocketAddr,
    log: PathBuf,
    /// Whether it has children of its own, which only an orderly end takes along.
    has_children: bool,
}

impl Child {
    /// Starts `millpond serve` with these roles.
    pub(super) fn serve(ground: &Ground<'_>, roles: &str) -> anyhow::Result<Self> {
        Self::serve_in(ground.folder, ground, roles)
    }

    /// Starts `millpond serve` with these roles in a folder with a `jobs.toml` of its own.
    pub(super) fn serve_in(
        folder: &Path,
        ground: &Ground<'_>,
        roles: &str,
    ) -> anyhow::Result<Self> {
        let mut command = command(ground, folder)?;
        command
            .args(["serve", "--roles", roles])
            .env("DATABASE_URL", ground.url.expose_secret())
            .env("MILLPOND_OUTBOUND_ALLOW", "127.0.0.0/8");
        Self::start(command, ground, "serve")
    }

    /// Starts `millpond dev` in a folder, with a PostgreSQL of its own.
    pub(super) fn dev(ground: &Ground<'_>, folder: &Path) -> anyhow::Result<Self> {
        let mut command = command(ground, folder)?;
        command.args([DEV, "--json"]);
        Self::start(command, ground, DEV)
    }

    fn start(mut command: Command, ground: &Ground<'_>, name: &str) -> anyhow::Result<Self> {
        let addr = free_addr()?;
        let log = ground.folder.join(format!("{name}-{}.log", addr.port()));
        let errors = fs::File::create(&log)?;
        command
            .env("MILLPOND_HTTP_ADDR", addr.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        let started = Instant::now();
        Ok(Self {
            process: command
                .spawn()
                .context("the program cannot start itself again")?,
            started,
            addr,
            log,
            has_children: name == DEV,
        })
    }

    /// Waits until it says that it is ready, and tells how long that took from its start, in seconds.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub(super) async fn ready(&mut self, longest: Duration) -> anyhow::Result<f64> {
        loop {
            if let Ok(200) = load::status(self.addr, "/readyz", ANSWER).await {
                return Ok(self.started.elapsed().as_secs_f64());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("a child ended with {status}: {}", self.told());
            }
            if self.started.elapsed() > longest {
                let seconds = longest.as_secs();
                bail!("a child was not ready within {seconds} s: {}", self.told());
            }
            sleep(LOOK).await;
        }
    }

    /// The most memory that it ever had resident, in megabytes of 1,000,000 bytes.
    pub(super) fn peak_memory_mb(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let kibibytes = peak_kibibytes(&status).context("the system does not tell peak memory")?;
        Ok(f64::from(kibibytes) * 1_024.0 / MEGABYTE)
    }

    /// The time that it has spent on cores so far, in seconds.
    pub(super) fn seconds_on_cores(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let ticks = busy_ticks(&stat).context("the system does not tell time on cores")?;
        Ok(ticks / TICKS)
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.terminate()?;
        let asked = Instant::now();
        while self.process.try_wait()?.is_none() {
            if asked.elapsed() > END {
                let seconds = END.as_secs();
                bail!("a child did not end within {seconds} s: {}", self.told());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn terminate(&self) -> anyhow::Result<()> {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status();
        if !sent.context("cannot run kill")?.success() {
            bail!("a child could not be asked to end");
        }
        Ok(())
    }

    /// The end of its log.
    fn told(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ")
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Child {
    #[expect(
        clippy::disallowed_methods,
        reason = "a destructor cannot await, and the benchmark is at its end"
    )]
    fn drop(&mut self) {
        if self.has_children && !self.has_ended() && self.terminate().is_ok() {
            let asked = Instant::now();
            while !self.has_ended() && asked.elapsed() < END_DROPPED {
                thread::sleep(LOOK);
            }
        }
        // A process that has ended cannot be killed, and that is what was wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program itself, with nothing of what this process was told about databases, addresses and providers.
fn command(ground: &Ground<'_>, folder: &Path) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("cannot tell where the program is")?;
    let mut command = Command::new(program);
    let ours = ground.environment.names_with("MILLPOND_");
    for name in ours.filter(|name| *name != PG_BIN) {
        command.env_remove(name);
    }
    command
        .env_remove("DATABASE_URL")
        .env_remove("DATABASE_URL_FILE")
        .env("MILLPOND_LOG", "warn")
        .env("MILLPOND_LOG_FORMAT", "text")
        .current_dir(folder);
    Ok(command)
}

/// An address of this machine that was free a moment ago.
fn free_addr() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}

/// `VmHWM` of `/proc/PID/status`.
fn peak_kibibytes(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// User and system time of `/proc/PID/stat`, its fields 14 and 15. The third is the first behind the name, which may
/// hold anything.
fn busy_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_memory_is_read_from_what_the_system_tells() {
        let status =
            "Name:\tmillpond\nVmPeak:\t  900000 kB\nVmHWM:\t   24576 kB\nVmRSS:\t 20000 kB\n";

        assert_eq!(peak_kibibytes(status), Some(24_576));
        assert_eq!(peak_kibibytes("Name:\tmillpond\n"), None);
    }

    #[test]
    fn time_on_cores_is_user_and_system_time() {
        let stat = "77 (mill) pond) S 1 77 77 0 -1 4194560 900 0 1 0 250 50 7 9 20 0 5 0 100 1 2\n";

        assert_eq!(busy_ticks(stat), Some(300.0));
        assert_eq!(busy_ticks("77 (millpond) S 1"), None);
    }
}
