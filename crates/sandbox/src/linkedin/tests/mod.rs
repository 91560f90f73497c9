//! The stand-in for LinkedIn over a real socket.

mod analytics;
mod calls;
mod conversions;
mod edits;
mod lists;
mod oauth;

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::{
    DEV_LINKEDIN_TOKEN, SandboxConfig,
    testing::{Answer, Site, send},
};

const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
const VERSIONED: &str = "linkedin-version: 202609\r\nx-restli-protocol-version: 2.0.0\r\n";
const FIRST: &str = "500000001";
const SECOND: &str = "500000002";

/// A sandbox whose clock stands still.
struct Li {
    site: Site,
}

impl Li {
    async fn start() -> Self {
        Self::start_with(|config| config.world.campaigns_per_account = 12).await
    }

    async fn start_with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let site = Site::start_with(change).await;
        let noon = json!({ "stopped": true, "set": "2026-11-20T12:10:00Z" });
        site.control("POST", "/clock", &noon).await;
        Self { site }
    }

    async fn advance(&self, seconds: i64) {
        let clock = json!({ "advance_s": seconds });
        self.site.control("POST", "/clock", &clock).await;
    }

    /// A GET with these headers alone.
    async fn get_with(&self, path: &str, headers: &str) -> Answer {
        let request = format!(
            "GET /linkedin{path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n{headers}\r\n"
        );
        send(self.site.sandbox.http_addr(), &request).await
    }

    /// A GET with the headers of every call.
    async fn get(&self, path: &str) -> Answer {
        let headers = format!("{VERSIONED}{}", bearer(DEV_LINKEDIN_TOKEN));
        self.get_with(path, &headers).await
    }

    /// A GET for creatives.
    async fn get_creatives(&self, path: &str) -> Answer {
        let headers = format!(
            "{VERSIONED}{}x-restli-method: FINDER\r\n",
            bearer(DEV_LINKEDIN_TOKEN)
        );
        self.get_with(path, &headers).await
    }

    async fn analytics(&self, query: &str) -> Answer {
        self.get(&format!("/rest/adAnalytics?{query}")).await
    }

    /// What the world says.
    async fn world(&self, path: &str) -> Value {
        let path = format!("/world/{path}");
        self.site.control("GET", &path, &json!(null)).await.json()
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

fn form(params: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(params).finish()
}

fn elements(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    body["elements"].as_array().cloned().unwrap_or_default()
}

/// That a parameter was refused, and as what.
fn assert_input(answer: &Answer, field: &str, code: &str) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    let body = answer.json();
    let input = &body["errorDetails"]["inputErrors"][0];
    assert_eq!(input["code"], code, "{}", answer.body);
    assert_eq!(
        input["input"]["inputPath"]["fieldPath"], field,
        "{}",
        answer.body
    );
    assert_eq!(
        body["errorDetailType"],
        "com.linkedin.common.error.BadRequest"
    );
}
