//! Who may call, and for which customers.

use super::*;

const IDS: &str = "SELECT campaign.id FROM campaign LIMIT 1";

#[tokio::test]
async fn accounts_are_found_through_the_manager_account() {
    let ads = Ads::start_with(|config| config.world.accounts_per_platform = 3).await;

    let bearer = format!("authorization: Bearer {}\r\n", ads.token);
    let accessible = ads.accessible(&bearer).await;
    let clients = ads
        .results(
            GOOGLE_MANAGER,
            "SELECT customer_client.id, customer_client.descriptive_name, customer_client.level, customer_client.manager, \
             customer_client.currency_code, customer_client.time_zone, customer_client.status, \
             customer_client.test_account FROM customer_client WHERE customer_client.status = 'ENABLED'",
        )
        .await;

    assert_eq!(
        accessible.json()["resourceNames"],
        json!(["customers/1000000001", "customers/2000000001"]),
    );
    assert_eq!(clients.len(), 4);
    let (manager, client) = (&clients[0]["customerClient"], &clients[2]["customerClient"]);
    assert_eq!(
        (&manager["manager"], &manager["level"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(
        (&client["manager"], &client["level"]),
        (&json!(null), &json!("1"))
    );
    assert_eq!(client["id"], SECOND);
    assert_eq!(client["currencyCode"], "JPY");
    assert_eq!(
        client["resourceName"],
        "customers/1000000001/customerClients/2000000002",
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn a_missing_login_customer_id_looks_like_a_missing_right() {
    let ads = Ads::start().await;
    let body = json!({ "query": IDS });

    let direct = ads.call_as(FIRST, "search", &body, None).await;
    let managed = ads.call(SECOND, "search", &body).await;
    let missing = ads.call_as(SECOND, "search", &body, None).await;
    let wrong = ads
        .call_as(SECOND, "search", &body, Some("2000000009"))
        .await;
    let beside = ads.call_as(SECOND, "search", &body, Some(FIRST)).await;

    assert_eq!((direct.status, managed.status), (200, 200));
    assert_refused(
        &missing,
        403,
        "authorizationError",
        "USER_PERMISSION_DENIED",
    );
    assert_refused(&wrong, 403, "authorizationError", "USER_PERMISSION_DENIED");
    assert_refused(
        &beside,
        403,
        "authorizationError",
        "INVALID_LOGIN_CUSTOMER_ID_SERVING_CUSTOMER_ID_COMBINATION",
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn ids_have_ten_digits_and_no_hyphens() {
    let ads = Ads::start().await;
    let body = json!({ "query": IDS });

    let hyphens = ads.call("200-000-0001", "search", &body).await;
    let in_header = ads
        .call_as(SECOND, "search", &body, Some("100-000-0001"))
        .await;
    let unknown = ads.call("9999999999", "search", &body).await;

    assert_refused(&hyphens, 400, "requestError", "INVALID_CUSTOMER_ID");
    assert_refused(&in_header, 400, "headerError", "INVALID_LOGIN_CUSTOMER_ID");
    assert_refused(&unknown, 401, "authenticationError", "CUSTOMER_NOT_FOUND");
    ads.site.stop().await;
}

#[tokio::test]
async fn a_closed_account_is_listed_and_cannot_be_asked() {
    let ads = Ads::start().await;
    let close = json!({ "platform": "google_ads", "id": SECOND, "account_status": "closed" });
    ads.site.control("POST", "/world", &close).await;

    let answer = ads.search(SECOND, IDS).await;
    let listed = ads
        .results(
            GOOGLE_MANAGER,
            "SELECT customer_client.status FROM customer_client WHERE customer_client.id = 2000000002",
        )
        .await;

    assert_refused(&answer, 403, "authorizationError", "CUSTOMER_NOT_ENABLED");
    assert_eq!(listed[0]["customerClient"]["status"], "CANCELED");
    ads.site.stop().await;
}

#[tokio::test]
async fn a_token_that_does_not_work_is_refused_with_its_reason() {
    let ads = Ads::start().await;
    let known = json!({ "platform": "google_ads", "tokens": [
        { "token": "fake-revoked", "state": "revoked" },
        { "token": "fake-other", "scopes": ["https://www.googleapis.com/auth/datamanager"] },
    ] });
    ads.site.control("POST", "/tokens", &known).await;
    ads.advance(3_600).await;
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");

    let expired = ads.accessible(&bearer(&ads.token)).await;
    let revoked = ads.accessible(&bearer("fake-revoked")).await;
    let unknown = ads.accessible(&bearer("nobody's")).await;
    let refresh = ads.accessible(&bearer(DEV_GOOGLE_REFRESH_TOKEN)).await;
    let basic = ads.accessible("authorization: Basic eDp5\r\n").await;
    let none = ads.accessible("").await;
    let other = ads.accessible(&bearer("fake-other")).await;

    let category = "authenticationError";
    assert_refused(&expired, 401, category, "OAUTH_TOKEN_EXPIRED");
    assert_refused(&revoked, 401, category, "OAUTH_TOKEN_REVOKED");
    assert_refused(&unknown, 401, category, "OAUTH_TOKEN_INVALID");
    assert_refused(&refresh, 401, category, "OAUTH_TOKEN_INVALID");
    assert_refused(&basic, 401, category, "OAUTH_TOKEN_HEADER_INVALID");
    let reason = |answer: &Answer| answer.json()["error"]["details"][0]["reason"].clone();
    assert_eq!(
        (none.status, reason(&none)),
        (401, json!("CREDENTIALS_MISSING"))
    );
    assert_eq!(
        (other.status, reason(&other)),
        (403, json!("ACCESS_TOKEN_SCOPE_INSUFFICIENT")),
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn old_versions_are_refused_and_unknown_paths_get_a_page() {
    let ads = Ads::start().await;
    let path = |version: &str| format!("/google_ads/{version}/customers/{FIRST}/googleAds:search");

    let old = ads.site.post(&path("v19"), "", "{}").await;
    let next = ads.site.post(&path("v27"), "", "{}").await;
    let get = ads.site.get(&path("v26")).await;

    assert_refused(&old, 400, "requestError", "UNSUPPORTED_VERSION");
    for answer in [next, get] {
        assert_eq!(answer.status, 404);
        assert!(
            answer
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("text/html"))
        );
        assert!(!answer.body.contains("GoogleAdsFailure"));
    }
    ads.site.stop().await;
}
