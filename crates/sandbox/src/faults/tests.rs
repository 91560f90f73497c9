//! Each fault as a caller sees it on the wire.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use super::{Fault, FaultError, Faults, HttpFault, SmtpFault, SmtpStep};
use crate::{
    Platform,
    testing::{Answer, DEADLINE, Site},
};

fn for_meta(fault: HttpFault) -> Fault {
    Fault::Platform {
        platform: Platform::Meta,
        fault,
        path: None,
    }
}

/// What a call to an unknown object meets under the fault that this JSON tells.
async fn meta_under(site: &Site, fault: Value) -> Answer {
    let fault: HttpFault = serde_json::from_value(fault).expect("a fault");
    site.sandbox
        .faults()
        .add(for_meta(fault), Some(1))
        .expect("armed");
    site.get("/v26.0/404").await
}

#[tokio::test]
async fn a_failure_comes_in_metas_envelope() {
    let site = Site::start().await;
    let fault = json!({
        "kind": "fail", "status": 500, "code": 2, "subcode": 1_504_043, "is_transient": true,
        "message": "Service temporarily unavailable",
    });

    let answer = meta_under(&site, fault).await;

    assert_eq!(answer.status, 500);
    let error = &answer.json()["error"];
    assert_eq!(error["code"], 2);
    assert_eq!(error["error_subcode"], 1_504_043);
    assert_eq!(error["is_transient"], true);
    assert_eq!(error["message"], "Service temporarily unavailable");
    assert_eq!(site.sandbox.ledger().meta_requests()[0].fault, Some("fail"));
    site.stop().await;
}

#[tokio::test]
async fn an_error_can_hide_inside_a_success() {
    let site = Site::start().await;

    let answer = meta_under(&site, json!({ "kind": "fail", "status": 200, "code": 1 })).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["error"]["code"], 1);
    site.stop().await;
}

#[tokio::test]
async fn throttling_tells_its_usage_in_the_header_of_its_code() {
    let site = Site::start().await;
    let throttle = |code: i64| json!({ "kind": "throttle", "code": code, "wait_s": 90 });

    let app = meta_under(&site, throttle(4)).await;
    let account = meta_under(&site, throttle(17)).await;
    let business = meta_under(&site, throttle(80_004)).await;

    assert_eq!(
        (app.status, account.status, business.status),
        (400, 400, 400)
    );
    assert_eq!(business.json()["error"]["code"], 80_004);
    let header = |answer: &Answer, name: &str| -> Value {
        serde_json::from_str(answer.header(name).expect("a header")).expect("JSON")
    };
    assert_eq!(header(&app, "x-app-usage")["call_count"], 100);
    assert_eq!(
        header(&account, "x-ad-account-usage")["reset_time_duration"],
        90
    );
    let usage = header(&business, "x-business-use-case-usage");
    assert_eq!(
        usage["1000000000001"][0]["estimated_time_to_regain_access"],
        2
    );
    site.stop().await;
}

#[tokio::test]
async fn a_plain_throttle_says_when_to_come_back_in_any_form() {
    let site = Site::start().await;
    let forms = [
        (json!(120), "120"),
        (json!(0), "0"),
        (json!(-5), "-5"),
        (json!("soon"), "soon"),
        (
            json!("Fri, 31 Dec 9999 23:59:59 GMT"),
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ),
    ];
    for (form, sent) in forms {
        let fault = json!({ "kind": "throttle", "status": 503, "retry_after": form });

        let answer = meta_under(&site, fault).await;

        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some(sent))
        );
    }
    let date = json!({ "kind": "throttle", "retry_after": { "date_in_s": 60 } });
    let answer = meta_under(&site, date).await;
    assert_eq!(answer.status, 429);
    assert!(
        answer
            .header("retry-after")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
    let silent = meta_under(&site, json!({ "kind": "throttle" })).await;
    assert_eq!((silent.status, silent.header("retry-after")), (429, None));
    site.stop().await;
}

#[tokio::test]
async fn a_proxys_page_is_html() {
    let site = Site::start().await;

    let answer = meta_under(&site, json!({ "kind": "html" })).await;

    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(answer.body.starts_with("<html>"));
    site.stop().await;
}

