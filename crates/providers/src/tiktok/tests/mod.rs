//! The client against a server that answers as TikTok does, and the set-up that these tests share.

mod assets;
mod calls;
mod conversions;
mod edits;
mod entities;
mod insights;
mod oauth;
mod reports;

use std::{collections::HashMap, time::Duration};

use chrono::NaiveDate;
use serde_json::{Value, json};
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::{TikTok, TikTokConfig};
use crate::platform::{
    Access, Caller, ConversionChoice, Granularity, InsightQuery, Level, testing::RecordingDoor,
};

const TOKEN: &str = "fakeTikTokTokenNotReal";
const SECRET: &str = "fakeAppSecret1";
const ADVERTISER: &str = "7000000000000000001";

fn config(server: &MockServer) -> TikTokConfig {
    let at = |path: &str| Url::parse(&format!("{}/{path}", server.uri())).expect("a URL");
    TikTokConfig {
        base_url: at("open_api/v1.3/"),
        auth_url: at("portal/auth"),
        app_id: Some("7100000000000000001".to_owned()),
        app_secret: Some(SECRET.into()),
        timeout: Duration::from_secs(10),
    }
}

fn client(server: &MockServer) -> TikTok {
    TikTok::new(config(server)).expect("a client")
}

fn access() -> Access {
    Access {
        token: TOKEN.into(),
        token_secret: None,
        manager: None,
    }
}

fn caller<'a>(access: &'a Access, door: &'a RecordingDoor) -> Caller<'a> {
    Caller { access, door }
}

/// An envelope.
fn envelope(code: i64, message: &str, data: Value) -> Value {
    json!({"code": code, "message": message, "request_id": "20261121fakeRequestId", "data": data})
}

fn good(data: Value) -> Value {
    envelope(0, "OK", data)
}

fn listed(items: Value, page: u32, pages: u32) -> Value {
    good(json!({"list": items,
        "page_info": {"page": page, "page_size": 1000, "total_number": 1, "total_page": pages}}))
}

/// A server that gives one answer to everything, under status 200 as TikTok does.
async fn answering(body: Value) -> MockServer {
    let server = MockServer::start().await;
    respond_with(&server, ResponseTemplate::new(200).set_body_json(body)).await;
    server
}

async fn respond_with(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(any()).respond_with(answer).mount(server).await;
}

/// A server that gives these answers one after the other, and the last one from then on.
async fn answering_in_turn(bodies: Vec<Value>) -> MockServer {
    let server = MockServer::start().await;
    let last = bodies.len().saturating_sub(1);
    for (turn, body) in bodies.into_iter().enumerate() {
        let mock = Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(body));
        let mock = if turn < last {
            mock.up_to_n_times(1)
        } else {
            mock
        };
        mock.mount(&server).await;
    }
    server
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("recorded")
}

/// The parameters of a request, decoded.
fn parameters(request: &Request) -> HashMap<String, String> {
    request.url.query_pairs().into_owned().collect()
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).expect("a day")
}

fn query() -> InsightQuery {
    InsightQuery {
        account_id: ADVERTISER.to_owned(),
        level: Level::Campaign,
        granularity: Granularity::Day,
        from: day(1),
        to: day(7),
        time_zone: chrono_tz::America::New_York,
        currency: Some("USD".to_owned()),
        attribution: Vec::new(),
        breakdowns: Vec::new(),
        entities: Vec::new(),
        conversion: ConversionChoice::default(),
        page_size: None,
        in_background: false,
    }
}
