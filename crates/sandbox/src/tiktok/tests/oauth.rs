//! Consents and tokens, of advertisers and of people.

use url::Url;

use super::*;

const BACK: &str = "http://127.0.0.1:9/oauth/callback";

/// Opens a page for consent and gives back the parameters with which the browser is sent home.
async fn consent(ads: &Ads, page: &str, params: &[(&str, &str)]) -> Vec<(String, String)> {
    let query = Serializer::new(String::new())
        .extend_pairs(params)
        .append_pair("redirect_uri", BACK)
        .append_pair("state", "fake-state")
        .finish();
    let answer = ads.site.get(&format!("/tiktok/{page}?{query}")).await;
    assert_eq!(answer.status, 302, "{}", answer.body);
    let back = Url::parse(answer.header("location").expect("an address")).expect("a URL");
    assert!(back.as_str().starts_with(BACK));
    back.query_pairs().into_owned().collect()
}

fn value(params: &[(String, String)], name: &str) -> String {
    let found = params.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

async fn code(ads: &Ads) -> String {
    let back = consent(ads, "portal/auth", &[("app_id", DEV_APP_ID)]).await;
    assert_eq!(value(&back, "state"), "fake-state");
    value(&back, "auth_code")
}

async fn redeem(ads: &Ads, code: &str, secret: &str) -> Answer {
    let body = json!({ "app_id": DEV_APP_ID, "secret": secret, "auth_code": code });
    ads.post("oauth2/access_token/", &body).await
}

async fn people(ads: &Ads, endpoint: &str, grant_type: &str, more: (&str, &str)) -> Answer {
    let mut body = json!({
        "client_id": DEV_APP_ID,
        "client_secret": DEV_APP_SECRET,
        "grant_type": grant_type,
        "redirect_uri": BACK,
    });
    body[more.0] = json!(more.1);
    ads.post(&format!("tt_user/oauth2/{endpoint}/"), &body)
        .await
}

#[tokio::test]
async fn an_advertisers_token_has_no_end_until_it_is_taken_back() {
    let ads = Ads::start().await;
    let told = data(&redeem(&ads, &code(&ads).await, DEV_APP_SECRET).await);
    let token = text(&told, "access_token");
    let list = async || {
        ads.get_as(token, "campaign/get/", &[("advertiser_id", FIRST)])
            .await
    };

    ads.advance(400 * 24 * 3_600).await;
    let works = list().await;
    let body = json!({ "app_id": DEV_APP_ID, "secret": DEV_APP_SECRET, "access_token": token });
    let revoked = ads.post("oauth2/revoke_token/", &body).await;
    let after = list().await;
    let again = ads.post("oauth2/revoke_token/", &body).await;

    assert_eq!(told["advertiser_ids"], json!([FIRST, SECOND]));
    let scopes = told["scope"].as_array().expect("a list");
    assert!(scopes.contains(&json!(4)));
    assert!(told.get("expires_in").is_none() && told.get("refresh_token").is_none());
    data(&works);
    assert_eq!(data(&revoked), json!({}));
    assert_code(&after, 40_105);
    assert_code(&again, 40_105);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_code_is_good_once_and_for_an_hour() {
    let ads = Ads::start().await;
    let once = code(&ads).await;

    data(&redeem(&ads, &once, DEV_APP_SECRET).await);
    assert_code(&redeem(&ads, &once, DEV_APP_SECRET).await, 40_110);
    assert_code(&redeem(&ads, "nobody's", DEV_APP_SECRET).await, 40_110);
    assert_code(&redeem(&ads, &code(&ads).await, "another").await, 40_101);
    let late = code(&ads).await;
    ads.advance(3_600).await;
    assert_code(&redeem(&ads, &late, DEV_APP_SECRET).await, 40_115);
    ads.site.stop().await;
}

#[tokio::test]
async fn an_advertiser_can_say_no_or_name_the_accounts() {
    let ads = Ads::start().await;
    let no = json!({ "platform": "tiktok", "deny": true });
    ads.site.control("POST", "/consent", &no).await;
    let denied = consent(&ads, "portal/auth", &[("app_id", DEV_APP_ID)]).await;
    let some = json!({ "platform": "tiktok", "accounts": [SECOND], "without_scopes": ["4"] });
    ads.site.control("POST", "/consent", &some).await;

    let told = data(&redeem(&ads, &code(&ads).await, DEV_APP_SECRET).await);
    let other_app = ads.site.get("/tiktok/portal/auth?app_id=another").await;

    assert_eq!(value(&denied, "error"), "access_denied");
    assert_eq!(told["advertiser_ids"], json!([SECOND]));
    assert_eq!(told["scope"], json!([1, 2, 3, 5, 6]));
    assert_eq!(other_app.status, 400);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_persons_token_lasts_a_day_and_its_refresh_token_a_year() {
    let ads = Ads::start().await;
    let asked = [
        ("client_key", DEV_APP_ID),
        ("scope", "user.info.basic,video.list"),
    ];
    let back = consent(&ads, "v2/auth/authorize", &asked).await;

    let code = value(&back, "code");
    let first = data(
        &people(
            &ads,
            "token",
            "authorization_code",
            ("auth_code", code.as_str()),
        )
        .await,
    );
    let kept = text(&first, "refresh_token");
    ads.advance(300 * 24 * 3_600).await;
    let refreshed = people(
        &ads,
        "refresh_token",
        "refresh_token",
        ("refresh_token", kept),
    )
    .await;
    let second = data(&refreshed);
    ads.advance(100 * 24 * 3_600).await;
    let late = people(
        &ads,
        "refresh_token",
        "refresh_token",
        ("refresh_token", kept),
    )
    .await;
    let newer = text(&second, "refresh_token");
    let in_time = people(
        &ads,
        "refresh_token",
        "refresh_token",
        ("refresh_token", newer),
    )
    .await;

    assert_eq!(first["expires_in"], 86_400);
    assert_eq!(first["refresh_token_expires_in"], 31_536_000);
    assert_eq!(first["scope"], "user.info.basic,video.list");
    assert_eq!(
        (&first["token_type"], &first["open_id"]),
        (&json!("Bearer"), &second["open_id"])
    );
    assert_ne!(first["access_token"], second["access_token"]);
    assert_code(&late, 40_103);
    data(&in_time);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_persons_token_opens_no_advertiser() {
    let ads = Ads::start().await;
    let back = consent(&ads, "v2/auth/authorize", &[("client_key", DEV_APP_ID)]).await;
    let code = value(&back, "code");
    let told = data(
        &people(
            &ads,
            "token",
            "authorization_code",
            ("auth_code", code.as_str()),
        )
        .await,
    );

    let token = text(&told, "access_token");
    let answer = ads
        .get_as(token, "campaign/get/", &[("advertiser_id", FIRST)])
        .await;
    let bad = people(
        &ads,
        "refresh_token",
        "refresh_token",
        ("refresh_token", "nobody's"),
    )
    .await;
    let access = people(
        &ads,
        "refresh_token",
        "refresh_token",
        ("refresh_token", token),
    )
    .await;
    let wrong = people(&ads, "token", "refresh_token", ("auth_code", "any")).await;

    assert_code(&answer, 40_001);
    assert_code(&bad, 40_107);
    assert_code(&access, 40_107);
    assert_code(&wrong, 40_002);
    ads.site.stop().await;
}
