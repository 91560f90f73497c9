//! Millpond's processes: two that serve the API, three that work. Each is started again when it is gone, as an
//! orchestrator would.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;

use super::{ports::Port, until};
use crate::harness::millpond;

/// What each process does.
const ROLES: [&str; 5] = [
    "api",
    "api",
    "worker,scheduler",
    "worker,scheduler",
    "worker,scheduler",
];
/// The first process that works.
const FIRST_WORKER: usize = 2;
/// Longest that a process may take to become ready once everything it needs is there.
const READY_LIMIT: Duration = Duration::from_secs(40);
/// Longest that a process may take to end in order: it drains for 3 s, and may have to do without its database.
const END_LIMIT: Duration = Duration::from_secs(40);

/// One process.
struct Member {
    port: Port,
    child: Option<Child>,
    is_stopped: bool,
}

/// All processes; they end with the test.
pub(super) struct Fleet {
    folder: PathBuf,
    database_url: String,
    members: Vec<Member>,
    http: reqwest::Client,
}

impl Fleet {
    /// Starts all of them in a folder with their `jobs.toml`.
    pub(super) async fn start(folder: &Path, database_url: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()?;
        let mut members = Vec::new();
        for _ in ROLES {
            members.push(Member {
                port: Port::free()?,
                child: None,
                is_stopped: false,
            });
        }
        let mut fleet = Self {
            folder: folder.to_owned(),
            database_url,
            members,
            http,
        };
        fleet.revive()?;
        fleet.ready().await?;
        Ok(fleet)
    }

    /// The addresses of the API.
    pub(super) fn api(&self) -> Vec<String> {
        let members = self.members.iter().take(FIRST_WORKER);
        members
            .map(|member| format!("http://127.0.0.1:{}", member.port.number()))
            .collect()
    }

    /// The process that a number out of the plan means; a worker where it has to be one.
    pub(super) fn target(number: usize, must_work: bool) -> usize {
        match must_work {
            true => FIRST_WORKER + number % (ROLES.len() - FIRST_WORKER),
            false => number % ROLES.len(),
        }
    }

    /// What a process is called in reports.
    pub(super) fn name(target: usize) -> String {
        let role = ROLES.get(target).copied().unwrap_or_default();
        format!("{} {target}", role.split(',').next().unwrap_or_default())
    }

    /// Kills a process and buries it.
    pub(super) fn kill(&mut self, target: usize) -> anyhow::Result<()> {
        let member = &mut self.members[target];
        member.is_stopped = false;
        if let Some(mut child) = member.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Sends a process a signal by name.
    pub(super) fn signal(&mut self, target: usize, name: &str) -> anyhow::Result<()> {
        let member = &mut self.members[target];
        member.is_stopped = name == "STOP";
        let pid = member.child.as_ref().context("the process runs")?.id();
        let sent = Command::new("kill")
            .args(["-s", name, &pid.to_string()])
            .status()?;
        anyhow::ensure!(sent.success(), "the signal {name} could not be sent");
        Ok(())
    }

    /// Waits for the end of a process that was told to end.
    pub(super) async fn ended(&mut self, target: usize) -> anyhow::Result<ExitStatus> {
        let mut child = self.members[target].child.take().context("it runs")?;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let ending = async {
            loop {
                if let Some(status) = child.try_wait()? {
                    return anyhow::Ok(status);
                }
                tick.tick().await;
            }
        };
        if let Ok(ended) = tokio::time::timeout(END_LIMIT, ending).await {
            return ended;
        }
        child.kill()?;
        child.wait()?;
        anyhow::bail!("it did not end within {} s", END_LIMIT.as_secs())
    }

    /// Processes that ended without being told to.
    pub(super) fn casualties(&mut self) -> anyhow::Result<Vec<String>> {
        let mut casualties = Vec::new();
        for (target, member) in self.members.iter_mut().enumerate() {
            if let Some(child) = &mut member.child
                && let Some(status) = child.try_wait()?
            {
                casualties.push(format!("{} ended by itself: {status}", Self::name(target)));
                member.child = None;
            }
        }
        Ok(casualties)
    }

    /// Wakes what was stopped and starts what is gone.
    pub(super) fn revive(&mut self) -> anyhow::Result<()> {
        for target in 0..self.members.len() {
            if self.members[target].is_stopped {
                self.signal(target, "CONT")?;
            }
            if self.members[target].child.is_none() {
                self.members[target].child = Some(self.spawn(target)?);
            }
        }
        Ok(())
    }

    /// Waits until every process is ready.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        for (target, member) in self.members.iter().enumerate() {
            let url = format!("http://127.0.0.1:{}/readyz", member.port.number());
            let what = format!("{} is ready", Self::name(target));
            until(&what, READY_LIMIT, || async {
                let answer = self.http.get(&url).send().await;
                Ok(answer
                    .is_ok_and(|answer| answer.status().is_success())
                    .then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    fn spawn(&self, target: usize) -> anyhow::Result<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log(target))?;
        let port = self.members[target].port.number();
        let mut command = millpond(&self.folder, &["serve", "--roles", ROLES[target]])?;
        command
            .env("DATABASE_URL", &self.database_url)
            .env("MILLPOND_HTTP_ADDR", format!("127.0.0.1:{port}"))
            .env("MILLPOND_OUTBOUND_ALLOW", "127.0.0.0/8")
            .env("MILLPOND_LOG_FORMAT", "text")
            .stdout(Stdio::null())
            .stderr(log);
        command.spawn().context("the process starts")
    }

    fn log(&self, target: usize) -> PathBuf {
        self.folder.join(format!("serve-{target}.log"))
    }

    /// Panics in the logs: whatever happens outside, there must be none.
    pub(super) fn panics(&self) -> anyhow::Result<Vec<String>> {
        let mut panics = Vec::new();
        for target in 0..self.members.len() {
            let log = std::fs::read(self.log(target))?;
            for line in String::from_utf8_lossy(&log).lines() {
                if line.contains("panicked at") {
                    panics.push(format!("{}: {line}", Self::name(target)));
                }
            }
        }
        Ok(panics)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(child) = &mut member.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
