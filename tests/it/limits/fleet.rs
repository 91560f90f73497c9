//! Processes that work under limits, and the endpoint that their jobs call. Any of them can be killed at any time.

use std::fs;

use anyhow::Context;
use serde_json::{Value, json};

use super::receiver::Receiver;
use crate::{
    chaos::dice::Dice,
    harness::{Client, NOTHING_BY_ITSELF, Program, World, eventually},
};

/// Leases that are over soon after a process has died, and still outlast a process that a busy machine keeps waiting. A
/// job that is killed again and again is not given up.
const SHORT: &str = r#"
[lease]
ttl = "3s"
renew_every = "750ms"
max_lost = 100

[worker]
drain = "3s"

[email]
from = "Millpond <jobs@example.com>"

[defaults]
max_attempts = 100
backoff = { strategy = "fixed", base = "1s", jitter = "none" }
"#;

/// Some processes of one world; dropped, they are killed.
pub(crate) struct Fleet {
    processes: Vec<(Program, Client)>,
    pub(crate) receiver: Receiver,
    pub(crate) world: World,
}

impl Fleet {
    /// A world without processes yet. `RECEIVER` in its configuration is the endpoint's address.
    pub(crate) async fn new(config: &str) -> anyhow::Result<Self> {
        let fleet = Self {
            processes: Vec::new(),
            receiver: Receiver::start().await?,
            world: World::new().await?,
        };
        fleet.save(config)?;
        Ok(fleet)
    }

    /// Saves a file with these sections in the place of what was there.
    pub(crate) fn save(&self, config: &str) -> anyhow::Result<()> {
        let text =
            format!("{NOTHING_BY_ITSELF}{SHORT}{config}").replace("RECEIVER", self.receiver.url());
        Ok(fs::write(self.world.folder.join("jobs.toml"), text)?)
    }

    /// Starts so many more processes.
    pub(crate) async fn start(&mut self, processes: usize) -> anyhow::Result<()> {
        for _ in 0..processes {
            self.processes.push(self.world.serve().await?);
        }
        Ok(())
    }

    /// Starts one more process with these arguments.
    pub(crate) async fn start_with(&mut self, arguments: &[&str]) -> anyhow::Result<()> {
        self.processes.push(self.world.serve_with(arguments).await?);
        Ok(())
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.processes.iter().map(|(_, client)| client)
    }

    pub(crate) fn client(&self) -> anyhow::Result<&Client> {
        self.clients().next().context("a process was started")
    }

    /// Kills any of the processes, whatever it is doing, and starts another one.
    pub(crate) async fn kill_one(&mut self, dice: &mut Dice) -> anyhow::Result<()> {
        let victim = dice.place(self.processes.len());
        let (program, _) = self.processes.swap_remove(victim);
        program.signal("KILL")?;
        drop(program);
        self.start(1).await
    }

    /// Enqueues jobs that must all be accepted, in one go.
    pub(crate) async fn enqueue(
        &self,
        jobs: impl IntoIterator<Item = Value>,
    ) -> anyhow::Result<()> {
        let jobs: Vec<Value> = jobs.into_iter().collect();
        let batch = json!({"jobs": jobs, "atomic": true});
        let answer = self.client()?.post("/v1/jobs/batch", &batch).await?;
        anyhow::ensure!(answer.status.is_success(), "not accepted: {answer:?}");
        Ok(())
    }

    /// A number from this world's database.
    pub(crate) async fn count(&self, sql: &str) -> anyhow::Result<i64> {
        let mut db = self.world.sql().await?;
        Ok(sqlx::query_scalar(sql).fetch_one(&mut db).await?)
    }

    /// Waits until no job is left, and counts those that succeeded.
    pub(crate) async fn all_succeed(&self) -> anyhow::Result<i64> {
        eventually("all jobs have ended", || async {
            let open = self.count("SELECT count(*) FROM millpond.jobs").await?;
            Ok((open == 0).then_some(()))
        })
        .await?;
        self.count("SELECT count(*) FROM millpond.job_history WHERE state = 'succeeded'")
            .await
    }

    /// How many attempts of jobs that have succeeded were lost with their process.
    pub(crate) async fn lost(&self) -> anyhow::Result<i64> {
        self.count(
            "SELECT count(*) FROM millpond.job_history h
              CROSS JOIN LATERAL jsonb_array_elements(millpond.attempts_of(h)) AS attempts (one)
              WHERE one ->> 'outcome' = 'lost'",
        )
        .await
    }
}
