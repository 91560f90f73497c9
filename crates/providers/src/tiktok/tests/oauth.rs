//! Access, as the platform gives it, looks at it and ends it.

use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use wiremock::{MockServer, Request};

use super::{SECRET, TOKEN, answering, client, config, envelope, good, requests};
use crate::{
    error::Error,
    platform::{AdPlatform, AuthorizeRequest, CodeExchange, Grant, OpenDoor},
    tiktok::{TikTok, TikTokConfig},
};

const APP_ID: &str = "7100000000000000001";

fn grant(refresh_token: Option<&str>) -> Grant {
    Grant {
        access_token: TOKEN.into(),
        token_secret: None,
        refresh_token: refresh_token.map(Into::into),
    }
}

fn exchange() -> CodeExchange {
    CodeExchange {
        code: "fakeAuthCode1".into(),
        redirect_uri: "https://app.example.com/callback".parse().expect("a URL"),
        code_verifier: "unused".into(),
    }
}

fn without_app(server: &MockServer) -> TikTok {
    TikTok::new(TikTokConfig {
        app_secret: None,
        ..config(server)
    })
    .expect("a client")
}

fn body(request: &Request) -> Value {
    request.body_json().expect("JSON")
}

#[tokio::test]
async fn a_person_is_sent_to_tiktok_with_what_proves_that_we_asked() {
    let server = MockServer::start().await;
    let request = AuthorizeRequest {
        redirect_uri: "https://app.example.com/callback".parse().expect("a URL"),
        state: "fake state".to_owned(),
        code_challenge: "unused".to_owned(),
    };

    let url = client(&server).authorize_url(&request).expect("a page").url;

    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [
        ("app_id", APP_ID),
        ("state", "fake state"),
        ("redirect_uri", "https://app.example.com/callback"),
    ];
    assert_eq!(url.path(), "/portal/auth");
    assert_eq!(
        pairs,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let unset = without_app(&server).authorize_url(&request);
    assert!(matches!(unset, Err(Error::Config { .. })));
}

#[tokio::test]
async fn a_code_becomes_a_token_that_never_ends() {
    let server = answering(good(json!({"access_token": TOKEN,
        "advertiser_ids": ["7000000000000000001"], "scope": [4, "report.read"]})))
    .await;

    let exchanged = client(&server).exchange(&OpenDoor, &exchange()).await;

    let tokens = exchanged.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(tokens.access_token.expose_secret(), TOKEN);
    assert!(tokens.refresh_token.is_none());
    assert_eq!(tokens.expires_at, None);
    assert_eq!(tokens.scopes, ["4", "report.read"]);
    let requests = requests(&server).await;
    assert_eq!(
        requests[0].url.path(),
        "/open_api/v1.3/oauth2/access_token/"
    );
    assert_eq!(
        body(&requests[0]),
        json!({"app_id": APP_ID, "secret": SECRET, "auth_code": "fakeAuthCode1"})
    );
}

#[tokio::test]
async fn a_code_that_is_spent_is_refused_and_not_told() {
    let server = answering(envelope(
        40110,
        "auth_code fakeAuthCode1 is used",
        json!({}),
    ))
    .await;

    let exchanged = client(&server).exchange(&OpenDoor, &exchange()).await;

    let Err(error) = exchanged else {
        panic!("exchanged");
    };
    assert!(matches!(error, Error::Rejected { .. }));
    assert!(!error.to_string().contains("fakeAuthCode1"));
}

#[tokio::test]
async fn a_token_of_tiktoks_own_accounts_is_refreshed_with_both_tokens_anew() {
    let server = answering(good(json!({"access_token": "act.new", "expires_in": 86400,
        "refresh_token": "rft.new", "refresh_token_expires_in": 31536000, "open_id": "fakeOpenId",
        "scope": "user.info.basic,video.list", "token_type": "Bearer"})))
    .await;

    let refreshed = client(&server)
        .refresh(&OpenDoor, &grant(Some("rft.old")))
        .await;

    let tokens = refreshed.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(tokens.access_token.expose_secret(), "act.new");
    let refresh_token = tokens.refresh_token.expect("a refresh token");
    assert_eq!(refresh_token.expose_secret(), "rft.new");
    let ends_in = tokens.expires_at.expect("an end") - Utc::now();
    assert!((TimeDelta::days(1) - ends_in).abs() < TimeDelta::minutes(1));
    assert!(tokens.refresh_expires_at.is_some());
    assert_eq!(tokens.scopes, ["user.info.basic", "video.list"]);
    assert_eq!(tokens.subject.as_deref(), Some("fakeOpenId"));
    let requests = requests(&server).await;
    assert_eq!(
        requests[0].url.path(),
        "/open_api/v1.3/tt_user/oauth2/refresh_token/"
    );
    assert_eq!(body(&requests[0])["refresh_token"], "rft.old");
}

#[tokio::test]
async fn a_token_for_advertisers_cannot_be_refreshed() {
    let server = MockServer::start().await;

    let refreshed = client(&server).refresh(&OpenDoor, &grant(None)).await;

    assert!(matches!(refreshed, Err(Error::AuthExpired { .. })));
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn a_token_is_valid_as_long_as_it_reaches_advertisers() {
    let list =
        json!({"list": [{"advertiser_id": "7000000000000000001", "advertiser_name": "Fake"}]});
    let good = answering(good(list)).await;
    let revoked = answering(envelope(40105, "revoked", json!({}))).await;
    let own_app = answering(envelope(40113, "blocked", json!({}))).await;

    let valid = client(&good)
        .check(&OpenDoor, &grant(None))
        .await
        .expect("an answer");
    let spent = client(&revoked)
        .check(&OpenDoor, &grant(None))
        .await
        .expect("an answer");
    let blocked = client(&own_app).check(&OpenDoor, &grant(None)).await;
    let unset = without_app(&good).check(&OpenDoor, &grant(None)).await;

    assert!(valid.is_valid);
    assert_eq!(valid.expires_at, None);
    assert!(!spent.is_valid && spent.reason.is_some());
    assert!(matches!(blocked, Err(Error::Config { .. })));
    assert!(matches!(unset, Err(Error::Config { .. })));
}

#[tokio::test]
async fn a_grant_that_is_taken_back_twice_is_gone_all_the_same() {
    let taken = answering(good(json!({}))).await;
    let gone = answering(envelope(40105, "revoked", json!({}))).await;
    let twice = answering(envelope(40050, "duplicate", json!({}))).await;

    for server in [&taken, &gone, &twice] {
        let revoked = client(server).revoke(&OpenDoor, &grant(None)).await;
        assert!(matches!(revoked, Ok(true)));
    }

    let requests = requests(&taken).await;
    assert_eq!(
        requests[0].url.path(),
        "/open_api/v1.3/oauth2/revoke_token/"
    );
    assert_eq!(
        body(&requests[0]),
        json!({"app_id": APP_ID, "secret": SECRET, "access_token": TOKEN})
    );
}
