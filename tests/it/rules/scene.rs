//! What the tests here share: an account of Meta's that is connected and read, with figures of its campaigns, beside a process
//! that works on everything that they need.

use std::{collections::BTreeMap, fs::OpenOptions, io::Write, time::Duration};

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::types::Uuid;

use crate::{
    harness::{Client, Program, World, eventually, eventually_within, world::free_port},
    sync::scene::{begin_quarter, control, set_clock},
};

/// The year before is read where nobody works, and calls are as fast as the sandbox takes them.
const CONFIG: &str = r#"
[budgets.meta]
concurrent = 20
rate = "100/s"

[queues.history]

[kinds."sync.insights"]
queue = "history"
"#;
/// What the process works on: not conversions, which tests look at while they wait.
const QUEUES: &str = "default,sync,campaign,email,webhook,http";
const TOKEN: &str = "rules-at-meta-not-real";
/// Longest that reading an account may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Days that figures are read of, today among them.
pub(super) const DAYS: u32 = 8;

pub(crate) struct Scene {
    _program: Program,
    pub(crate) client: Client,
    /// The account's id here, and Meta's.
    pub(crate) account: Uuid,
    pub(crate) external_id: String,
    pub(crate) world: World,
}

/// What a campaign truly did in the days that were read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) spend_micros: i64,
    pub(super) clicks: i64,
}

impl Scene {
    /// Starts all of it, and waits until what the account holds is read.
    pub(crate) async fn begin(campaigns: u32) -> anyhow::Result<Self> {
        let campaigns = campaigns.to_string();
        let world = World::of(&["--accounts", "1", "--campaigns", &campaigns]).await?;
        let mut file = OpenOptions::new()
            .append(true)
            .open(world.folder.join("jobs.toml"))?;
        file.write_all(CONFIG.as_bytes())?;
        // For a quarter of an hour all figures stay as they are, and reports get ready.
        begin_quarter(&world).await?;
        set_clock(&world, &json!({"stopped": false})).await?;
        let (program, client) = serve(&world).await?;
        let (account, external_id) = connect(&world, &client).await?;
        let scene = Self {
            _program: program,
            client,
            account,
            external_id,
            world,
        };
        scene.is_read().await?;
        Ok(scene)
    }

    async fn is_read(&self) -> anyhow::Result<()> {
        let read = "SELECT EXISTS (SELECT FROM marketing.entities WHERE account = $1 AND kind = 'campaign')
                       AND NOT EXISTS (SELECT FROM millpond.jobs WHERE queue = 'sync')";
        eventually_within(PATIENCE, "the account is read", || async {
            let read = sqlx::query_scalar::<_, bool>(read).bind(self.account);
            let is_read = read.fetch_one(&mut self.world.sql().await?).await?;
            Ok(is_read.then_some(()))
        })
        .await
    }

    /// Has the figures of the campaigns read, and gives what the sandbox itself says of the same days.
    pub(super) async fn figures(&self) -> anyhow::Result<BTreeMap<String, Sums>> {
        let days = "SELECT (today - $2)::text, today::text
                      FROM (SELECT (now() AT TIME ZONE time_zone)::date AS today FROM marketing.accounts WHERE id = $1) t";
        let (first, last): (String, String) = sqlx::query_as(days)
            .bind(self.account)
            .bind(i32::try_from(DAYS)? - 1)
            .fetch_one(&mut self.world.sql().await?)
            .await?;
        let payload = json!({
            "account_id": self.account, "level": "campaign", "granularity": "day", "from": first, "to": last,
        });
        let read = json!({"kind": "sync.insights", "queue": "sync", "payload": payload});
        let read = self.client.enqueue(&read).await?;
        self.client.in_state(&read, "succeeded").await?;
        let path = format!(
            "/_control/world/export?platform=meta&account={}&level=campaign&granularity=day&from={first}&to={last}",
            self.external_id
        );
        let export = self.world.sandbox.get(&path).await?.body;
        let mut figures: BTreeMap<String, Sums> = BTreeMap::new();
        for row in export["rows"].as_array().context("an export")? {
            let id = row["entity_id"].as_str().context("an id")?;
            let sums = figures.entry(id.to_owned()).or_default();
            sums.spend_micros += row["spend_micros"].as_i64().context("a number")?;
            sums.clicks += row["clicks"].as_i64().context("a number")?;
        }
        Ok(figures)
    }

    /// Things of the account as they truly are, by id.
    pub(super) async fn things(&self, kind: &str) -> anyhow::Result<BTreeMap<String, Value>> {
        let path = format!(
            "/_control/world/entities?platform=meta&account={}&kind={kind}",
            self.external_id
        );
        let answer = self.world.sandbox.get(&path).await?.body;
        let mut things = BTreeMap::new();
        for thing in answer["entities"].as_array().context("a list")? {
            let id = thing["id"].as_str().context("an id")?;
            things.insert(id.to_owned(), thing.clone());
        }
        Ok(things)
    }

    /// Enqueues a job of this kind that must succeed, and gives its result.
    pub(super) async fn result_of(&self, kind: &str, payload: &Value) -> anyhow::Result<Value> {
        let job = json!({"kind": kind, "payload": payload});
        let job = self.client.enqueue(&job).await?;
        let done = self.client.in_state(&job, "succeeded").await?;
        Ok(done["result"].clone())
    }

