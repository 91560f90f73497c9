//! What the tests here share: a Page at Meta's stand-in that is connected, events of it, and the leads that became of them.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{Client, NOTHING_BY_ITSELF, Program, World, eventually_within},
    sync::scene::{control, serve, set_clock},
};

/// The sandbox is of one account: no test here is about what it holds.
pub(crate) const SANDBOX: [&str; 4] = ["--accounts", "1", "--campaigns", "1"];
/// Whose the Page is.
pub(crate) const TENANT: &str = "acme";

const TOKEN: &str = "grant-of-a-page-not-real";
/// What accounts hold and their figures wait where nobody works.
const CONFIG: &str = r#"
[lease]
ttl = "4s"
renew_every = "1s"
max_lost = 50

[worker]
drain = "3s"

[email]
from = "Millpond <jobs@example.com>"

[defaults]
max_attempts = 10
backoff = { strategy = "fixed", base = "1s", jitter = "none" }

[budgets.meta]
concurrent = 50
rate = "1000/s"

[queues.entities]

[kinds."sync.account"]
queue = "entities"

[queues.history]

[kinds."sync.insights"]
queue = "history"

[kinds."webhook.deliver"]
max_attempts = 10
backoff = { strategy = "fixed", base = "1s", jitter = "none" }
"#;
/// What the process works on.
const WORKED_ON: &str = "default,sync,token,email,webhook";
/// Longest that much work may take on a busy machine, and longest that the stand-in may take to send what it is to.
const MUCH_WORK: Duration = Duration::from_secs(600);
/// Most leads of a page of the list.
const PAGE: usize = 500;

/// A process with a Page.
pub(crate) struct Scene {
    pub(crate) client: Client,
    /// Our id of the Page's account, and Meta's of the Page.
    pub(crate) account: String,
    pub(crate) page: String,
    _program: Program,
    pub(crate) world: World,
}

impl Scene {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        Self::of(World::of(&SANDBOX).await?).await
    }

    /// The same in this world. Its clock at Meta is a minute ahead: what happens there from now on is later than the connection.
    pub(crate) async fn of(world: World) -> anyhow::Result<Self> {
        let config = [NOTHING_BY_ITSELF, CONFIG].concat();
        std::fs::write(world.folder.join("jobs.toml"), config)?;
        let (program, client) = serve(&world, &["--queues", WORKED_ON]).await?;
        connect(&world, &client).await?;
        let (account, page) = page(&client).await?;
        let scene = Self {
            client,
            account,
            page,
            _program: program,
            world,
        };
        scene.nothing_is_left().await?;
        set_clock(&scene.world, &json!({"advance_s": 60})).await?;
        Ok(scene)
    }

    /// Has the stand-in send events of the Page, and gives what it says of them.
    pub(crate) async fn told(&self, order: &Value) -> anyhow::Result<Value> {
        self.told_at(&format!("{}/webhooks/meta", self.client.base()), order)
            .await
    }

    /// The same at another address.
    pub(crate) async fn told_at(&self, url: &str, order: &Value) -> anyhow::Result<Value> {
        let mut order = order.clone();
        order["url"] = json!(url);
        order["page"] = json!(self.page);
        let sandbox = &self.world.sandbox;
        let request = sandbox.request(Method::POST, "/_control/webhooks");
        let request = request.timeout(MUCH_WORK).json(&order);
        let answer = sandbox.send(request).await?;
        anyhow::ensure!(answer.status.is_success(), "{answer:?}");
        Ok(answer.body)
    }

    /// Waits until no job is left that looks after events or messages.
    pub(crate) async fn nothing_is_left(&self) -> anyhow::Result<()> {
        self.until(
            "SELECT count(*) FROM millpond.jobs WHERE queue = 'webhook'",
            0,
        )
        .await
    }

    /// Waits until the database counts so many.
    pub(crate) async fn until(&self, sql: &str, count: i64) -> anyhow::Result<()> {
        eventually_within(MUCH_WORK, &format!("{count}: {sql}"), || async {
            Ok((self.count(sql).await? == count).then_some(()))
        })
        .await
    }

    /// A number from the database.
    pub(crate) async fn count(&self, sql: &str) -> anyhow::Result<i64> {
        let mut db = self.world.sql().await?;
        Ok(sqlx::query_scalar(sql).fetch_one(&mut db).await?)
    }

    /// All leads, as they are listed.
    pub(crate) async fn leads(&self) -> anyhow::Result<Vec<Value>> {
        let (mut leads, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/leads?account={}&limit={PAGE}{cursor}", self.account);
            let page = self.client.get(&path).await?.body;
            leads.extend(page["items"].as_array().context("a list")?.iter().cloned());
            let Some(next) = page["next"].as_str() else {
                return Ok(leads);
            };
            cursor = format!("&cursor={next}");
        }
    }

    /// Registers an endpoint of the tenant at the sandbox, and gives it with its secret.
    pub(crate) async fn endpoint(&self, name: &str, events: &[&str]) -> anyhow::Result<Value> {
        let url = format!("{}/hooks/{name}", self.world.sandbox.base());
        let new = json!({"url": url, "tenant": TENANT, "events": events});
        let answer = self.client.post("/v1/webhook-endpoints", &new).await?;
        anyhow::ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
        Ok(answer.body)
    }
}

/// Connects a grant that reaches everything at Meta, and has its Pages found.
async fn connect(world: &World, client: &Client) -> anyhow::Result<()> {
    let known = json!({"platform": "meta", "tokens": [{"token": TOKEN}]});
    control(world, "tokens", &known).await?;
    let grant = json!({"platform": "meta", "access_token": TOKEN, "tenant": TENANT});
    let answer = client.post("/v1/accounts", &grant).await?;
    anyhow::ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
    tick(client, "sync-incremental").await?;
    Ok(())
}

/// The first Page: our id of its account, and Meta's of it.
async fn page(client: &Client) -> anyhow::Result<(String, String)> {
    let listed = client.get("/v1/accounts?limit=500").await?.body;
    let mut accounts = listed["items"].as_array().context("a list")?.iter();
    let page = accounts.find(|account| account["kind"] == "page");
    let page = page.with_context(|| format!("a page: {listed}"))?;
    let text = |name: &str| page[name].as_str().map(str::to_owned);
    let both = text("id").zip(text("external_id"));
    both.context("ids")
}

/// Has a schedule's job done now, and gives it.
pub(crate) async fn tick(client: &Client, schedule: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/schedules/{schedule}/trigger");
    let answer = client.post(&path, &json!({})).await?;
    anyhow::ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
    let id = answer.body["id"].as_str().context("a job")?;
    client.in_state(id, "succeeded").await
}

/// The texts of a member, sorted.
pub(crate) fn sorted(values: &[Value], member: &str) -> Vec<String> {
    let mut texts: Vec<String> = values
        .iter()
        .map(|value| value[member].as_str().unwrap_or_default().to_owned())
        .collect();
    texts.sort_unstable();
    texts
}

/// Ids of an answer's list, sorted.
pub(crate) fn ids(answer: &Value, member: &str) -> Vec<String> {
    let listed = answer[member].as_array().into_iter().flatten();
    let mut ids: Vec<String> = listed
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    ids.sort_unstable();
    ids
}
