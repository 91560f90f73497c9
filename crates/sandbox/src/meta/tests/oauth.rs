//! From a person's consent to tokens, and to their end.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    Answer, DEV_META_APP_ID, DEV_META_APP_SECRET, Serializer, Site, Url, assert_refused, signed_by,
    stopped, tell,
};

const BACK: &str = "http://localhost:3000/back?from=meta";

/// The address that the person's browser is sent to.
async fn consent(site: &Site) -> Url {
    let query = Serializer::new(String::new())
        .append_pair("client_id", DEV_META_APP_ID)
        .append_pair("redirect_uri", BACK)
        .append_pair("state", "the state")
        .append_pair("scope", "ads_read,pages_show_list,read_insights")
        .finish();
    let answer = site.get(&format!("/v26.0/dialog/oauth?{query}")).await;
    assert_eq!(answer.status, 302, "{}", answer.body);
    Url::parse(answer.header("location").expect("an address")).expect("an address")
}

fn param(address: &Url, name: &str) -> Option<String> {
    let mut pairs = address.query_pairs();
    pairs.find_map(|(found, value)| (found == name).then(|| value.into_owned()))
}

async fn tokens(site: &Site, secret: &str, params: &[(&str, &str)]) -> Answer {
    let query = Serializer::new(String::new())
        .append_pair("client_id", DEV_META_APP_ID)
        .append_pair("client_secret", secret)
        .extend_pairs(params)
        .finish();
    site.get(&format!("/v26.0/oauth/access_token?{query}"))
        .await
}

async fn redeem(site: &Site, code: &str, redirect_uri: &str) -> Answer {
    let params = [("code", code), ("redirect_uri", redirect_uri)];
    tokens(site, DEV_META_APP_SECRET, &params).await
}

async fn exchange(site: &Site, token: &str) -> Answer {
    let params = [
        ("grant_type", "fb_exchange_token"),
        ("fb_exchange_token", token),
    ];
    tokens(site, DEV_META_APP_SECRET, &params).await
}

fn token(answer: &Answer) -> String {
    let token = answer.json()["access_token"].as_str().map(str::to_owned);
    token.expect("a token")
}

/// A long-lived token of somebody who consented just now.
async fn long_token(site: &Site) -> String {
    let code = param(&consent(site).await, "code").expect("a code");
    let short = token(&redeem(site, &code, BACK).await);
    token(&exchange(site, &short).await)
}

async fn debug(site: &Site, token: &str) -> Value {
    let app = format!("{DEV_META_APP_ID}%7C{DEV_META_APP_SECRET}");
    let path = format!("/v26.0/debug_token?input_token={token}&access_token={app}");
    site.get(&path).await.json()["data"].clone()
}

#[tokio::test]
async fn a_consent_becomes_a_short_token_and_then_one_of_sixty_days() {
    let site = stopped().await;
    let back = consent(&site).await;
    let code = param(&back, "code").expect("a code");

    let short = redeem(&site, &code, BACK).await;
    let long = exchange(&site, &token(&short)).await;

    assert_eq!(param(&back, "state").as_deref(), Some("the state"));
    assert_eq!(param(&back, "from").as_deref(), Some("meta"));
    assert_eq!(short.json()["expires_in"], 5_400);
    assert_eq!(long.json()["expires_in"], 5_183_944);
    let told = debug(&site, &token(&long)).await;
    let now = site.sandbox.clock().now().timestamp();
    assert_eq!(told["type"], "USER");
    assert_eq!(told["expires_at"], now + 5_183_944);
    assert_eq!(told["data_access_expires_at"], now + 90 * 86_400);
    assert_eq!(
        told["scopes"],
        json!(["ads_read", "pages_show_list", "read_insights"])
    );
    site.stop().await;
}

#[tokio::test]
async fn a_code_is_good_once_and_for_one_address() {
    let site = stopped().await;
    let code = param(&consent(&site).await, "code").expect("a code");
    let other = param(&consent(&site).await, "code").expect("a code");

    redeem(&site, &code, BACK).await;
    let again = redeem(&site, &code, BACK).await;
    let elsewhere = redeem(&site, &other, "http://localhost:3000/").await;

    assert_refused(&again, 100, Some(36_009));
    assert_refused(&elsewhere, 100, Some(36_008));
    site.stop().await;
}

