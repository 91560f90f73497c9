//! Signatures, refusals, quotas and warnings.

use std::{collections::HashSet, time::Duration};

use chrono::Utc;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::{
    CONSUMER_KEY, CONSUMER_SECRET, TOKEN, TOKEN_SECRET, access, answering, caller, client_of,
    config, ok, requests_to,
};
use crate::{
    error::Error,
    platform::{Access, AdPlatform, Caller, testing::RecordingDoor},
    x::{X, XConfig},
};

const AT: &str = "/12/accounts";

fn nothing() -> Value {
    json!({"request": {"params": {}}, "next_cursor": null, "total_count": null, "data": []})
}

async fn failure_of(answer: ResponseTemplate) -> Error {
    let server = answering(AT, answer).await;
    let access = access();
    client_of(&server)
        .accounts(caller(&access), None)
        .await
        .expect_err("a failure")
}

fn refused(status: u16, code: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(
        json!({"errors": [{"code": code, "message": "It went wrong."}], "request": {"params": {}}}),
    )
}

fn wait_of(error: &Error) -> Duration {
    match error {
        Error::RateLimited { retry_after, .. } => retry_after.expect("a wait"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_request_has_a_signature_of_its_own() {
    let server = answering(AT, ok(nothing())).await;
    let (x, access) = (client_of(&server), access());

    for _ in 0..2 {
        x.accounts(caller(&access), None).await.expect("a page");
    }

    let requests = requests_to(&server, AT).await;
    let headers: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.headers.get("authorization")?.to_str().ok())
        .collect();
    for header in &headers {
        assert!(header.starts_with("OAuth oauth_consumer_key=\"fakeConsumerKeyNotReal\""));
        for member in [
            "oauth_nonce=",
            "oauth_signature_method=\"HMAC-SHA1\"",
            "oauth_timestamp=",
            "oauth_token=\"1-fakeTokenNotReal\"",
            "oauth_version=\"1.0\"",
            "oauth_signature=",
        ] {
            assert!(header.contains(member), "{header}");
        }
        assert!(!header.contains(CONSUMER_SECRET) && !header.contains(TOKEN_SECRET));
    }
    let nonces: HashSet<&str> = headers
        .iter()
        .filter_map(|header| header.split("oauth_nonce=").nth(1)?.split(',').next())
        .collect();
    assert_eq!(nonces.len(), 2);
    assert!(
        requests[0]
            .url
            .query()
            .is_some_and(|it| !it.contains("oauth"))
    );
}

#[tokio::test]
async fn a_grant_of_oauth_2_is_sent_as_it_is() {
    let server = answering(AT, ok(nothing())).await;
    let access = Access {
        token: "fakeXAccessNotReal".into(),
        token_secret: None,
        manager: None,
    };
    let without_consumer = X::new(XConfig {
        consumer_key: None,
        ..config(&server)
    })
    .expect("a client");

    let page = without_consumer.accounts(caller(&access), None).await;

    assert!(page.is_ok());
    let requests = requests_to(&server, AT).await;
    assert_eq!(
        requests[0].headers.get("authorization").expect("a header"),
        "Bearer fakeXAccessNotReal"
    );
}

#[tokio::test]
async fn without_our_own_key_nothing_is_signed_or_sent() {
    let server = MockServer::start().await;
    let x = X::new(XConfig {
        consumer_secret: None,
        ..config(&server)
    })
    .expect("a client");
    let access = access();

    let result = x.accounts(caller(&access), None).await;

    assert!(matches!(result, Err(Error::Config { .. })));
    assert!(requests_to(&server, AT).await.is_empty());
}

#[tokio::test]
async fn refusals_are_read_from_the_body_in_both_styles() {
    let cases = [
        (refused(401, json!("UNAUTHORIZED_ACCESS")), "auth_expired"),
        (refused(401, json!(89)), "auth_expired"),
        (
            refused(403, json!("UNAUTHORIZED_CLIENT_APPLICATION")),
            "config",
        ),
        (refused(403, json!(64)), "permission"),
        (refused(400, json!("INVALID_PARAMETER")), "invalid"),
        (refused(400, json!("REQUEST_TOO_COMPLEX")), "too_large"),
        (refused(423, json!("LOCK_ACQUISITION_TIMEOUT")), "transient"),
        (
            ResponseTemplate::new(401).set_body_json(json!({"title": "Unauthorized"})),
            "auth_expired",
        ),
        (
            ResponseTemplate::new(403).set_body_string("<html>Forbidden</html>"),
            "invalid",
        ),
        (
            ResponseTemplate::new(502).set_body_string("<html>Bad gateway</html>"),
            "transient",
        ),
        (
            ResponseTemplate::new(200).set_body_string("{\"data\": ["),
            "transient",
        ),
        (ok(json!({"request": {}})), "transient"),
    ];

    for (answer, expected) in cases {
        let error = failure_of(answer).await;

        assert_eq!(error.class(), expected, "{error}");
    }
}

#[tokio::test]
async fn a_wrong_clock_of_ours_is_nobodys_spent_token() {
    let told = failure_of(refused(401, json!(135))).await;
    let seen =
        failure_of(refused(401, json!(32)).insert_header("date", "Fri, 20 Nov 2015 12:00:00 GMT"))
            .await;

    for error in [told, seen] {
        assert!(matches!(error, Error::Config { .. }), "{error}");
        assert!(error.detail().message.contains("clock"), "{error}");
    }
}

#[tokio::test]
async fn a_limit_lasts_until_the_time_that_is_named_for_the_account() {
    let now = Utc::now().timestamp();
    let answer = refused(429, json!("TOO_MANY_REQUESTS"))
        .insert_header("x-rate-limit-reset", (now + 10).to_string().as_str())
        .insert_header("x-account-rate-limit-limit", "10000")
        .insert_header("x-account-rate-limit-remaining", "0")
        .insert_header(
            "x-account-rate-limit-reset",
            (now + 600).to_string().as_str(),
        );

    let wait = wait_of(&failure_of(answer).await);

    let bounds = Duration::from_secs(595)..=Duration::from_secs(604);
    assert!(bounds.contains(&wait), "{wait:?}");
}

#[tokio::test]
async fn a_limit_without_a_time_lasts_a_minute_and_one_that_has_ended_a_moment() {
    let without = wait_of(&failure_of(refused(429, json!(88))).await);
    let now = Utc::now().timestamp();
    let ended =
        refused(429, json!(88)).insert_header("x-rate-limit-reset", now.to_string().as_str());
    let ended = wait_of(&failure_of(ended).await);
    // A duration in the place of a time is of no clock.
    let odd = refused(429, json!(88)).insert_header("x-rate-limit-reset", "900");
    let odd = wait_of(&failure_of(odd).await);

    assert_eq!(without, Duration::from_secs(60));
    assert!((1..=3).contains(&ended.as_secs()), "{ended:?}");
    assert_eq!(odd, Duration::from_secs(60));
}

#[tokio::test]
async fn who_says_when_to_come_back_is_heeded() {
    let busy = refused(503, json!("OVER_CAPACITY")).insert_header("retry-after", "17");

    let told = failure_of(busy).await;
    let silent = failure_of(refused(503, json!("OVER_CAPACITY"))).await;

    assert_eq!(wait_of(&told), Duration::from_secs(17));
    assert!(matches!(silent, Error::Unavailable { .. }), "{silent}");
}

#[tokio::test]
async fn quotas_and_request_ids_are_told_with_every_call() {
    let answer = ok(nothing())
        .insert_header("x-account-rate-limit-limit", "10000")
        .insert_header("x-account-rate-limit-remaining", "2500")
        .insert_header("x-transaction-id", "fakeTransaction1")
        .insert_header("x-api-warn", "version 12 ends soon");
    let server = answering(AT, answer).await;
    let (access, door) = (access(), RecordingDoor::default());
    let through = Caller {
        access: &access,
        door: &door,
    };

    client_of(&server)
        .accounts(through, None)
        .await
        .expect("a page");

    let record = &door.records()[0];
    assert_eq!(record.endpoint, "GET accounts");
    assert_eq!(record.request_id.as_deref(), Some("fakeTransaction1"));
    assert_eq!(record.usage.used_share, Some(0.75));
    assert_eq!(record.usage.remaining, Some(2_500));
    assert_eq!(door.steps(), ["admitted 1", "told", "released"]);
}

#[tokio::test]
async fn what_x_quotes_of_our_secrets_is_not_kept() {
    let message =
        format!("{CONSUMER_KEY} {CONSUMER_SECRET} {TOKEN} {TOKEN_SECRET} of ada@example.com");
    let body = json!({"errors": [{"code": 32, "message": message}]});

    let error = failure_of(ResponseTemplate::new(401).set_body_json(body)).await;

    let shown = format!("{error} {error:?}");
    for secret in [CONSUMER_KEY, CONSUMER_SECRET, TOKEN, TOKEN_SECRET, "ada@"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn an_account_is_never_a_path() {
    let server = MockServer::start().await;
    let access = access();

    for odd in ["", "1/2", "..", "1?x=1"] {
        let result = client_of(&server).account(caller(&access), odd).await;

        assert!(matches!(result, Err(Error::Rejected { .. })), "{odd}");
    }
    let received = server.received_requests().await.expect("recorded");
    assert!(received.is_empty());
}

#[test]
fn secrets_are_never_sent_in_the_clear() {
    let unsafe_base = || "http://ads-api.example.com".parse().expect("a URL");
    let configs = [
        XConfig {
            ads_url: unsafe_base(),
            ..XConfig::default()
        },
        XConfig {
            api_url: unsafe_base(),
            ..XConfig::default()
        },
        XConfig {
            auth_url: unsafe_base(),
            ..XConfig::default()
        },
    ];

    for config in configs {
        assert!(matches!(X::new(config), Err(Error::Config { .. })));
    }
    assert!(X::new(XConfig::default()).is_ok());
}
