//! Consent, tokens whose year does not get longer, and what a token is good for.

use url::Url;

use super::*;
use crate::{DEV_APP_ID, DEV_APP_SECRET, DEV_LINKEDIN_REFRESH_TOKEN};

const BACK: &str = "http://127.0.0.1:9/oauth/callback";
const DAY_S: i64 = 86_400;

/// Asks for consent and gives back the parameters with which the browser is sent home.
async fn consent(li: &Li) -> Vec<(String, String)> {
    let params = form(&[
        ("client_id", DEV_APP_ID),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "r_ads r_ads_reporting"),
        ("state", "fake-state"),
    ]);
    let path = format!("/linkedin/oauth/v2/authorization?{params}");
    let answer = li.site.get(&path).await;
    let address = answer.header("location").expect("an address");
    let back = Url::parse(address).expect("a URL");
    back.query_pairs().into_owned().collect()
}

fn value(params: &[(String, String)], name: &str) -> String {
    let found = params.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

/// Calls an address of OAuth as the app.
async fn as_app(li: &Li, address: &str, params: &[(&str, &str)]) -> Answer {
    let mut all = vec![("client_id", DEV_APP_ID), ("client_secret", DEV_APP_SECRET)];
    all.extend_from_slice(params);
    let path = format!("/linkedin/oauth/v2/{address}");
    li.site.post(&path, FORM, &form(&all)).await
}

async fn tokens(li: &Li) -> Value {
    let code = value(&consent(li).await, "code");
    let params = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", BACK),
    ];
    as_app(li, "accessToken", &params).await.json()
}

async fn refresh(li: &Li, token: &str) -> Answer {
    let params = [("grant_type", "refresh_token"), ("refresh_token", token)];
    as_app(li, "accessToken", &params).await
}

#[tokio::test]
async fn refreshing_does_not_make_the_year_longer() {
    let li = Li::start().await;
    let first = tokens(&li).await;
    let token = first["refresh_token"].as_str().expect("a refresh token");

    li.advance(59 * DAY_S).await;
    let early = refresh(&li, token).await.json();
    li.advance(286 * DAY_S).await;
    let late = refresh(&li, token).await.json();
    li.advance(20 * DAY_S).await;
    let over = refresh(&li, token).await;

    assert_eq!(
        (&first["expires_in"], &first["scope"]),
        (&json!(60 * DAY_S), &json!("r_ads,r_ads_reporting"))
    );
    assert_eq!(first["refresh_token_expires_in"], 365 * DAY_S);
    assert_eq!(early["refresh_token"], first["refresh_token"]);
    assert_eq!(early["refresh_token_expires_in"], 306 * DAY_S);
    // Twenty days before the end an access token has no sixty any more.
    assert_eq!(late["expires_in"], 20 * DAY_S);
    assert_eq!(
        (over.status, &over.json()["error"]),
        (400, &json!("invalid_request"))
    );
    assert!(
        token.len() > 450
            && first["access_token"]
                .as_str()
                .is_some_and(|access| access.len() > 450)
    );
    li.site.stop().await;
}

#[tokio::test]
async fn an_access_token_is_over_after_sixty_days() {
    let li = Li::start().await;
    let token = tokens(&li).await["access_token"].clone();
    let token = token.as_str().expect("a token");
    let headers = format!("{VERSIONED}{}", bearer(token));

    let works = li.get_with("/rest/adAccounts?q=search", &headers).await;
    let active = as_app(&li, "introspectToken", &[("token", token)])
        .await
        .json();
    li.advance(60 * DAY_S).await;
    let expired = li.get_with("/rest/adAccounts?q=search", &headers).await;
    let shown = as_app(&li, "introspectToken", &[("token", token)])
        .await
        .json();
    let unknown = as_app(&li, "introspectToken", &[("token", "nobody's")])
        .await
        .json();

    assert_eq!(works.status, 200, "{}", works.body);
    assert_eq!(
        (&active["active"], &active["status"]),
        (&json!(true), &json!("active"))
    );
    let start = active["created_at"].as_i64().expect("seconds");
    assert_eq!(active["expires_at"], start + 60 * DAY_S);
    assert_eq!(active["scope"], "r_ads,r_ads_reporting");
    assert_eq!(expired.json()["serviceErrorCode"], 65_602);
    assert_eq!(
        (&shown["active"], &shown["status"]),
        (&json!(false), &json!("expired"))
    );
    assert_eq!(unknown, json!({ "active": false }));
    li.site.stop().await;
}

#[tokio::test]
async fn many_apps_are_given_no_refresh_token() {
    let li = Li::start().await;
    let rule = json!({ "platform": "linkedin", "without_scopes": ["refresh_token"] });
    li.site.control("POST", "/consent", &rule).await;

    let told = tokens(&li).await;

    assert!(told["access_token"].is_string());
    assert!(told.get("refresh_token").is_none() && told.get("refresh_token_expires_in").is_none());
    li.site.stop().await;
}

#[tokio::test]
async fn a_person_can_say_no() {
    let li = Li::start().await;
    let no = json!({ "platform": "linkedin", "deny": true });
    li.site.control("POST", "/consent", &no).await;

    let back = consent(&li).await;

    assert_eq!(value(&back, "error"), "user_cancelled_authorize");
    assert_eq!(value(&back, "state"), "fake-state");
    li.site.stop().await;
}

#[tokio::test]
async fn our_own_mistakes_are_told_apart_from_dead_tokens() {
    let li = Li::start().await;
    let wrong = [
        ("client_id", DEV_APP_ID),
        ("client_secret", "wrong"),
        ("grant_type", "refresh_token"),
        ("refresh_token", DEV_LINKEDIN_REFRESH_TOKEN),
    ];

    let of_us = li
        .site
        .post("/linkedin/oauth/v2/accessToken", FORM, &form(&wrong))
        .await;
    let good = refresh(&li, DEV_LINKEDIN_REFRESH_TOKEN).await;
    let dead = refresh(&li, "nobody's").await;

    assert_eq!(
        (of_us.status, &of_us.json()["error"]),
        (401, &json!("invalid_client"))
    );
    assert_eq!(good.status, 200, "{}", good.body);
    assert_eq!(
        (dead.status, &dead.json()["error"]),
        (400, &json!("invalid_request"))
    );
    li.site.stop().await;
}
