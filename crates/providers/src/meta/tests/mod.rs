//! The client against a server with Meta's answers and with odd ones, and the set-up that all files of tests share.

mod batch;
mod calls;
mod edits;
mod entities;
mod graph;
mod graph_batch;
mod insights;
mod lead_forms;
mod leads;
mod oauth;
mod reports;
mod social;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

use super::{
    Destination, Meta, MetaConfig,
    conversions::{ServerEvent, prepare},
};
use crate::{
    Admission, Error,
    platform::{Access, Caller, testing::RecordingDoor},
};

const TOKEN: &str = "EAAfakeTokenNotReal000000000000000000000001";
const APP_ID: &str = "100000000000000";
const APP_SECRET: &str = "fake0app0secret0not0real00000001";
const PROOF: &str = "f2575b7593760f3e1c9aa4e391458d171740f9ded56a6647713d488f46e86962";

fn token() -> SecretString {
    TOKEN.into()
}

fn to(token: &SecretString) -> Destination<'_> {
    Destination {
        dataset_id: "1",
        token,
        test_event_code: None,
    }
}

/// Admits every request.
struct Open;

impl Admission for Open {
    type Pass = ();

    async fn admit(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn client(base: &str, timeout: Duration) -> Meta {
    Meta::new(MetaConfig {
        base_url: Url::parse(base).expect("a URL"),
        app_id: Some(APP_ID.to_owned()),
        app_secret: Some(APP_SECRET.into()),
        timeout,
    })
    .expect("a client")
}

fn client_of(server: &MockServer) -> Meta {
    client(&format!("{}/v26.0", server.uri()), Duration::from_secs(10))
}

/// An event that Meta would take; `event_id` tells it from others.
fn event(event_id: &str) -> ServerEvent {
    let now: DateTime<Utc> = DateTime::from_timestamp(1_763_640_000, 0).expect("a date");
    let event = serde_json::from_value(json!({
        "event_name": "Lead", "event_time": 1_763_640_000, "event_id": event_id, "action_source": "other",
        "user_data": {"em": "a@example.com"}
    }))
    .expect("an event");
    prepare(&event, now).expect("the event is right").event
}

/// A server, a client of it, and what a call is made with.
struct Site {
    server: MockServer,
    meta: Meta,
    access: Access,
    door: RecordingDoor,
}

impl Site {
    async fn new() -> Self {
        let server = MockServer::start().await;
        Self {
            meta: client_of(&server),
            server,
            access: Access {
                token: token(),
                token_secret: None,
                manager: None,
            },
            door: RecordingDoor::default(),
        }
    }

    fn caller(&self) -> Caller<'_> {
        Caller {
            access: &self.access,
            door: &self.door,
        }
    }

    /// Answers every call of a path below the version.
    async fn on(&self, verb: &str, at: &str, answer: ResponseTemplate) {
        Mock::given(method(verb))
            .and(path(format!("/v26.0/{at}")))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    /// The parameters of each request, from its query and its form.
    async fn asked(&self) -> Vec<BTreeMap<String, String>> {
        self.requests().await.iter().map(params).collect()
    }

    async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.expect("recorded")
    }
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn graph_error(status: u16, error: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "error": error }))
}

fn params(request: &Request) -> BTreeMap<String, String> {
    let form = form_urlencoded::parse(&request.body);
    let pairs = request.url.query_pairs().chain(form);
    pairs
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn json_of(params: &BTreeMap<String, String>, name: &str) -> Value {
    serde_json::from_str(&params[name]).expect("JSON")
}
