//! Conversion events: a batch is taken whole or refused whole.

use super::*;

fn event(rule: &str) -> Value {
    // Noon of the day at which the clock stands still.
    json!({"conversion": rule, "conversionHappenedAt": 1_795_176_000_000_i64, "eventId": "order-1",
        "user": {"userIds": [{"idType": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "idValue": "fake"}]}})
}

async fn create(li: &Li, events: &[Value]) -> Answer {
    let headers = format!(
        "{VERSIONED}{}x-restli-method: BATCH_CREATE\r\ncontent-type: application/json\r\n",
        bearer(DEV_LINKEDIN_TOKEN)
    );
    let body = json!({ "elements": events }).to_string();
    li.site
        .post("/linkedin/rest/conversionEvents", &headers, &body)
        .await
}

#[tokio::test]
async fn every_bad_event_of_a_batch_is_named_and_none_is_taken() {
    let li = Li::start().await;
    let rule = "urn:lla:llaPartnerConversion:100001";

    let refused = create(&li, &[event("no rule"), event(rule), event("none")]).await;
    let nothing = li.site.sandbox.ledger().conversions().len();
    let taken = create(&li, &[event(rule), event(rule)]).await;

    assert_eq!(refused.status, 422);
    let message = refused.json()["message"].clone();
    let message = message.as_str().expect("text").to_owned();
    assert!(message.contains("Index: 0, ERROR") && message.contains("Index: 2, ERROR"));
    assert_eq!(nothing, 0);
    assert_eq!(
        taken.json(),
        json!({"elements": [{"status": 201}, {"status": 201}]})
    );
    let kept = li.site.sandbox.ledger().conversions();
    assert_eq!((kept.len(), kept[0].count), (1, 2));
    assert_eq!(kept[0].dataset, "100001");
    li.site.stop().await;
}
