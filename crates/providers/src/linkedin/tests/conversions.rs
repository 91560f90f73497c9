//! Events for LinkedIn: what is sent of one, and what its answers mean.

use chrono::{DateTime, Utc};

use super::*;
use crate::{
    error::Error,
    meta::conversions::{Event, Refused},
    platform::{ConversionAnswer as Answer, ConversionApi, ConversionTarget, Outgoing, Via},
};

const NOW: i64 = 1_763_640_000;
/// SHA-256 of `jane.doe+shop@gmail.com`, from the vectors.
const JANE: &str = "12122421314e3c02d8acd5467f1266e839588a1ea2e4da1c2ab81036b7cd62e5";

fn target(rule: &str) -> ConversionTarget<'_> {
    ConversionTarget {
        account: ACCOUNT,
        dataset: rule,
        via: Via::Standard,
        test_event_code: None,
    }
}

fn prepared(server: &MockServer, rule: &str, change: Value) -> Result<Outgoing, Refused> {
    let mut event = json!({"event_name": "Purchase", "event_time": NOW, "event_id": "order-10001",
        "action_source": "website", "user_data": {"em": " Jane.Doe+shop@Gmail.com", "li_fat_id": "fake-li-fat-id",
            "fn": "Fake", "ln": "Person", "country": "us"},
        "custom_data": {"value": 84.37, "currency": "USD"}});
    let members = event.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    let event: Event = serde_json::from_value(event).expect("an event");
    let now: DateTime<Utc> = DateTime::from_timestamp(NOW, 0).expect("a time");
    client(server).prepare(&event, &target(rule), now)
}

async fn sent(server: &MockServer, events: usize) -> Result<Answer, Error> {
    let outgoing = prepared(server, "100001", json!({})).expect("the event is right");
    let events = vec![&outgoing; events];
    let (access, door) = (access(), RecordingDoor::default());
    ConversionApi::send(
        &client(server),
        caller(&access, &door),
        &target("100001"),
        &events,
    )
    .await
}

#[tokio::test]
async fn an_event_goes_out_as_linkedin_documents_it() {
    let server = answering(200, json!({"elements": [{"status": 201}]})).await;

    let answer = sent(&server, 1).await;

    assert!(matches!(answer, Ok(Answer::Each(answers)) if answers[0].is_ok()));
    let request = &server.received_requests().await.expect("recorded")[0];
    assert_eq!(request.url.path(), "/rest/conversionEvents");
    assert_eq!(request.headers["x-restli-method"], "BATCH_CREATE");
    let body: Value = request.body_json().expect("JSON");
    assert_eq!(
        body["elements"][0],
        json!({"conversion": "urn:lla:llaPartnerConversion:100001", "conversionHappenedAt": NOW * 1_000,
            "eventId": "order-10001", "conversionValue": {"currencyCode": "USD", "amount": "84.37"},
            "user": {"userIds": [{"idType": "SHA256_EMAIL", "idValue": JANE},
                {"idType": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "idValue": "fake-li-fat-id"}],
                "userInfo": {"firstName": "Fake", "lastName": "Person", "countryCode": "US"}}})
    );
}

#[tokio::test]
async fn a_refused_batch_names_its_bad_events_and_each_status_is_looked_at() {
    let lines = "Index: 0, ERROR :: /user :: bad\nIndex: 2, ERROR :: /conversion :: bad";
    let refused = answering(422, json!({"status": 422, "message": lines})).await;
    let method = "Conversion's method should be CONVERSIONS_API, indices [1]";
    let rule = answering(400, json!({"status": 400, "message": method})).await;
    let mixed =
        json!({"elements": [{"status": 201}, {"status": 400, "error": {"message": "bad"}}]});
    let mixed = answering(200, mixed).await;
    let places = |answer: Result<Answer, Error>| match answer {
        Ok(Answer::Refused { at, .. }) => at.into_iter().map(|(place, _)| place).collect(),
        _ => Vec::new(),
    };

    assert_eq!(places(sent(&refused, 3).await), [0, 2]);
    assert_eq!(places(sent(&rule, 2).await), [1]);
    let each = sent(&mixed, 2).await;
    assert!(
        matches!(&each, Ok(Answer::Each(answers)) if answers[0].is_ok() && answers[1].is_err()),
        "{each:?}"
    );
}

#[tokio::test]
async fn names_go_together_and_never_hashed() {
    let server = MockServer::start().await;
    let hash = "a".repeat(64);

    let outgoing = prepared(
        &server,
        "100001",
        json!({"user_data": {"li_fat_id": "x", "fn": hash, "ln": "Person"}}),
    )
    .expect("the event is right");

    assert!(outgoing.body["user"]["userInfo"].is_null());
    assert_eq!(outgoing.left_out.len(), 2);
    assert!(prepared(&server, "abc", json!({})).is_err());
    let old = prepared(&server, "100001", json!({"event_time": NOW - 91 * 86_400}));
    assert!(old.is_err_and(|it| it.expired));
}
