//! What the tests here share: an endpoint at one of the sandbox's receivers, jobs that die to tell of, and what arrived.

use std::{fs::OpenOptions, io::Write};

use anyhow::Context;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{Client, Program, World, eventually},
    inbound::scene::{SANDBOX, TENANT, tick},
    sync::scene::control,
};

pub(super) const OWNER: &str = "ada@example.com";
/// Attempts of a message.
const CONFIG: &str = r#"
[kinds."webhook.deliver"]
max_attempts = 3
backoff = { strategy = "fixed", base = "1s", jitter = "none" }
"#;

/// A process with one endpoint.
pub(super) struct Scene {
    pub(super) client: Client,
    /// Our id of the endpoint, and what its messages are signed with.
    pub(super) endpoint: String,
    pub(super) secret: String,
    _program: Program,
    pub(super) world: World,
}

impl Scene {
    /// The endpoint is the receiver `told`, and wants to hear of dead jobs.
    pub(super) async fn new() -> anyhow::Result<Self> {
        let world = World::of(&SANDBOX).await?;
        let path = world.folder.join("jobs.toml");
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(CONFIG.as_bytes())?;
        let (program, client) = world.serve().await?;
        let new = json!({
            "url": format!("{}/hooks/told", world.sandbox.base()), "tenant": TENANT, "events": ["job.dead"],
            "owner_email": OWNER,
        });
        let made = client.post("/v1/webhook-endpoints", &new).await?;
        anyhow::ensure!(made.status == StatusCode::CREATED, "{made:?}");
        let text = |name: &str| made.body[name].as_str().map(str::to_owned);
        Ok(Self {
            endpoint: text("id").context("an id")?,
            secret: text("secret").context("a secret")?,
            client,
            _program: program,
            world,
        })
    }

    /// A path of the endpoint.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/v1/webhook-endpoints/{}{rest}", self.endpoint)
    }

    /// The endpoint as it stands.
    pub(super) async fn shown(&self) -> anyhow::Result<Value> {
        Ok(self.client.get(&self.path("")).await?.body)
    }

    /// Has a job of the tenant die, which is an event, and hands it over; gives the job.
    pub(super) async fn event(&self) -> anyhow::Result<String> {
        let gone = json!({"kind": "answer", "status": 404, "body": "no"});
        let fault = json!({"target": "receiver:test", "times": 1, "fault": gone});
        self.world.fault(&fault).await?;
        let job = json!({"kind": "test.hook", "payload": {"card": "4242"}, "tenant": TENANT});
        let id = self.client.enqueue(&job).await?;
        self.client.in_state(&id, "dead").await?;
        tick(&self.client, "webhook-fanout").await?;
        Ok(id)
    }

    /// Tries the endpoint out; gives the delivery.
    pub(super) async fn tried_out(&self) -> anyhow::Result<String> {
        let request = self.client.request(Method::POST, &self.path("/test"));
        let answer = self.client.send(request).await?;
        anyhow::ensure!(answer.status == StatusCode::ACCEPTED, "{answer:?}");
        Ok(answer.body["id"].as_str().context("an id")?.to_owned())
    }

    /// Everything that the endpoint was to be told, the newest first.
    pub(super) async fn deliveries(&self) -> anyhow::Result<Vec<Value>> {
        let listed = self.client.get(&self.path("/deliveries")).await?.body;
        Ok(listed["items"].as_array().context("a list")?.clone())
    }

    /// The newest delivery, once it is in this state.
    pub(super) async fn newest_in(&self, state: &str) -> anyhow::Result<Value> {
        eventually(&format!("the newest delivery is {state}"), || async {
            let newest = self.deliveries().await?.into_iter().next();
            Ok(newest.filter(|delivery| delivery["state"] == state))
        })
        .await
    }

    /// The calls of a receiver, the oldest first.
    pub(super) async fn calls(&self, receiver: &str) -> anyhow::Result<Vec<Value>> {
        let mut calls = self.world.received("hooks").await?;
        calls.retain(|call| call["name"] == receiver);
        Ok(calls)
    }

    /// The receiver knows this secret from now on, and no other one.
    pub(super) async fn receiver_knows(&self, secret: &str) -> anyhow::Result<()> {
        let secrets = json!({"hook_secrets": {"told": secret}});
        control(&self.world, "tokens", &secrets).await?;
        Ok(())
    }

    /// The receiver answers so, so many times; always without a number.
    pub(super) async fn answers(&self, status: u16, times: Option<u32>) -> anyhow::Result<()> {
        let away = format!("{}/hooks/elsewhere", self.world.sandbox.base());
        let answer = json!({
            "kind": "answer", "status": status, "headers": {"location": away}, "body": "not now",
        });
        let fault = json!({"target": "receiver:told", "times": times, "fault": answer});
        self.world.fault(&fault).await
    }
}

/// What a receiver was told, as JSON.
pub(super) fn body_of(call: &Value) -> anyhow::Result<Value> {
    let body = call["body"].as_str().context("a body")?;
    Ok(serde_json::from_str(body)?)
}
