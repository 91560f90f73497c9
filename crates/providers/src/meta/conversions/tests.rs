//! The published vectors, and every rule that makes Meta take an event or refuse it.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Event, Prepared, Refused, prepare};

const NOW: i64 = 1_763_640_000;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
    user_data_vectors: Vec<UserDataVector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    field: String,
    input: String,
    accept: Vec<Option<String>>,
}

#[derive(Deserialize)]
struct UserDataVector {
    id: String,
    input: Value,
    expected: Value,
}

fn vectors() -> Vectors {
    let file = include_str!("../../../vectors/meta_capi_hashing.json");
    serde_json::from_str(file).expect("the vectors are JSON")
}

/// An event that is right, with the members of `change` put over it; `null` takes one away.
fn event(change: &Value) -> Event {
    let mut event = json!({
        "event_name": "Lead", "event_time": NOW - 60, "event_id": "lead-1", "action_source": "other",
        "user_data": {"fbp": "fb.1.1763500000000.1098115397"}
    });
    merge(&mut event, change);
    serde_json::from_value(event).expect("an event")
}

fn merge(target: &mut Value, change: &Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (name, value) in change {
                if value.is_null() {
                    target.remove(name);
                } else {
                    merge(target.entry(name.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (target, change) => *target = change.clone(),
    }
}

fn prepared(change: &Value) -> Result<Prepared, Refused> {
    let now: DateTime<Utc> = DateTime::from_timestamp(NOW, 0).expect("a date");
    prepare(&event(change), now)
}

fn sent(change: &Value) -> Value {
    let prepared = prepared(change).expect("the event is right");
    serde_json::to_value(prepared.event).expect("events are JSON")
}

/// The pointers of all reasons against the event.
fn refused(change: &Value) -> Vec<String> {
    let refused = prepared(change).expect_err("the event is wrong");
    refused
        .reasons
        .into_iter()
        .map(|(pointer, _)| pointer)
        .collect()
}

#[test]
fn every_vector_is_met() {
    for vector in vectors().vectors {
        let (section, member) = if vector.field == "currency" {
            ("custom_data", "currency")
        } else {
            ("user_data", vector.field.as_str())
        };

        let event = sent(&json!({section: {member: vector.input}}));

        let result = match &event[section][member] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Array(values) if values.len() == 1 => values[0].as_str().map(str::to_owned),
            other => panic!("{}: {other}", vector.id),
        };
        assert!(vector.accept.contains(&result), "{}: {result:?}", vector.id);
    }
}

#[test]
fn every_vector_of_whole_people_is_met() {
    for vector in vectors().user_data_vectors {
        let mut event = event(&json!({}));
        event.user_data = serde_json::from_value(vector.input).expect("user data");
        let now = DateTime::from_timestamp(NOW, 0).expect("a date");

        let sent = prepare(&event, now).expect("the event is right").event;

        let sent = serde_json::to_value(sent).expect("events are JSON");
        assert_eq!(sent["user_data"], vector.expected, "{}", vector.id);
    }
}

#[test]
fn an_event_that_is_right_is_sent_with_what_it_came_with() {
    let event = sent(&json!({
        "event_name": "Purchase", "action_source": "website", "event_source_url": "https://shop.example.com/thanks",
        "opt_out": false,
        "user_data": {"em": ["A@Example.com", "a@example.com"], "client_user_agent": "Mozilla/5.0"},
        "custom_data": {"value": "84.37", "currency": " USD ", "order_id": "10001", "contents": [{"id": "sku-1"}]}
    }));

    assert_eq!(event["event_time"], NOW - 60);
    assert_eq!(event["event_id"], "lead-1");
    assert_eq!(event["action_source"], "website");
    assert_eq!(event["opt_out"], false);
    assert_eq!(event["user_data"]["em"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        event["custom_data"],
        json!({"value": 84.37, "currency": "usd", "order_id": "10001", "contents": [{"id": "sku-1"}]})
    );
}

#[test]
fn what_cannot_be_used_is_left_out_and_told_without_its_value() {
    let prepared = prepared(&json!({
        "user_data": {"em": ["canary.example.com", "a@example.com"], "ph": "canary 1 ext 9", "country": "zz",
            "client_ip_address": "canary"},
        "custom_data": {"currency": "canary"}
    }))
    .expect("the event is right");

    assert_eq!(
        prepared.left_out,
        [
            "/user_data/em/0: no mail address",
            "/user_data/ph: no phone number",
            "/user_data/country: no known country",
            "/user_data/client_ip_address: no address of the internet protocol",
            "/custom_data/currency: must be a currency's code of three letters",
        ]
    );
}

#[test]
fn empty_values_vanish_without_a_hash_of_nothing() {
    let event =
        sent(&json!({"user_data": {"em": ["", "  "], "ph": "", "fn": " ", "external_id": "a"}}));

    let members: Vec<&String> = event["user_data"]
        .as_object()
        .expect("an object")
        .keys()
        .collect();
    assert_eq!(members, ["external_id", "fbp"]);
}

#[test]
fn too_old_is_a_reason_of_its_own() {
    let day = 86_400;
    let expired = |change| prepared(&change).is_err_and(|refused| refused.expired);

    assert!(prepared(&json!({"event_time": NOW - 7 * day})).is_ok());
    assert!(expired(json!({"event_time": NOW - 7 * day - 1})));
    assert!(expired(json!({"event_time": 0})));
    let in_store = |age| json!({"event_time": NOW - age, "action_source": "physical_store"});
    assert!(prepared(&in_store(62 * day)).is_ok());
    assert!(expired(in_store(62 * day + 1)));
}

#[test]
fn a_clock_that_is_a_little_ahead_means_now() {
    assert_eq!(sent(&json!({"event_time": NOW + 200}))["event_time"], NOW);
    assert_eq!(
        refused(&json!({"event_time": NOW + 3_600})),
        ["/event_time"]
    );
}

#[test]
fn milliseconds_are_named_as_such() {
    let refused = prepared(&json!({"event_time": NOW * 1_000})).expect_err("the event is wrong");

    assert!(refused.reasons[0].1.contains("milliseconds"));
    assert!(!refused.expired);
}

#[test]
fn a_website_needs_its_page_and_the_browser() {
    let website = json!({"action_source": "website"});
    let odd_page = json!({"action_source": "website", "event_source_url": "shop",
        "user_data": {"client_user_agent": "Mozilla/5.0"}});

    assert_eq!(
        refused(&website),
        ["/event_source_url", "/user_data/client_user_agent"]
    );
    assert_eq!(refused(&odd_page), ["/event_source_url"]);
}

#[test]
fn a_purchase_needs_a_value_and_a_currency() {
    let purchase = |custom_data| json!({"event_name": "Purchase", "custom_data": custom_data});

    assert_eq!(
        refused(&purchase(json!({}))),
        ["/custom_data/value", "/custom_data/currency"]
    );
    assert_eq!(
        refused(&purchase(json!({"value": "much", "currency": "EUR"}))),
        ["/custom_data/value"]
    );
    assert_eq!(
        refused(&purchase(json!({"value": 1, "currency": "euro"}))),
        ["/custom_data/currency"]
    );
}

#[test]
fn people_who_cannot_be_found_are_refused() {
    let only = |mut user_data: Value| {
        user_data["fbp"] = Value::Null;
        refused(&json!({"user_data": user_data}))
    };

    for weak in [
        json!({}),
        json!({"em": "none"}),
        json!({"ct": "Berlin", "country": "de", "zp": "10115", "ge": "f", "client_user_agent": "x"}),
        json!({"db": "19970216", "client_user_agent": "x"}),
        json!({"fn": "Ada", "ge": "f"}),
        json!({"ln": "Lovelace", "ge": "f"}),
        json!({"client_user_agent": "x"}),
    ] {
        assert_eq!(only(weak.clone()), ["/user_data"], "{weak}");
    }
    assert!(prepared(&json!({"user_data": {"fbp": null, "fn": "Ada", "ln": "Lovelace"}})).is_ok());
}

#[test]
fn the_click_is_taken_from_the_page_when_the_event_brings_none() {
    let page = "https://shop.example.com/?a=1&fbclid=FakeClickIdAbC";

    let built = sent(&json!({"event_source_url": page}));
    let brought = sent(&json!({"event_source_url": page, "user_data": {"fbc": "fb.1.1.Own"}}));

    assert_eq!(
        built["user_data"]["fbc"],
        "fb.1.1763639940000.FakeClickIdAbC"
    );
    assert_eq!(brought["user_data"]["fbc"], "fb.1.1.Own");
}

#[test]
fn who_does_not_allow_it_is_not_sent() {
    let consent = |word: &str| json!({"consent": {"ad_user_data": word}});

    assert_eq!(refused(&consent("denied")), ["/consent/ad_user_data"]);
    assert!(prepared(&consent("granted")).is_ok());
}

#[test]
fn limited_data_use_lets_meta_locate_the_person_unless_told() {
    let event = sent(&json!({"data_processing_options": ["LDU"]}));
    let told = sent(
        &json!({"data_processing_options": ["LDU"], "data_processing_options_country": 1,
        "data_processing_options_state": 1000}),
    );

    assert_eq!(event["data_processing_options_country"], 0);
    assert_eq!(event["data_processing_options_state"], 0);
    assert_eq!(told["data_processing_options_state"], 1000);
    assert_eq!(
        refused(&json!({"data_processing_options": ["ldu"]})),
        ["/data_processing_options"]
    );
}

#[test]
fn every_reason_is_told_at_once() {
    let reasons = refused(&json!({
        "event_name": "x".repeat(51), "event_time": NOW * 1_000, "action_source": "business_messaging",
        "user_data": {"fbp": null}
    }));

    assert_eq!(
        reasons,
        [
            "/event_name",
            "/event_time",
            "/user_data",
            "/messaging_channel"
        ]
    );
}

#[test]
fn ids_stay_what_they_were() {
    let event = sent(
        &json!({"user_data": {"lead_id": 525_645_896_321_548_u64, "page_id": [" 12 ", "13"]}}),
    );

    assert_eq!(event["user_data"]["lead_id"], 525_645_896_321_548_u64);
    assert_eq!(event["user_data"]["page_id"], " 12 ");
}
