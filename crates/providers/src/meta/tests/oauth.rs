//! Access that people give.

use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;
use wiremock::{
    Mock,
    matchers::{path, query_param, query_param_is_missing},
};

use super::{APP_ID, APP_SECRET, PROOF, Site, TOKEN, graph_error, ok, token};
use crate::{
    error::Error,
    meta::{Meta, MetaConfig},
    platform::{AdPlatform, AuthorizeRequest, CodeExchange, Grant, Tokens},
};

const LONG: &str = "EAAfakeLongToken000000000000000000000000003";

fn grant() -> Grant {
    Grant {
        access_token: token(),
        token_secret: None,
        refresh_token: None,
    }
}

fn debugged() -> Value {
    json!({"data": {
        "app_id": APP_ID, "type": "USER", "application": "Fake App", "data_access_expires_at": 1_769_900_000,
        "expires_at": 1_767_300_000, "is_valid": true, "issued_at": 1_762_100_000,
        "scopes": ["ads_read", "leads_retrieval"],
        "granular_scopes": [{"scope": "ads_read", "target_ids": ["1000000000001"]}],
        "user_id": "10000000000000001"
    }})
}

/// Whether a token ends about 60 days from now, less five minutes.
fn ends_in_sixty_days(tokens: &Tokens) -> bool {
    let end = Utc::now() + TimeDelta::seconds(5_183_944) - TimeDelta::minutes(5);
    let off = tokens.expires_at.map(|told| (told - end).abs());
    off.is_some_and(|off| off < TimeDelta::minutes(1))
}

fn request() -> AuthorizeRequest {
    AuthorizeRequest {
        redirect_uri: "https://app.example.com/v1/oauth/meta/callback?a=1"
            .parse()
            .expect("a URL"),
        state: "fake state".to_owned(),
        code_challenge: "unused".to_owned(),
    }
}

fn with_base(base: &str) -> Meta {
    Meta::new(MetaConfig {
        base_url: Url::parse(base).expect("a URL"),
        app_id: Some(APP_ID.to_owned()),
        app_secret: Some(APP_SECRET.into()),
        ..MetaConfig::default()
    })
    .expect("a client")
}

#[test]
fn people_are_sent_to_the_site_and_not_to_the_api() {
    let meta = with_base("https://graph.facebook.com/v26.0");

    let url = meta.authorize_url(&request()).expect("an address").url;

    assert_eq!(url.host_str(), Some("www.facebook.com"));
    assert_eq!(url.path(), "/v26.0/dialog/oauth");
    let param = |name: &str| {
        let mut pairs = url.query_pairs();
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    };
    assert_eq!(param("client_id").as_deref(), Some(APP_ID));
    assert_eq!(param("state").as_deref(), Some("fake state"));
    assert_eq!(param("response_type").as_deref(), Some("code"));
    assert_eq!(
        param("redirect_uri").as_deref(),
        Some(request().redirect_uri.as_str())
    );
    let scopes = param("scope").expect("scopes");
    assert!(scopes.split(',').any(|scope| scope == "ads_read"));
    assert!(!url.as_str().contains(APP_SECRET));
}

#[test]
fn a_host_that_stands_in_for_meta_is_its_site_too() {
    let meta = with_base("http://127.0.0.1:4000/v26.0");

    let url = meta.authorize_url(&request()).expect("an address").url;

    assert!(
        url.as_str()
            .starts_with("http://127.0.0.1:4000/v26.0/dialog/oauth?")
    );
}

#[test]
fn without_the_apps_id_and_secret_nobody_can_give_access() {
    for (id, secret) in [(None, Some(APP_SECRET)), (Some(APP_ID), None)] {
        let meta = Meta::new(MetaConfig {
            app_id: id.map(str::to_owned),
            app_secret: secret.map(Into::into),
            ..MetaConfig::default()
        })
        .expect("a client");

        let refused = meta.authorize_url(&request());

        assert!(matches!(refused, Err(Error::Config { .. })));
    }
}

#[tokio::test]
async fn a_code_becomes_a_long_lived_token_with_what_was_granted() {
    let site = Site::new().await;
    Mock::given(path("/v26.0/oauth/access_token"))
        .and(query_param("code", "fake-code"))
        .and(query_param_is_missing("grant_type"))
        .respond_with(ok(
            json!({"access_token": TOKEN, "token_type": "bearer", "expires_in": 5_400}),
        ))
        .mount(&site.server)
        .await;
    Mock::given(path("/v26.0/oauth/access_token"))
        .and(query_param("grant_type", "fb_exchange_token"))
        .and(query_param("fb_exchange_token", TOKEN))
        .respond_with(ok(
            json!({"access_token": LONG, "token_type": "bearer", "expires_in": 5_183_944}),
        ))
        .mount(&site.server)
        .await;
    site.on("GET", "debug_token", ok(debugged())).await;
    let exchange = CodeExchange {
        code: "fake-code".into(),
        redirect_uri: request().redirect_uri,
        code_verifier: "unused".into(),
    };

    let tokens = site.meta.exchange(&site.door, &exchange).await;

    let tokens = tokens.expect("tokens");
    assert_eq!(tokens.access_token.expose_secret(), LONG);
    assert!(ends_in_sixty_days(&tokens));
    assert_eq!(tokens.scopes, ["ads_read", "leads_retrieval"]);
    assert_eq!(tokens.subject.as_deref(), Some("10000000000000001"));
    assert!(tokens.refresh_token.is_none());
    let asked = site.asked().await;
    assert_eq!(asked[0]["redirect_uri"], request().redirect_uri.as_str());
    assert_eq!(asked[1]["client_secret"], APP_SECRET);
    assert_eq!(asked[2]["input_token"], LONG);
    assert_eq!(site.door.records().len(), 3);
}

