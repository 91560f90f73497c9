//! One request and what its answer means.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, header, method, path},
};

use super::{APP_SECRET, PROOF, TOKEN, client, client_of, event, graph_error, token};
use crate::{
    error::Error,
    meta::{EventsReceived, Meta, MetaConfig},
};

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    server
}

async fn send_one(meta: &Meta) -> Result<EventsReceived, Error> {
    meta.send_events("123", &token(), &[event("a")], None).await
}

async fn failure_of(answer: ResponseTemplate) -> Error {
    let server = answering(answer).await;
    send_one(&client_of(&server)).await.expect_err("a failure")
}

#[tokio::test]
async fn a_call_carries_the_token_in_its_header_and_the_proof_in_its_body() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v26.0/123/events"))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"events_received": 1, "messages": [], "fbtrace_id": "AfakeTrace"}),
        ))
        .expect(1)
        .mount(&server)
        .await;

    let received = client_of(&server)
        .send_events("123", &token(), &[event("a")], Some("TEST1"))
        .await
        .expect("an answer");

    assert_eq!(received.events_received, 1);
    assert_eq!(received.fbtrace_id.as_deref(), Some("AfakeTrace"));
    let requests = server.received_requests().await.expect("recorded");
    let body: Value = requests[0].body_json().expect("JSON");
    assert_eq!(body["appsecret_proof"], PROOF);
    assert_eq!(body["test_event_code"], "TEST1");
    assert_eq!(body["data"][0]["event_id"], "a");
    assert!(!requests[0].url.as_str().contains("EAA"));
}

#[tokio::test]
async fn without_an_app_secret_there_is_no_proof() {
    let server =
        answering(ResponseTemplate::new(200).set_body_json(json!({"events_received": "1"}))).await;
    let meta = Meta::new(MetaConfig {
        base_url: server.uri().parse().expect("a URL"),
        ..MetaConfig::default()
    })
    .expect("a client");

    let received = send_one(&meta).await.expect("an answer");

    assert_eq!(received.events_received, 1);
    let requests = server.received_requests().await.expect("recorded");
    let body: Value = requests[0].body_json().expect("JSON");
    assert_eq!(body.get("appsecret_proof"), None);
}

#[tokio::test]
async fn an_error_under_status_200_is_an_error() {
    let answer = graph_error(
        200,
        json!({"message": "Session has expired", "code": 190, "error_subcode": 463, "fbtrace_id": "AfakeTrace"}),
    );

    let error = failure_of(answer).await;

    assert!(matches!(error, Error::AuthExpired { .. }), "{error}");
    let detail = error.detail();
    assert_eq!(detail.code.as_deref(), Some("190/463"));
    assert_eq!(detail.request_id.as_deref(), Some("AfakeTrace"));
    assert_eq!(detail.status, Some(200));
}

#[tokio::test]
async fn what_meta_quotes_of_our_secrets_is_not_kept() {
    let message = format!("Malformed access token {TOKEN} of {APP_SECRET} for ada@example.com");

    let error = failure_of(graph_error(400, json!({"message": message, "code": 190}))).await;

    let shown = format!("{error} {error:?}");
    for secret in [TOKEN, APP_SECRET, "ada@"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn answers_that_are_no_json_are_passing_trouble() {
    for answer in [
        ResponseTemplate::new(200).set_body_string("{\"events_rece"),
        ResponseTemplate::new(200),
        ResponseTemplate::new(400).set_body_string("<html>Sorry</html>"),
        ResponseTemplate::new(502).set_body_string("<html>Bad gateway</html>"),
        ResponseTemplate::new(200).set_body_json(json!({"success": true})),
    ] {
        let error = failure_of(answer).await;

        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert!(error.maybe_received());
    }
}

#[tokio::test]
async fn a_body_that_meta_finds_too_large_is_too_large() {
    let error = failure_of(ResponseTemplate::new(413).set_body_string("too large")).await;

    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_limit_under_status_400_says_how_long_to_wait() {
    let limit = || graph_error(400, json!({"message": "limit", "code": 80_004}));
    let usage = r#"{"1":[{"type":"ads_management","estimated_time_to_regain_access":7}]}"#;
    let cases = [
        (limit(), 300),
        (
            limit().insert_header("x-business-use-case-usage", usage),
            420,
        ),
        (limit().insert_header("retry-after", "12"), 12),
        (limit().insert_header("retry-after", "-12"), 300),
        (limit().insert_header("retry-after", "0"), 300),
        (
            limit().insert_header("retry-after", "Fri, 20 Nov 2015 12:00:00 GMT"),
            300,
        ),
    ];

    for (answer, seconds) in cases {
        let error = failure_of(answer).await;

        let Error::RateLimited { retry_after, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(retry_after, Some(Duration::from_secs(seconds)));
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = MockServer::start().await;
    Mock::given(path("/elsewhere"))
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&server)
        .await;
    let elsewhere = format!("{}/elsewhere", server.uri());
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(307).insert_header("location", elsewhere.as_str()))
        .expect(1)
        .mount(&server)
        .await;

    let error = send_one(&client_of(&server)).await.expect_err("a failure");

    assert_eq!(error.detail().status, Some(307));
}

#[tokio::test]
async fn a_data_set_is_never_a_path() {
    let meta = client("http://127.0.0.1:9", Duration::from_secs(1));

    for odd in ["", "1/2", "..", "1?x=1", "1 2", &"1".repeat(65)] {
        let error = meta.send_events(odd, &token(), &[event("a")], None).await;

        assert!(matches!(error, Err(Error::Rejected { .. })), "{odd}");
    }
}

#[tokio::test]
async fn a_refused_connection_received_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);

    let error = send_one(&client(
        &format!("http://{address}"),
        Duration::from_secs(10),
    ))
    .await
    .expect_err("a failure");

    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(!error.maybe_received());
    assert!(!error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn silence_is_a_time_out_of_a_request_that_may_have_arrived() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let meta = client(&format!("http://{address}"), Duration::from_millis(300));

    let error = send_one(&meta).await.expect_err("a failure");

    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(error.maybe_received());
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let endless = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 1024];
        let read = socket.read(&mut request).await.expect("a request");
        assert!(read > 0);
        socket
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .await
            .expect("a head");
        let mut written = 0_u64;
        while socket.write_all(&[b'x'; 4096]).await.is_ok() {
            written += 4096;
        }
        written
    });

    let error = send_one(&client(
        &format!("http://{address}"),
        Duration::from_secs(10),
    ))
    .await
    .expect_err("a failure");

    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let written = endless
        .await
        .expect("the server ends when the client hangs up");
    assert!(written < 64 << 20, "{written}");
}
