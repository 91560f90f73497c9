//! The stand-in for Google Ads over a real socket.

mod access;
mod conversions;
mod edits;
mod oauth;
mod paging;
mod queries;
mod quota;

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::{
    DEV_APP_ID, DEV_APP_SECRET, DEV_GOOGLE_REFRESH_TOKEN, SandboxConfig,
    testing::{Answer, Site, send},
    world::GOOGLE_MANAGER,
};

const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
/// The first account, which can be reached without the manager account, and the second, which cannot.
const FIRST: &str = "2000000001";
const SECOND: &str = "2000000002";

/// A sandbox whose clock stands still, and a token that works.
struct Ads {
    site: Site,
    token: String,
}

impl Ads {
    async fn start() -> Self {
        Self::start_with(|config| config.world.campaigns_per_account = 12).await
    }

    async fn start_with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let site = Site::start_with(change).await;
        let noon = json!({ "stopped": true, "set": "2026-11-20T12:10:00Z" });
        site.control("POST", "/clock", &noon).await;
        let token = refresh(&site, DEV_GOOGLE_REFRESH_TOKEN).await.json()["access_token"].clone();
        let token = token.as_str().expect("an access token").to_owned();
        Self { site, token }
    }

    async fn advance(&self, seconds: i64) {
        let clock = json!({ "advance_s": seconds });
        self.site.control("POST", "/clock", &clock).await;
    }

    /// Calls a method of a customer through the manager account.
    async fn call(&self, customer: &str, method: &str, body: &Value) -> Answer {
        self.call_as(customer, method, body, Some(GOOGLE_MANAGER))
            .await
    }

    async fn call_as(
        &self,
        customer: &str,
        method: &str,
        body: &Value,
        login: Option<&str>,
    ) -> Answer {
        let mut headers = format!(
            "authorization: Bearer {}\r\ncontent-type: application/json\r\n",
            self.token
        );
        if let Some(login) = login {
            headers.push_str(&format!("login-customer-id: {login}\r\n"));
        }
        let path = format!("/google_ads/v26/customers/{customer}/googleAds:{method}");
        self.site.post(&path, &headers, &body.to_string()).await
    }

    async fn search(&self, customer: &str, query: &str) -> Answer {
        self.call(customer, "search", &json!({ "query": query }))
            .await
    }

    /// The results of a query's first page.
    async fn results(&self, customer: &str, query: &str) -> Vec<Value> {
        let answer = self.search(customer, query).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let results = answer.json()["results"].clone();
        results.as_array().cloned().unwrap_or_default()
    }

    /// What the world says of the same.
    async fn export(&self, customer: &str, params: &str) -> Value {
        let path = format!("/world/export?platform=google_ads&account={customer}&{params}");
        self.site.control("GET", &path, &json!(null)).await.json()
    }

    async fn accessible(&self, authorization: &str) -> Answer {
        let request = format!(
            "GET /google_ads/v26/customers:listAccessibleCustomers HTTP/1.1\r\nhost: sandbox\r\n\
             connection: close\r\n{authorization}\r\n"
        );
        send(self.site.sandbox.http_addr(), &request).await
    }
}

fn form(params: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(params).finish()
}

async fn token(site: &Site, params: &[(&str, &str)]) -> Answer {
    site.post("/google_ads/token", FORM, &form(params)).await
}

async fn refresh(site: &Site, refresh_token: &str) -> Answer {
    let params = [
        ("client_id", DEV_APP_ID),
        ("client_secret", DEV_APP_SECRET),
        ("refresh_token", refresh_token),
        ("grant_type", "refresh_token"),
    ];
    token(site, &params).await
}

/// That a call was refused in the envelope of Google Ads, with this status, category and name.
fn assert_refused(answer: &Answer, status: u16, category: &str, name: &str) {
    let body = answer.json();
    let error = match &body {
        Value::Array(stream) => &stream[0]["error"],
        _ => &body["error"],
    };
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(error["code"], status);
    let failure = &error["details"][0];
    assert!(
        failure["@type"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("GoogleAdsFailure")),
        "{}",
        answer.body
    );
    assert_eq!(failure["errors"][0]["errorCode"], json!({ category: name }));
    assert!(failure["requestId"].is_string());
}

/// A whole number that JSON has as text, and that is missing where it is zero.
fn int(value: &Value) -> i64 {
    match value {
        Value::Null => 0,
        value => value
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a number as text"),
    }
}
