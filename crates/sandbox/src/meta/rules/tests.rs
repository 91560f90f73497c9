//! Every rule, broken one at a time.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Event, check};

const EMAIL: &str = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_763_640_000, 0).expect("a time")
}

/// A purchase that breaks no rule.
fn purchase() -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": now().timestamp() - 60,
        "event_id": "order-1",
        "action_source": "website",
        "event_source_url": "https://shop.example.com/thanks",
        "user_data": {
            "em": [EMAIL], "external_id": "customer 1", "client_user_agent": "Mozilla/5.0",
        },
        "custom_data": { "value": 84.37, "currency": "usd", "contents": [{ "id": "sku-1" }] },
    })
}

fn object(event: Value) -> Event {
    match event {
        Value::Object(event) => event,
        other => panic!("{other} is no object"),
    }
}

/// The member that the purchase is refused for once `change` was made to it; `None` when it is
/// taken.
fn refused_for(change: impl FnOnce(&mut Value)) -> Option<String> {
    let mut event = purchase();
    change(&mut event);
    check(&object(event), now())
        .err()
        .map(|refusal| refusal.member)
}

fn subcode_after(change: impl FnOnce(&mut Value)) -> Option<i64> {
    let mut event = purchase();
    change(&mut event);
    check(&object(event), now())
        .err()
        .and_then(|refusal| refusal.subcode)
}

#[test]
fn an_event_that_breaks_no_rule_is_taken() {
    assert_eq!(refused_for(|_| {}), None);
}

