//! How calls are made, and what becomes of refusals.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use super::{
    ADVERTISER, SECRET, TOKEN, access, answering, answering_in_turn, caller, client, config,
    envelope, good, parameters, requests, respond_with,
};
use crate::{
    error::Error,
    platform::{AdAccount, AdPlatform, testing::RecordingDoor},
    tiktok::{TikTok, TikTokConfig},
};

fn advertiser() -> Value {
    good(
        json!({"list": [{"advertiser_id": ADVERTISER, "name": "Fake", "status": "STATUS_ENABLE", "currency": "USD",
        "timezone": "Etc/GMT+5", "display_timezone": "America/New_York", "balance": 10.5, "country": "US"}]}),
    )
}

async fn ask(client: &TikTok, door: &RecordingDoor) -> Result<AdAccount, Error> {
    let access = access();
    client.account(caller(&access, door), ADVERTISER).await
}

async fn failure(code: i64, message: &str) -> Error {
    let server = answering(envelope(code, message, json!({}))).await;
    let door = RecordingDoor::default();
    ask(&client(&server), &door).await.expect_err("a failure")
}

fn wait(error: &Error) -> Duration {
    match error {
        Error::RateLimited {
            retry_after: Some(wait),
            ..
        } => *wait,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_call_has_its_slash_its_header_and_json_in_its_query() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/open_api/v1.3/advertiser/info/"))
        .and(header("access-token", TOKEN))
        .respond_with(ResponseTemplate::new(200).set_body_json(advertiser()))
        .expect(1)
        .mount(&server)
        .await;
    let door = RecordingDoor::default();

    let account = ask(&client(&server), &door).await.expect("an account");

    assert_eq!(account.id, ADVERTISER);
    let requests = requests(&server).await;
    let asked = parameters(&requests[0]);
    assert_eq!(asked["advertiser_ids"], r#"["7000000000000000001"]"#);
    assert!(!requests[0].url.as_str().contains(TOKEN));
    let records = door.records();
    assert_eq!(records[0].endpoint, "GET advertiser/info/");
    assert_eq!(records[0].status, Some(200));
    assert_eq!(
        records[0].request_id.as_deref(),
        Some("20261121fakeRequestId")
    );
}

#[tokio::test]
async fn errors_come_under_a_good_status_and_are_what_a_caller_decides_on() {
    let revoked = failure(40105, "Access token is incorrect or has been revoked.").await;
    let own_app = failure(40101, "App id or secret is wrong").await;
    let denied = failure(40001, "No permission").await;
    let wrong = failure(40002, "Invalid parameter").await;
    let too_many = failure(40011, "Too many ids").await;
    let broken = failure(50000, "Internal error").await;

    assert!(matches!(revoked, Error::AuthExpired { .. }));
    assert!(matches!(own_app, Error::Config { .. }));
    assert!(matches!(denied, Error::Permission { .. }));
    assert!(matches!(wrong, Error::Rejected { .. }));
    assert!(matches!(too_many, Error::TooLarge { .. }));
    assert!(matches!(broken, Error::Unavailable { .. }));
    let detail = revoked.detail();
    assert_eq!(detail.provider, "tiktok");
    assert_eq!(detail.status, Some(200));
    assert_eq!(detail.code.as_deref(), Some("40105"));
    assert_eq!(detail.request_id.as_deref(), Some("20261121fakeRequestId"));
}

#[tokio::test]
async fn a_limit_that_is_named_is_waited_for_as_long_as_it_lasts() {
    let by_second = failure(40100, "App reaches the QPS limit").await;
    let by_minute = failure(40100, "App reaches the QPM limit").await;
    let by_day = failure(40133, "App reaches the QPD limit").await;
    let maintenance = failure(60001, "Maintenance").await;

    assert_eq!(wait(&by_second), Duration::from_secs(2));
    assert_eq!(wait(&by_minute), Duration::from_secs(300));
    assert!(wait(&by_day) <= Duration::from_secs(86_400));
    assert_eq!(wait(&maintenance), Duration::from_secs(900));
}

#[tokio::test]
async fn a_limit_without_a_name_is_waited_for_some_seconds_at_first() {
    let server = answering(envelope(40100, "Too many requests", json!({}))).await;
    let client = client(&server);
    let door = RecordingDoor::default();

    let first = ask(&client, &door).await.expect_err("a refusal");
    let under_way = ask(&client, &door).await.expect_err("a refusal");

    assert!(wait(&first) <= Duration::from_secs(5));
    assert!(wait(&under_way) <= Duration::from_secs(5));
    assert_eq!(door.records()[0].class, Some("rate_limited"));
    assert!(door.records()[0].usage.resets_in.is_some());
}

#[tokio::test]
async fn a_doubtful_refusal_is_believed_the_second_time() {
    let doubtful = envelope(40700, "Internal validation error", json!({}));
    let server = answering_in_turn(vec![doubtful.clone(), doubtful]).await;
    let client = client(&server);
    let door = RecordingDoor::default();

    let first = ask(&client, &door).await;
    let second = ask(&client, &door).await;

    assert!(matches!(first, Err(Error::Unavailable { .. })));
    assert!(matches!(second, Err(Error::Rejected { .. })));
}

async fn page_of_a_front_end(status: u16, body: &str) -> Error {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(status).set_body_string(body);
    respond_with(&server, answer).await;
    let door = RecordingDoor::default();
    ask(&client(&server), &door).await.expect_err("a failure")
}

#[tokio::test]
async fn a_page_of_a_front_end_is_no_answer() {
    let no_such_path = page_of_a_front_end(404, "<html>404</html>").await;
    let bad_gateway = page_of_a_front_end(502, "<html>502</html>").await;
    let busy = page_of_a_front_end(429, "slow down").await;
    let empty = page_of_a_front_end(200, "").await;

    assert!(matches!(no_such_path, Error::Rejected { .. }));
    assert!(matches!(bad_gateway, Error::Unavailable { .. }));
    assert!(matches!(busy, Error::RateLimited { .. }));
    assert!(matches!(empty, Error::Unavailable { .. }));
}

#[tokio::test]
async fn secrets_that_are_quoted_back_are_not_told() {
    let error = failure(40002, &format!("bad {TOKEN} of {SECRET}")).await;

    let told = error.to_string();
    assert!(!told.contains(TOKEN) && !told.contains(SECRET));
}

#[tokio::test]
async fn an_address_that_would_send_secrets_in_the_clear_is_refused() {
    let server = MockServer::start().await;
    let elsewhere = TikTokConfig {
        base_url: "http://www.example.com/open_api/v1.3/"
            .parse()
            .expect("a URL"),
        ..config(&server)
    };

    assert!(matches!(TikTok::new(elsewhere), Err(Error::Config { .. })));
}
