//! The client against a server that answers as X documents it, and the set-up that all files of tests share.

mod calls;
mod conversions;
mod dance;
mod edits;
mod entities;
mod insights;
mod jobs;
mod oauth;
mod own;

use std::time::Duration;

use chrono_tz::Tz;
use serde_json::Value;
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::path};

use super::{X, XConfig};
use crate::platform::{
    Access, Caller, ConversionChoice, Granularity, InsightQuery, Level, OpenDoor,
};

const CONSUMER_KEY: &str = "fakeConsumerKeyNotReal";
const CONSUMER_SECRET: &str = "fakeConsumerSecretNotReal";
const CLIENT_ID: &str = "fakeClientIdNotReal";
const CLIENT_SECRET: &str = "fakeClientSecretNotReal";
const TOKEN: &str = "1-fakeTokenNotReal";
const TOKEN_SECRET: &str = "fakeTokenSecretNotReal";
const ACCOUNT: &str = "18fake0001";
const STATS: &str = "/12/stats/accounts/18fake0001";
const ACTIVE: &str = "/12/stats/accounts/18fake0001/active_entities";
const JOBS: &str = "/12/stats/jobs/accounts/18fake0001";

fn config(server: &MockServer) -> XConfig {
    let url = |rest: &str| Url::parse(&format!("{}{rest}", server.uri())).expect("a URL");
    XConfig {
        ads_url: url("/12"),
        api_url: url("/2"),
        auth_url: url("/i/oauth2/authorize"),
        consumer_key: Some(CONSUMER_KEY.into()),
        consumer_secret: Some(CONSUMER_SECRET.into()),
        client_id: Some(CLIENT_ID.to_owned()),
        client_secret: Some(CLIENT_SECRET.into()),
        timeout: Duration::from_secs(10),
    }
}

fn client_of(server: &MockServer) -> X {
    X::new(config(server)).expect("a client")
}

/// A grant of OAuth 1.0a.
fn access() -> Access {
    Access {
        token: TOKEN.into(),
        token_secret: Some(TOKEN_SECRET.into()),
        manager: None,
    }
}

fn caller(access: &Access) -> Caller<'_> {
    Caller {
        access,
        door: &OpenDoor,
    }
}

/// Figures of the campaigns of an account in Los Angeles on the two days around the end of its summer time.
fn query() -> InsightQuery {
    InsightQuery {
        account_id: ACCOUNT.to_owned(),
        level: Level::Campaign,
        granularity: Granularity::Day,
        from: "2026-11-01".parse().expect("a day"),
        to: "2026-11-02".parse().expect("a day"),
        time_zone: Tz::America__Los_Angeles,
        currency: Some("USD".to_owned()),
        attribution: Vec::new(),
        breakdowns: Vec::new(),
        entities: Vec::new(),
        conversion: ConversionChoice::default(),
        page_size: None,
        in_background: false,
    }
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
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

/// The requests to a path, in order.
async fn requests_to(server: &MockServer, at: &str) -> Vec<Request> {
    let all = server.received_requests().await.expect("recorded");
    all.into_iter()
        .filter(|request| request.url.path() == at)
        .collect()
}

/// A parameter of a request's query; empty where it is missing.
fn param(request: &Request, name: &str) -> String {
    let mut pairs = request.url.query_pairs();
    let pair = pairs.find(|(found, _)| found == name);
    pair.map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