    /// Sends a request that must succeed, and gives the answer.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let request = self.client.request(method, path);
        let request = match body {
            Value::Null => request,
            body => request.json(body),
        };
        let answer = self.client.send(request).await?;
        anyhow::ensure!(answer.status.is_success(), "{path}: {answer:?}");
        Ok(answer.body)
    }

    /// The items of a list.
    pub(super) async fn items(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let listed = self.ask(Method::GET, path, &Value::Null).await?;
        Ok(listed["items"].as_array().context("a list")?.clone())
    }

    /// What jobs changed of the account's campaigns, the newest first.
    pub(super) async fn changes(&self) -> anyhow::Result<Vec<Value>> {
        self.items(&format!(
            "/v1/accounts/{}/campaign-changes?limit=500",
            self.account
        ))
        .await
    }

    /// Waits until every change is made that a rule has ordered.
    pub(super) async fn all_is_made(&self, strategy: &str) -> anyhow::Result<()> {
        let acted = format!("/v1/recommendations?strategy={strategy}&state=acted&limit=500");
        for acted in self.items(&acted).await? {
            let job = acted["job_id"].as_str().context("a job")?;
            self.client.in_state(job, "succeeded").await?;
        }
        Ok(())
    }

    /// Has the sandbox do something.
    pub(super) async fn control(&self, what: &str, body: &Value) -> anyhow::Result<Value> {
        control(&self.world, what, body).await
    }

    /// The mails that arrived, once none is on its way.
    pub(crate) async fn all_mails(&self) -> anyhow::Result<Vec<String>> {
        let left = "SELECT count(*) FROM millpond.jobs WHERE kind = 'email.send'";
        eventually("no mail is on its way", || async {
            let left = sqlx::query_scalar::<_, i64>(left);
            let left = left.fetch_one(&mut self.world.sql().await?).await?;
            Ok((left == 0).then_some(()))
        })
        .await?;
        self.world.mails()
    }

    /// Ends mails by a click, at the address that a mail has for it; tells the status of the answer.
    pub(crate) async fn click(&self, address: &str) -> anyhow::Result<StatusCode> {
        let path = address.strip_prefix(self.client.base());
        let path = path.context("it is an address of ours")?;
        let request = self.client.bare(Method::POST, path);
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body("List-Unsubscribe=One-Click");
        Ok(self.client.send(request).await?.status)
    }
}

/// The ids of what delivers and was clicked often enough, what cost most a click first, with its cost in the currency.
pub(super) fn dearest(
    things: &BTreeMap<String, Value>,
    figures: &BTreeMap<String, Sums>,
    min_clicks: i64,
) -> Vec<(String, f64)> {
    // Meta has no word for what is over.
    let is_on = |it: &Value| it["effective"] == "active" || it["effective"] == "ended";
    let delivers = |id: &String| things.get(id).is_some_and(is_on);
    let clicked = figures
        .iter()
        .filter(|it| it.1.clicks >= min_clicks && delivers(it.0));
    let mut dearest: Vec<(String, f64)> = clicked
        .map(|(id, sums)| {
            (
                id.clone(),
                sums.spend_micros as f64 / 1e6 / sums.clicks as f64,
            )
        })
        .collect();
    dearest.sort_by(|one, other| other.1.total_cmp(&one.1));
    dearest
}

/// A threshold that so many of them break, and no more.
pub(super) fn broken_by(dearest: &[(String, f64)], count: usize) -> anyhow::Result<String> {
    let (last, next) = (dearest.get(count - 1), dearest.get(count));
    let (Some((_, last)), Some((_, next))) = (last, next) else {
        anyhow::bail!("{} were clicked often enough", dearest.len());
    };
    anyhow::ensure!(last - next > 1e-5, "two cost the same: {dearest:?}");
    Ok(format!("{:.6}", f64::midpoint(*last, *next)))
}

/// The address at which whoever got a mail ends its sort.
pub(crate) fn unsubscribe_address(mail: &str) -> anyhow::Result<String> {
    let (_, rest) = mail
        .split_once("List-Unsubscribe:")
        .context("it can be ended")?;
    let (address, _) = rest.split_once('>').context("an address has an end")?;
    let kept = address.chars().filter(|c| !c.is_whitespace() && *c != '<');
    Ok(kept.collect())
}

/// Starts a process that is pointed at the sandbox, and that the outside reaches.
async fn serve(world: &World) -> anyhow::Result<(Program, Client)> {
    let port = free_port()?;
    let mut command = world.millpond(&["serve", "--queues", QUEUES])?;
    let told = world.environment.as_object();
    for (name, value) in told.context("the sandbox tells its variables")? {
        command.env(name, value.as_str().context("a text")?);
    }
    command.env("MILLPOND_PUBLIC_URL", format!("http://127.0.0.1:{port}"));
    world.serve_at(port, command).await
}

/// Connects what there is at Meta, and gives the ids of its ad account.
async fn connect(world: &World, client: &Client) -> anyhow::Result<(Uuid, String)> {
    let shown = world.sandbox.get("/_control/world").await?.body;
    let known = shown["accounts"]["meta"][0]["id"].as_str();
    let known = known.context("an account")?.to_owned();
    let tokens = json!({"platform": "meta", "tokens": [{"token": TOKEN}]});
    control(world, "tokens", &tokens).await?;
    let grant = json!({"platform": "meta", "access_token": TOKEN});
    let answer = client.post("/v1/accounts", &grant).await?;
    anyhow::ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
    let accounts = answer.body["accounts"].as_array().context("accounts")?;
    let found = accounts
        .iter()
        .find(|account| account["external_id"] == known.as_str());
    let id = found.and_then(|account| account["id"].as_str());
    let id = id.with_context(|| format!("{known} is among them: {accounts:?}"))?;
    Ok((Uuid::try_parse(id)?, known))
}
