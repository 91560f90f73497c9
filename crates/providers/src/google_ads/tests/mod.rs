//! The client against a server that answers as Google documents it, and the set-up that all files of tests share.

mod accounts;
mod conversions;
mod edits;
mod entities;
mod insights;
mod oauth;
mod refusals;

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::path};

use super::{GoogleAds, GoogleAdsConfig};
use crate::platform::{Access, Caller, OpenDoor};

const TOKEN: &str = "fake-google-access-token";
const DEVELOPER_TOKEN: &str = "fakeDeveloperTokenNotReal";
const CLIENT_ID: &str = "fake-client.apps.example.com";
const CLIENT_SECRET: &str = "fake-client-secret-not-real";
const CUSTOMER: &str = "1111111111";
const SEARCH: &str = "/v26/customers/1111111111/googleAds:search";
const STREAM: &str = "/v26/customers/1111111111/googleAds:searchStream";

fn config(server: &MockServer) -> GoogleAdsConfig {
    let url = |rest: &str| Url::parse(&format!("{}{rest}", server.uri())).expect("a URL");
    GoogleAdsConfig {
        base_url: url("/v26"),
        oauth_url: url("/oauth"),
        auth_url: url("/o/oauth2/v2/auth"),
        data_url: url("/data/v1"),
        client_id: Some(CLIENT_ID.to_owned()),
        client_secret: Some(CLIENT_SECRET.into()),
        developer_token: None,
        timeout: Duration::from_secs(10),
    }
}

fn client_of(server: &MockServer) -> GoogleAds {
    GoogleAds::new(config(server)).expect("a client")
}

fn access(manager: Option<&str>) -> Access {
    Access {
        token: TOKEN.into(),
        token_secret: None,
        manager: manager.map(str::to_owned),
    }
}

fn caller(access: &Access) -> Caller<'_> {
    Caller {
        access,
        door: &OpenDoor,
    }
}

/// Whether the query that was sent has this in it.
fn asks(part: &'static str) -> impl Fn(&Request) -> bool + Send + Sync {
    move |request| query_of(request).contains(part)
}

/// Whether a page is asked for by this token; an empty one: the first page.
fn continues(token: &'static str) -> impl Fn(&Request) -> bool + Send + Sync {
    move |request| {
        let body: Value = request.body_json().unwrap_or_default();
        body.get("pageToken")
            .and_then(Value::as_str)
            .unwrap_or_default()
            == token
    }
}

fn query_of(request: &Request) -> String {
    let body: Value = request.body_json().unwrap_or_default();
    body["query"].as_str().unwrap_or_default().to_owned()
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A failure of the API with one error.
fn failure(status: u16, category: &str, name: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(failure_body(status, category, name))
}

fn failure_body(status: u16, category: &str, name: &str) -> Value {
    json!({"error": {"code": status, "message": "Request contains an error.", "status": "INVALID_ARGUMENT",
        "details": [{
            "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
            "errors": [{"errorCode": {category: name}, "message": "It went wrong."}],
            "requestId": "fakeReqId2"}]}})
}

/// A server that answers everything at this path with the same.
async fn answering(at: &str, answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path(at))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

async fn requests_of(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("recorded")
}