#[tokio::test]
async fn a_person_may_say_no() {
    let site = stopped().await;
    tell(
        &site,
        "/consent",
        json!({ "platform": "meta", "deny": true }),
    )
    .await;

    let back = consent(&site).await;

    assert_eq!(param(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(param(&back, "code"), None);
    assert_eq!(param(&back, "state").as_deref(), Some("the state"));
    site.stop().await;
}

#[tokio::test]
async fn a_wrong_app_secret_is_the_apps_fault_and_not_the_tokens() {
    let site = stopped().await;
    let code = param(&consent(&site).await, "code").expect("a code");

    let params = [("code", code.as_str()), ("redirect_uri", BACK)];
    let wrong = tokens(&site, "another secret", &params).await;
    let right = redeem(&site, &code, BACK).await;

    assert_refused(&wrong, 101, None);
    assert_eq!(right.status, 200, "{}", right.body);
    site.stop().await;
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_cannot_be_exchanged_after_it() {
    let site = stopped().await;
    let long = long_token(&site).await;
    let clock = site.sandbox.clock();

    let renewed = exchange(&site, &long).await;
    clock.advance(TimeDelta::days(60)).expect("near");
    let call = site.get(&signed_by(&long, "me", &[])).await;
    let late = exchange(&site, &long).await;

    assert_eq!(renewed.status, 200);
    assert_refused(&call, 190, Some(463));
    assert_refused(&late, 190, Some(463));
    assert_eq!(debug(&site, &long).await["is_valid"], false);
    site.stop().await;
}

#[tokio::test]
async fn access_to_data_ends_ninety_days_after_the_consent_though_the_token_works() {
    let site = stopped().await;
    let long = long_token(&site).await;
    let clock = site.sandbox.clock();
    clock.advance(TimeDelta::days(59)).expect("near");
    let renewed = token(&exchange(&site, &long).await);

    clock.advance(TimeDelta::days(32)).expect("near");
    let accounts = site.get(&signed_by(&renewed, "me/adaccounts", &[])).await;
    let me = site.get(&signed_by(&renewed, "me", &[])).await;

    assert_refused(&accounts, 10, None);
    assert_eq!(me.status, 200, "{}", me.body);
    site.stop().await;
}

#[tokio::test]
async fn a_pages_token_has_no_end_but_ends_with_the_consent() {
    let site = stopped().await;
    let long = long_token(&site).await;
    let pages = site.get(&signed_by(&long, "me/accounts", &[])).await.json();
    let page = pages["data"][0]["access_token"].as_str().expect("a token");

    let before = debug(&site, page).await;
    let path = signed_by(&long, "me/permissions", &[]);
    let deleted = site.call("DELETE", &path, "", "").await;
    let after = site.get(&signed_by(page, "me", &[])).await;
    let person = site.get(&signed_by(&long, "me", &[])).await;

    assert_eq!(
        (&before["type"], &before["expires_at"]),
        (&json!("PAGE"), &json!(0))
    );
    assert_eq!(deleted.json()["success"], true);
    assert_refused(&after, 190, Some(458));
    assert_refused(&person, 190, Some(458));
    site.stop().await;
}

#[tokio::test]
async fn a_permission_that_is_taken_back_is_missing_from_then_on() {
    let site = stopped().await;
    let long = long_token(&site).await;

    let path = signed_by(&long, "me/permissions/ads_read", &[]);
    site.call("DELETE", &path, "", "").await;
    let accounts = site.get(&signed_by(&long, "me/adaccounts", &[])).await;
    let left = site
        .get(&signed_by(&long, "me/permissions", &[]))
        .await
        .json();

    assert_refused(&accounts, 200, None);
    assert_eq!(left["data"].as_array().map(Vec::len), Some(2));
    site.stop().await;
}
