//! What becomes of refusals, and what goes with each call.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, path},
};

use super::{
    CUSTOMER, DEVELOPER_TOKEN, SEARCH, TOKEN, access, answering, caller, client_of, config,
    failure, ok, requests_of,
};
use crate::{
    error::Error,
    google_ads::{GoogleAds, GoogleAdsConfig},
    platform::{AdPlatform, Caller, testing::RecordingDoor},
};

async fn failure_of(google: &GoogleAds) -> Error {
    let access = access(None);
    google
        .account(caller(&access), CUSTOMER)
        .await
        .expect_err("a failure")
}

fn quota(name: &str, details: Value) -> ResponseTemplate {
    ResponseTemplate::new(429).set_body_json(json!({"error": {"code": 429,
        "message": "Resource has been exhausted (e.g. check quota).", "status": "RESOURCE_EXHAUSTED", "details": [{
            "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
            "errors": [{"errorCode": {"quotaError": name}, "message": "Too many requests. Retry in 5 seconds.",
                "details": details}],
            "requestId": "fakeReqId2"}]}}))
}

#[tokio::test]
async fn a_quota_of_the_moment_lasts_as_long_as_google_says() {
    let details = json!({"quotaErrorDetails": {"rateScope": "ACCOUNT", "rateName": "Requests per account",
        "retryDelay": "5s"}});
    let server = answering(SEARCH, quota("RESOURCE_TEMPORARILY_EXHAUSTED", details)).await;
    let (access, door) = (access(None), RecordingDoor::default());
    let caller = Caller {
        access: &access,
        door: &door,
    };

    let error = client_of(&server)
        .account(caller, CUSTOMER)
        .await
        .expect_err("a failure");

    let Error::RateLimited { retry_after, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*retry_after, Some(Duration::from_secs(5)));
    assert_eq!(
        error.detail().code.as_deref(),
        Some("quotaError.RESOURCE_TEMPORARILY_EXHAUSTED")
    );
    let record = &door.records()[0];
    assert_eq!(record.status, Some(429));
    assert_eq!(record.class, Some("rate_limited"));
    assert_eq!(record.request_id.as_deref(), Some("fakeReqId2"));
    assert_eq!(record.usage.remaining, Some(0));
    assert_eq!(record.usage.resets_in, Some(Duration::from_secs(5)));
}

#[tokio::test]
async fn without_a_word_of_googles_half_a_minute_or_an_hour_is_waited() {
    for (name, least, most) in [
        ("RESOURCE_TEMPORARILY_EXHAUSTED", 29, 30),
        ("RESOURCE_EXHAUSTED", 3_600, 3_600),
        (
            "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION",
            3_600,
            3_600,
        ),
    ] {
        let server = answering(SEARCH, quota(name, json!({}))).await;

        let error = failure_of(&client_of(&server)).await;

        let Error::RateLimited { retry_after, .. } = error else {
            panic!("{error}");
        };
        let wait = retry_after.expect("a wait");
        let bounds = Duration::from_secs(least)..=Duration::from_secs(most);
        assert!(bounds.contains(&wait), "{name}: {wait:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_spent_is_told_from_a_project_that_is_not_approved() {
    let spent = answering(
        SEARCH,
        failure(401, "authenticationError", "OAUTH_TOKEN_EXPIRED"),
    )
    .await;
    // A test account under a production token, or the reverse.
    let ours = answering(
        SEARCH,
        failure(403, "authorizationError", "DEVELOPER_TOKEN_NOT_APPROVED"),
    )
    .await;

    let spent = failure_of(&client_of(&spent)).await;
    let ours = failure_of(&client_of(&ours)).await;

    assert!(matches!(spent, Error::AuthExpired { .. }), "{spent}");
    assert!(matches!(ours, Error::Config { .. }), "{ours}");
}

#[tokio::test]
async fn front_ends_that_answer_no_json_decide_by_their_status_alone() {
    let html = |status: u16| ResponseTemplate::new(status).set_body_string("<html>Error</html>");
    let gateway = answering(SEARCH, html(502)).await;
    let wrong_path = answering(SEARCH, html(404)).await;
    let cut = answering(
        SEARCH,
        ResponseTemplate::new(200).set_body_string("{\"results\": ["),
    )
    .await;

    let gateway = failure_of(&client_of(&gateway)).await;
    let wrong_path = failure_of(&client_of(&wrong_path)).await;
    let cut = failure_of(&client_of(&cut)).await;

    assert!(matches!(gateway, Error::Unavailable { .. }), "{gateway}");
    assert!(matches!(wrong_path, Error::Rejected { .. }), "{wrong_path}");
    assert!(matches!(cut, Error::Unavailable { .. }), "{cut}");
}

#[tokio::test]
async fn a_service_that_is_switched_off_is_our_own_set_up() {
    let body = json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
        "message": "Google Ads API has not been used in project 1 before or it is disabled.",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
            "domain": "googleapis.com"}]}});
    let server = answering(SEARCH, ResponseTemplate::new(403).set_body_json(body)).await;

    let error = failure_of(&client_of(&server)).await;

    assert!(matches!(error, Error::Config { .. }), "{error}");
    assert_eq!(error.detail().code.as_deref(), Some("SERVICE_DISABLED"));
}

#[tokio::test]
async fn what_google_quotes_of_our_secrets_is_not_kept() {
    let message = format!("Bad {TOKEN} and {DEVELOPER_TOKEN} of ada@example.com");
    let body = json!({"error": {"code": 401, "message": message, "status": "UNAUTHENTICATED"}});
    let server = answering(SEARCH, ResponseTemplate::new(401).set_body_json(body)).await;
    let google = GoogleAds::new(GoogleAdsConfig {
        developer_token: Some(DEVELOPER_TOKEN.into()),
        ..config(&server)
    })
    .expect("a client");

    let error = failure_of(&google).await;

    let shown = format!("{error} {error:?}");
    for secret in [TOKEN, DEVELOPER_TOKEN, "ada@"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_developer_token_is_sent_only_if_there_is_one() {
    let server = MockServer::start().await;
    let row = json!({"results": [{"customer": {"id": CUSTOMER, "status": "ENABLED"}}]});
    Mock::given(path(SEARCH))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .respond_with(ok(row))
        .mount(&server)
        .await;
    let with_token = GoogleAds::new(GoogleAdsConfig {
        developer_token: Some(DEVELOPER_TOKEN.into()),
        ..config(&server)
    })
    .expect("a client");
    let access = access(None);

    let without = client_of(&server).account(caller(&access), CUSTOMER).await;
    let with = with_token.account(caller(&access), CUSTOMER).await;

    assert!(without.is_ok() && with.is_ok());
    let requests = requests_of(&server).await;
    assert!(!requests[0].headers.contains_key("developer-token"));
    let sent = requests[1].headers.get("developer-token");
    assert_eq!(sent.expect("a header"), DEVELOPER_TOKEN);
}

#[test]
fn secrets_are_never_sent_in_the_clear() {
    let unsafe_base = || "http://googleads.example.com".parse().expect("a URL");
    let configs = [
        GoogleAdsConfig {
            base_url: unsafe_base(),
            ..GoogleAdsConfig::default()
        },
        GoogleAdsConfig {
            oauth_url: unsafe_base(),
            ..GoogleAdsConfig::default()
        },
        GoogleAdsConfig {
            auth_url: unsafe_base(),
            ..GoogleAdsConfig::default()
        },
    ];

    for config in configs {
        assert!(matches!(GoogleAds::new(config), Err(Error::Config { .. })));
    }
    assert!(GoogleAds::new(GoogleAdsConfig::default()).is_ok());
}
