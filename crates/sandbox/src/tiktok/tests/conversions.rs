//! Conversion events: all of a call or none.

use super::*;

fn body(events: &[Value]) -> Value {
    json!({"event_source": "web", "event_source_id": "FAKEPIXELCODE", "data": events})
}

fn event(content_id: &Value) -> Value {
    // Noon of the day at which the clock stands still.
    json!({"event": "Purchase", "event_time": 1_795_176_000, "event_id": "order-1",
        "user": {"ttclid": "FakeTtclid"}, "properties": {"contents": [{"content_id": content_id}]}})
}

#[tokio::test]
async fn an_event_that_comes_again_counts_once_for_two_days() {
    let ads = Ads::start().await;

    data(
        &ads.post("event/track/", &body(&[event(&json!("sku-1"))]))
            .await,
    );
    data(
        &ads.post("event/track/", &body(&[event(&json!("sku-1"))]))
            .await,
    );
    ads.advance(48 * 3_600 + 1).await;
    data(
        &ads.post("event/track/", &body(&[event(&json!("sku-1"))]))
            .await,
    );

    let taken = ads.site.sandbox.ledger().conversions();
    let counts: Vec<u64> = taken.iter().map(|event| event.count).collect();
    assert_eq!(counts, [2, 1]);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_wrong_type_refuses_the_call_and_names_its_place() {
    let ads = Ads::start().await;
    let events = [event(&json!("sku-1")), event(&json!(7))];

    let answer = ads.post("event/track/", &body(&events)).await.json();

    assert_eq!(answer["code"], 40_002);
    assert_eq!(
        answer["message"],
        "Batch.1.properties.contents.0.content_id: Not a valid string."
    );
    assert!(ads.site.sandbox.ledger().conversions().is_empty());
    ads.site.stop().await;
}
