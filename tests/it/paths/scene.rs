//! What the tests here share: processes and stand-ins that know each other, and how a waiting job is looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};

use super::grants::Grant;
use crate::harness::{
    Client, NOTHING_BY_ITSELF, Program, World, eventually, eventually_within,
    world::{APP_ID, free_port},
};

/// The platforms, as they are called everywhere.
pub(super) const PLATFORMS: [&str; 5] = ["meta", "google_ads", "linkedin", "tiktok", "x"];
pub(super) const OWNER: &str = "ada@example.com";
/// Where people may be sent back to.
pub(super) const RETURN_TO: &str = "https://app.example.com/settings";
/// Our app at every platform but Meta.
const APP: &str = "millpond-app";
/// What processes work on here, and what those do that read nothing.
const WORKED_ON: &str = "default,sync,token,email";
const WORKED_ON_BUT_SYNC: &str = "default,token,email";
const WORKED_ON_OUTSIDE: &str = "webhook,conversions";
/// Longest that a test waits for what has to wait itself: no pause here is longer than a minute.
const PATIENCE: Duration = Duration::from_secs(150);

/// The history of what is connected waits where nobody works: no test here is about figures.
const CONFIG: &str = r#"
[lease]
ttl = "10s"
renew_every = "2s"

[worker]
drain = "3s"

[email]
from = "Millpond <jobs@example.com>"

[defaults]
max_attempts = 8
backoff = { strategy = "fixed", base = "1s", jitter = "none" }

[queues.history]

[kinds."sync.insights"]
queue = "history"
"#;

/// A world with all five platforms.
pub(super) struct Scene {
    pub(super) world: World,
    /// Our secrets there, by platform.
    secrets: BTreeMap<&'static str, String>,
    /// The ad accounts that there are, by platform.
    accounts: Value,
}

impl Scene {
    pub(super) async fn new() -> anyhow::Result<Self> {
        Self::with_secrets(|platform| format!("{platform}-app-secret-not-real")).await
    }

    /// The same with these secrets of ours.
    pub(super) async fn with_secrets(secret_of: impl Fn(&str) -> String) -> anyhow::Result<Self> {
        let world = World::new().await?;
        std::fs::write(
            world.folder.join("jobs.toml"),
            [NOTHING_BY_ITSELF, CONFIG].concat(),
        )?;
        let accounts = world.sandbox.get("/_control/world").await?.body["accounts"].clone();
        let scene = Self {
            world,
            secrets: PLATFORMS.map(|it| (it, secret_of(it))).into(),
            accounts,
        };
        for (platform, secret) in &scene.secrets {
            let id = if *platform == "meta" { APP_ID } else { APP };
            let app = json!({"platform": platform, "app_id": id, "app_secret": secret});
            scene.control("tokens", &app).await?;
        }
        Ok(scene)
    }

    /// Our secret at a platform.
    pub(super) fn secret(&self, platform: &str) -> &str {
        self.secrets.get(platform).map_or("", String::as_str)
    }

    /// The platform's id of one of its ad accounts.
    pub(super) fn account(&self, platform: &str, place: usize) -> anyhow::Result<&str> {
        let id = self.accounts[platform][place]["id"].as_str();
        id.with_context(|| format!("{platform} has an account {place}"))
    }

    /// The platform's ids of all of them.
    pub(super) fn accounts_of(&self, platform: &str) -> BTreeSet<String> {
        let accounts = self.accounts[platform].as_array().into_iter().flatten();
        let ids = accounts.filter_map(|account| account["id"].as_str());
        ids.map(str::to_owned).collect()
    }

    /// Has the stand-ins do something.
    pub(super) async fn control(&self, what: &str, body: &Value) -> anyhow::Result<()> {
        let path = format!("/_control/{what}");
        let answer = self.world.sandbox.post(&path, body).await?;
        anyhow::ensure!(answer.status.is_success(), "{what}: {answer:?}");
        Ok(())
    }

    /// Puts every token of a platform into a state.
    pub(super) async fn spend(&self, platform: &str, state: &str) -> anyhow::Result<()> {
        let every = json!({"platform": platform, "every": state});
        self.control("tokens", &every).await
    }

    /// The calls of a platform's path that arrived.
    pub(super) async fn calls(&self, platform: &str, path: &str) -> anyhow::Result<usize> {
        let calls = self.world.received("calls").await?;
        let is_meant = |call: &&Value| {
            let called = call["path"].as_str();
            call["platform"] == platform && called.is_some_and(|called| called.contains(path))
        };
        Ok(calls.iter().filter(is_meant).count())
    }

