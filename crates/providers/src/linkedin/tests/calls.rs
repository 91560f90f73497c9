//! How questions are put, and what becomes of refusals.

use std::time::Duration;

use serde_json::json;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use super::{
    ACCOUNT, TOKEN, access, answering, answering_in_turn, caller, client, config, grant, refusal,
    requests, respond_with,
};
use crate::{
    error::Error,
    linkedin::{LinkedIn, LinkedInConfig},
    platform::{
        AdAccount, AdPlatform, EntityQuery, EntityType, Granularity, InsightQuery, Level, OpenDoor,
        testing::RecordingDoor,
    },
};

fn account() -> serde_json::Value {
    json!({"id": 500000001, "name": "Fake", "currency": "EUR", "status": "ACTIVE", "type": "BUSINESS",
        "servingStatuses": ["RUNNABLE"], "reference": "urn:li:organization:1"})
}

async fn ask(client: &LinkedIn, door: &RecordingDoor) -> Result<AdAccount, Error> {
    let access = access();
    client.account(caller(&access, door), ACCOUNT).await
}

async fn failure(status: u16, body: serde_json::Value) -> Error {
    let server = answering(status, body).await;
    let door = RecordingDoor::default();
    ask(&client(&server), &door).await.expect_err("a failure")
}

#[tokio::test]
async fn every_call_names_its_version_and_its_protocol_and_hides_the_token() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/rest/adAccounts/500000001"))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .and(header("linkedin-version", "202609"))
        .and(header("x-restli-protocol-version", "2.0.0"))
        .respond_with(
            ResponseTemplate::new(200)
                .insert_header("x-li-uuid", "AAfakeUuid==")
                .set_body_json(account()),
        )
        .expect(1)
        .mount(&server)
        .await;
    let door = RecordingDoor::default();

    let account = ask(&client(&server), &door).await.expect("an account");

    assert_eq!(account.id, ACCOUNT);
    let records = door.records();
    assert_eq!(records[0].endpoint, "GET adAccounts/{id}");
    assert_eq!(records[0].request_id.as_deref(), Some("AAfakeUuid=="));
    assert_eq!(records[0].class, None);
    assert!(!requests(&server).await[0].url.as_str().contains("AQfake"));
}

#[tokio::test]
async fn a_query_too_long_for_an_address_goes_as_a_body() {
    let server = answering(200, json!({"elements": [], "paging": {}})).await;
    let access = access();
    let door = RecordingDoor::default();
    let query = long_query();

    client(&server)
        .insights(caller(&access, &door), &query, None)
        .await
        .expect("figures");

    let requests = requests(&server).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method.as_str(), "POST");
    assert_eq!(requests[0].url.query(), None);
    let header = |name: &str| requests[0].headers.get(name).and_then(|v| v.to_str().ok());
    assert_eq!(header("x-http-method-override"), Some("GET"));
    assert_eq!(
        header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    let body = String::from_utf8_lossy(&requests[0].body);
    assert!(body.starts_with("q=analytics&pivot=(value:CAMPAIGN)&"));
    assert!(body.contains("campaigns=List(urn%3Ali%3AsponsoredCampaign%3A300000000,"));
}

#[tokio::test]
async fn a_front_end_that_finds_an_address_too_long_gets_the_body() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(414).set_body_string("<html>URI Too Long</html>"))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(account()))
        .mount(&server)
        .await;
    let door = RecordingDoor::default();

    let account = ask(&client(&server), &door).await;

    assert!(account.is_ok());
    assert_eq!(door.records().len(), 2);
    assert_eq!(door.records()[0].class, Some("too_large"));
}

#[tokio::test]
async fn each_refusal_is_what_a_caller_decides_on() {
    let spent = failure(
        401,
        refusal("INVALID_ACCESS_TOKEN", 65600, "Invalid access token"),
    )
    .await;
    let denied = failure(403, refusal("ACCESS_DENIED", 100, "Not enough permissions")).await;
    let sunset = failure(426, refusal("NONEXISTENT_VERSION", 0, "not active")).await;
    let wrong = failure(404, json!({"status": 404, "message": "no such account"})).await;
    let broken = failure(
        500,
        json!({"status": 500, "message": "Internal Server Error"}),
    )
    .await;

    assert!(matches!(spent, Error::AuthExpired { .. }));
    assert!(matches!(denied, Error::Permission { .. }));
    assert!(matches!(sunset, Error::Config { .. }));
    assert!(matches!(wrong, Error::Rejected { .. }));
    assert!(matches!(broken, Error::Unavailable { .. }));
    let detail = spent.detail();
    assert_eq!(detail.provider, "linkedin");
    assert_eq!(detail.status, Some(401));
    assert_eq!(detail.code.as_deref(), Some("INVALID_ACCESS_TOKEN/65600"));
}

