//! A world of a test's own: an empty database on the server that `DATABASE_URL` names, the sandbox, a configuration with
//! short leases, and as many `serve` processes as the test starts.

use std::{net::TcpListener, path::PathBuf, process::Command, str::FromStr};

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use super::{Client, NOTHING_BY_ITSELF, Program, eventually, millpond, program::run};

/// Leases and backoffs short enough that tests need no patience; one kind whose work a receiver does.
const CONFIG: &str = r#"
[lease]
ttl = "2s"
renew_every = "500ms"

[worker]
drain = "3s"

[email]
from = "Millpond <jobs@example.com>"

[defaults]
max_attempts = 3
backoff = { strategy = "fixed", base = "1s", jitter = "none" }

[kinds."test.hook"]
target = "RECEIVER/hooks/test"
timeout = "60s"
"#;

/// What secrets are sealed under, and our app at the sandbox's Meta.
pub(crate) const KEYS: &str = "it:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
pub(crate) const APP_ID: &str = "1000000000000077";

pub(crate) struct World {
    pub(crate) folder: PathBuf,
    pub(crate) database_url: String,
    pub(crate) sandbox: Client,
    /// The variables that point a process at the sandbox instead of the platforms.
    pub(crate) environment: Value,
    smtp: String,
    _sandbox: Program,
}

