//! Giving access, new tokens, and the end of a grant.

use std::{collections::HashMap, time::Duration};

use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{header, path},
};

use super::{
    CLIENT_ID, CLIENT_SECRET, TOKEN, TOKEN_SECRET, answering, client_of, config, ok, requests_to,
};
use crate::{
    error::Error,
    platform::{
        AdPlatform, AuthorizeRequest, CodeExchange, Grant, OpenDoor, Tokens, testing::RecordingDoor,
    },
    x::{X, XConfig},
};

const TOKENS: &str = "/2/oauth2/token";
const REVOKE: &str = "/2/oauth2/revoke";
const ACCOUNTS: &str = "/12/accounts";
const REFRESH_TOKEN: &str = "fakeXRefreshNotReal1";

/// A grant of OAuth 2.0.
fn grant() -> Grant {
    Grant {
        access_token: "fakeXAccessNotReal1".into(),
        token_secret: None,
        refresh_token: Some(REFRESH_TOKEN.into()),
    }
}

/// A grant of OAuth 1.0a.
fn signing_grant() -> Grant {
    Grant {
        access_token: TOKEN.into(),
        token_secret: Some(TOKEN_SECRET.into()),
        refresh_token: None,
    }
}

fn answer() -> Value {
    json!({"token_type": "bearer", "expires_in": 7200, "access_token": "fakeXAccessNotReal",
        "scope": "users.read tweet.read offline.access", "refresh_token": "fakeXRefreshNotReal2"})
}

fn spent() -> ResponseTemplate {
    ResponseTemplate::new(400).set_body_json(
        json!({"error": "invalid_request", "error_description": "Value passed for the token was invalid."}),
    )
}

fn form_of(request: &Request) -> HashMap<String, String> {
    url::form_urlencoded::parse(&request.body)
        .into_owned()
        .collect()
}

async fn refresh(server: &MockServer) -> Result<Tokens, Error> {
    client_of(server).refresh(&OpenDoor, &grant()).await
}

/// A client that waits for half a second.
fn hasty(server: &MockServer) -> X {
    X::new(XConfig {
        timeout: Duration::from_millis(500),
        ..config(server)
    })
    .expect("a client")
}

fn too_late() -> ResponseTemplate {
    ok(answer()).set_delay(Duration::from_secs(5))
}

#[tokio::test]
async fn people_are_sent_to_xs_page_with_state_and_challenge() {
    let server = MockServer::start().await;
    let request = AuthorizeRequest {
        redirect_uri: "https://app.example.com/v1/oauth/x/callback"
            .parse()
            .expect("a URL"),
        state: "fakeState".to_owned(),
        code_challenge: "fakeChallenge".to_owned(),
    };
    let without_client = X::new(XConfig {
        client_id: None,
        ..config(&server)
    })
    .expect("a client");

    let authorization = client_of(&server).authorize_url(&request).expect("a page");
    let refused = without_client.authorize_url(&request);

    assert_eq!(authorization.url.path(), "/i/oauth2/authorize");
    let pairs: HashMap<_, _> = authorization.url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        (
            "redirect_uri",
            "https://app.example.com/v1/oauth/x/callback",
        ),
        ("state", "fakeState"),
        ("code_challenge", "fakeChallenge"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
    }
    // Without it there is no refresh token.
    assert!(pairs["scope"].contains("offline.access"));
    assert!(matches!(refused, Err(Error::Config { .. })));
}