#[tokio::test]
async fn an_answer_that_is_none_to_the_question_is_not_taken_for_one() {
    let html = MockServer::start().await;
    respond_with(
        &html,
        ResponseTemplate::new(502).set_body_string("<html>Bad gateway</html>"),
    )
    .await;
    let door = RecordingDoor::default();

    let bad_gateway = ask(&client(&html), &door).await.expect_err("a failure");
    let other_thing = failure(200, json!({"elements": []})).await;

    assert!(matches!(bad_gateway, Error::Unavailable { .. }));
    assert!(matches!(other_thing, Error::Unavailable { .. }));
}

#[tokio::test]
async fn a_token_that_is_quoted_back_is_not_told() {
    let error = failure(400, json!({"message": format!("cannot read {TOKEN}")})).await;

    assert!(!error.to_string().contains(TOKEN));
}

#[tokio::test]
async fn a_limit_met_once_is_waited_for_a_minute_and_calls_under_way_wait_with_it() {
    let throttled = "Resource level throttle limit for calls to this resource is reached.";
    let server = answering(429, refusal("TOO_MANY_REQUESTS", 101, throttled)).await;
    let client = client(&server);
    let door = RecordingDoor::default();

    let first = ask(&client, &door).await.expect_err("a refusal");
    let second = ask(&client, &door).await.expect_err("a refusal");

    let wait = |error: &Error| match error {
        Error::RateLimited { retry_after, .. } => retry_after.expect("a wait"),
        other => panic!("{other}"),
    };
    assert!(wait(&first) <= Duration::from_secs(60));
    assert!(wait(&first) > Duration::from_secs(50));
    assert!(wait(&second) <= Duration::from_secs(60));
    assert_eq!(door.records()[0].usage.remaining, Some(0));
}

#[tokio::test]
async fn the_limit_of_figures_has_its_own_wait() {
    let message = "The data request limit has been exceeded. More than 45 million metric values";

    let error = failure(429, json!({"status": 429, "message": message})).await;

    assert!(matches!(
        error,
        Error::RateLimited { retry_after: Some(wait), .. } if wait == Duration::from_secs(330)
    ));
}

#[tokio::test]
async fn a_token_that_was_just_made_may_need_some_seconds_once() {
    let unauthorized = refusal("INVALID_ACCESS_TOKEN", 65600, "Invalid access token");
    let server = answering_in_turn(vec![
        (200, json!({"access_token": TOKEN, "expires_in": 5184000})),
        (401, unauthorized),
    ])
    .await;
    let client = client(&server);
    let door = RecordingDoor::default();
    let tokens = client.refresh(&OpenDoor, &grant()).await;

    let first = ask(&client, &door).await.expect_err("a refusal");
    let second = ask(&client, &door).await.expect_err("a refusal");

    assert!(tokens.is_ok());
    assert!(matches!(
        first,
        Error::RateLimited { retry_after: Some(wait), .. } if wait == Duration::from_secs(30)
    ));
    assert!(matches!(second, Error::AuthExpired { .. }));
}

#[tokio::test]
async fn a_set_up_that_cannot_work_is_refused_at_once() {
    let server = MockServer::start().await;
    let elsewhere = LinkedInConfig {
        oauth_url: "http://www.example.com/oauth/v2".parse().expect("a URL"),
        ..config(&server)
    };
    let unversioned = LinkedInConfig {
        version: "v2".to_owned(),
        ..config(&server)
    };

    assert!(matches!(
        LinkedIn::new(elsewhere),
        Err(Error::Config { .. })
    ));
    assert!(matches!(
        LinkedIn::new(unversioned),
        Err(Error::Config { .. })
    ));
}

#[tokio::test]
async fn an_id_that_is_no_number_never_becomes_part_of_an_address() {
    let server = MockServer::start().await;
    let client = client(&server);
    let access = access();
    let query = EntityQuery {
        account_id: "1/../2".to_owned(),
        currency: None,
        kind: EntityType::Campaign,
        changed_since: None,
        page_size: None,
    };

    let listed = client
        .entities(caller(&access, &RecordingDoor::default()), &query, None)
        .await;
    let one = client
        .account(caller(&access, &RecordingDoor::default()), "me?a=1")
        .await;

    assert!(matches!(listed, Err(Error::Rejected { .. })));
    assert!(matches!(one, Err(Error::Rejected { .. })));
    assert!(requests(&server).await.is_empty());
}

fn long_query() -> InsightQuery {
    InsightQuery {
        level: Level::AdSet,
        granularity: Granularity::Day,
        entities: (0..200).map(|n| (300_000_000 + n).to_string()).collect(),
        ..super::insights::query()
    }
}
