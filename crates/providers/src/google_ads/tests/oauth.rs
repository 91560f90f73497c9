//! Giving access, new tokens, and the end of a grant.

use std::{collections::HashMap, time::Duration};

use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string_contains, method, path},
};

use super::{
    CLIENT_ID, CLIENT_SECRET, TOKEN, answering, client_of, config, failure, ok, requests_of,
};
use crate::{
    error::Error,
    google_ads::{GoogleAds, GoogleAdsConfig},
    platform::{AdPlatform, AuthorizeRequest, CodeExchange, Grant, OpenDoor, Tokens},
};

const TOKENS: &str = "/oauth/token";
const REFRESH_TOKEN: &str = "fake-google-refresh-token";

fn grant(refresh_token: Option<&str>) -> Grant {
    Grant {
        access_token: TOKEN.into(),
        token_secret: None,
        refresh_token: refresh_token.map(Into::into),
    }
}

fn answer() -> Value {
    json!({"access_token": "fake-google-access-token-2", "expires_in": 3599, "token_type": "Bearer",
        "scope": "https://www.googleapis.com/auth/adwords"})
}

async fn refresh(answer: ResponseTemplate) -> Result<Tokens, Error> {
    let server = answering(TOKENS, answer).await;
    client_of(&server)
        .refresh(&OpenDoor, &grant(Some(REFRESH_TOKEN)))
        .await
}