#[tokio::test]
async fn a_client_with_a_secret_shows_it_in_the_header_alone() {
    let server = MockServer::start().await;
    // base64 of fakeClientIdNotReal:fakeClientSecretNotReal
    let basic = "Basic ZmFrZUNsaWVudElkTm90UmVhbDpmYWtlQ2xpZW50U2VjcmV0Tm90UmVhbA==";
    Mock::given(path(TOKENS))
        .and(header("authorization", basic))
        .respond_with(ok(answer()))
        .mount(&server)
        .await;
    let exchange = CodeExchange {
        code: "fakeCode".into(),
        redirect_uri: "https://app.example.com/back".parse().expect("a URL"),
        code_verifier: "fakeVerifier".into(),
    };

    let tokens = client_of(&server)
        .exchange(&OpenDoor, &exchange)
        .await
        .expect("tokens");

    assert_eq!(tokens.access_token.expose_secret(), "fakeXAccessNotReal");
    assert!(tokens.token_secret.is_none());
    let form = form_of(&requests_to(&server, TOKENS).await[0]);
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "fakeCode"),
        ("redirect_uri", "https://app.example.com/back"),
        ("code_verifier", "fakeVerifier"),
    ] {
        assert_eq!(form.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!form.contains_key("client_secret") && !form.contains_key("client_id"));
}

#[tokio::test]
async fn a_client_without_a_secret_names_itself() {
    let server = answering(TOKENS, ok(answer())).await;
    let public = X::new(XConfig {
        client_secret: None,
        ..config(&server)
    })
    .expect("a client");

    let tokens = public.refresh(&OpenDoor, &grant()).await;

    assert!(tokens.is_ok());
    let requests = requests_to(&server, TOKENS).await;
    assert!(!requests[0].headers.contains_key("authorization"));
    let form = form_of(&requests[0]);
    assert_eq!(form.get("client_id").map(String::as_str), Some(CLIENT_ID));
}

#[tokio::test]
async fn a_refresh_gives_the_next_refresh_token_with_the_access_token() {
    let server = answering(TOKENS, ok(answer())).await;

    let tokens = refresh(&server).await.expect("tokens");

    let next = tokens.refresh_token.expect("a refresh token");
    assert_eq!(next.expose_secret(), "fakeXRefreshNotReal2");
    assert_eq!(
        tokens.scopes,
        ["users.read", "tweet.read", "offline.access"]
    );
    let end = tokens.expires_at.expect("an end");
    let in_two_hours = Utc::now() + TimeDelta::seconds(7_200);
    assert!((in_two_hours - end).num_seconds().abs() < 60);
    let requests = requests_to(&server, TOKENS).await;
    assert_eq!(requests.len(), 1);
    let form = form_of(&requests[0]);
    assert_eq!(
        form.get("refresh_token").map(String::as_str),
        Some(REFRESH_TOKEN)
    );
}

#[tokio::test]
async fn after_a_lost_answer_the_old_refresh_token_is_tried_once_more() {
    let server = MockServer::start().await;
    Mock::given(path(TOKENS))
        .respond_with(too_late())
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path(TOKENS))
        .respond_with(ok(answer()))
        .mount(&server)
        .await;
    let door = RecordingDoor::default();

    let tokens = hasty(&server).refresh(&door, &grant()).await;

    assert!(tokens.is_ok());
    assert_eq!(door.records().len(), 2);
    let requests = requests_to(&server, TOKENS).await;
    assert_eq!(form_of(&requests[0]), form_of(&requests[1]));
}

#[tokio::test]
async fn a_refresh_token_that_was_used_up_by_a_lost_answer_is_spent() {
    let server = MockServer::start().await;
    Mock::given(path(TOKENS))
        .respond_with(too_late())
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path(TOKENS))
        .respond_with(spent())
        .mount(&server)
        .await;

    let result = hasty(&server).refresh(&OpenDoor, &grant()).await;

    assert!(matches!(result, Err(Error::AuthExpired { .. })));
}

#[tokio::test]
async fn an_answer_that_came_is_not_asked_for_twice() {
    let server = answering(TOKENS, spent()).await;

    let result = refresh(&server).await;

    assert!(matches!(result, Err(Error::AuthExpired { .. })));
    assert_eq!(requests_to(&server, TOKENS).await.len(), 1);
}

