//! The control over a real socket.

use axum::http::Request;
use serde_json::json;

use super::{FromRequestParts, Local, Peer};
use crate::testing::Site;

#[tokio::test]
async fn the_ledger_shows_what_arrived_until_it_is_reset() {
    let site = Site::start().await;
    site.post("/hooks/orders", "", "{}").await;

    let before = site.control("GET", "/ledger", &json!(null)).await;
    site.control("POST", "/reset", &json!(null)).await;
    let after = site.control("GET", "/ledger", &json!(null)).await;

    assert_eq!(before.json()["hooks"][0]["name"], "orders");
    assert_eq!(before.json()["totals"]["hooks"], 1);
    assert_eq!(after.json()["hooks"], json!([]));
    site.stop().await;
}

#[tokio::test]
async fn a_fault_armed_for_one_call_strikes_once() {
    let site = Site::start().await;
    let order = json!({
        "target": "receiver:orders",
        "fault": { "kind": "answer", "status": 429, "headers": { "retry-after": "7" } },
        "times": 1,
    });

    let armed = site.control("POST", "/faults", &order).await;
    let first = site.post("/hooks/orders", "", "{}").await;
    let second = site.post("/hooks/orders", "", "{}").await;

    assert_eq!(armed.status, 204);
    assert_eq!(
        (first.status, first.header("retry-after")),
        (429, Some("7"))
    );
    assert_eq!(second.status, 200);
    site.stop().await;
}

#[tokio::test]
async fn faults_without_a_number_strike_until_they_are_cleared() {
    let site = Site::start().await;
    let order = json!({ "target": "receiver:orders", "fault": { "kind": "html" } });
    site.control("POST", "/faults", &order).await;

    let first = site.post("/hooks/orders", "", "{}").await;
    let second = site.post("/hooks/orders", "", "{}").await;
    site.control("DELETE", "/faults", &json!(null)).await;
    let third = site.post("/hooks/orders", "", "{}").await;

    assert_eq!((first.status, second.status, third.status), (502, 502, 200));
    site.stop().await;
}

#[tokio::test]
async fn what_cannot_be_armed_is_refused_with_a_reason() {
    let site = Site::start().await;
    let orders = [
        (
            json!({ "target": "nobody", "fault": { "kind": "html" } }),
            422,
        ),
        (
            json!({ "target": "meta", "fault": { "kind": "unknown" } }),
            400,
        ),
        (
            json!({ "target": "meta", "fault": { "kind": "html" }, "times": 0 }),
            422,
        ),
        (
            json!({ "target": "meta", "fault": { "kind": "html", "status": 99 } }),
            422,
        ),
        (
            json!({ "target": "meta", "fault": { "kind": "html", "colour": "red" } }),
            400,
        ),
        (
            json!({ "target": "smtp", "fault": { "kind": "drop", "at": "quit" } }),
            400,
        ),
        (json!("no object"), 400),
    ];
    for (order, status) in orders {
        let answer = site.control("POST", "/faults", &order).await;

        assert_eq!(answer.status, status, "{order}");
        assert!(answer.json()["error"]["message"].is_string(), "{order}");
    }
    site.stop().await;
}

#[tokio::test]
async fn only_callers_on_this_machine_are_let_in() {
    let callers = [
        ("127.0.0.1:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("192.0.2.1:1", false),
        ("[2001:db8::1]:1", false),
    ];
    for (addr, is_let_in) in callers {
        let peer = Peer::new(addr.parse().expect("an address"));
        let request = Request::builder()
            .extension(peer)
            .body(())
            .expect("a request");
        let (mut parts, ()) = request.into_parts();

        let local = Local::from_request_parts(&mut parts, &()).await;

        assert_eq!(local.is_ok(), is_let_in, "{addr}");
    }
}
