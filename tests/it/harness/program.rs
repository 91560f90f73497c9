//! The program `millpond` as a child process. It is killed when the test ends, however it ends.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use anyhow::Context;

/// Where the program was built: beside this test's own binary.
fn path() -> anyhow::Result<PathBuf> {
    let mine = std::env::current_exe()?;
    let built = mine
        .ancestors()
        .nth(2)
        .context("the test binary lies in target/PROFILE/deps")?
        .join("millpond");
    anyhow::ensure!(
        built.exists(),
        "{} is missing: run `cargo build -p cli` first",
        built.display()
    );
    Ok(built)
}

/// The program with these arguments, in this folder, without the caller's settings.
pub(crate) fn millpond(folder: &Path, arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(path()?);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        if name.starts_with("MILLPOND_") || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// A process that runs beside the test.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts it; what it logs goes to a file beside its folder's other files.
    pub(crate) fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)?;
        command.stdout(Stdio::piped()).stderr(log);
        Ok(Self {
            child: command.spawn().context("the program starts")?,
        })
    }

    /// Starts it; all that it says goes to that file.
    pub(crate) fn start_telling(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)?;
        command.stdout(log.try_clone()?).stderr(log);
        Ok(Self {
            child: command.spawn().context("the program starts")?,
        })
    }

    /// The most memory that it has had at a time so far, in bytes; `None` where the system does not tell.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kib * 1024)
    }

    /// The first line that it prints.
    pub(crate) fn first_line(&mut self) -> anyhow::Result<String> {
        let output = self
            .child
            .stdout
            .take()
            .context("its output is read once")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        Ok(line)
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()?;
        anyhow::ensure!(sent.success(), "the signal {name} could not be sent");
        Ok(())
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(20));
        let waiting = async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    return anyhow::Ok(status);
                }
                tick.tick().await;
            }
        };
        tokio::time::timeout(super::DEADLINE, waiting)
            .await
            .context("the program did not end")?
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A stopped process must be woken before it can be killed for good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end.
pub(crate) fn run(mut command: Command) -> anyhow::Result<Output> {
    command.output().context("the program runs")
}
