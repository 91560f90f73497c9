//! Calls to an endpoint on a loopback address that the policy opens.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, path},
};

use super::{loopback_caller, loopback_policy, post};
use crate::{
    error::Error,
    webhook::{CallAnswer, CallRequest, Caller, ChosenBy, OutboundPolicy, Received, Signer},
};

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

async fn answer_to(answer: ResponseTemplate) -> Result<CallAnswer, Error> {
    let server = answering(answer).await;
    loopback_caller().call(post(&server.uri())).await
}

/// An endpoint that speaks raw bytes: reads a request, then does as told.
async fn raw_endpoint<F>(
    answer: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (String, JoinHandle<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 4096];
        let read = socket.read(&mut request).await.expect("a request");
        assert!(read > 0);
        answer(socket).await;
    });
    (url, task)
}

#[tokio::test]
async fn a_call_is_signed_over_the_bytes_that_are_sent() {
    let server = answering(ResponseTemplate::new(204)).await;
    let signer = Signer::new(&[
        "whsec_VB7SLnLnLhm+sJDXWE/zWQtk4Wi+EKAr".into(),
        "whsec_M4AtdTAQL1umb+V9BG7ily8X+2nJmEtPJb+GEQbxSiY=".into(),
    ])
    .expect("secrets");

    let answer = loopback_caller()
        .call(CallRequest {
            signature: Some((signer.clone(), "0192f7c4".to_owned())),
            ..post(&server.uri())
        })
        .await
        .expect("an answer");

    assert_eq!(answer.status, 204);
    let requests = server.received_requests().await.expect("recorded");
    let request = &requests[0];
    let header = |name: &str| request.headers[name].to_str().expect("text");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("webhook-id"), "0192f7c4");
    assert_eq!(header("webhook-signature").split(' ').count(), 2);
    assert!(header("user-agent").starts_with("millpond/"));
    let received = Received {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
    };
    assert_eq!(signer.verify(received, &request.body, Utc::now()), Ok(()));
}

#[tokio::test]
async fn headers_of_the_user_are_sent_and_those_that_are_ours_refused() {
    let server = answering(ResponseTemplate::new(200)).await;
    let with = |name: &str, value: &str| {
        let mut request = post(&server.uri());
        request.headers.insert(name.to_owned(), value.to_owned());
        loopback_caller_call(request)
    };

    let sent = with("X-Team", "growth").await;

    assert!(sent.is_ok());
    let requests = server.received_requests().await.expect("recorded");
    assert_eq!(requests[0].headers["x-team"], "growth");
    for (name, value) in [
        ("Host", "inside"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "close"),
        ("Webhook-Signature", "v1,forged"),
        ("webhook-id", "forged"),
        ("x bad", "1"),
        ("", "1"),
        ("x-line", "a\r\nb: c"),
    ] {
        let error = with(name, value).await.expect_err("a refusal");

        assert!(matches!(error, Error::Rejected { .. }), "{name}: {error}");
    }
}

async fn loopback_caller_call(request: CallRequest) -> Result<CallAnswer, Error> {
    loopback_caller().call(request).await
}

#[tokio::test]
async fn a_method_that_tunnels_is_refused() {
    for method in ["CONNECT", "TRACE", "post", "GET / HTTP/1.1\r\n"] {
        let request = CallRequest {
            method: method.to_owned(),
            ..post("http://127.0.0.1:9/")
        };

        let error = loopback_caller_call(request).await.expect_err("a refusal");

        assert!(matches!(error, Error::Rejected { .. }), "{method}");
    }
}

#[tokio::test]
async fn every_status_has_its_class() {
    for (status, expected) in [
        (200_u16, "ok"),
        (299, "ok"),
        (304, "invalid"),
        (400, "invalid"),
        (401, "config"),
        (403, "config"),
        (404, "invalid"),
        (408, "transient"),
        (410, "invalid"),
        (413, "invalid"),
        (425, "transient"),
        (429, "rate_limited"),
        (500, "transient"),
        (502, "transient"),
        (503, "transient"),
        (504, "transient"),
    ] {
        let result = answer_to(ResponseTemplate::new(status)).await;

        let class = result.as_ref().err().map_or("ok", Error::class);
        assert_eq!(class, expected, "{status}");
    }
}

