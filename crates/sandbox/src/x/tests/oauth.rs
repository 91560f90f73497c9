//! Consents and tokens, of OAuth 2.0 and of 1.0a.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::{
    Url,
    form_urlencoded::{self, Serializer},
};

use super::*;

const BACK: &str = "http://127.0.0.1:9/oauth/callback";
const VERIFIER: &str = "fake-verifier-fake-verifier-fake-verifier-0123";
const SCOPE: &str = "users.read tweet.read ads.read offline.access";

type Pairs = Vec<(String, String)>;

fn value(params: &[(String, String)], name: &str) -> String {
    let found = params.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

/// The parameters with which a browser is sent home.
fn back(answer: &Answer) -> Pairs {
    assert_eq!(answer.status, 302, "{}", answer.body);
    let back = Url::parse(answer.header("location").expect("an address")).expect("a URL");
    assert!(back.as_str().starts_with(BACK));
    back.query_pairs().into_owned().collect()
}

async fn consent(ads: &Ads, scope: &str) -> Pairs {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let params = [
        ("response_type", "code"),
        ("client_id", DEV_APP_ID),
        ("redirect_uri", BACK),
        ("scope", scope),
        ("state", "fake-state"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let query = form(&params);
    back(
        &ads.site
            .get(&format!("/x/i/oauth2/authorize?{query}"))
            .await,
    )
}

fn form(params: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(params).finish()
}

fn basic(secret: &str) -> String {
    let keys = STANDARD.encode(format!("{DEV_APP_ID}:{secret}"));
    format!("authorization: Basic {keys}\r\n{FORM}")
}

async fn post(ads: &Ads, path: &str, params: &[(&str, &str)]) -> Answer {
    let headers = basic(DEV_APP_SECRET);
    ads.site
        .post(&format!("/x/2/oauth2/{path}"), &headers, &form(params))
        .await
}

async fn redeem(ads: &Ads, code: &str) -> Answer {
    let params = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    post(ads, "token", &params).await
}

async fn connect(ads: &Ads, scope: &str) -> Value {
    let back = consent(ads, scope).await;
    let answer = redeem(ads, &value(&back, "code")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

async fn refresh(ads: &Ads, token: &str) -> Answer {
    let params = [("grant_type", "refresh_token"), ("refresh_token", token)];
    post(ads, "token", &params).await
}

async fn me(ads: &Ads, token: &str) -> u16 {
    let bearer = format!("authorization: Bearer {token}\r\n");
    ads.site
        .call("GET", "/x/2/users/me", &bearer, "")
        .await
        .status
}

fn assert_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (status, &json!(error)),
        "{}",
        answer.body
    );
    assert!(answer.json()["error_description"].is_string());
}

#[tokio::test]
async fn a_refresh_token_is_good_once() {
    let ads = Ads::start().await;
    let first = connect(&ads, SCOPE).await;
    let kept = text(&first, "refresh_token");

    let second = refresh(&ads, kept).await.json();
    let again = refresh(&ads, kept).await;
    let third = refresh(&ads, text(&second, "refresh_token")).await;

    assert_eq!(
        (&first["token_type"], &first["expires_in"]),
        (&json!("bearer"), &json!(7_200))
    );
    assert_eq!(first["scope"], SCOPE);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_error(&again, 400, "invalid_request");
    assert_eq!(
        again.json()["error_description"],
        "Value passed for the token was invalid."
    );
    assert_eq!(third.status, 200);
    assert_eq!(me(&ads, text(&second, "access_token")).await, 200);
    ads.advance(7_200).await;
    assert_eq!(me(&ads, text(&second, "access_token")).await, 401);
    ads.site.stop().await;
}

#[tokio::test]
async fn without_the_scope_for_it_there_is_no_refresh_token() {
    let ads = Ads::start().await;

    let told = connect(&ads, "users.read tweet.read").await;
    let bearer = format!("authorization: Bearer {}\r\n", text(&told, "access_token"));
    let for_ads = ads.site.call("GET", "/x/12/accounts", &bearer, "").await;

    assert!(told.get("refresh_token").is_none());
    assert_refused(&for_ads, 403, "ACTION_NOT_ALLOWED");
    ads.site.stop().await;
}

#[tokio::test]
async fn a_token_that_was_given_for_ads_opens_them() {
    let ads = Ads::start().await;
    let told = connect(&ads, SCOPE).await;
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");

    let works = bearer(text(&told, "access_token"));
    let works = ads.site.call("GET", "/x/12/accounts", &works, "").await;
    let half = ads
        .site
        .call("GET", "/x/12/accounts", &bearer(DEV_X_TOKEN), "")
        .await;

    assert_eq!(good(&works)["data"][0]["id"], FIRST);
    assert_refused(&half, 401, "UNAUTHORIZED_ACCESS");
    ads.site.stop().await;
}

#[tokio::test]
async fn the_secret_is_taken_in_the_header_alone() {
    let ads = Ads::start().await;
    let told = connect(&ads, SCOPE).await;
    let token = text(&told, "refresh_token");
    let params = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", DEV_APP_ID),
        ("client_secret", DEV_APP_SECRET),
    ];
    let path = "/x/2/oauth2/token";

    let in_body = ads.site.post(path, FORM, &form(&params)).await;
    let in_both = ads
        .site
        .post(path, &basic(DEV_APP_SECRET), &form(&params))
        .await;
    let wrong = ads
        .site
        .post(path, &basic("another"), &form(&params[..2]))
        .await;
    let right = refresh(&ads, token).await;

    for refused in [in_body, in_both, wrong] {
        assert_error(&refused, 401, "unauthorized_client");
    }
    assert_eq!(right.status, 200, "nothing was used up before");
    ads.site.stop().await;
}

#[tokio::test]
async fn a_code_is_good_once_and_for_half_a_minute() {
    let ads = Ads::start().await;
    let back = consent(&ads, SCOPE).await;
    let code = value(&back, "code");

    let good = redeem(&ads, &code).await;
    let again = redeem(&ads, &code).await;
    let back = consent(&ads, SCOPE).await;
    ads.advance(30).await;
    let late = redeem(&ads, &value(&back, "code")).await;

    assert_eq!(value(&back, "state"), "fake-state");
    assert_eq!(good.status, 200);
    assert_error(&again, 400, "invalid_request");
    assert_error(&late, 400, "invalid_request");
    ads.site.stop().await;
}

#[tokio::test]
async fn a_second_consent_ends_the_first() {
    let ads = Ads::start().await;

    let first = connect(&ads, SCOPE).await;
    let second = connect(&ads, SCOPE).await;

    let old = refresh(&ads, text(&first, "refresh_token")).await;
    assert_error(&old, 400, "invalid_request");
    assert_eq!(me(&ads, text(&first, "access_token")).await, 401);
    assert_eq!(me(&ads, text(&second, "access_token")).await, 200);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_consent_can_be_refused_and_taken_back() {
    let ads = Ads::start().await;
    let told = connect(&ads, SCOPE).await;
    let no = json!({ "platform": "x", "deny": true });
    ads.site.control("POST", "/consent", &no).await;
    let token = text(&told, "refresh_token");

    let denied = consent(&ads, SCOPE).await;
    let revoked = post(&ads, "revoke", &[("token", token)]).await;
    let again = post(&ads, "revoke", &[("token", token)]).await;
    let page = ads
        .site
        .get("/x/i/oauth2/authorize?client_id=another")
        .await;

    assert_eq!(value(&denied, "error"), "access_denied");
    assert_eq!(
        (revoked.status, &revoked.json()["revoked"]),
        (200, &json!(true))
    );
    assert_error(&again, 400, "invalid_request");
    assert_eq!(me(&ads, text(&told, "access_token")).await, 401);
    assert_eq!(page.status, 400);
    ads.site.stop().await;
}

/// A call of the dance.
async fn step(ads: &Ads, name: &str, signer: &Signer, own: &[(&str, &str)]) -> Answer {
    let path = format!("/x/oauth/{name}");
    let header = signer.header(("POST", path.as_str()), &[], own);
    ads.site.post(&path, &header, "").await
}

fn pairs(answer: &Answer) -> Pairs {
    assert_eq!(answer.status, 200, "{}", answer.body);
    form_urlencoded::parse(answer.body.as_bytes())
        .into_owned()
        .collect()
}

#[tokio::test]
async fn the_dance_of_1_0a_ends_with_a_token_that_has_no_end() {
    let ads = Ads::start().await;
    let app = Signer::of("", "");
    let request = pairs(&step(&ads, "request_token", &app, &[("oauth_callback", BACK)]).await);
    let (token, secret) = (
        value(&request, "oauth_token"),
        value(&request, "oauth_token_secret"),
    );
    let page = ads
        .site
        .get(&format!("/x/oauth/authorize?oauth_token={token}"))
        .await;
    let back = back(&page);
    let verifier = value(&back, "oauth_verifier");
    let signer = Signer::of(&token, &secret);

    let own = [("oauth_verifier", verifier.as_str())];
    let told = pairs(&step(&ads, "access_token", &signer, &own).await);
    let again = step(&ads, "access_token", &signer, &own).await;
    ads.advance(400 * 24 * 3_600).await;
    let caller = Signer::of(
        &value(&told, "oauth_token"),
        &value(&told, "oauth_token_secret"),
    );
    let accounts = ads.call(&caller, ("GET", "accounts"), &[]).await;

    assert_eq!(value(&request, "oauth_callback_confirmed"), "true");
    assert_eq!(value(&back, "oauth_token"), token);
    assert!(!value(&told, "user_id").is_empty() && !value(&told, "screen_name").is_empty());
    assert_refused(&again, 401, 89);
    good(&accounts);
    ads.site.stop().await;
}

#[tokio::test]
async fn the_dance_is_signed_at_every_step_and_a_person_may_say_no() {
    let ads = Ads::start().await;
    let mut wrong = Signer::of("", "");
    wrong.app.1 = "another".to_owned();
    let own = [("oauth_callback", BACK)];

    let refused = step(&ads, "request_token", &wrong, &own).await;
    let request = pairs(&step(&ads, "request_token", &Signer::of("", ""), &own).await);
    let token = value(&request, "oauth_token");
    let no = json!({ "platform": "x", "deny": true });
    ads.site.control("POST", "/consent", &no).await;
    let page = ads
        .site
        .get(&format!("/x/oauth/authorize?oauth_token={token}"))
        .await;
    let unknown = ads.site.get("/x/oauth/authorize?oauth_token=nothing").await;

    assert_refused(&refused, 401, 32);
    assert_eq!(value(&back(&page), "denied"), token);
    assert_eq!(unknown.status, 403);
    ads.site.stop().await;
}
