//! The client against a server that answers as LinkedIn does, and the set-up that these tests share.

mod assets;
mod calls;
mod conversions;
mod edits;
mod entities;
mod insights;
mod oauth;

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::{LinkedIn, LinkedInConfig};
use crate::platform::{Access, Caller, Grant, testing::RecordingDoor};

const TOKEN: &str = "AQfakeNotReal0000000000000000000000000000001";
const REFRESH_TOKEN: &str = "AQfakeRefreshNotReal000000000000000000000001";
const SECRET: &str = "fakeClientSecret1";
const ACCOUNT: &str = "500000001";

fn config(server: &MockServer) -> LinkedInConfig {
    let at = |path: &str| Url::parse(&format!("{}/{path}", server.uri())).expect("a URL");
    LinkedInConfig {
        base_url: at("rest"),
        oauth_url: at("oauth/v2"),
        client_id: Some("fakeclient".to_owned()),
        client_secret: Some(SECRET.into()),
        timeout: Duration::from_secs(10),
        ..LinkedInConfig::default()
    }
}

fn client(server: &MockServer) -> LinkedIn {
    LinkedIn::new(config(server)).expect("a client")
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

fn grant() -> Grant {
    Grant {
        access_token: TOKEN.into(),
        token_secret: None,
        refresh_token: Some(SecretString::from(REFRESH_TOKEN)),
    }
}

/// A server that gives one answer to everything.
async fn answering(status: u16, body: Value) -> MockServer {
    let server = MockServer::start().await;
    respond_with(&server, ResponseTemplate::new(status).set_body_json(body)).await;
    server
}

async fn respond_with(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(any()).respond_with(answer).mount(server).await;
}

/// A server that gives these answers one after the other, and the last one from then on.
async fn answering_in_turn(answers: Vec<(u16, Value)>) -> MockServer {
    let server = MockServer::start().await;
    let last = answers.len().saturating_sub(1);
    for (turn, (status, body)) in answers.into_iter().enumerate() {
        let mock =
            Mock::given(any()).respond_with(ResponseTemplate::new(status).set_body_json(body));
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

/// The query of the only request, as it was sent.
async fn only_query(server: &MockServer) -> String {
    let requests = requests(server).await;
    assert_eq!(requests.len(), 1);
    requests[0].url.query().unwrap_or_default().to_owned()
}

fn refusal(code: &str, number: i64, message: &str) -> Value {
    json!({"code": code, "serviceErrorCode": number, "message": message})
}
