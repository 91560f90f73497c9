//! Events for X: what is sent of one, and what its answers mean.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::*;
use crate::{
    error::Error,
    meta::conversions::{Event, Refused},
    platform::{ConversionAnswer as Answer, ConversionApi, ConversionTarget, Outgoing, Via},
};

const NOW: i64 = 1_763_640_000;
const PIXEL: &str = "/12/measurement/conversions/o8fake";
/// X's own example of a phone number.
const PHONE: &str = "1fa6b8d986d9b9cd01bf36951815158bbde9f520c0567c835dfe34783d0a4231";

fn target() -> ConversionTarget<'static> {
    ConversionTarget {
        account: ACCOUNT,
        dataset: "o8fake",
        via: Via::Standard,
        test_event_code: None,
    }
}

fn prepared(server: &MockServer, change: Value) -> Result<Outgoing, Refused> {
    let mut event = json!({"event_name": "tw-fake1-fake2", "event_time": NOW, "event_id": "order-10001",
        "action_source": "website", "user_data": {"twclid": "fakeTwclid", "ph": "+1 (123) 456-7890"},
        "custom_data": {"value": 84.37, "currency": "USD", "num_items": 2,
            "contents": [{"id": "sku-1", "item_price": 42.185, "quantity": 2}]}});
    let members = event.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    let event: Event = serde_json::from_value(event).expect("an event");
    let now: DateTime<Utc> = DateTime::from_timestamp(NOW, 0).expect("a time");
    client_of(server).prepare(&event, &target(), now)
}

async fn sent(server: &MockServer, events: usize) -> Result<Answer, Error> {
    let outgoing = prepared(server, json!({})).expect("the event is right");
    let events = vec![&outgoing; events];
    let access = access();
    client_of(server)
        .send(caller(&access), &target(), &events)
        .await
}

#[tokio::test]
async fn an_event_goes_out_as_x_documents_it() {
    let answer = ok(json!({"data": {"conversions_processed": 1, "debug_id": "fake-debug"}}));
    let server = answering(PIXEL, answer).await;

    let answer = sent(&server, 1).await;

    assert!(matches!(answer, Ok(Answer::Each(answers)) if answers[0].is_ok()));
    let request = &requests_to(&server, PIXEL).await[0];
    let authorization = request.headers["authorization"].to_str().expect("text");
    assert!(authorization.starts_with("OAuth "), "{authorization}");
    let body: Value = request.body_json().expect("JSON");
    assert_eq!(
        body,
        json!({"conversions": [{"conversion_time": "2025-11-20T12:00:00.000Z", "event_id": "tw-fake1-fake2",
            "conversion_id": "order-10001",
            "identifiers": [{"twclid": "fakeTwclid"}, {"hashed_phone_number": PHONE}],
            "value": "84.37", "price_currency": "USD", "number_items": 2,
            "contents": [{"content_id": "sku-1", "content_price": "42.185", "num_items": 2}]}]})
    );
}

#[tokio::test]
async fn fewer_than_were_sent_are_told_and_a_refusal_names_nobody() {
    let fewer = answering(PIXEL, ok(json!({"data": {"conversions_processed": 1}}))).await;
    let refusal = json!({"errors": [{"code": "INVALID_PARAMETER", "message": "no"}]});
    let refusal = ResponseTemplate::new(400).set_body_json(refusal);
    let refusing = answering(PIXEL, refusal).await;

    let in_part = sent(&fewer, 2).await;
    let refused = sent(&refusing, 2).await;

    assert!(
        matches!(&in_part, Ok(Answer::Each(answers))
        if answers[0].as_ref().is_ok_and(|receipt| receipt.messages.len() == 1)),
        "{in_part:?}"
    );
    assert!(
        matches!(&refused, Ok(Answer::Refused { at, .. }) if at.is_empty()),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_event_needs_its_definition_and_somebody() {
    let server = MockServer::start().await;

    let nameless = prepared(&server, json!({"event_name": "Purchase"}))
        .err()
        .expect("no definition");
    let nobody = prepared(
        &server,
        json!({"user_data": {"client_ip_address": "203.0.113.7"}}),
    );

    assert_eq!(nameless.reasons[0].0, "/custom_data/x_event_id");
    assert!(nobody.is_err());
    let custom = json!({"event_name": "Purchase", "custom_data": {"x_event_id": "tw-a-b"}});
    assert!(prepared(&server, custom).is_ok());
}
