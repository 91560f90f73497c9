//! Audiences, forms that collect leads, and pixels, as the platform shows them.

use serde_json::{Value, json};
use wiremock::MockServer;

use super::{ADVERTISER, access, answering, caller, client, envelope, good, parameters, requests};
use crate::{
    error::Error,
    platform::{
        AdPlatform, Cursor, Entity, EntityQuery, EntityStatus, EntityType, Page,
        testing::RecordingDoor,
    },
};

fn query(kind: EntityType) -> EntityQuery {
    EntityQuery {
        account_id: ADVERTISER.to_owned(),
        currency: Some("USD".to_owned()),
        kind,
        changed_since: None,
        page_size: None,
    }
}

async fn list(
    server: &MockServer,
    query: &EntityQuery,
    after: Option<&str>,
) -> Result<Page<Entity>, Error> {
    let access = access();
    let door = RecordingDoor::default();
    let after = after.map(|cursor| Cursor(cursor.to_owned()));
    client(server)
        .entities(caller(&access, &door), query, after.as_ref())
        .await
}

fn told(name: &str, items: Value, page: u32, pages: u32) -> Value {
    good(json!({name: items,
        "page_info": {"page": page, "page_size": 20, "total_number": 1, "total_page": pages}}))
}

fn summary(page: &Page<Entity>) -> Vec<(&str, &str, EntityStatus)> {
    let items = page.items.iter();
    items
        .map(|item| (item.id.as_str(), item.name.as_str(), item.status))
        .collect()
}

#[tokio::test]
async fn audiences_say_whether_they_can_be_used() {
    let items = json!([
        {"audience_id": "1730000000000000001", "name": "Buyers", "audience_type": "Customer File", "cover_num": 12000,
            "is_valid": true, "create_time": "2026-10-01 08:00:00"},
        {"audience_id": 5, "name": "Too few", "is_valid": false},
    ]);
    let server = answering(told("list", items, 1, 1)).await;

    let page = list(&server, &query(EntityType::Audience), None)
        .await
        .expect("a page");

    assert_eq!(
        summary(&page),
        [
            ("1730000000000000001", "Buyers", EntityStatus::Active),
            ("5", "Too few", EntityStatus::Rejected),
        ]
    );
    assert_eq!(page.items[1].platform_status, "is_valid: false");
    assert!(page.items[0].created_at.is_some());
    assert_eq!(page.next, None);
    let requests = requests(&server).await;
    assert_eq!(
        requests[0].url.path(),
        "/open_api/v1.3/dmp/custom_audience/list/"
    );
    let asked = parameters(&requests[0]);
    assert_eq!(asked["advertiser_id"], ADVERTISER);
    assert_eq!(
        (asked["page"].as_str(), asked["page_size"].as_str()),
        ("1", "100")
    );
}

#[tokio::test]
async fn of_pages_only_those_that_collect_leads_are_forms() {
    let items = json!([
        {"page_id": "7000000000000000009", "title": "Newsletter", "status": "PUBLISHED",
            "update_time": "2026-11-02 10:11:12"},
        {"page_id": "8", "title": "Draft", "status": "EDITED"},
    ]);
    let server = answering(told("list", items, 1, 1)).await;

    let page = list(&server, &query(EntityType::LeadForm), None)
        .await
        .expect("a page");

    assert_eq!(
        summary(&page),
        [
            ("7000000000000000009", "Newsletter", EntityStatus::Active),
            ("8", "Draft", EntityStatus::Pending),
        ]
    );
    assert!(page.items[0].updated_at.is_some());
    let requests = requests(&server).await;
    assert_eq!(requests[0].url.path(), "/open_api/v1.3/page/get/");
    assert_eq!(parameters(&requests[0])["business_type"], "LEAD_GEN");
}

#[tokio::test]
async fn pixels_come_in_small_pages_to_the_last_one() {
    let items = json!([{"pixel_id": "6900000000000000001", "pixel_code": "C4FAKE", "pixel_name": "Shop",
        "activity_status": "ACTIVE"}]);
    let first = answering(told("pixels", items.clone(), 1, 2)).await;
    let last = answering(told("pixels", items, 2, 2)).await;
    let pixels = query(EntityType::Pixel);

    let more = list(&first, &pixels, None).await.expect("a page");
    let end = list(&last, &pixels, Some("2")).await.expect("a page");

    assert_eq!(
        summary(&more),
        [("6900000000000000001", "Shop", EntityStatus::Active)]
    );
    assert_eq!(more.items[0].raw["pixel_code"], "C4FAKE");
    assert_eq!(more.next, Some(Cursor("2".to_owned())));
    assert_eq!(end.next, None);
    let asked = parameters(&requests(&last).await[0]);
    assert_eq!(
        (asked["page"].as_str(), asked["page_size"].as_str()),
        ("2", "20")
    );
}

// Fails when what nothing is delivered by keeps a whole account from being read, or when what cannot be read vanishes.
#[tokio::test]
async fn what_may_not_or_cannot_be_read_is_refused_and_not_tried_again() {
    let forbidden = answering(envelope(40001, "No permission", json!({}))).await;
    let without_list = answering(told("others", json!([]), 1, 1)).await;
    let without_id = answering(told("pixels", json!([{"pixel_name": "Shop"}]), 1, 1)).await;
    let none = answering(told("pixels", Value::Null, 1, 0)).await;
    let pixels = query(EntityType::Pixel);

    let may_not = list(&forbidden, &pixels, None).await;
    let empty = list(&none, &pixels, None).await.expect("a page");

    assert!(matches!(may_not, Err(Error::Permission { .. })));
    assert!(empty.items.is_empty());
    for server in [without_list, without_id] {
        let cannot = list(&server, &pixels, None).await;
        assert!(matches!(cannot, Err(Error::Rejected { .. })), "{cannot:?}");
    }
}
