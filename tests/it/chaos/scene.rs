//! Everything on stage: a database behind a proxy, Millpond's processes, the receiver, a key for the clients.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex as StdMutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;

use super::{
    conservation::Excuses,
    door::Door,
    fleet::Fleet,
    ports::Port,
    postgres::Postgres,
    proxy::{Mode, Proxy},
    receiver::Receiver,
};
use crate::harness::{NOTHING_BY_ITSELF, millpond};

/// Leases and backoffs short enough that losses are noticed within a round, and so many attempts that only those jobs
/// die which are meant to.
const CONFIG: &str = r#"
version = 1

[lease]
ttl = "2s"
renew_every = "500ms"
max_lost = 50

[worker]
drain = "3s"

[defaults]
max_attempts = 60
backoff = { strategy = "fixed", base = "300ms", jitter = "none" }

[kinds."chaos.effect"]
target = "RECEIVER"
timeout = "10s"

[kinds."chaos.effect".on]
rate_limited = { action = "wait", max = "2s" }
"#;
/// Attempts that a job has which asks for none.
pub(super) const MOST_ATTEMPTS: u32 = 60;
/// Longest that a connection of ours may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Everything on stage; the fields end in this order.
pub(super) struct Scene {
    pub(super) fleet: Mutex<Fleet>,
    pub(super) proxy: Proxy,
    pub(super) receiver: Receiver,
    pub(super) postgres: Mutex<Postgres>,
    pub(super) door: Door,
    pub(super) api_key: String,
    pub(super) api_base: String,
    excuses: StdMutex<Excuses>,
    direct_url: String,
    folder: Folder,
}

impl Scene {
    /// Sets everything up; what the receiver answers is decided by the seed.
    pub(super) async fn set_up(seed: u64) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let port = Port::free()?;
        let postgres = Postgres::make(folder.path.join("postgres"), port.number()).await?;
        let direct_url = Postgres::url(port.number());
        let proxy = Proxy::start(Port::free()?.number(), port.number());
        let receiver = Receiver::start(&folder.path, seed).await?;
        let config = [CONFIG, NOTHING_BY_ITSELF]
            .concat()
            .replace("RECEIVER", &receiver.url());
        fs::write(folder.path.join("jobs.toml"), config)?;
        command(&folder.path, &direct_url, &["migrate"])?;
        let create = [
            "--json", "keys", "create", "--name", "chaos", "--scope", "enqueue",
        ];
        let key: Value = serde_json::from_str(&command(&folder.path, &direct_url, &create)?)?;
        let api_key = key["secret"].as_str().context("the secret")?.to_owned();

        let fleet = Fleet::start(&folder.path, Postgres::url(proxy.port())).await?;
        let api = fleet.api();
        Ok(Self {
            api_base: api.first().context("an API")?.clone(),
            door: Door::new(api, &api_key)?,
            fleet: Mutex::new(fleet),
            proxy,
            receiver,
            postgres: Mutex::new(postgres),
            api_key,
            excuses: StdMutex::default(),
            direct_url,
            folder,
        })
    }

    /// A connection to the database, past the proxy.
    pub(super) async fn sql(&self) -> anyhow::Result<PgConnection> {
        let connecting = PgConnection::connect(&self.direct_url);
        Ok(tokio::time::timeout(CONNECT_LIMIT, connecting).await??)
    }

    /// Makes everything whole again and waits until every process is ready.
    pub(super) async fn heal(&self) -> anyhow::Result<()> {
        self.proxy.set(Mode::Pass);
        self.receiver.storm(false);
        Box::pin(self.postgres.lock().await.start()).await?;
        let mut fleet = self.fleet.lock().await;
        fleet.revive()?;
        fleet.ready().await
    }

    /// Adds to what may look wrong and be right.
    pub(super) fn excuse(&self, add: impl FnOnce(&mut Excuses)) {
        add(&mut self.excuses.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn excuses(&self) -> Excuses {
        let excuses = self.excuses.lock();
        excuses.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the logs and the receiver's ledger beyond the end, and tells where they are.
    pub(super) fn keep(&mut self) -> &Path {
        self.folder.is_kept = true;
        &self.folder.path
    }
}

/// Runs a command of Millpond's, and gives what it prints.
fn command(folder: &Path, database_url: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = millpond(folder, arguments)?
        .env("DATABASE_URL", database_url)
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{arguments:?}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

/// A folder that goes with the test.
struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let name = format!("millpond-chaos-{}", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self {
            path,
            is_kept: false,
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
