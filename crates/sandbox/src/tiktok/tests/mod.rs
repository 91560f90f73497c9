//! The stand-in for TikTok over a real socket.

mod access;
mod assets;
mod conversions;
mod edits;
mod entities;
mod oauth;
mod quota;
mod reports;
mod tasks;

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::{
    DEV_APP_ID, DEV_APP_SECRET, DEV_TIKTOK_TOKEN, SandboxConfig,
    testing::{Answer, Site},
};

/// The first advertiser, who pays in dollars and lives by the clock of Los Angeles.
const FIRST: &str = "7000000000000000001";
const SECOND: &str = "7000000000000000002";
const JSON: &str = "content-type: application/json\r\n";

/// A sandbox whose clock stands still.
struct Ads {
    site: Site,
}

impl Ads {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let site = Site::start_with(change).await;
        let noon = json!({ "stopped": true, "set": "2026-11-20T12:10:00Z" });
        site.control("POST", "/clock", &noon).await;
        Self { site }
    }

    async fn set_clock(&self, at: &str) {
        let clock = json!({ "set": at });
        self.site.control("POST", "/clock", &clock).await;
    }

    async fn advance(&self, seconds: i64) {
        let clock = json!({ "advance_s": seconds });
        self.site.control("POST", "/clock", &clock).await;
    }

    async fn get(&self, name: &str, params: &[(&str, &str)]) -> Answer {
        self.get_as(DEV_TIKTOK_TOKEN, name, params).await
    }

    async fn get_as(&self, token: &str, name: &str, params: &[(&str, &str)]) -> Answer {
        let header = format!("access-token: {token}\r\n");
        let path = path(name, params);
        self.site.call("GET", &path, &header, "").await
    }

    async fn post(&self, name: &str, body: &Value) -> Answer {
        let headers = format!("access-token: {DEV_TIKTOK_TOKEN}\r\n{JSON}");
        let path = path(name, &[]);
        self.site.post(&path, &headers, &body.to_string()).await
    }

    /// All entries of a list, page by page, and the sizes of the pages.
    async fn pages(&self, name: &str, params: &[(&str, &str)]) -> (Vec<Value>, Vec<usize>) {
        let (mut entries, mut sizes) = (Vec::new(), Vec::new());
        loop {
            let page = (sizes.len() + 1).to_string();
            let mut params = params.to_vec();
            params.push(("page", page.as_str()));
            let data = data(&self.get(name, &params).await);
            let list = data["list"].as_array().expect("a list");
            sizes.push(list.len());
            entries.extend(list.iter().cloned());
            let info = &data["page_info"];
            assert_eq!(info["page"], json!(sizes.len()));
            if info["page"].as_u64() >= info["total_page"].as_u64() {
                assert_eq!(info["total_number"], json!(entries.len()));
                return (entries, sizes);
            }
        }
    }

    /// What the world says.
    async fn world(&self, path: &str) -> Value {
        let path = format!("/world/{path}");
        self.site.control("GET", &path, &json!(null)).await.json()
    }

    async fn export(&self, params: &str) -> Value {
        let path = format!("export?platform=tiktok&account={FIRST}&{params}");
        self.world(&path).await
    }
}

fn path(name: &str, params: &[(&str, &str)]) -> String {
    let query = Serializer::new(String::new()).extend_pairs(params).finish();
    format!("/tiktok/open_api/v1.3/{name}?{query}")
}

/// The data of a call that went well.
fn data(answer: &Answer) -> Value {
    let body = answer.json();
    assert_eq!((answer.status, &body["code"]), (200, &json!(0)), "{body}");
    assert_eq!(body["message"], "OK");
    assert!(body["request_id"].is_string());
    body["data"].clone()
}

/// That a call was refused: under status 200, as everything.
fn assert_code(answer: &Answer, code: i64) {
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["code"]),
        (200, &json!(code)),
        "{body}"
    );
    assert!(body["message"].is_string() && body["request_id"].is_string());
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().expect("a text")
}

/// A whole number that is written as text; `-` for none.
fn int(text: &Value) -> i64 {
    match text.as_str() {
        Some("-") => 0,
        Some(text) => text.parse().expect("a whole number"),
        None => panic!("{text} is no text"),
    }
}

/// An amount with two places that is written as text, in micros; `-` for none.
fn micros(text: &Value) -> i64 {
    match text.as_str() {
        Some("-") => 0,
        Some(text) => {
            let (whole, cents) = text.split_once('.').expect("two places");
            assert_eq!(cents.len(), 2);
            let cents: i64 = format!("{whole}{cents}").parse().expect("an amount");
            cents * 10_000
        }
        None => panic!("{text} is no text"),
    }
}
