//! The three steps of OAuth 1.0a.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;
use wiremock::{Request, ResponseTemplate};

use super::{CONSUMER_SECRET, answering, client_of, config, requests_to};
use crate::{
    error::Error,
    platform::{
        AdPlatform, OpenDoor, RequestToken, Tokens, VerifierExchange, testing::RecordingDoor,
    },
    x::{X, XConfig},
};

const REQUEST_TOKEN: &str = "/oauth/request_token";
const ACCESS_TOKEN: &str = "/oauth/access_token";
const BACK: &str = "https://jobs.example.com/v1/oauth/x/callback";
const REQUEST_SECRET: &str = "fakeRequestSecretNotReal";
const VERIFIER: &str = "fakeVerifierNotReal";

fn form(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_owned(), "application/x-www-form-urlencoded")
}

fn numbered(status: u16, code: u32) -> ResponseTemplate {
    let message = format!("It went wrong with {CONSUMER_SECRET} and {REQUEST_SECRET}.");
    let body: Value = json!({"errors": [{"code": code, "message": message}]});
    ResponseTemplate::new(status).set_body_json(body)
}

fn exchange() -> VerifierExchange {
    VerifierExchange {
        request_token: "fakeRequestTokenNotReal".into(),
        request_secret: REQUEST_SECRET.into(),
        verifier: VERIFIER.into(),
    }
}

async fn asked(answer: ResponseTemplate) -> Result<Option<RequestToken>, Error> {
    let server = answering(REQUEST_TOKEN, answer).await;
    let back = Url::parse(BACK).expect("a URL");
    client_of(&server).request_token(&OpenDoor, &back).await
}

async fn exchanged(answer: ResponseTemplate) -> Result<Tokens, Error> {
    let server = answering(ACCESS_TOKEN, answer).await;
    client_of(&server)
        .exchange_verifier(&OpenDoor, &exchange())
        .await
}

/// What a request's header says, still encoded.
fn signed(request: &Request) -> BTreeMap<String, String> {
    let header = request.headers.get("authorization").expect("a header");
    let header = header.to_str().expect("ASCII");
    let members = header.strip_prefix("OAuth ").expect("OAuth 1.0a");
    let members = members.split(", ").filter_map(|it| it.split_once('='));
    members
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

#[tokio::test]
async fn a_person_is_sent_away_with_a_token_that_was_signed_for_by_the_app_alone() {
    let given =
        "oauth_token=fake-request&oauth_token_secret=fake%2Fsecret&oauth_callback_confirmed=true";
    let server = answering(REQUEST_TOKEN, form(given)).await;
    let door = RecordingDoor::default();
    let back = Url::parse(BACK).expect("a URL");

    let token = client_of(&server).request_token(&door, &back).await;

    let token = token.expect("an answer").expect("the app has a key");
    assert_eq!(
        token.url.as_str(),
        format!("{}/oauth/authorize?oauth_token=fake-request", server.uri())
    );
    assert_eq!(token.token.expose_secret(), "fake-request");
    assert_eq!(token.secret.expose_secret(), "fake/secret");
    let said = signed(&requests_to(&server, REQUEST_TOKEN).await[0]);
    assert_eq!(
        said["oauth_callback"],
        "https%3A%2F%2Fjobs.example.com%2Fv1%2Foauth%2Fx%2Fcallback"
    );
    assert!(!said.contains_key("oauth_token") && said.contains_key("oauth_signature"));
    assert_eq!(door.records()[0].endpoint, "POST oauth/request_token");
}

#[tokio::test]
async fn a_verifier_is_changed_for_a_token_with_its_second_half() {
    let given = "oauth_token=1-fake&oauth_token_secret=fake-second-half&user_id=7&screen_name=ada";
    let server = answering(ACCESS_TOKEN, form(given)).await;

    let tokens = client_of(&server)
        .exchange_verifier(&OpenDoor, &exchange())
        .await
        .expect("tokens");

    assert_eq!(tokens.access_token.expose_secret(), "1-fake");
    let secret = tokens.token_secret.as_ref();
    assert_eq!(
        secret.map(|secret| secret.expose_secret()),
        Some("fake-second-half")
    );
    assert_eq!(tokens.subject.as_deref(), Some("7"));
    assert!(tokens.expires_at.is_none() && tokens.refresh_token.is_none());
    let said = signed(&requests_to(&server, ACCESS_TOKEN).await[0]);
    assert_eq!(said["oauth_token"], "fakeRequestTokenNotReal");
    assert_eq!(said["oauth_verifier"], VERIFIER);
}

#[tokio::test]
async fn without_a_key_of_the_app_access_is_given_in_another_way() {
    let server = answering(REQUEST_TOKEN, form("")).await;
    let without_key = X::new(XConfig {
        consumer_key: None,
        ..config(&server)
    })
    .expect("a client");
    let back = Url::parse(BACK).expect("a URL");

    let token = without_key.request_token(&OpenDoor, &back).await;

    assert!(token.expect("no question").is_none());
    assert!(requests_to(&server, REQUEST_TOKEN).await.is_empty());
}

// Fails when a customer is told that access was refused where it is our own key, or the address to go back to, that is.
#[tokio::test]
async fn what_is_refused_before_anybody_was_asked_is_our_own_set_up() {
    let cases = [
        (numbered(401, 32), "config"),
        (numbered(401, 135), "config"),
        (numbered(403, 415), "config"),
        (
            ResponseTemplate::new(401).set_body_string("Unauthorized"),
            "config",
        ),
        (numbered(429, 88), "rate_limited"),
        (ResponseTemplate::new(503), "transient"),
        (form("oauth_token=alone"), "transient"),
    ];

    for (answer, expected) in cases {
        let error = asked(answer).await.err().expect("a failure");

        assert_eq!(error.class(), expected, "{error}");
    }
}

#[tokio::test]
async fn what_is_refused_afterwards_is_what_the_person_came_back_with() {
    let cases = [
        (numbered(401, 32), "auth_expired"),
        (numbered(401, 89), "auth_expired"),
        (numbered(401, 135), "config"),
        (numbered(429, 88), "rate_limited"),
        (ResponseTemplate::new(500), "transient"),
    ];

    for (answer, expected) in cases {
        let error = exchanged(answer).await.err().expect("a failure");

        assert_eq!(error.class(), expected, "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(CONSUMER_SECRET), "{shown}");
        assert!(!shown.contains(REQUEST_SECRET), "{shown}");
    }
}
