//! Audiences and the rules that count conversions, as the platform shows them.

use serde_json::{Value, json};

use super::{ACCOUNT, access, answering, caller, client, only_query, refusal, requests};
use crate::{
    error::Error,
    platform::{
        AdPlatform, Cursor, Entity, EntityQuery, EntityStatus, EntityType, Page,
        testing::RecordingDoor,
    },
};

fn query(kind: EntityType) -> EntityQuery {
    EntityQuery {
        account_id: ACCOUNT.to_owned(),
        currency: Some("USD".to_owned()),
        kind,
        changed_since: None,
        page_size: None,
    }
}

async fn list(
    server: &wiremock::MockServer,
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

fn segment(id: u64, status: &str) -> Value {
    json!({"id": id, "account": "urn:li:sponsoredAccount:500000001", "name": "Buyers", "status": status, "type": "BULK",
        "approximateMemberCount": 230000, "created": {"actor": "urn:li:unknown:0", "time": 1651129031000_i64},
        "lastModified": {"actor": "urn:li:unknown:0", "time": 1654271097000_i64}})
}

fn paging(start: u32, total: i32, links: &Value) -> Value {
    json!({"start": start, "count": 2, "total": total, "links": links})
}

#[tokio::test]
async fn ad_segments_are_audiences() {
    let server = answering(
        200,
        json!({"elements": [segment(11422166, "READY"), segment(2, "BUILDING"), segment(3, "ARCHIVED"), segment(4, "NEW")],
            "paging": paging(0, 4, &json!([]))}),
    )
    .await;

    let page = list(&server, &query(EntityType::Audience), None)
        .await
        .expect("a page");

    let audience = &page.items[0];
    assert_eq!(audience.kind, EntityType::Audience);
    assert_eq!(audience.id, "11422166");
    assert_eq!(audience.name, "Buyers");
    assert_eq!(audience.raw["approximateMemberCount"], 230_000);
    let changed = audience.updated_at.map(|time| time.timestamp());
    assert_eq!(changed, Some(1_654_271_097));
    assert!(audience.created_at.is_some());
    let statuses: Vec<EntityStatus> = page.items.iter().map(|item| item.status).collect();
    assert_eq!(
        statuses,
        [
            EntityStatus::Active,
            EntityStatus::Pending,
            EntityStatus::Archived,
            EntityStatus::Unknown
        ]
    );
    assert_eq!(page.next, None);
    assert_eq!(
        requests(&server).await[0].url.path(),
        "/rest/adSegments",
        "no account stands in the path"
    );
    assert_eq!(
        only_query(&server).await,
        "q=accounts&accounts=List(urn%3Ali%3AsponsoredAccount%3A500000001)&start=0&count=100"
    );
}

#[tokio::test]
async fn rules_that_count_conversions_are_pixels() {
    let server = answering(
        200,
        json!({"elements": [
            {"id": 1403456, "name": "Sign-up", "type": "LEAD", "conversionMethod": "CONVERSIONS_API", "enabled": true,
                "created": 1651129031000_i64, "lastModified": 1654271097000_i64},
            {"id": 4886884, "name": "Demo", "enabled": false}],
            "paging": paging(0, -1, &json!([]))}),
    )
    .await;

    let page = list(&server, &query(EntityType::Pixel), None)
        .await
        .expect("a page");

    let [used, switched_off] = page.items.as_slice() else {
        panic!("{} rules", page.items.len());
    };
    assert_eq!(
        (used.id.as_str(), used.name.as_str()),
        ("1403456", "Sign-up")
    );
    assert_eq!(used.status, EntityStatus::Active);
    assert_eq!(used.platform_status, "enabled: true");
    let changed = used.updated_at.map(|time| time.timestamp());
    assert_eq!(changed, Some(1_654_271_097));
    assert_eq!(switched_off.status, EntityStatus::Paused);
    assert_eq!(page.next, None);
    assert_eq!(
        only_query(&server).await,
        "q=account&account=urn%3Ali%3AsponsoredAccount%3A500000001&start=0&count=100"
    );
}

// Fails when the rest of a long list is left out, and so looks as if it had vanished.
#[tokio::test]
async fn a_list_goes_on_behind_what_came_while_there_is_a_link_or_more_in_all() {
    let two = || vec![segment(1, "READY"), segment(2, "READY")];
    let linked =
        json!([{"rel": "next", "type": "application/json", "href": "/rest/adSegments?start=7"}]);
    let backwards = json!([{"rel": "prev", "href": "/rest/adSegments?start=3"}]);
    let cases = [
        (two(), paging(5, -1, &linked), Some("7")),
        (two(), paging(5, 9, &backwards), Some("7")),
        (two(), paging(5, 7, &backwards), None),
        (Vec::new(), paging(5, 9, &linked), None),
    ];
    for (elements, paging, expected) in cases {
        let told = paging.to_string();
        let server = answering(200, json!({"elements": elements, "paging": paging})).await;
        let small = EntityQuery {
            page_size: Some(2),
            ..query(EntityType::Audience)
        };

        let page = list(&server, &small, Some("5")).await.expect("a page");

        let next = page.next.map(|cursor| cursor.0);
        assert_eq!(next.as_deref(), expected, "{told}");
        let asked = only_query(&server).await;
        assert!(asked.ends_with("&start=5&count=2"), "{asked}");
    }
}

// Fails when what nothing is delivered by keeps a whole account from being read.
#[tokio::test]
async fn what_may_not_or_cannot_be_read_is_refused_and_not_tried_again() {
    let forbidden = answering(403, refusal("ACCESS_DENIED", 100, "Not enough permissions")).await;
    let without_list = answering(200, json!({"paging": {}})).await;
    let without_id = answering(200, json!({"elements": [{"name": "without an id"}]})).await;
    let audiences = query(EntityType::Audience);

    let may_not = list(&forbidden, &audiences, None).await;

    assert!(matches!(may_not, Err(Error::Permission { .. })));
    for server in [without_list, without_id] {
        let cannot = list(&server, &audiences, None).await;
        assert!(matches!(cannot, Err(Error::Rejected { .. })), "{cannot:?}");
    }
    let elsewhere = list(&forbidden, &audiences, Some("DgFake")).await;
    assert!(matches!(elsewhere, Err(Error::Rejected { .. })));
}
