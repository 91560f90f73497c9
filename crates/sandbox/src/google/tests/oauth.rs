//! Consent, tokens, and taking them back.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use url::Url;

use super::*;

const BACK: &str = "http://127.0.0.1:9/oauth/callback";
const VERIFIER: &str = "fake-verifier-fake-verifier-fake-verifier-0123";

/// Asks for consent and gives back the parameters with which the browser is sent home.
async fn consent(site: &Site, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut params = vec![
        ("client_id", DEV_APP_ID),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "https://www.googleapis.com/auth/adwords"),
        ("state", "fake-state"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    params.extend_from_slice(more);
    let path = format!("/google_ads/o/oauth2/v2/auth?{}", form(&params));
    let answer = site.get(&path).await;
    assert_eq!(answer.status, 302, "{}", answer.body);
    let back = Url::parse(answer.header("location").expect("an address")).expect("a URL");
    assert!(back.as_str().starts_with(BACK));
    back.query_pairs().into_owned().collect()
}

fn value(params: &[(String, String)], name: &str) -> String {
    let found = params.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

async fn redeem(site: &Site, code: &str, verifier: &str) -> Answer {
    let params = [
        ("client_id", DEV_APP_ID),
        ("client_secret", DEV_APP_SECRET),
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", verifier),
    ];
    token(site, &params).await
}

#[tokio::test]
async fn a_consent_becomes_tokens_that_work_and_that_can_be_taken_back() {
    let ads = Ads::start().await;
    let back = consent(&ads.site, &[("access_type", "offline")]).await;
    assert_eq!(value(&back, "state"), "fake-state");

    let first = redeem(&ads.site, &value(&back, "code"), VERIFIER)
        .await
        .json();
    let refresh_token = first["refresh_token"].as_str().expect("a refresh token");
    let second = refresh(&ads.site, refresh_token).await.json();
    let access = second["access_token"].as_str().expect("an access token");
    let bearer = format!("authorization: Bearer {access}\r\n");
    let works = ads.accessible(&bearer).await;
    let revoke = form(&[("token", refresh_token)]);
    let revoked = ads.site.post("/google_ads/revoke", FORM, &revoke).await;
    let after = ads.accessible(&bearer).await;
    let again = ads.site.post("/google_ads/revoke", FORM, &revoke).await;

    assert_eq!(
        (&first["expires_in"], &first["token_type"]),
        (&json!(3_599), &json!("Bearer"))
    );
    assert!(second.get("refresh_token").is_none(), "the old one goes on");
    assert!(second.get("refresh_token_expires_in").is_none());
    assert_eq!((works.status, revoked.status), (200, 200));
    assert_refused(&after, 401, "authenticationError", "OAUTH_TOKEN_REVOKED");
    assert_eq!(
        (again.status, &again.json()["error"]),
        (400, &json!("invalid_token"))
    );
    let dead = refresh(&ads.site, refresh_token).await;
    assert_eq!(dead.status, 400);
    assert_eq!(
        dead.json()["error_description"],
        "Token has been expired or revoked."
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn only_who_wants_to_go_on_alone_gets_a_refresh_token() {
    let ads = Ads::start().await;

    let back = consent(&ads.site, &[]).await;
    let told = redeem(&ads.site, &value(&back, "code"), VERIFIER)
        .await
        .json();

    assert!(told["access_token"].is_string() && told.get("refresh_token").is_none());
    ads.site.stop().await;
}

#[tokio::test]
async fn a_code_is_good_once_and_for_its_verifier_alone() {
    let ads = Ads::start().await;
    let back = consent(&ads.site, &[]).await;
    let wrong = redeem(&ads.site, &value(&back, "code"), "another").await;
    let back = consent(&ads.site, &[]).await;
    let code = value(&back, "code");

    let good = redeem(&ads.site, &code, VERIFIER).await;
    let again = redeem(&ads.site, &code, VERIFIER).await;

    assert_eq!(wrong.json()["error_description"], "Invalid code verifier.");
    assert_eq!(good.status, 200, "{}", good.body);
    assert_eq!(
        (again.status, &again.json()["error"]),
        (400, &json!("invalid_grant"))
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn a_person_can_say_no_or_name_the_accounts() {
    let ads = Ads::start().await;
    let no = json!({ "platform": "google_ads", "deny": true });
    ads.site.control("POST", "/consent", &no).await;
    let denied = consent(&ads.site, &[]).await;
    let some = json!({ "platform": "google_ads", "accounts": [SECOND] });
    ads.site.control("POST", "/consent", &some).await;
    let back = consent(&ads.site, &[]).await;
    let told = redeem(&ads.site, &value(&back, "code"), VERIFIER)
        .await
        .json();

    let access = told["access_token"].as_str().expect("a token");
    let bearer = format!("authorization: Bearer {access}\r\n");
    let accessible = ads.accessible(&bearer).await;

    assert_eq!(value(&denied, "error"), "access_denied");
    assert_eq!(
        accessible.json()["resourceNames"],
        json!(["customers/2000000002"])
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn our_own_mistakes_are_told_apart_from_dead_tokens() {
    let ads = Ads::start().await;
    let known = json!({ "platform": "google_ads", "tokens": [
        { "token": "fake-rapt", "role": "refresh", "state": "invalid" },
        { "token": "fake-for-a-week", "role": "refresh", "expires_in_s": 604_800 },
    ] });
    ads.site.control("POST", "/tokens", &known).await;
    let with = |secret| {
        [
            ("client_id", DEV_APP_ID),
            ("client_secret", secret),
            ("refresh_token", DEV_GOOGLE_REFRESH_TOKEN),
            ("grant_type", "refresh_token"),
        ]
    };

    let wrong_secret = token(&ads.site, &with("wrong")).await;
    let no_client = token(&ads.site, &with("wrong")[2..]).await;
    let rapt = refresh(&ads.site, "fake-rapt").await;
    let unknown = refresh(&ads.site, "nobody's").await;
    let for_a_week = refresh(&ads.site, "fake-for-a-week").await;

    assert_eq!(
        (wrong_secret.status, &wrong_secret.json()["error"]),
        (401, &json!("invalid_client"))
    );
    assert_eq!(
        (no_client.status, &no_client.json()["error"]),
        (400, &json!("invalid_request"))
    );
    assert_eq!(rapt.json()["error_subtype"], "invalid_rapt");
    assert_eq!(unknown.json()["error"], "invalid_grant");
    assert!(
        for_a_week.json()["refresh_token_expires_in"]
            .as_i64()
            .is_some_and(|left| left > 0)
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn a_refresh_token_that_nobody_used_for_six_months_is_dead() {
    let ads = Ads::start().await;
    let back = consent(&ads.site, &[("access_type", "offline")]).await;
    let told = redeem(&ads.site, &value(&back, "code"), VERIFIER)
        .await
        .json();
    let refresh_token = told["refresh_token"].as_str().expect("a refresh token");
    let months = 30 * 24 * 3_600;

    ads.advance(5 * months).await;
    let used = refresh(&ads.site, refresh_token).await;
    ads.advance(5 * months).await;
    let used_again = refresh(&ads.site, refresh_token).await;
    ads.advance(7 * months).await;
    let idle = refresh(&ads.site, refresh_token).await;

    assert_eq!((used.status, used_again.status), (200, 200));
    assert_eq!(
        (idle.status, &idle.json()["error"]),
        (400, &json!("invalid_grant"))
    );
    ads.site.stop().await;
}
