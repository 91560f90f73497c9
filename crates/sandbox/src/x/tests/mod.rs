//! The stand-in for X over a real socket, by a client that signs on its own.

mod access;
mod conversions;
mod edits;
mod entities;
mod jobs;
mod limits;
mod oauth;
mod stats;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Utc;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use uuid::Uuid;

use crate::{
    DEV_APP_ID, DEV_APP_SECRET, DEV_X_TOKEN, DEV_X_TOKEN_SECRET, SandboxConfig,
    testing::{Answer, Site},
};

/// The first account, which pays in pounds and lives by the clock of London.
const FIRST: &str = "1010000000";
const SECOND: &str = "1010000001";
const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

/// What a call is signed with.
#[derive(Clone)]
struct Signer {
    app: (String, String),
    token: (String, String),
    nonce: Option<String>,
    /// How many seconds ago it was signed.
    age_s: i64,
}

impl Signer {
    fn dev() -> Self {
        Self::of(DEV_X_TOKEN, DEV_X_TOKEN_SECRET)
    }

    fn of(token: &str, secret: &str) -> Self {
        Self {
            app: (DEV_APP_ID.to_owned(), DEV_APP_SECRET.to_owned()),
            token: (token.to_owned(), secret.to_owned()),
            nonce: None,
            age_s: 0,
        }
    }

    /// The header for a call with these parameters, of the query and of a form, and with more of the
    /// dance's own.
    fn header(&self, call: (&str, &str), params: &[(&str, &str)], own: &[(&str, &str)]) -> String {
        let nonce = self
            .nonce
            .clone()
            .unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        let signed_at = (Utc::now().timestamp() - self.age_s).to_string();
        let mut header = vec![
            ("oauth_consumer_key", self.app.0.as_str()),
            ("oauth_nonce", nonce.as_str()),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", signed_at.as_str()),
            ("oauth_version", "1.0"),
        ];
        if !self.token.0.is_empty() {
            header.push(("oauth_token", self.token.0.as_str()));
        }
        header.extend_from_slice(own);
        let mut pairs: Vec<_> = header.iter().chain(params).map(pair).collect();
        pairs.sort();
        let url = encode(&format!("http://sandbox{}", call.1));
        let base = format!("{}&{url}&{}", call.0, encode(&pairs.join("&")));
        let key = format!("{}&{}", encode(&self.app.1), encode(&self.token.1));
        let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("a key");
        mac.update(base.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        header.push(("oauth_signature", signature.as_str()));
        let header: Vec<_> = header
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", encode(value)))
            .collect();
        format!("authorization: OAuth {}\r\n", header.join(", "))
    }
}

fn pair((name, value): &(&str, &str)) -> String {
    format!("{}={}", encode(name), encode(value))
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if is_plain {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// A sandbox whose clock stands still.
struct Ads {
    site: Site,
}

impl Ads {
    async fn start() -> Self {
        Self::start_with(|config| config.world.campaigns_per_account = 12).await
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

    async fn get(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        self.call(&Signer::dev(), ("GET", path), params).await
    }

    /// A call to the Ads API with its parameters in the query.
    async fn call(&self, signer: &Signer, call: (&str, &str), params: &[(&str, &str)]) -> Answer {
        let path = format!("/x/12/{}", call.1);
        let header = signer.header((call.0, path.as_str()), params, &[]);
        let query: Vec<_> = params.iter().map(pair).collect();
        let path = format!("{path}?{}", query.join("&"));
        self.site.call(call.0, &path, &header, "").await
    }

    /// All things of a list, page by page.
    async fn pages(&self, path: &str, params: &[(&str, &str)]) -> Vec<Value> {
        let mut things = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut params = params.to_vec();
            if let Some(cursor) = &cursor {
                params.push(("cursor", cursor.as_str()));
            }
            let body = good(&self.get(path, &params).await);
            things.extend(body["data"].as_array().expect("a list").iter().cloned());
            cursor = body["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                assert!(body["next_cursor"].is_null());
                return things;
            }
        }
    }

    /// What the world says.
    async fn world(&self, path: &str) -> Value {
        let path = format!("/world/{path}");
        self.site.control("GET", &path, &json!(null)).await.json()
    }

    async fn export(&self, params: &str) -> Value {
        let path = format!("export?platform=x&account={FIRST}&{params}");
        self.world(&path).await
    }
}

/// The body of a call that went well.
fn good(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("x-current-api-version"), Some("12"));
    answer.json()
}

/// That a call was refused with a code, a word or a number.
fn assert_refused(answer: &Answer, status: u16, code: impl Into<Value>) {
    let body = answer.json();
    let error = &body["errors"][0];
    assert_eq!(
        (answer.status, &error["code"]),
        (status, &code.into()),
        "{body}"
    );
    assert!(error["message"].is_string());
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().expect("a text")
}