    /// The program with all that it is told of the platforms.
    pub(super) fn millpond(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = self.world.millpond(arguments)?;
        let told = self.world.environment.as_object();
        for (name, value) in told.context("the sandbox tells its variables")? {
            if let Some(address) = value.as_str().filter(|_| name.ends_with("_URL")) {
                command.env(name, address);
            }
        }
        for name in ["GOOGLE_CLIENT_ID", "LINKEDIN_CLIENT_ID", "TIKTOK_APP_ID"] {
            command.env(format!("MILLPOND_{name}"), APP);
        }
        for name in ["X_CLIENT_ID", "X_CONSUMER_KEY"] {
            command.env(format!("MILLPOND_{name}"), APP);
        }
        for (platform, name) in SECRETS {
            command.env(name, self.secret(platform));
        }
        Ok(command)
    }

    pub(super) async fn serve(&self) -> anyhow::Result<(Program, Client)> {
        self.serve_with(&[]).await
    }

    /// The same with these settings beside.
    pub(super) async fn serve_with(
        &self,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<(Program, Client)> {
        self.serve_on(WORKED_ON, settings).await
    }

    /// The same for a process that reads nothing of accounts.
    pub(super) async fn serve_without_sync(&self) -> anyhow::Result<(Program, Client)> {
        self.serve_on(WORKED_ON_BUT_SYNC, &[]).await
    }

    /// The same for a process that works on what comes from outside and on what reaches it.
    pub(super) async fn serve_outside(
        &self,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<(Program, Client)> {
        self.serve_on(WORKED_ON_OUTSIDE, settings).await
    }

    async fn serve_on(
        &self,
        queues: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<(Program, Client)> {
        let port = free_port()?;
        let mut command = self.millpond(&["serve", "--queues", queues])?;
        command
            .env("MILLPOND_PUBLIC_URL", format!("http://127.0.0.1:{port}"))
            .env("MILLPOND_RETURN_TO", RETURN_TO)
            .envs(settings.iter().copied());
        self.world.serve_at(port, command).await
    }

    /// Connects one of a platform's accounts by a grant, and gives its id here.
    pub(super) async fn connect(
        &self,
        client: &Client,
        grant: &Grant,
        place: usize,
    ) -> anyhow::Result<String> {
        let mut body = grant.body();
        body["external_ids"] = json!([self.account(grant.platform, place)?]);
        self.connect_as(client, grant, &body).await
    }

    /// Connects a grant by this request, and gives the id of the first of its accounts here.
    pub(super) async fn connect_as(
        &self,
        client: &Client,
        grant: &Grant,
        body: &Value,
    ) -> anyhow::Result<String> {
        self.control("tokens", &grant.known()).await?;
        let answer = client.post("/v1/accounts", body).await?;
        anyhow::ensure!(answer.status.as_u16() == 201, "{answer:?}");
        let id = answer.body["accounts"][0]["id"].as_str();
        Ok(id.context("an account")?.to_owned())
    }

    /// Waits until what was asked for of accounts is read.
    pub(super) async fn all_is_read(&self) -> anyhow::Result<()> {
        self.nothing_is_left_of("sync.account").await
    }

    /// The mails that arrived, once none is on its way.
    pub(super) async fn all_mails(&self) -> anyhow::Result<Vec<String>> {
        self.nothing_is_left_of("email.send").await?;
        self.world.mails()
    }

    async fn nothing_is_left_of(&self, kind: &str) -> anyhow::Result<()> {
        let left = format!("SELECT count(*) FROM millpond.jobs WHERE kind = '{kind}'");
        eventually_within(PATIENCE, &format!("no {kind} is left"), || async {
            Ok((self.count(&left).await? == 0).then_some(()))
        })
        .await
    }

    /// A number from the database.
    pub(super) async fn count(&self, sql: &str) -> anyhow::Result<i64> {
        let mut db = self.world.sql().await?;
        Ok(sqlx::query_scalar(sql).fetch_one(&mut db).await?)
    }

    /// Has the database do something that time would do.
    pub(super) async fn change(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::query(sql)
            .execute(&mut self.world.sql().await?)
            .await?;
        Ok(())
    }

    /// What commands tell of a gate that keeps a job: as JSON, and whether the text for people says the same.
    pub(super) fn told_by_command(&self, job: &str, gate: &str) -> anyhow::Result<Option<Value>> {
        let told = self.world.command(&["--json", "jobs", "explain", job])?;
        let told = closed(&serde_json::from_str(&told)?, gate);
        let text = self.world.command(&["jobs", "explain", job])?;
        let mut lines = text.lines().filter(|line| line.starts_with(gate));
        let is_shown = lines.any(|line| line.split_whitespace().nth(1) == Some("yes"));
        Ok(told.filter(|_| is_shown))
    }
}

/// The variables of our secrets.
const SECRETS: [(&str, &str); 6] = [
    ("meta", "MILLPOND_META_APP_SECRET"),
    ("google_ads", "MILLPOND_GOOGLE_CLIENT_SECRET"),
    ("linkedin", "MILLPOND_LINKEDIN_CLIENT_SECRET"),
    ("tiktok", "MILLPOND_TIKTOK_APP_SECRET"),
    ("x", "MILLPOND_X_CONSUMER_SECRET"),
    ("x", "MILLPOND_X_CLIENT_SECRET"),
];

/// The same with a secret that is right nowhere.
pub(super) fn wrong_secrets(secret: &str) -> [(&'static str, &str); 6] {
    SECRETS.map(|(_, name)| (name, secret))
}

/// Enqueues a job that reads what an account holds.
pub(super) async fn sync(client: &Client, account: &str, mode: &str) -> anyhow::Result<String> {
    let payload = json!({"account_id": account, "mode": mode});
    client
        .enqueue(&json!({"kind": "sync.account", "payload": payload}))
        .await
}

/// Enqueues a job of this kind for an account.
pub(super) async fn job_for(client: &Client, kind: &str, account: &str) -> anyhow::Result<String> {
    let payload = json!({"account_id": account});
    client
        .enqueue(&json!({"kind": kind, "payload": payload}))
        .await
}

/// Has a schedule's job done now, and gives it.
pub(super) async fn tick(client: &Client, schedule: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/schedules/{schedule}/trigger");
    let answer = client.post(&path, &json!({})).await?;
    anyhow::ensure!(answer.status.as_u16() == 201, "{answer:?}");
    let id = answer.body["id"].as_str().context("a job")?;
    client.in_state(id, "succeeded").await
}

/// A job as it stands.
pub(super) async fn job(client: &Client, id: &str) -> anyhow::Result<Value> {
    Ok(client.get(&format!("/v1/jobs/{id}")).await?.body)
}

/// An account as it stands.
pub(super) async fn standing(client: &Client, id: &str) -> anyhow::Result<Value> {
    Ok(client.get(&format!("/v1/accounts/{id}")).await?.body)
}

/// The job once it has succeeded; that it may not is found at once.
pub(super) async fn succeeded(client: &Client, id: &str) -> anyhow::Result<Value> {
    eventually_within(PATIENCE, &format!("job {id} has succeeded"), || async {
        let job = job(client, id).await?;
        let has_failed = job["state"] == "dead" || job["state"] == "cancelled";
        anyhow::ensure!(!has_failed, "{job}");
        Ok((job["state"] == "succeeded").then_some(job))
    })
    .await
}

/// How the attempts of a job ended.
pub(super) fn outcomes(job: &Value) -> Vec<&str> {
    let attempts = job["attempts"].as_array().into_iter().flatten();
    attempts.filter_map(|it| it["outcome"].as_str()).collect()
}

/// What is told of a gate once it keeps a job.
pub(super) async fn kept(client: &Client, job: &str, gate: &str) -> anyhow::Result<Value> {
    eventually(&format!("{gate} keeps job {job}"), || async {
        let told = client.get(&format!("/v1/jobs/{job}/explain")).await?.body;
        Ok(closed(&told, gate))
    })
    .await
}

/// What is told of a gate that keeps somebody; `None` where it does not.
fn closed(told: &Value, gate: &str) -> Option<Value> {
    let mut gates = told["gates"].as_array()?.iter();
    let found = gates.find(|it| it["gate"] == gate && it["blocking"] == true);
    found.cloned()
}

/// Whether what is told of a gate has this in it.
pub(super) fn tells(gate: &Value, part: &str) -> bool {
    let detail = gate["detail"].as_str();
    detail.is_some_and(|detail| detail.contains(part))
}

/// The subjects of mails, in no order.
pub(super) fn subjects(mails: &[String]) -> Vec<&str> {
    let lines = mails.iter().flat_map(|mail| mail.lines());
    lines
        .filter_map(|line| line.strip_prefix("Subject: "))
        .collect()
}
