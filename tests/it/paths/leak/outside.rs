//! What comes from outside and what reaches it: Meta's own calls, a customer's endpoint, a conversion about a person, and what
//! people have watched.

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use super::{super::scene::succeeded, CORE, SETTINGS, story::Story};
use crate::harness::{Client, eventually};

/// Somebody who buys: known to the platform by a hash, and to nobody else.
const PERSON: &str = "c4n4ry.person@example.com";
const DATASET: &str = "1234567890";

impl Story<'_> {
    pub(super) async fn the_outside_takes_part(&mut self) -> anyhow::Result<()> {
        let verify = format!("{CORE}-verify-token-not-real");
        let known = [("MILLPOND_META_WEBHOOK_VERIFY_TOKEN", verify.as_str())];
        let settings = [&SETTINGS[..], &known[..]].concat();
        let (_outside, outside) = self.scene.serve_outside(&settings).await?;
        self.meta_calls(&outside, &verify).await?;
        self.an_endpoint_is_told().await?;
        self.a_person_buys().await?;
        self.rules_are_made().await
    }

    /// Meta shakes hands, somebody else tries to, and somebody sends a form.
    async fn meta_calls(&mut self, outside: &Client, verify: &str) -> anyhow::Result<()> {
        for token in [verify, CORE] {
            let path = format!(
                "/webhooks/meta?hub.mode=subscribe&hub.challenge=7&hub.verify_token={token}"
            );
            self.seen.ask(outside.bare(Method::GET, &path)).await?;
        }
        let url = format!("{}/webhooks/meta", outside.base());
        let forged = outside.bare(Method::POST, "/webhooks/meta");
        let forged = forged.header("x-hub-signature-256", format!("sha256={CORE}"));
        self.seen.ask(forged.body(CORE)).await?;
        let client = self.client;
        let listed = client
            .get("/v1/accounts?platform=meta&limit=500")
            .await?
            .body;
        let mut items = listed["items"].as_array().into_iter().flatten();
        let page = items.find(|it| it["kind"] == "page").context("a Page")?;
        let told = json!({"url": url, "page": page["external_id"], "leads": 1});
        self.scene.control("webhooks", &told).await?;
        eventually("the lead is stored", || async {
            let leads = client.get("/v1/leads").await?.body;
            let are_there = leads["items"].as_array().is_some_and(|it| !it.is_empty());
            Ok(are_there.then_some(()))
        })
        .await
    }

    /// A customer's endpoint gets a message. Its secret comes out once, to whoever has it made.
    async fn an_endpoint_is_told(&mut self) -> anyhow::Result<()> {
        let world = &self.scene.world;
        let url = format!("{}/hooks/told", world.sandbox.base());
        let new = json!({"url": url, "events": ["job.dead"]});
        let made = self.client.post("/v1/webhook-endpoints", &new).await?;
        let secret = made.body["secret"].as_str();
        let secret = secret.with_context(|| format!("a secret: {made:?}"))?;
        let secret = secret.trim_start_matches("whsec_");
        self.forms.forbid("an endpoint's secret", secret.as_bytes());
        let id = made.body["id"].as_str().context("an id")?;
        let path = format!("/v1/webhook-endpoints/{id}/test");
        self.seen
            .ask(self.client.request(Method::POST, &path))
            .await?;
        eventually("the endpoint was told", || async {
            let told = world.received("hooks").await?;
            Ok((!told.is_empty()).then_some(()))
        })
        .await
    }

    /// One conversion is sent, and another one waits.
    async fn a_person_buys(&mut self) -> anyhow::Result<()> {
        self.forms.forbid("a person's address", PERSON.as_bytes());
        let [_, _, _, (_, token), _] = SETTINGS;
        let known = json!({"tokens": [{"token": token, "state": "valid"}], "datasets": [DATASET]});
        self.scene.control("tokens", &known).await?;
        let now = std::time::UNIX_EPOCH.elapsed()?.as_secs();
        let order = |id: &str| {
            let event = json!({
                "event_name": "Purchase", "event_time": now - 60, "event_id": id, "action_source": "website",
                "event_source_url": "https://shop.example.com/thanks",
                "user_data": {"em": PERSON, "client_user_agent": "Mozilla/5.0"},
                "custom_data": {"value": 84.37, "currency": "USD"},
            });
            let payload = json!({"destination": "meta", "dataset_id": DATASET, "event": event});
            json!({"kind": "conversion.send", "payload": payload})
        };
        let sent = self.client.enqueue(&order("order-1")).await?;
        succeeded(self.client, &sent).await?;
        let mut later = order("order-2");
        later["delay"] = json!("1h");
        let later = self.client.enqueue(&later).await?;
        self.jobs.extend([sent, later]);
        Ok(())
    }

    /// Somebody has figures watched.
    async fn rules_are_made(&mut self) -> anyhow::Result<()> {
        let scope = json!({"level": "campaign"});
        let alert = json!({"scope": scope, "comparison": "above", "threshold": "100"});
        let strategy =
            json!({"scope": scope, "action": "notify", "look_back_days": 7, "max_cpc": "2"});
        for (path, rule) in [("/v1/alerts", alert), ("/v1/strategies", strategy)] {
            let new = json!({"name": "Watched", "rule": rule});
            let request = self.client.request(Method::POST, path).json(&new);
            let made: Value = self.seen.ask(request).await?;
            anyhow::ensure!(made["id"].is_string(), "{made}");
        }
        Ok(())
    }
}
