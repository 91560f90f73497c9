//! Conversion events: accepted whole or refused whole, and told later by counts.

use super::*;

const HASH: &str = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";

fn event(id: &str, change: &Value) -> Value {
    let mut event = json!({"destinationReferences": ["d1"], "transactionId": id, "eventSource": "WEB",
        "eventTimestamp": "2026-11-20T12:00:00Z", "userData": {"userIdentifiers": [{"emailAddress": HASH}]}});
    let members = event.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    event
}

async fn ingest(ads: &Ads, events: &[Value]) -> Answer {
    let body = json!({"destinations": [{"reference": "d1",
        "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": FIRST},
        "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": GOOGLE_MANAGER},
        "productDestinationId": "700000001"}], "encoding": "HEX", "validateOnly": false, "events": events});
    let headers = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\n",
        ads.token
    );
    ads.site
        .post("/google_ads/v1/events:ingest", &headers, &body.to_string())
        .await
}

async fn status(ads: &Ads, accepted: &Answer) -> Value {
    assert_eq!(accepted.status, 200, "{}", accepted.body);
    let id = accepted.json()["requestId"].clone();
    let id = id.as_str().expect("an id").to_owned();
    let path = format!("/google_ads/v1/requestStatus:retrieve?requestId={id}");
    let header = format!("authorization: Bearer {}\r\n", ads.token);
    let answer = ads.site.call("GET", &path, &header, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["requestStatusPerDestination"][0].clone()
}

#[tokio::test]
async fn a_request_is_accepted_and_told_of_after_five_minutes() {
    let ads = Ads::start().await;
    let click = json!({"adIdentifiers": {"gclid": "NotFoundAnywhere"}});
    let old = json!({"eventTimestamp": "2026-01-01T00:00:00Z"});
    let events = [event("a", &json!({})), event("b", &click), event("c", &old)];

    let accepted = ingest(&ads, &events).await;
    let at_once = status(&ads, &accepted).await;
    ads.advance(300).await;
    let later = status(&ads, &accepted).await;
    let again = ingest(&ads, &events[..1]).await;
    ads.advance(300).await;
    let repeated = status(&ads, &again).await;

    assert_eq!(at_once["requestStatus"], "PROCESSING");
    assert_eq!(later["requestStatus"], "PARTIAL_SUCCESS");
    assert_eq!(
        later["errorInfo"]["errorCounts"],
        json!([{"recordCount": "1", "reason": "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND"},
            {"recordCount": "1", "reason": "PROCESSING_ERROR_REASON_EVENT_TOO_OLD"}])
    );
    assert_eq!(
        repeated["errorInfo"]["errorCounts"][0]["reason"],
        "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID"
    );
    let taken = ads.site.sandbox.ledger().conversions();
    assert_eq!((taken.len(), taken[0].count), (1, 2));
    assert_eq!(taken[0].dataset, "700000001");
    ads.site.stop().await;
}

#[tokio::test]
async fn one_malformed_event_fails_the_request_and_is_named() {
    let ads = Ads::start().await;
    let raw = json!({"userData": {"userIdentifiers": [{"emailAddress": "ada@example.com"}]}});

    let refused = ingest(&ads, &[event("a", &json!({})), event("b", &raw)]).await;

    assert_eq!(refused.status, 400);
    let details = &refused.json()["error"]["details"];
    assert_eq!(details[0]["reason"], "INVALID_HEX_ENCODING");
    let field = details[1]["fieldViolations"][0]["field"].clone();
    assert!(
        field
            .as_str()
            .is_some_and(|field| field.starts_with("events[1]."))
    );
    assert!(ads.site.sandbox.ledger().conversions().is_empty());
    ads.site.stop().await;
}

#[tokio::test]
async fn an_upload_answers_for_each_conversion() {
    let ads = Ads::start().await;
    let conversion = |order: &str, at: &str| {
        json!({"conversionAction": format!("customers/{FIRST}/conversionActions/700000001"),
            "gclid": "FakeGclid", "conversionDateTime": at, "orderId": order})
    };
    let now = "2026-11-20 12:00:00+00:00";
    let body = json!({"partialFailure": true, "conversions": [
        conversion("old", "2026-01-01 00:00:00+00:00"), conversion("a", now), conversion("a", now)]});
    let headers = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\nlogin-customer-id: {GOOGLE_MANAGER}\r\n",
        ads.token
    );
    let path = format!("/google_ads/v26/customers/{FIRST}:uploadClickConversions");

    let answer = ads.site.post(&path, &headers, &body.to_string()).await;

    assert_eq!(answer.status, 200, "{}", answer.body);
    let errors = &answer.json()["partialFailureError"]["details"][0]["errors"];
    let name = |place: usize| errors[place]["errorCode"]["conversionUploadError"].clone();
    assert_eq!(name(0), "EXPIRED_EVENT");
    assert!(errors[0]["location"]["fieldPathElements"][0]["index"].is_null());
    assert_eq!(name(1), "CLICK_CONVERSION_ALREADY_EXISTS");
    assert_eq!(ads.site.sandbox.ledger().conversions().len(), 1);
    ads.site.stop().await;
}
