//! The client against a server with odd answers, and the set-up that both files of tests share.

mod batch;
mod calls;

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;
use url::Url;
use wiremock::MockServer;

use super::{
    Destination, Meta, MetaConfig,
    conversions::{ServerEvent, prepare},
};
use crate::{Admission, Error};

const TOKEN: &str = "EAAfakeTokenNotReal000000000000000000000001";
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