impl World {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        Self::of(&[]).await
    }

    /// The same with a sandbox that is given these arguments as well.
    pub(crate) async fn of(sandbox: &[&str]) -> anyhow::Result<Self> {
        Self::on(&server()?, sandbox).await
    }

    /// The same on the PostgreSQL at this address.
    pub(crate) async fn on(server: &str, sandbox: &[&str]) -> anyhow::Result<Self> {
        let name = format!("millpond_test_{}", uuid::Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(folder.join("mail"))?;
        let database_url = create_database_on(server, &name).await?;
        let mail = folder.join("mail").display().to_string();
        let arguments = [
            "sandbox",
            "--http-addr",
            "127.0.0.1:0",
            "--smtp-addr",
            "127.0.0.1:0",
            "--mail-dir",
            &mail,
            "--json",
        ];
        let arguments = [&arguments[..], sandbox].concat();
        let mut sandbox =
            Program::start(millpond(&folder, &arguments)?, &folder.join("sandbox.log"))?;
        let addresses: Value =
            serde_json::from_str(&sandbox.first_line()?).context("the sandbox says where it is")?;
        let http = addresses["http"]
            .as_str()
            .context("its HTTP address")?
            .to_owned();
        let smtp = addresses["smtp"]
            .as_str()
            .context("its SMTP address")?
            .to_owned();
        std::fs::write(
            folder.join("jobs.toml"),
            [NOTHING_BY_ITSELF, CONFIG]
                .concat()
                .replace("RECEIVER", &http),
        )?;
        let world = Self {
            folder,
            database_url,
            sandbox: Client::new(http, String::new())?,
            environment: addresses["environment"].clone(),
            smtp,
            _sandbox: sandbox,
        };
        world.command(&["migrate"])?;
        Ok(world)
    }

    /// The program with this world's settings.
    pub(crate) fn millpond(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = millpond(&self.folder, arguments)?;
        command
            .env("DATABASE_URL", &self.database_url)
            .env("MILLPOND_SMTP_URL", format!("{}?tls=none", self.smtp))
            .env(
                "MILLPOND_META_URL",
                format!("{}/v26.0", self.sandbox.base()),
            )
            .env("MILLPOND_META_ACCESS_TOKEN", "fake-meta-token-not-real")
            .env("MILLPOND_META_APP_SECRET", "fake-app-secret-not-real")
            .env("MILLPOND_META_APP_ID", APP_ID)
            .env("MILLPOND_ENCRYPTION_KEYS", KEYS)
            .env("MILLPOND_OUTBOUND_ALLOW", "127.0.0.0/8")
            .env("MILLPOND_LOG_FORMAT", "text");
        Ok(command)
    }

    /// Runs a command that must succeed, and gives what it prints.
    pub(crate) fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = run(self.millpond(arguments)?)?;
        let error = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{arguments:?}: {error}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command and gives its exit code with what it says on standard error.
    pub(crate) fn refused(&self, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
        let output = run(self.millpond(arguments)?)?;
        Ok((
            output.status.code().context("it was not killed")?,
            String::from_utf8(output.stderr)?,
        ))
    }

    /// Starts a process that serves, and waits until it is ready.
    pub(crate) async fn serve(&self) -> anyhow::Result<(Program, Client)> {
        self.serve_with(&[]).await
    }

    /// The same with these arguments.
    pub(crate) async fn serve_with(&self, arguments: &[&str]) -> anyhow::Result<(Program, Client)> {
        let command = self.millpond(&[&["serve"][..], arguments].concat())?;
        self.serve_at(free_port()?, command).await
    }

    /// Starts this command, which serves at that port, and waits until it is ready.
    pub(crate) async fn serve_at(
        &self,
        port: u16,
        mut command: Command,
    ) -> anyhow::Result<(Program, Client)> {
        command.env("MILLPOND_HTTP_ADDR", format!("127.0.0.1:{port}"));
        let log = self.folder.join(format!("serve-{port}.log"));
        let program = Program::start_telling(command, &log)?;
        let key = self.key(&["enqueue", "read", "operate", "admin"], None)?;
        let client = Client::new(format!("http://127.0.0.1:{port}"), key)?;
        eventually("the process is ready", || async {
            let answer = client.bare(Method::GET, "/readyz").send().await;
            Ok(answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        })
        .await
        .with_context(|| {
            let told = std::fs::read_to_string(&log).unwrap_or_default();
            format!("it told:\n{told}")
        })?;
        Ok((program, client))
    }

    /// A new API key.
    pub(crate) fn key(&self, scopes: &[&str], tenant: Option<&str>) -> anyhow::Result<String> {
        let mut arguments = vec!["--json", "keys", "create", "--name", "test"];
        for scope in scopes {
            arguments.extend(["--scope", scope]);
        }
        if let Some(tenant) = tenant {
            arguments.extend(["--tenant", tenant]);
        }
        let answer: Value = serde_json::from_str(&self.command(&arguments)?)?;
        Ok(answer["secret"]
            .as_str()
            .context("the secret, printed once")?
            .to_owned())
    }

    /// Tells the sandbox to misbehave.
    pub(crate) async fn fault(&self, fault: &Value) -> anyhow::Result<()> {
        let answer = self.sandbox.post("/_control/faults", fault).await?;
        anyhow::ensure!(
            answer.status.is_success(),
            "the sandbox refused the fault: {answer:?}"
        );
        Ok(())
    }

    /// The sandbox behaves again.
    pub(crate) async fn mend(&self) -> anyhow::Result<()> {
        let request = self.sandbox.request(Method::DELETE, "/_control/faults");
        let answer = self.sandbox.send(request).await?;
        anyhow::ensure!(answer.status.is_success(), "{answer:?}");
        Ok(())
    }

    /// What the sandbox received of one sort.
    pub(crate) async fn received(&self, sort: &str) -> anyhow::Result<Vec<Value>> {
        let ledger = self
            .sandbox
            .get("/_control/ledger?limit=100000")
            .await?
            .body;
        Ok(ledger[sort].as_array().cloned().unwrap_or_default())
    }

    /// Makes the sandbox know the token and the dataset that the processes use.
    pub(crate) async fn allow_meta(&self) -> anyhow::Result<()> {
        let body = json!({
            "tokens": [{"token": "fake-meta-token-not-real", "state": "valid"}],
            "datasets": ["1234567890"], "app_secret": "fake-app-secret-not-real", "require_proof": true,
        });
        let answer = self.sandbox.post("/_control/tokens", &body).await?;
        anyhow::ensure!(
            answer.status.is_success(),
            "the sandbox refused the token: {answer:?}"
        );
        Ok(())
    }

    /// The mails that arrived.
    pub(crate) fn mails(&self) -> anyhow::Result<Vec<String>> {
        let mut mails = Vec::new();
        for entry in std::fs::read_dir(self.folder.join("mail"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "eml") {
                mails.push(std::fs::read_to_string(path)?);
            }
        }
        Ok(mails)
    }

    /// A connection to this world's database, for what only SQL shows.
    pub(crate) async fn sql(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.database_url).await?)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Makes an empty database on the server that `DATABASE_URL` names, and gives its address.
pub(crate) async fn create_database(name: &str) -> anyhow::Result<String> {
    create_database_on(&server()?, name).await
}

fn server() -> anyhow::Result<String> {
    std::env::var("DATABASE_URL").context("DATABASE_URL names a PostgreSQL that tests may use")
}

async fn create_database_on(server: &str, name: &str) -> anyhow::Result<String> {
    let mut admin = PgConnection::connect(server).await?;
    sqlx::query(&format!("CREATE DATABASE {name}"))
        .execute(&mut admin)
        .await?;
    admin.close().await?;
    let options = PgConnectOptions::from_str(server)?.database(name);
    Ok(options.to_url_lossy().to_string())
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