#[tokio::test]
async fn half_an_answer_looks_whole_and_is_not_json() {
    let site = Site::start().await;

    let answer = meta_under(&site, json!({ "kind": "half_json" })).await;

    assert!(!answer.was_reset);
    assert_eq!(
        answer.header("content-length"),
        Some(answer.body.len().to_string().as_str())
    );
    assert!(serde_json::from_str::<Value>(&answer.body).is_err());
    site.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_cut_off_ends_with_a_reset() {
    let site = Site::start().await;

    let answer = meta_under(&site, json!({ "kind": "cut_off" })).await;

    assert!(answer.was_reset);
    let declared = answer
        .header("content-length")
        .and_then(|length| length.parse().ok());
    assert!(declared.is_some_and(|declared: usize| declared > answer.body.len()));
    assert!(!answer.body.is_empty());
    site.stop().await;
}

#[tokio::test]
async fn a_slow_answer_arrives_whole() {
    let site = Site::start().await;
    let started = time::Instant::now();

    let answer = meta_under(&site, json!({ "kind": "slow", "bytes_per_second": 2_000 })).await;

    assert_eq!(answer.json()["error"]["code"], 100);
    // Some 300 bytes, in pieces of 200 with a tenth of a second between them.
    assert!(started.elapsed() >= time::Duration::from_millis(50));
    site.stop().await;
}

#[tokio::test]
async fn an_answer_can_carry_huge_headers() {
    let site = Site::start().await;
    let fault = json!({ "kind": "huge_headers", "count": 3, "size_bytes": 50_000 });

    let answer = meta_under(&site, fault).await;

    assert_eq!(answer.header("x-filler-2").map(str::len), Some(50_000));
    assert_eq!(answer.json()["error"]["code"], 100);
    site.stop().await;
}

#[tokio::test]
async fn an_answer_without_end_goes_on_until_the_caller_leaves() {
    let site = Site::start().await;
    let fault = for_meta(HttpFault::Endless);
    site.sandbox.faults().add(fault, Some(1)).expect("armed");
    let mut stream = TcpStream::connect(site.sandbox.http_addr())
        .await
        .expect("a connection");

    stream
        .write_all(b"GET /v26.0/404 HTTP/1.1\r\nhost: sandbox\r\n\r\n")
        .await
        .expect("sent");
    let mut megabyte = vec![0; 1 << 20];
    let read = time::timeout(DEADLINE, stream.read_exact(&mut megabyte))
        .await
        .expect("in time");

    assert_eq!(read.expect("a megabyte"), 1 << 20);
    drop(stream);
    site.stop().await;
}

#[tokio::test]
async fn a_hanging_server_is_stopped_all_the_same() {
    let site = Site::start().await;
    let fault = HttpFault::Hang {
        wait_ms: 3_600_000,
        after: false,
    };
    site.sandbox
        .faults()
        .add(for_meta(fault), None)
        .expect("armed");
    let mut stream = TcpStream::connect(site.sandbox.http_addr())
        .await
        .expect("a connection");
    stream
        .write_all(b"GET /v26.0/404 HTTP/1.1\r\nhost: sandbox\r\n\r\n")
        .await
        .expect("sent");
    let arrived = async {
        while site.sandbox.ledger().totals().meta_requests == 0 {
            tokio::task::yield_now().await;
        }
    };
    time::timeout(DEADLINE, arrived)
        .await
        .expect("a call in time");

    site.stop().await;

    let mut rest = Vec::new();
    let ended = time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    assert!(rest.is_empty());
}

#[test]
fn a_fault_strikes_only_the_paths_that_it_names() {
    let faults = Faults::default();
    let path = Some("/events".to_owned());
    faults
        .add(
            Fault::Platform {
                platform: Platform::Meta,
                fault: HttpFault::CutOff,
                path,
            },
            Some(1),
        )
        .expect("armed");

    let take = |path| faults.take_platform(Platform::Meta, path);
    assert_eq!(take("/v26.0/me"), None);
    assert_eq!(faults.take_platform(Platform::X, "/12/events"), None);
    assert_eq!(take("/v26.0/1/events"), Some(HttpFault::CutOff));
    assert_eq!(take("/v26.0/1/events"), None);
}

#[test]
fn a_fault_strikes_only_the_server_that_it_is_for() {
    let faults = Faults::default();
    let fault = HttpFault::CutOff;
    faults
        .add(
            Fault::Receiver {
                name: "a".to_owned(),
                fault,
            },
            None,
        )
        .expect("armed");
    faults
        .add(Fault::Smtp(SmtpFault::StripStarttls), None)
        .expect("armed");

    assert_eq!(faults.take_platform(Platform::Meta, "/"), None);
    assert_eq!(faults.take_receiver("b"), None);
    assert_eq!(faults.take_receiver("a"), Some(HttpFault::CutOff));
    assert_eq!(faults.take_smtp(SmtpStep::Mail), None);
    assert_eq!(
        faults.take_smtp(SmtpStep::Ehlo),
        Some(SmtpFault::StripStarttls)
    );
}

#[test]
fn armed_faults_are_bounded() {
    let faults = Faults::default();
    let fault = || Fault::Smtp(SmtpFault::StripStarttls);
    for _ in 0..1_000 {
        faults.add(fault(), None).expect("room");
    }

    assert_eq!(faults.add(fault(), None), Err(FaultError::TooMany));
}
