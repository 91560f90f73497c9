//! Events for Google: what is sent of one, and what its answers mean.

use chrono::{DateTime, Utc};

use super::*;
use crate::{
    error::Error,
    meta::conversions::{Event, Refused},
    platform::{
        ConversionAnswer as Answer, ConversionApi, ConversionTarget, Outgoing, RequestOutcome, Via,
    },
};

const NOW: i64 = 1_763_640_000;
const INGEST: &str = "/data/v1/events:ingest";
const STATUS: &str = "/data/v1/requestStatus:retrieve";
const UPLOAD: &str = "/v26/customers/1111111111:uploadClickConversions";
/// SHA-256 of `janedoe@gmail.com`, from Google's vectors.
const JANE: &str = "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69";

fn target(via: Via) -> ConversionTarget<'static> {
    ConversionTarget {
        account: CUSTOMER,
        dataset: "700000001",
        via,
        test_event_code: None,
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).expect("a time")
}

fn event(change: Value) -> Event {
    let mut event = json!({"event_name": "Purchase", "event_time": NOW, "event_id": "order-10001",
        "action_source": "website", "user_data": {"em": "Jane.Doe+shop@Gmail.com"}});
    let members = event.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    serde_json::from_value(event).expect("an event")
}

fn prepared(server: &MockServer, via: Via, change: Value) -> Result<Outgoing, Refused> {
    client_of(server).prepare(&event(change), &target(via), now())
}

/// What a server answers to so many events.
async fn sent(server: &MockServer, via: Via, events: usize) -> Result<Answer, Error> {
    let outgoing = prepared(server, via, json!({})).expect("the event is right");
    let events = vec![&outgoing; events];
    let access = access(Some("9999999999"));
    client_of(server)
        .send(caller(&access), &target(via), &events)
        .await
}

fn bad_request(reason: &str, fields: &[&str]) -> ResponseTemplate {
    let violations: Vec<Value> = fields
        .iter()
        .map(|field| json!({ "field": field }))
        .collect();
    ResponseTemplate::new(400).set_body_json(json!({"error": {
        "code": 400, "message": "There was a problem.", "status": "INVALID_ARGUMENT", "details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason},
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]}}))
}

#[tokio::test]
async fn an_event_goes_to_data_manager_as_google_documents_it() {
    let server = answering(INGEST, ok(json!({"requestId": "fakeRequest1"}))).await;
    let outgoing = prepared(
        &server,
        Via::Standard,
        json!({
            "user_data": {"em": "Jane.Doe+shop@Gmail.com", "ph": "+1 650 555 0100", "fn": "Mary", "ln": "Smith",
                "country": "us", "zp": "94043", "gclid": "FakeGclidNotReal"},
            "custom_data": {"value": 84.37, "currency": "usd"},
            "consent": {"ad_user_data": "granted", "ad_personalization": "denied"}
        }),
    )
    .expect("the event is right");
    let access = access(Some("999-999-9999"));

    let answer = client_of(&server)
        .send(caller(&access), &target(Via::Standard), &[&outgoing])
        .await;

    let Ok(Answer::Each(answers)) = answer else {
        panic!("it is taken: {answer:?}");
    };
    let receipt = answers[0].as_ref().expect("accepted");
    assert!(receipt.is_pending);
    assert_eq!(receipt.request_id.as_deref(), Some("fakeRequest1"));
    let body: Value = requests_of(&server).await[0].body_json().expect("JSON");
    assert_eq!(
        body["destinations"][0],
        json!({"reference": "d1", "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": CUSTOMER},
            "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9999999999"},
            "productDestinationId": "700000001"})
    );
    assert_eq!(
        body["consent"],
        json!({"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"})
    );
    assert_eq!(
        (&body["encoding"], &body["validateOnly"]),
        (&json!("HEX"), &json!(false))
    );
    let event = &body["events"][0];
    assert_eq!(event["transactionId"], "order-10001");
    assert_eq!(event["eventTimestamp"], "2025-11-20T12:00:00Z");
    assert_eq!(event["eventSource"], "WEB");
    assert_eq!(
        (&event["conversionValue"], &event["currency"]),
        (&json!(84.37), &json!("USD"))
    );
    assert_eq!(event["adIdentifiers"], json!({"gclid": "FakeGclidNotReal"}));
    let people = &event["userData"]["userIdentifiers"];
    assert_eq!(people[0]["emailAddress"], JANE);
    assert_eq!(people[2]["address"]["regionCode"], "US");
    assert_eq!(people[2]["address"]["postalCode"], "94043");
}

