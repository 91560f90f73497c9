//! Access, as the platform gives it, looks at it and ends it.

use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use wiremock::MockServer;

use super::{REFRESH_TOKEN, SECRET, TOKEN, answering, client, config, grant, refusal, requests};
use crate::{
    error::Error,
    linkedin::{LinkedIn, LinkedInConfig},
    platform::{
        AdPlatform, AuthorizeRequest, CodeExchange, Grant, OpenDoor, Tokens, testing::RecordingDoor,
    },
};

fn answer() -> Value {
    json!({"access_token": TOKEN, "expires_in": 5184000, "refresh_token": REFRESH_TOKEN,
        "refresh_token_expires_in": 20736000, "scope": "r_ads,r_ads_reporting,rw_conversions"})
}

fn redirect() -> url::Url {
    "https://app.example.com/callback".parse().expect("a URL")
}

fn without_app(server: &MockServer) -> LinkedIn {
    LinkedIn::new(LinkedInConfig {
        client_id: None,
        client_secret: None,
        ..config(server)
    })
    .expect("a client")
}

async fn refresh(status: u16, body: Value) -> Result<Tokens, Error> {
    let server = answering(status, body).await;
    client(&server).refresh(&OpenDoor, &grant()).await
}

async fn refresh_failure(status: u16, body: Value) -> Error {
    match refresh(status, body).await {
        Ok(_) => panic!("refreshed"),
        Err(error) => error,
    }
}

fn is_in(end: Option<chrono::DateTime<Utc>>, seconds: i64) -> bool {
    let expected = Utc::now() + TimeDelta::seconds(seconds);
    end.is_some_and(|end| (expected - end).abs() < TimeDelta::minutes(1))
}

