//! Conversion events: all of a call or none. The body is no part of what is signed.

use super::*;

async fn take(ads: &Ads, events: &[Value]) -> Answer {
    let path = "/x/12/measurement/conversions/o8fake";
    let header = Signer::dev().header(("POST", path), &[], &[]);
    let headers = format!("{header}content-type: application/json\r\n");
    let body = json!({ "conversions": events }).to_string();
    ads.site.post(path, &headers, &body).await
}

fn event(definition: &str) -> Value {
    json!({"conversion_time": "2026-11-20T12:00:00.000Z", "event_id": definition, "conversion_id": "order-1",
        "identifiers": [{"twclid": "fakeTwclid"}]})
}

#[tokio::test]
async fn events_are_processed_once_by_their_own_id() {
    let ads = Ads::start().await;

    let first = take(&ads, &[event("tw-a-b")]).await;
    take(&ads, &[event("tw-a-b")]).await;
    let refused = take(&ads, &[event("tw-a-b"), event("Purchase")]).await;

    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.json()["data"]["conversions_processed"], 1);
    assert_eq!(refused.status, 400);
    let kept = ads.site.sandbox.ledger().conversions();
    assert_eq!((kept.len(), kept[0].count), (1, 2));
    ads.site.stop().await;
}