#[tokio::test]
async fn a_pause_is_honoured_with_429_and_503() {
    for (status, value, pause) in [
        (429_u16, "7", Some(7)),
        (429, "-7", None),
        (429, "99999999", Some(86_400)),
        (503, "0", Some(0)),
    ] {
        let answer = ResponseTemplate::new(status).insert_header("retry-after", value);

        let error = answer_to(answer).await.expect_err("a failure");

        let Error::RateLimited { retry_after, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(retry_after, pause.map(Duration::from_secs), "{value}");
    }
    let garbage = ResponseTemplate::new(503).insert_header("retry-after", "later");
    let error = answer_to(garbage).await.expect_err("a failure");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_failures_and_not_followed() {
    let server = MockServer::start().await;
    Mock::given(path("/canary"))
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&server)
        .await;
    let canary = format!("{}/canary", server.uri());
    for status in [301_u16, 302, 303, 307, 308] {
        let answer = ResponseTemplate::new(status).insert_header("location", canary.as_str());
        let endpoint = answering(answer).await;

        let error = loopback_caller()
            .call(post(&endpoint.uri()))
            .await
            .expect_err("a failure");

        assert!(matches!(error, Error::Rejected { .. }), "{error}");
        assert_eq!(error.detail().status, Some(status));
    }
}

#[tokio::test]
async fn an_excerpt_is_short_and_without_what_the_endpoint_quotes() {
    let text = format!("got Bearer s3cr3t-value\r\n{}", "é".repeat(5_000));
    let server = answering(ResponseTemplate::new(200).set_body_string(text)).await;
    let mut request = post(&server.uri());
    request
        .headers
        .insert("Authorization".to_owned(), "Bearer s3cr3t-value".to_owned());

    let answer = loopback_caller_call(request).await.expect("an answer");

    assert!(answer.excerpt.len() <= 1024);
    assert!(
        answer.excerpt.starts_with("got Bearer ***  é"),
        "{}",
        answer.excerpt
    );
}

#[tokio::test]
async fn a_huge_answer_is_cut_and_its_status_counts() {
    let (url, endpoint) = raw_endpoint(|mut socket: TcpStream| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2147483648\r\n\r\n";
        socket.write_all(head).await.expect("a head");
        let mut written = 0_u64;
        while socket.write_all(&[b'x'; 4096]).await.is_ok() {
            written += 4096;
        }
        assert!(written < 64 << 20, "{written}");
    })
    .await;

    let answer = loopback_caller().call(post(&url)).await.expect("an answer");

    assert_eq!(answer.status, 200);
    assert_eq!(answer.excerpt.len(), 1024);
    endpoint
        .await
        .expect("the endpoint ends when the caller hangs up");
}

#[tokio::test]
async fn a_compressed_answer_is_not_unpacked() {
    let (url, _endpoint) = raw_endpoint(|mut socket: TcpStream| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nBOMB";
        socket.write_all(head).await.expect("an answer");
    })
    .await;

    let answer = loopback_caller().call(post(&url)).await.expect("an answer");

    assert_eq!(answer.excerpt, "BOMB");
}

#[tokio::test]
async fn an_answer_that_trickles_times_out() {
    let (url, _endpoint) = raw_endpoint(|mut socket: TcpStream| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx";
        socket.write_all(head).await.expect("a head");
        std::future::pending::<()>().await;
    })
    .await;
    let caller = Caller::new(loopback_policy(), Duration::from_millis(300)).expect("a caller");

    let error = caller.call(post(&url)).await.expect_err("a time out");

    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(error.maybe_received());
}

#[tokio::test]
async fn an_endpoint_that_hangs_keeps_further_calls_from_being_made() {
    let (url, _endpoint) = raw_endpoint(|socket: TcpStream| async move {
        let _open = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let policy = OutboundPolicy {
        per_endpoint: 1,
        ..loopback_policy()
    };
    let caller = Caller::new(policy, Duration::from_secs(10)).expect("a caller");
    let operators = CallRequest {
        chosen_by: ChosenBy::Operator,
        ..post("http://127.0.0.1:9/")
    };

    let hanging = caller.call(post(&url));
    let (second, elsewhere, operators) = tokio::select! {
        biased;
        ended = hanging => panic!("nobody answers: {ended:?}"),
        others = async {
            tokio::join!(
                caller.call(post(&url)),
                caller.call(post("http://127.0.0.1:9/")),
                caller.call(operators),
            )
        } => others,
    };

    assert!(matches!(second, Err(Error::Postponed { .. })), "{second:?}");
    for called in [elsewhere, operators] {
        assert!(
            matches!(called, Err(Error::Unavailable { .. })),
            "{called:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_passing_trouble() {
    let (url, _endpoint) = raw_endpoint(|socket: TcpStream| async move { drop(socket) }).await;

    let error = loopback_caller()
        .call(post(&url))
        .await
        .expect_err("a failure");

    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(error.maybe_received());
}

#[tokio::test]
async fn a_body_is_sent_as_it_is() {
    let server = answering(ResponseTemplate::new(200)).await;
    let body = Bytes::from_static(b"{ \"a\" : 1e0 }\n");

    let request = CallRequest {
        body: body.clone(),
        method: "PUT".to_owned(),
        ..post(&server.uri())
    };
    loopback_caller_call(request).await.expect("an answer");

    let requests = server.received_requests().await.expect("recorded");
    assert_eq!(requests[0].body, body);
    assert_eq!(requests[0].method.as_str(), "PUT");
}
