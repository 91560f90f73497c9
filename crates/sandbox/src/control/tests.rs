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
async fn the_clock_is_stopped_set_and_advanced() {
    let site = Site::start().await;
    let set = json!({ "stopped": true, "set": "2026-11-20T12:00:00Z", "advance_s": 90 });

    let answer = site.control("POST", "/clock", &set).await;
    let far = json!({ "set": "1700-01-01T00:00:00Z" });
    let refused = site.control("POST", "/clock", &far).await;
    let now = site.control("GET", "/clock", &json!(null)).await;

    assert_eq!(answer.json()["now"], "2026-11-20T12:01:30Z");
    assert_eq!(refused.status, 422);
    assert_eq!(
        now.json(),
        json!({ "now": "2026-11-20T12:01:30Z", "stopped": true })
    );
    site.stop().await;
}

#[tokio::test]
async fn the_world_shows_its_accounts_its_things_and_what_somebody_changed() {
    let site = Site::start().await;
    let accounts = site.control("GET", "/world", &json!(null)).await.json();
    let account = accounts["accounts"]["linkedin"][0].clone();
    let id = account["id"].as_str().expect("an id");
    let path = format!("/world/entities?platform=linkedin&account={id}&kind=campaign");
    let before = site.control("GET", &path, &json!(null)).await.json();

    let change = json!({
        "platform": "linkedin", "id": before["entities"][0]["id"],
        "name": "New name", "daily_budget_micros": 5_000_000,
    });
    let changed = site.control("POST", "/world", &change).await;
    let after = site.control("GET", &path, &json!(null)).await.json();
    let unknown = json!({ "platform": "linkedin", "id": "1", "name": "New name" });
    let unknown = site.control("POST", "/world", &unknown).await;

    assert_eq!(account["time_zone"], "UTC");
    assert_eq!((changed.status, unknown.status), (204, 404));
    assert_eq!(before["count"], after["count"]);
    assert_eq!(after["entities"][0]["name"], "New name");
    assert_eq!(after["entities"][0]["daily_budget_micros"], 5_000_000);
    site.stop().await;
}

#[tokio::test]
async fn the_export_is_the_truth_in_rows_and_in_total() {
    let site = Site::start().await;
    let of = "platform=x&from=2026-11-01&to=2026-11-03&granularity=day";
    let accounts = site.control("GET", "/world", &json!(null)).await.json();
    let id = accounts["accounts"]["x"][1]["id"]
        .as_str()
        .expect("an id")
        .to_owned();

    let path = format!("/world/export?{of}&account={id}&level=ad_set");
    let export = site.control("GET", &path, &json!(null)).await.json();
    let wrong = format!("/world/export?{of}&account={id}&level=creative");
    let wrong = site.control("GET", &wrong, &json!(null)).await;

    let rows = export["rows"].as_array().expect("a list");
    let spend: i64 = rows
        .iter()
        .filter_map(|row| row["spend_micros"].as_i64())
        .sum();
    assert_eq!(rows.len(), export["count"]);
    assert_eq!(spend, export["totals"]["spend_micros"]);
    assert!(spend > 0);
    assert_eq!(wrong.status, 422);
    site.stop().await;
}

#[tokio::test]
async fn what_is_out_of_bounds_or_misspelt_is_refused() {
    let site = Site::start().await;
    let orders = [
        (
            "/limits",
            json!({ "platform": "meta", "usage_percent": -1.0 }),
            422,
        ),
        ("/limits", json!({ "platform": "myspace" }), 400),
        (
            "/reports",
            json!({ "platform": "meta", "fate": "explodes" }),
            400,
        ),
        (
            "/consent",
            json!({ "platform": "meta", "nonsense": true }),
            400,
        ),
        (
            "/world",
            json!({ "platform": "meta", "id": "120200000000000001", "daily_budget_micros": 0 }),
            422,
        ),
    ];
    for (path, order, status) in orders {
        let answer = site.control("POST", path, &order).await;

        assert_eq!(answer.status, status, "{path} {order}");
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