#[tokio::test]
async fn a_test_is_only_validated_and_never_asked_for() {
    let server = answering(INGEST, ok(json!({"requestId": "fakeRequest1"}))).await;
    let outgoing = prepared(&server, Via::Standard, json!({})).expect("the event is right");
    let target = ConversionTarget {
        test_event_code: Some("TEST1"),
        ..target(Via::Standard)
    };
    let access = access(None);

    let answer = client_of(&server)
        .send(caller(&access), &target, &[&outgoing])
        .await;

    assert!(
        matches!(answer, Ok(Answer::Each(answers)) if answers.iter().all(|it|
        it.as_ref().is_ok_and(|receipt| !receipt.is_pending)))
    );
    let body: Value = requests_of(&server).await[0].body_json().expect("JSON");
    assert_eq!(body["validateOnly"], true);
}

#[tokio::test]
async fn bad_events_are_named_by_their_places_and_rights_are_not_theirs() {
    let named = answering(
        INGEST,
        bad_request("INVALID_CURRENCY_CODE", &["events[1].currency"]),
    )
    .await;
    let terms = bad_request("TERMS_AND_CONDITIONS_NOT_SIGNED", &[]);
    let terms = answering(INGEST, terms).await;
    let gone = answering(INGEST, ResponseTemplate::new(503).set_body_string("<html>")).await;

    let of_events = sent(&named, Via::Standard, 3).await;
    let of_rights = sent(&terms, Via::Standard, 3).await;
    let of_google = sent(&gone, Via::Standard, 1).await;

    assert!(
        matches!(&of_events, Ok(Answer::Refused { at, .. }) if at.len() == 1 && at[0].0 == 1),
        "{of_events:?}"
    );
    assert!(
        matches!(of_rights, Err(Error::Permission { .. })),
        "{of_rights:?}"
    );
    assert!(
        matches!(of_google, Err(Error::Unavailable { .. })),
        "{of_google:?}"
    );
}

#[tokio::test]
async fn what_became_of_a_request_is_asked_for_by_its_id() {
    let body = json!({"requestStatusPerDestination": [{"requestStatus": "SUCCESS"}]});
    let server = answering(STATUS, ok(body)).await;
    let access = access(None);

    let outcome = client_of(&server)
        .outcome(caller(&access), "fakeRequest1", 3)
        .await;

    assert_eq!(outcome.ok(), Some(RequestOutcome::Done));
    let requests = requests_of(&server).await;
    assert_eq!(requests[0].url.query(), Some("requestId=fakeRequest1"));
}

#[tokio::test]
async fn an_upload_has_partial_failure_and_an_answer_for_each_event() {
    let server = answering(
        UPLOAD,
        ok(json!({"results": [{}, {"gclid": "x"}], "jobId": "12345", "partialFailureError": {"code": 3, "details": [{
            "errors": [{"errorCode": {"conversionUploadError": "EXPIRED_EVENT"}, "message": "old",
                "location": {"fieldPathElements": [{"fieldName": "conversions"}]}}]}]}})),
    )
    .await;

    let answer = sent(&server, Via::Upload, 2).await;

    let Ok(Answer::Each(answers)) = answer else {
        panic!("each has its answer: {answer:?}");
    };
    assert!(matches!(answers[0], Err(Error::Rejected { .. })) && answers[1].is_ok());
    let request = &requests_of(&server).await[0];
    let body: Value = request.body_json().expect("JSON");
    assert_eq!(body["partialFailure"], true);
    assert_eq!(
        body["conversions"][0],
        json!({"conversionAction": "customers/1111111111/conversionActions/700000001", "orderId": "order-10001",
            "conversionDateTime": "2025-11-20 12:00:00+00:00", "userIdentifiers": [{"hashedEmail": JANE}]})
    );
}

#[tokio::test]
async fn what_google_cannot_take_is_left_out_and_told() {
    let server = MockServer::start().await;

    let outgoing = prepared(
        &server,
        Via::Upload,
        json!({"opt_out": true, "custom_data": {"order_id": "10001"},
            "user_data": {"em": "a@example.com", "fbp": "fb.1.1.1", "fn": "Mary", "gclid": "a", "wbraid": "b"}}),
    )
    .expect("the event is right");

    assert_eq!(
        outgoing.left_out,
        [
            "/opt_out: google has no use for it",
            "/user_data/fbp: google has no use for it",
            "/custom_data/order_id: google has no use for it",
            "/user_data/fn: google takes fn, ln, country by its code, and zp together alone",
            "/user_data/wbraid: google takes one click",
        ]
    );
}

#[tokio::test]
async fn an_event_needs_a_click_or_a_person_and_no_more_than_90_days() {
    let server = MockServer::start().await;
    let refused = |change| prepared(&server, Via::Standard, change).err();

    let nobody = refused(json!({"user_data": {"client_user_agent": "Mozilla"}}));
    let old = refused(json!({"event_time": NOW - 91 * 86_400}));

    assert!(nobody.is_some_and(|it| it.reasons[0].0 == "/user_data" && !it.expired));
    assert!(old.is_some_and(|it| it.expired));
}