#[test]
fn a_required_member_that_is_missing_is_refused() {
    for member in ["event_name", "event_time", "action_source", "user_data"] {
        let refused = refused_for(|event| event[member] = Value::Null);

        assert_eq!(refused.as_deref(), Some(member));
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    let wrong = [
        ("event_name", json!(5)),
        ("event_time", json!("1763640000")),
        ("event_time", json!(1_763_640_000.5)),
        ("event_id", json!(5)),
        ("opt_out", json!("no")),
        ("user_data", json!([])),
        ("custom_data", json!("value")),
        ("data_processing_options", json!("LDU")),
    ];
    for (member, value) in wrong {
        let refused = refused_for(|event| event[member] = value);

        assert_eq!(refused.as_deref(), Some(member));
    }
}

#[test]
fn custom_data_of_the_wrong_type_is_refused() {
    let wrong = [
        ("value", json!("a lot")),
        ("currency", json!("dollars")),
        ("num_items", json!(1.5)),
        ("contents", json!({})),
    ];
    for (member, value) in wrong {
        let refused = refused_for(|event| event["custom_data"][member] = value);

        assert_eq!(refused, Some(format!("custom_data.{member}")));
    }
}

#[test]
fn an_event_older_than_seven_days_is_refused() {
    let oldest = now() - TimeDelta::days(7);

    let just_in_time = subcode_after(|event| event["event_time"] = json!(oldest.timestamp()));
    let too_late = subcode_after(|event| event["event_time"] = json!(oldest.timestamp() - 1));

    assert_eq!(just_in_time, None);
    assert_eq!(too_late, Some(2_804_003));
}

#[test]
fn a_sale_in_a_store_may_be_62_days_old() {
    let oldest = now() - TimeDelta::days(62);
    let in_store = |time: i64| {
        subcode_after(|event| {
            event["action_source"] = json!("physical_store");
            event["event_time"] = json!(time);
        })
    };

    assert_eq!(in_store(oldest.timestamp()), None);
    assert_eq!(in_store(oldest.timestamp() - 1), Some(2_804_003));
}

#[test]
fn an_event_of_the_future_or_in_milliseconds_is_refused() {
    let soon = refused_for(|event| event["event_time"] = json!(now().timestamp() + 60));
    let later = refused_for(|event| event["event_time"] = json!(now().timestamp() + 61));
    let milliseconds = refused_for(|event| event["event_time"] = json!(now().timestamp_millis()));

    assert_eq!(soon, None);
    assert_eq!(later.as_deref(), Some("event_time"));
    assert_eq!(milliseconds.as_deref(), Some("event_time"));
}

#[test]
fn an_unknown_action_source_is_refused() {
    let refused = refused_for(|event| event["action_source"] = json!("fax"));

    assert_eq!(refused.as_deref(), Some("action_source"));
}

#[test]
fn a_website_event_without_its_page_or_browser_is_refused() {
    let no_page = refused_for(|event| event["event_source_url"] = Value::Null);
    let no_browser = refused_for(|event| event["user_data"] = json!({ "em": [EMAIL] }));

    assert_eq!(no_page.as_deref(), Some("event_source_url"));
    assert_eq!(no_browser.as_deref(), Some("user_data.client_user_agent"));
}

#[test]
fn a_purchase_without_value_or_currency_is_refused() {
    let no_value = refused_for(|event| event["custom_data"] = json!({ "currency": "USD" }));
    let no_currency = refused_for(|event| event["custom_data"] = json!({ "value": 1 }));
    let nothing = refused_for(|event| event["custom_data"] = Value::Null);
    let a_lead = refused_for(|event| {
        event["event_name"] = json!("Lead");
        event["custom_data"] = Value::Null;
    });

    assert_eq!(no_value.as_deref(), Some("custom_data.value"));
    assert_eq!(no_currency.as_deref(), Some("custom_data.currency"));
    assert_eq!(nothing.as_deref(), Some("custom_data.value"));
    assert_eq!(a_lead, None);
}

#[test]
fn personal_data_in_the_clear_is_refused() {
    let raw = [
        ("em", json!(["john@example.com"])),
        ("ph", json!("16505551212")),
        ("fn", json!(["mary"])),
        ("zp", json!([EMAIL, "94035"])),
        ("country", json!("us")),
        ("em", json!(EMAIL.to_uppercase())),
    ];
    for (member, value) in raw {
        let subcode = subcode_after(|event| event["user_data"][member] = value);

        assert_eq!(subcode, Some(2_804_017), "{member}");
    }
}

#[test]
fn empty_and_missing_values_are_no_hashes() {
    for value in [json!([null]), json!(null), json!(5), json!({})] {
        let refused = refused_for(|event| event["user_data"]["ph"] = value);

        assert_eq!(refused.as_deref(), Some("user_data.ph"));
    }
}

#[test]
fn too_little_about_the_customer_is_refused() {
    let hash = EMAIL;
    let weak = [
        json!({}),
        json!({ "em": [] }),
        json!({ "unknown": "x" }),
        json!({ "ct": hash, "country": hash, "st": hash, "zp": hash, "ge": hash }),
        json!({ "country": hash, "client_user_agent": "UA" }),
        json!({ "db": hash, "client_user_agent": "UA" }),
        json!({ "fn": hash, "ge": hash }),
        json!({ "ln": hash, "ge": hash }),
    ];
    for user_data in weak {
        let subcode = subcode_after(|event| event["user_data"] = user_data.clone());

        assert_eq!(subcode, Some(2_804_050), "{user_data}");
    }
}

#[test]
fn enough_about_the_customer_is_taken() {
    let enough = [
        json!({ "em": EMAIL, "client_user_agent": "UA" }),
        json!({ "external_id": ["raw id"], "client_user_agent": "UA" }),
        json!({ "fn": EMAIL, "ln": EMAIL, "client_user_agent": "UA" }),
        json!({ "lead_id": 525_645_896_321_548_u64, "client_user_agent": "UA" }),
        json!({ "client_ip_address": "203.0.113.7", "client_user_agent": "UA" }),
    ];
    for user_data in enough {
        let refused = refused_for(|event| event["user_data"] = user_data);

        assert_eq!(refused, None);
    }
}
