//! What the system says of a process, and files enough for a thousand connections.

use std::process::Command;

use anyhow::Context;

use crate::harness::{World, eventually};

/// Open files that a test with a thousand connections needs, here and in the processes it starts.
const FILES: usize = 8_192;

/// A process of Millpond as the system sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    id: i32,
}

impl Process {
    /// The one process that works in this world.
    pub(super) async fn only(world: &World) -> anyhow::Result<Self> {
        let id = eventually("the process shows itself", || async {
            let id: Option<i32> = sqlx::query_scalar("SELECT pid FROM millpond.workers")
                .fetch_optional(&mut world.sql().await?)
                .await?;
            Ok(id)
        })
        .await?;
        Ok(Self { id })
    }

    /// Memory in use now, in KiB.
    pub(super) fn resident_kib(self) -> anyhow::Result<u64> {
        self.status("VmRSS:")
    }

    /// The most memory that was ever in use, in KiB.
    pub(super) fn peak_kib(self) -> anyhow::Result<u64> {
        self.status("VmHWM:")
    }

    fn status(self, name: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id))
            .context("the process lives")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_whitespace().next());
        Ok(value.context("the system tells it")?.parse()?)
    }
}

/// Lets this process and those it starts from now on open files enough.
pub(super) fn allow_files() -> anyhow::Result<()> {
    let (own, limit) = (std::process::id().to_string(), format!("--nofile={FILES}:"));
    let set = Command::new("prlimit")
        .args(["--pid", &own, &limit])
        .status()?;
    anyhow::ensure!(set.success(), "{FILES} open files are not allowed here");
    Ok(())
}