#[tokio::test]
async fn a_living_token_is_renewed_by_itself() {
    let site = Site::new().await;
    site.on(
        "GET",
        "oauth/access_token",
        ok(json!({"access_token": LONG, "expires_in": 5_183_944})),
    )
    .await;

    let tokens = site.meta.refresh(&site.door, &grant()).await;

    assert!(ends_in_sixty_days(&tokens.expect("tokens")));
    let asked = &site.asked().await[0];
    assert_eq!(asked["grant_type"], "fb_exchange_token");
    assert_eq!(asked["fb_exchange_token"], TOKEN);
    assert_eq!(asked["client_id"], APP_ID);
    assert!(!asked.contains_key("appsecret_proof"));
    assert_eq!(site.requests().await.len(), 1);
}

#[tokio::test]
async fn an_end_that_is_not_said_is_asked_for() {
    let site = Site::new().await;
    site.on(
        "GET",
        "oauth/access_token",
        ok(json!({"access_token": LONG, "token_type": "bearer"})),
    )
    .await;
    site.on("GET", "debug_token", ok(debugged())).await;

    let tokens = site.meta.refresh(&site.door, &grant()).await;

    let tokens = tokens.expect("tokens");
    assert_eq!(
        tokens.expires_at.map(|end| end.timestamp()),
        Some(1_767_300_000)
    );
}

#[tokio::test]
async fn a_token_that_is_over_cannot_be_renewed() {
    let site = Site::new().await;
    let error =
        json!({"message": format!("{TOKEN} has expired"), "code": 190, "error_subcode": 463});
    site.on("GET", "oauth/access_token", graph_error(400, error))
        .await;

    let refused = site.meta.refresh(&site.door, &grant()).await.err();

    let refused = refused.expect("a refusal");
    assert!(matches!(refused, Error::AuthExpired { .. }), "{refused}");
    assert!(!refused.to_string().contains("EAA"));
}

#[tokio::test]
async fn our_own_wrong_secret_is_no_matter_of_the_customers() {
    let site = Site::new().await;
    let error =
        json!({"message": format!("Error validating client secret {APP_SECRET}"), "code": 101});
    site.on("GET", "oauth/access_token", graph_error(400, error))
        .await;

    let refused = site.meta.refresh(&site.door, &grant()).await.err();

    let refused = refused.expect("a refusal");
    assert!(matches!(refused, Error::Config { .. }), "{refused}");
    assert!(!refused.to_string().contains(APP_SECRET));
}

#[tokio::test]
async fn a_tokens_two_clocks_are_told_apart() {
    let site = Site::new().await;
    site.on("GET", "debug_token", ok(debugged())).await;

    let health = site
        .meta
        .check(&site.door, &grant())
        .await
        .expect("an answer");

    assert!(health.is_valid);
    assert_eq!(
        health.expires_at.map(|end| end.timestamp()),
        Some(1_767_300_000)
    );
    let data_access = health.data_access_expires_at.map(|end| end.timestamp());
    assert_eq!(data_access, Some(1_769_900_000));
    assert_eq!(health.scopes, ["ads_read", "leads_retrieval"]);
    let request = &site.requests().await[0];
    let bearer = request.headers["authorization"].to_str().expect("text");
    assert_eq!(bearer, format!("Bearer {APP_ID}|{APP_SECRET}"));
    assert!(!site.asked().await[0].contains_key("appsecret_proof"));
}

#[tokio::test]
async fn a_token_that_never_ends_did_not_end_in_1970() {
    let site = Site::new().await;
    let mut page = debugged();
    page["data"]["expires_at"] = json!(0);
    page["data"]["data_access_expires_at"] = json!(0);
    site.on("GET", "debug_token", ok(page)).await;

    let health = site
        .meta
        .check(&site.door, &grant())
        .await
        .expect("an answer");

    assert!(health.is_valid);
    assert_eq!(
        (health.expires_at, health.data_access_expires_at),
        (None, None)
    );
}

#[tokio::test]
async fn a_token_that_does_not_work_is_an_answer_and_no_failure() {
    let site = Site::new().await;
    let answer = json!({"data": {
        "error": {"code": 190, "message": format!("Cannot parse {TOKEN}"), "subcode": 463}, "is_valid": false, "scopes": []
    }});
    site.on("GET", "debug_token", ok(answer)).await;

    let health = site
        .meta
        .check(&site.door, &grant())
        .await
        .expect("an answer");

    assert!(!health.is_valid);
    assert_eq!(health.reason.as_deref(), Some("Cannot parse ***"));
}

#[tokio::test]
async fn a_grant_is_taken_back_in_the_persons_name() {
    let site = Site::new().await;
    site.on("DELETE", "me/permissions", ok(json!({"success": true})))
        .await;

    let is_done = site
        .meta
        .revoke(&site.door, &grant())
        .await
        .expect("an answer");

    assert!(is_done);
    assert_eq!(site.asked().await[0]["appsecret_proof"], PROOF);
}

#[tokio::test]
async fn a_grant_that_was_not_taken_back_is_not_said_to_be() {
    let site = Site::new().await;
    site.on("DELETE", "me/permissions", ok(json!({"success": false})))
        .await;

    let refused = site.meta.revoke(&site.door, &grant()).await;

    assert!(matches!(refused, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn an_answer_without_a_token_is_none() {
    let site = Site::new().await;
    site.on(
        "GET",
        "oauth/access_token",
        ok(json!({"token_type": "bearer"})),
    )
    .await;

    let refused = site.meta.refresh(&site.door, &grant()).await.err();

    assert!(matches!(refused, Some(Error::Unavailable { .. })));
}
