//! What goes to Resend, and what its answers mean, as it documents them.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path},
};

use super::{Resend, ResendConfig};
use crate::{
    error::Error,
    mail::{Mail, MailTransport as _},
};

const KEY: &str = "re_fakeNotReal";

fn mail() -> Mail {
    Mail {
        from: "Alerts <alerts@example.com>".to_owned(),
        reply_to: Some("team@example.com".to_owned()),
        to: vec!["ada@example.com".to_owned()],
        subject: "Größe".to_owned(),
        text: "Hello".to_owned(),
        html: Some("<p>Hello</p>".to_owned()),
        message_id: "<key-abc@example.com>".to_owned(),
        auto_submitted: true,
        unsubscribe: Some("https://jobs.example.com/unsubscribe/t0ken".to_owned()),
    }
}

fn client(server: &MockServer) -> Resend {
    Resend::new(ResendConfig {
        base_url: server.uri().parse().expect("a URL"),
        api_key: KEY.into(),
        timeout: Duration::from_secs(5),
    })
    .expect("loopback may be plain http")
}

/// The failure of a mail that is answered like this.
async fn failure(answer: ResponseTemplate) -> Error {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    client(&server).send(&mail()).await.expect_err("a failure")
}

fn refused(status: u16, name: &str) -> ResponseTemplate {
    let body = json!({ "statusCode": status, "name": name, "message": "No." });
    ResponseTemplate::new(status).set_body_json(body)
}

#[tokio::test]
async fn a_mail_goes_out_whole_under_a_key_of_its_own() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/emails"))
        .and(header("authorization", "Bearer re_fakeNotReal"))
        .and(header("idempotency-key", "key-abc@example.com"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({ "id": "49a3999c-0000-4000-8000-000000000000" })),
        )
        .expect(1)
        .mount(&server)
        .await;

    let sent = client(&server).send(&mail()).await.expect("it is taken");

    assert_eq!(
        sent.response,
        "accepted 49a3999c-0000-4000-8000-000000000000"
    );
    let requests = server.received_requests().await.expect("it keeps them");
    let body: Value = serde_json::from_slice(&requests[0].body).expect("JSON");
    assert_eq!(
        body,
        json!({
            "from": "Alerts <alerts@example.com>",
            "to": ["ada@example.com"],
            "reply_to": "team@example.com",
            "subject": "Größe",
            "text": "Hello",
            "html": "<p>Hello</p>",
            "headers": {
                "Auto-Submitted": "auto-generated",
                "List-Unsubscribe": "<https://jobs.example.com/unsubscribe/t0ken>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            },
        })
    );
}

#[tokio::test]
async fn a_domain_outside_ascii_goes_out_in_ascii() {
    let server = MockServer::start().await;
    let taken = ResponseTemplate::new(200).set_body_json(json!({ "id": "1" }));
    Mock::given(method("POST"))
        .respond_with(taken)
        .mount(&server)
        .await;
    let mail = Mail {
        to: vec!["Ada Lovelace <ada@bücher.example>".to_owned()],
        ..mail()
    };

    client(&server).send(&mail).await.expect("it is taken");

    let requests = server.received_requests().await.expect("it keeps them");
    let body: Value = serde_json::from_slice(&requests[0].body).expect("JSON");
    assert_eq!(
        body["to"],
        json!(["Ada Lovelace <ada@xn--bcher-kva.example>"])
    );
}

#[tokio::test]
async fn each_refusal_has_its_class() {
    let cases = [
        (400, "validation_error", "invalid"),
        (400, "invalid_idempotency_key", "invalid"),
        (403, "validation_error", "config"),
        (422, "missing_required_field", "invalid"),
        (404, "not_found", "invalid"),
        (413, "", "too_large"),
        (401, "missing_api_key", "config"),
        (401, "restricted_api_key", "config"),
        (403, "invalid_api_key", "config"),
        (409, "invalid_idempotent_request", "invalid"),
        (409, "concurrent_idempotent_requests", "rate_limited"),
        (429, "rate_limit_exceeded", "rate_limited"),
        (429, "daily_quota_exceeded", "rate_limited"),
        (429, "monthly_quota_exceeded", "rate_limited"),
        (500, "application_error", "transient"),
        (503, "", "transient"),
    ];

    for (status, name, class) in cases {
        let error = failure(refused(status, name)).await;

        assert_eq!(error.class(), class, "{status} {name}");
    }
}

#[tokio::test]
async fn the_pause_is_the_one_that_resend_asks_for() {
    let limited = || refused(429, "rate_limit_exceeded");

    let told = failure(limited().insert_header("retry-after", "7")).await;
    let reset = failure(limited().insert_header("ratelimit-reset", "3")).await;
    let untold = failure(refused(429, "daily_quota_exceeded")).await;

    let pause = |error: Error| match error {
        Error::RateLimited { retry_after, .. } => retry_after.map(|pause| pause.as_secs()),
        _ => None,
    };
    assert_eq!(
        [pause(told), pause(reset), pause(untold)],
        [Some(7), Some(3), Some(3_600)]
    );
}

#[tokio::test]
async fn an_answer_never_shows_the_key() {
    let body = json!({ "name": "invalid_api_key", "message": format!("{KEY} is unknown") });

    let error = failure(ResponseTemplate::new(403).set_body_json(body)).await;

    assert!(!error.to_string().contains(KEY), "{error}");
}

#[tokio::test]
async fn what_could_become_another_header_is_never_sent() {
    let server = MockServer::start().await;
    let forged = "a\r\nBcc: eve@example.com";
    let mails = [
        Mail {
            subject: forged.to_owned(),
            ..mail()
        },
        Mail {
            to: vec!["ada@example.com, eve@example.com".to_owned()],
            ..mail()
        },
        Mail {
            reply_to: Some(forged.to_owned()),
            ..mail()
        },
        Mail {
            to: vec!["\"a> RCPT TO:<eve\"@example.com".to_owned()],
            ..mail()
        },
        Mail {
            unsubscribe: Some(format!("https://example.com/{forged}")),
            ..mail()
        },
        Mail {
            to: Vec::new(),
            ..mail()
        },
    ];

    for mail in mails {
        let result = client(&server).send(&mail).await;

        assert!(matches!(result, Err(Error::Rejected { .. })), "{result:?}");
    }
    assert!(
        server
            .received_requests()
            .await
            .is_some_and(|it| it.is_empty())
    );
}
