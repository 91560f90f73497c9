//! Events for TikTok: what is sent of one, and what its answers mean.

use chrono::{DateTime, Utc};

use super::*;
use crate::{
    error::Error,
    meta::conversions::{Event, Refused},
    platform::{ConversionAnswer as Answer, ConversionApi, ConversionTarget, Outgoing, Via},
};

const NOW: i64 = 1_763_640_000;
/// SHA-256 of `+16505550100`, from the vectors.
const PHONE: &str = "1967dd8f4b44678ba10eaff05f8ceabcc7268d481f2a637b3dc75d85f3199244";

fn target() -> ConversionTarget<'static> {
    ConversionTarget {
        account: ADVERTISER,
        dataset: "FAKEPIXELCODE",
        via: Via::Standard,
        test_event_code: Some("TEST123"),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).expect("a time")
}

fn prepared(server: &MockServer, change: Value) -> Result<Outgoing, Refused> {
    let mut event = json!({"event_name": "Purchase", "event_time": NOW, "event_id": "order-10001",
        "action_source": "website", "event_source_url": "https://shop.example.com/thanks",
        "user_data": {"ph": "+1 650 555 0100", "ttclid": "FakeTtclid", "client_ip_address": "203.0.113.7"},
        "custom_data": {"value": "84.37", "currency": "USD", "order_id": 10001,
            "contents": [{"id": 7, "item_price": 42.185, "quantity": 2}]}});
    let members = event.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    let event: Event = serde_json::from_value(event).expect("an event");
    client(server).prepare(&event, &target(), now())
}

async fn sent(server: &MockServer, events: usize) -> Result<Answer, Error> {
    let outgoing = prepared(server, json!({})).expect("the event is right");
    let events = vec![&outgoing; events];
    let (access, door) = (access(), RecordingDoor::default());
    ConversionApi::send(&client(server), caller(&access, &door), &target(), &events).await
}

#[tokio::test]
async fn an_event_goes_out_as_tiktok_documents_it_with_ids_as_text() {
    let server = answering(good(json!({}))).await;

    let answer = sent(&server, 1).await;

    assert!(matches!(answer, Ok(Answer::Each(answers)) if answers[0].is_ok()));
    let request = &requests(&server).await[0];
    assert_eq!(request.url.path(), "/open_api/v1.3/event/track/");
    let body: Value = request.body_json().expect("JSON");
    assert_eq!(
        body,
        json!({"event_source": "web", "event_source_id": "FAKEPIXELCODE", "test_event_code": "TEST123", "data": [{
            "event": "Purchase", "event_time": NOW, "event_id": "order-10001",
            "user": {"phone": PHONE, "ttclid": "FakeTtclid", "ip": "203.0.113.7"},
            "page": {"url": "https://shop.example.com/thanks"},
            "properties": {"value": 84.37, "currency": "USD", "order_id": "10001",
                "contents": [{"content_id": "7", "price": 42.185, "quantity": 2}]}}]})
    );
}

#[tokio::test]
async fn a_bad_event_is_named_in_the_message_and_a_missing_right_is_no_events() {
    let message = "Batch.1.properties.contents.0.content_id: Not a valid string.";
    let named = answering(envelope(40_002, message, json!(null))).await;
    let denied = answering(envelope(40_001, "No permission", json!({}))).await;

    let of_events = sent(&named, 3).await;
    let of_rights = sent(&denied, 3).await;

    assert!(
        matches!(&of_events, Ok(Answer::Refused { at, .. }) if at.len() == 1 && at[0].0 == 1),
        "{of_events:?}"
    );
    assert!(
        matches!(of_rights, Err(Error::Permission { .. })),
        "{of_rights:?}"
    );
}

#[tokio::test]
async fn a_part_that_failed_is_told_by_its_places_or_sent_again() {
    let told = json!({"failed_events": [{"index": 1, "message": "bad"}]});
    let told = answering(envelope(20_001, "partial", told)).await;
    let untold = answering(envelope(20_001, "partial", json!({}))).await;

    let named = sent(&told, 2).await;
    let unnamed = sent(&untold, 2).await;

    assert!(
        matches!(&named, Ok(Answer::Each(answers)) if answers[0].is_ok() && answers[1].is_err()),
        "{named:?}"
    );
    assert!(
        matches!(&unnamed, Ok(Answer::Refused { at, .. }) if at.is_empty()),
        "{unnamed:?}"
    );
}

#[tokio::test]
async fn an_event_is_young_and_of_somebody() {
    let server = MockServer::start().await;
    let week = 7 * 86_400;

    assert!(prepared(&server, json!({"event_time": NOW - week - 1})).is_err_and(|it| it.expired));
    let in_store = json!({"event_time": NOW - week - 1, "action_source": "physical_store"});
    assert_eq!(
        prepared(&server, in_store).expect("young enough").group,
        "offline"
    );
    let nobody = json!({"user_data": {"client_ip_address": "203.0.113.7"}});
    assert!(prepared(&server, nobody).is_err());
}