#[tokio::test]
async fn every_refusal_of_the_oauth_server_has_its_class() {
    let coded = |status: u16, code: &str| {
        ResponseTemplate::new(status).set_body_json(json!({ "error": code }))
    };
    let wrong = |what: &str| {
        let said = format!("Value passed for the {what} was invalid.");
        let body = json!({"error": "invalid_request", "error_description": said});
        ResponseTemplate::new(400).set_body_json(body)
    };
    let cases = [
        (spent(), "auth_expired"),
        (wrong("authorization code"), "auth_expired"),
        // It is ours.
        (wrong("client id"), "config"),
        (wrong("redirect uri"), "config"),
        (coded(400, "invalid_grant"), "auth_expired"),
        (coded(401, "unauthorized_client"), "config"),
        (coded(401, "invalid_client"), "config"),
        (coded(400, "invalid_request"), "config"),
        (
            ResponseTemplate::new(401)
                .set_body_json(json!({"title": "Unauthorized", "status": 401})),
            "config",
        ),
        (ResponseTemplate::new(429), "rate_limited"),
        (ResponseTemplate::new(503), "transient"),
        (coded(400, "something_new"), "invalid"),
        (ok(json!({"token_type": "bearer"})), "transient"),
    ];

    for (answer, expected) in cases {
        let server = answering(TOKENS, answer).await;

        let error = refresh(&server).await.err().expect("a failure");

        assert_eq!(error.class(), expected, "{error}");
    }
}

#[tokio::test]
async fn tokens_of_oauth_1_have_nothing_to_be_refreshed_with() {
    let server = MockServer::start().await;

    let result = client_of(&server)
        .refresh(&OpenDoor, &signing_grant())
        .await;

    assert!(matches!(result, Err(Error::AuthExpired { .. })));
    assert!(requests_to(&server, TOKENS).await.is_empty());
}

#[tokio::test]
async fn looking_at_a_grant_uses_no_refresh_token_up() {
    let alive = answering(ACCOUNTS, ok(json!({"data": [], "next_cursor": null}))).await;
    let refusal = json!({"errors": [{"code": 89, "message": "Invalid or expired token."}]});
    let gone = answering(ACCOUNTS, ResponseTemplate::new(401).set_body_json(refusal)).await;
    let down = answering(ACCOUNTS, ResponseTemplate::new(503)).await;

    let well = client_of(&alive).check(&OpenDoor, &grant()).await;
    let ill = client_of(&gone).check(&OpenDoor, &signing_grant()).await;
    let unknown = client_of(&down).check(&OpenDoor, &grant()).await;

    assert!(well.expect("a health").is_valid);
    let ill = ill.expect("a health");
    assert!(!ill.is_valid);
    assert_eq!(ill.reason.as_deref(), Some("Invalid or expired token."));
    assert!(matches!(unknown, Err(Error::Unavailable { .. })));
    assert!(requests_to(&alive, TOKENS).await.is_empty());
}

#[tokio::test]
async fn a_grant_of_oauth_2_is_taken_back_and_one_of_oauth_1_cannot_be() {
    let server = answering(REVOKE, ok(json!({"revoked": true}))).await;
    let ended = answering(REVOKE, spent()).await;

    let now = client_of(&server).revoke(&OpenDoor, &grant()).await;
    let before = client_of(&ended).revoke(&OpenDoor, &grant()).await;
    let never = client_of(&server).revoke(&OpenDoor, &signing_grant()).await;

    assert!(now.expect("an answer"));
    assert!(before.expect("an answer"));
    assert!(!never.expect("an answer"));
    let requests = requests_to(&server, REVOKE).await;
    assert_eq!(requests.len(), 1);
    let form = form_of(&requests[0]);
    assert_eq!(form.get("token").map(String::as_str), Some(REFRESH_TOKEN));
}

#[tokio::test]
async fn what_the_oauth_server_quotes_of_our_secrets_is_not_kept() {
    let message = format!("Bad {REFRESH_TOKEN} of {CLIENT_SECRET}");
    let body = json!({"error": "invalid_grant", "error_description": message});
    let server = answering(TOKENS, ResponseTemplate::new(400).set_body_json(body)).await;

    let error = refresh(&server).await.err().expect("a failure");

    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(REFRESH_TOKEN), "{shown}");
    assert!(!shown.contains(CLIENT_SECRET), "{shown}");
}