#[tokio::test]
async fn a_person_is_sent_to_linkedin_with_what_proves_that_we_asked() {
    let server = MockServer::start().await;
    let request = AuthorizeRequest {
        redirect_uri: redirect(),
        state: "fake state".to_owned(),
        code_challenge: "unused".to_owned(),
    };

    let url = client(&server).authorize_url(&request).expect("a page").url;

    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [
        ("response_type", "code"),
        ("client_id", "fakeclient"),
        ("redirect_uri", "https://app.example.com/callback"),
        ("state", "fake state"),
        ("scope", "r_ads r_ads_reporting rw_ads"),
    ];
    assert_eq!(url.path(), "/oauth/v2/authorization");
    assert_eq!(
        pairs,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let unset = without_app(&server).authorize_url(&request);
    assert!(matches!(unset, Err(Error::Config { .. })));
}

#[tokio::test]
async fn a_code_becomes_tokens_with_both_of_their_ends() {
    let server = answering(200, answer()).await;
    let door = RecordingDoor::default();
    let exchange = CodeExchange {
        code: "fakeCode1".into(),
        redirect_uri: redirect(),
        code_verifier: "unused".into(),
    };

    let exchanged = client(&server).exchange(&door, &exchange).await;

    let tokens = exchanged.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(tokens.access_token.expose_secret(), TOKEN);
    let refresh_token = tokens.refresh_token.expect("a refresh token");
    assert_eq!(refresh_token.expose_secret(), REFRESH_TOKEN);
    assert!(is_in(tokens.expires_at, 5_184_000));
    assert!(is_in(tokens.refresh_expires_at, 20_736_000));
    assert_eq!(
        tokens.scopes,
        ["r_ads", "r_ads_reporting", "rw_conversions"]
    );
    let requests = requests(&server).await;
    assert_eq!(requests[0].url.path(), "/oauth/v2/accessToken");
    assert_eq!(
        String::from_utf8_lossy(&requests[0].body),
        format!(
            "grant_type=authorization_code&code=fakeCode1\
             &redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback\
             &client_id=fakeclient&client_secret={SECRET}"
        )
    );
    assert_eq!(door.records()[0].endpoint, "POST oauth/v2/accessToken");
}

#[tokio::test]
async fn an_app_that_gets_no_refresh_token_keeps_what_it_has() {
    let tokens = refresh(200, json!({"access_token": TOKEN, "expires_in": 600})).await;

    let tokens = tokens.unwrap_or_else(|error| panic!("{error}"));

    assert!(tokens.refresh_token.is_none());
    assert!(tokens.refresh_expires_at.is_none());
    assert!(is_in(tokens.expires_at, 600));
}

#[tokio::test]
async fn each_refusal_of_tokens_is_what_a_caller_decides_on() {
    let spent = "The provided authorization grant or refresh token is invalid, expired or revoked";
    let named = |error: &str| json!({"error": error, "error_description": "no"});

    let by_words = json!({"error": "invalid_request", "error_description": spent});
    let by_words = refresh_failure(400, by_words).await;
    let by_name = refresh_failure(400, named("invalid_grant")).await;
    let missing = refresh_failure(400, named("invalid_request")).await;
    let own_secret = refresh_failure(401, named("invalid_client")).await;
    let busy = refresh_failure(429, json!({})).await;
    let broken = refresh_failure(503, json!({})).await;

    assert!(matches!(by_words, Error::AuthExpired { .. }));
    assert!(matches!(by_name, Error::AuthExpired { .. }));
    assert!(matches!(missing, Error::Rejected { .. }));
    assert!(matches!(own_secret, Error::Config { .. }));
    assert!(matches!(
        busy,
        Error::RateLimited {
            retry_after: Some(_),
            ..
        }
    ));
    assert!(matches!(broken, Error::Unavailable { .. }));
    assert_eq!(by_name.detail().code.as_deref(), Some("invalid_grant"));
}

#[tokio::test]
async fn secrets_that_are_quoted_back_are_not_told() {
    let description = format!("{REFRESH_TOKEN} of {SECRET}");

    let error = refresh_failure(
        400,
        json!({"error": "invalid_request", "error_description": description}),
    )
    .await;

    let told = error.to_string();
    assert!(!told.contains(REFRESH_TOKEN) && !told.contains(SECRET));
}

#[tokio::test]
async fn without_a_refresh_token_the_person_has_to_come_back() {
    let server = MockServer::start().await;
    let grant = Grant {
        refresh_token: None,
        ..grant()
    };

    let refreshed = client(&server).refresh(&OpenDoor, &grant).await;

    assert!(matches!(refreshed, Err(Error::AuthExpired { .. })));
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn a_token_is_looked_at_with_the_apps_secret() {
    let server = answering(
        200,
        json!({"active": true, "client_id": "fakeclient", "authorized_at": 1761900000, "created_at": 1761900000,
            "status": "active", "expires_at": 1767084000, "scope": "r_ads,r_ads_reporting", "auth_type": "3L"}),
    )
    .await;

    let health = client(&server)
        .check(&OpenDoor, &grant())
        .await
        .expect("an answer");

    assert!(health.is_valid);
    assert_eq!(
        health.expires_at.map(|end| end.timestamp()),
        Some(1_767_084_000)
    );
    assert_eq!(health.scopes, ["r_ads", "r_ads_reporting"]);
    assert_eq!(health.reason, None);
    let requests = requests(&server).await;
    assert_eq!(requests[0].url.path(), "/oauth/v2/introspectToken");
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_not_valid() {
    let server = answering(200, json!({"active": false, "status": "revoked"})).await;

    let health = client(&server)
        .check(&OpenDoor, &grant())
        .await
        .expect("an answer");

    assert!(!health.is_valid);
    assert!(
        health
            .reason
            .is_some_and(|reason| reason.contains("revoked"))
    );
}

#[tokio::test]
async fn without_an_app_a_token_is_tried() {
    let good = answering(
        200,
        json!({"elements": [], "paging": {"start": 0, "count": 1}}),
    )
    .await;
    let bad = answering(401, refusal("REVOKED_ACCESS_TOKEN", 65601, "revoked")).await;

    let valid = without_app(&good)
        .check(&OpenDoor, &grant())
        .await
        .expect("an answer");
    let spent = without_app(&bad)
        .check(&OpenDoor, &grant())
        .await
        .expect("an answer");

    assert!(valid.is_valid);
    assert!(!spent.is_valid);
    assert!(spent.reason.is_some());
    let requests = requests(&good).await;
    assert_eq!(
        requests[0].url.query(),
        Some("q=authenticatedUser&start=0&count=1")
    );
}

#[tokio::test]
async fn linkedin_has_no_way_to_take_a_grant_back() {
    let server = MockServer::start().await;

    let revoked = client(&server).revoke(&OpenDoor, &grant()).await;

    assert!(matches!(revoked, Ok(false)));
}