fn refused(status: u16, body: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

async fn form_of(server: &MockServer) -> HashMap<String, String> {
    let requests = requests_of(server).await;
    url::form_urlencoded::parse(&requests[0].body)
        .into_owned()
        .collect()
}

#[tokio::test]
async fn people_are_sent_to_googles_page_with_state_and_challenge() {
    let server = MockServer::start().await;

    let authorization = client_of(&server)
        .authorize_url(&AuthorizeRequest {
            redirect_uri: "https://app.example.com/v1/oauth/google_ads/callback"
                .parse()
                .expect("a URL"),
            state: "fakeState".to_owned(),
            code_challenge: "fakeChallenge".to_owned(),
        })
        .expect("an address");

    assert_eq!(authorization.url.path(), "/o/oauth2/v2/auth");
    let pairs: HashMap<_, _> = authorization.url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("client_id", CLIENT_ID),
        (
            "redirect_uri",
            "https://app.example.com/v1/oauth/google_ads/callback",
        ),
        ("response_type", "code"),
        (
            "scope",
            "https://www.googleapis.com/auth/adwords https://www.googleapis.com/auth/datamanager",
        ),
        ("access_type", "offline"),
        ("prompt", "consent"),
        ("state", "fakeState"),
        ("code_challenge", "fakeChallenge"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_code_gives_both_tokens() {
    let mut body = answer();
    body["refresh_token"] = json!(REFRESH_TOKEN);
    body["refresh_token_expires_in"] = json!(604_800);
    let server = answering(TOKENS, ok(body)).await;
    let exchange = CodeExchange {
        code: "4/fakeCode".into(),
        redirect_uri: "https://app.example.com/back".parse().expect("a URL"),
        code_verifier: "fakeVerifier".into(),
    };

    let tokens = client_of(&server)
        .exchange(&OpenDoor, &exchange)
        .await
        .expect("tokens");

    let refresh_token = tokens.refresh_token.expect("a refresh token");
    assert_eq!(refresh_token.expose_secret(), REFRESH_TOKEN);
    assert_eq!(tokens.scopes, ["https://www.googleapis.com/auth/adwords"]);
    let end = tokens.refresh_expires_at.expect("an end");
    assert!(end > Utc::now() + TimeDelta::days(6));
    let form = form_of(&server).await;
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "4/fakeCode"),
        ("redirect_uri", "https://app.example.com/back"),
        ("code_verifier", "fakeVerifier"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
    ] {
        assert_eq!(form.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_refresh_without_a_new_refresh_token_leaves_the_old_one() {
    let server = answering(TOKENS, ok(answer())).await;

    let tokens = client_of(&server)
        .refresh(&OpenDoor, &grant(Some(REFRESH_TOKEN)))
        .await
        .expect("tokens");

    assert!(tokens.refresh_token.is_none());
    assert_eq!(tokens.refresh_expires_at, None);
    assert_eq!(
        tokens.access_token.expose_secret(),
        "fake-google-access-token-2"
    );
    let end = tokens.expires_at.expect("an end");
    let in_an_hour = Utc::now() + TimeDelta::seconds(3_599);
    assert!((in_an_hour - end).num_seconds().abs() < 60);
    let form = form_of(&server).await;
    assert_eq!(
        form.get("refresh_token").map(String::as_str),
        Some(REFRESH_TOKEN)
    );
    assert_eq!(
        form.get("grant_type").map(String::as_str),
        Some("refresh_token")
    );
}

#[tokio::test]
async fn every_refusal_of_the_oauth_server_has_its_class() {
    let code = |code: &str| json!({"error": code, "error_description": "Token has been expired or revoked."});
    let policy = json!({"error": "invalid_grant", "error_subtype": "invalid_rapt"});
    let cases = [
        (refused(400, code("invalid_grant")), "auth_expired"),
        (refused(400, policy), "auth_expired"),
        (refused(401, code("invalid_client")), "config"),
        (refused(400, code("unauthorized_client")), "config"),
        (refused(400, code("invalid_request")), "config"),
        (refused(401, json!({})), "config"),
        (refused(403, code("rate_limit_exceeded")), "rate_limited"),
        (ResponseTemplate::new(429), "rate_limited"),
        (ResponseTemplate::new(500), "transient"),
        (ResponseTemplate::new(503), "transient"),
        (refused(400, code("something_new")), "invalid"),
        (refused(200, json!({"token_type": "Bearer"})), "transient"),
    ];

    for (answer, expected) in cases {
        let error = refresh(answer).await.err().expect("a failure");

        assert_eq!(error.class(), expected, "{error}");
        if let Error::RateLimited { retry_after, .. } = error {
            assert_eq!(retry_after, Some(Duration::from_secs(60)));
        }
    }
}

#[tokio::test]
async fn what_the_oauth_server_quotes_of_our_secrets_is_not_kept() {
    let message = format!("Bad {REFRESH_TOKEN} of {CLIENT_SECRET}");
    let answer = refused(
        400,
        json!({"error": "invalid_grant", "error_description": message}),
    );

    let error = refresh(answer).await.err().expect("a failure");

    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(REFRESH_TOKEN), "{shown}");
    assert!(!shown.contains(CLIENT_SECRET), "{shown}");
}

#[tokio::test]
async fn without_credentials_of_ours_nothing_is_sent() {
    let server = MockServer::start().await;
    let google = GoogleAds::new(GoogleAdsConfig {
        client_secret: None,
        ..config(&server)
    })
    .expect("a client");

    let refreshed = google.refresh(&OpenDoor, &grant(Some(REFRESH_TOKEN))).await;
    let nothing_to_use = client_of(&server).refresh(&OpenDoor, &grant(None)).await;

    assert!(matches!(refreshed, Err(Error::Config { .. })));
    assert!(matches!(nothing_to_use, Err(Error::AuthExpired { .. })));
    assert!(requests_of(&server).await.is_empty());
}

#[tokio::test]
async fn a_grant_works_as_long_as_its_refresh_token_does() {
    let alive = answering(TOKENS, ok(answer())).await;
    let gone = answering(
        TOKENS,
        refused(
            400,
            json!({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}),
        ),
    )
    .await;

    let well = client_of(&alive)
        .check(&OpenDoor, &grant(Some(REFRESH_TOKEN)))
        .await
        .expect("a health");
    let ill = client_of(&gone)
        .check(&OpenDoor, &grant(Some(REFRESH_TOKEN)))
        .await
        .expect("a health");

    assert!(well.is_valid);
    assert_eq!(well.scopes, ["https://www.googleapis.com/auth/adwords"]);
    assert!(!ill.is_valid);
    assert_eq!(
        ill.reason.as_deref(),
        Some("Token has been expired or revoked.")
    );
}

#[tokio::test]
async fn an_access_token_alone_works_as_long_as_calls_do() {
    let at = "/v26/customers:listAccessibleCustomers";
    let alive = answering(at, ok(json!({"resourceNames": ["customers/1111111111"]}))).await;
    let gone = answering(
        at,
        failure(401, "authenticationError", "OAUTH_TOKEN_REVOKED"),
    )
    .await;
    let down = answering(at, ResponseTemplate::new(503)).await;

    let well = client_of(&alive).check(&OpenDoor, &grant(None)).await;
    let ill = client_of(&gone).check(&OpenDoor, &grant(None)).await;
    let unknown = client_of(&down).check(&OpenDoor, &grant(None)).await;

    assert!(well.expect("a health").is_valid);
    assert!(!ill.expect("a health").is_valid);
    assert!(matches!(unknown, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn a_grant_is_taken_back_and_may_have_ended_before() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/oauth/revoke"))
        .and(body_string_contains(format!("token={REFRESH_TOKEN}")))
        .respond_with(ok(json!({})))
        .expect(1)
        .mount(&server)
        .await;
    let ended = answering(
        "/oauth/revoke",
        refused(400, json!({"error": "invalid_token"})),
    )
    .await;
    let grant = grant(Some(REFRESH_TOKEN));

    let now = client_of(&server).revoke(&OpenDoor, &grant).await;
    let before = client_of(&ended).revoke(&OpenDoor, &grant).await;

    assert!(now.expect("an answer"));
    assert!(before.expect("an answer"));
}
