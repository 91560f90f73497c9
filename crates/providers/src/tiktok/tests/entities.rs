//! Advertisers and what they hold, as the platform shows them.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{path, query_param},
};

use super::{
    ADVERTISER, SECRET, access, answering, caller, client, envelope, good, listed, parameters,
    requests,
};
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

fn campaign() -> Value {
    json!({"advertiser_id": ADVERTISER, "campaign_id": "1700000000000001", "campaign_name": "Fake",
        "objective_type": "WEB_CONVERSIONS", "budget": 50.0, "budget_mode": "BUDGET_MODE_DAY",
        "operation_status": "ENABLE", "secondary_status": "CAMPAIGN_STATUS_ENABLE",
        "create_time": "2026-10-01 08:00:00", "modify_time": "2026-11-02 10:11:12"})
}

async fn status_of(word: &str) -> EntityStatus {
    let item = json!({"ad_id": "1", "secondary_status": word});
    let server = answering(listed(json!([item]), 1, 1)).await;
    let page = list(&server, &query(EntityType::Ad), None).await;
    page.expect("a page").items[0].status
}

#[tokio::test]
async fn a_campaign_has_everything_that_is_told_of_it() {
    let server = answering(listed(json!([campaign()]), 1, 1)).await;

    let page = list(&server, &query(EntityType::Campaign), None)
        .await
        .expect("a page");

    let campaign = &page.items[0];
    assert_eq!(campaign.id, "1700000000000001");
    assert_eq!(campaign.name, "Fake");
    assert_eq!(campaign.status, EntityStatus::Active);
    assert_eq!(campaign.parent_id, None);
    assert_eq!(campaign.daily_budget, Some(Decimal::from(50)));
    assert_eq!(campaign.lifetime_budget, None);
    let changed = campaign.updated_at.map(|time| time.to_rfc3339());
    assert_eq!(changed.as_deref(), Some("2026-11-02T10:11:12+00:00"));
    let asked = parameters(&requests(&server).await[0]);
    assert_eq!(asked["advertiser_id"], ADVERTISER);
    assert_eq!(asked["page"], "1");
    assert_eq!(asked["page_size"], "1000");
    assert_eq!(
        asked["filtering"],
        r#"{"secondary_status":"CAMPAIGN_STATUS_ALL"}"#
    );
}

#[tokio::test]
async fn pages_end_with_the_last_one_and_then_come_those_of_smart_plus() {
    let server = MockServer::start().await;
    Mock::given(path("/open_api/v1.3/adgroup/get/"))
        .respond_with(ResponseTemplate::new(200).set_body_json(listed(
            json!([{"adgroup_id": "2", "campaign_id": "1", "adgroup_name": "Group",
                    "budget": 12.5, "budget_mode": "BUDGET_MODE_TOTAL"}]),
            2,
            2,
        )))
        .mount(&server)
        .await;
    Mock::given(path("/open_api/v1.3/smart_plus/adgroup/get/"))
        .and(query_param("page_size", "100"))
        .respond_with(ResponseTemplate::new(200).set_body_json(listed(
            json!([{"adgroup_id": "3", "campaign_id": "4"}]),
            1,
            1,
        )))
        .mount(&server)
        .await;

    let first = list(&server, &query(EntityType::AdSet), None)
        .await
        .expect("a page");
    let second = list(&server, &query(EntityType::AdSet), Some("2"))
        .await
        .expect("a page");
    let smart = list(&server, &query(EntityType::AdSet), Some("smart_plus:1"))
        .await
        .expect("a page");

    assert_eq!(first.next, Some(Cursor("2".to_owned())));
    assert_eq!(second.next, Some(Cursor("smart_plus:1".to_owned())));
    assert_eq!(smart.next, None);
    let group = &second.items[0];
    assert_eq!(group.parent_id.as_deref(), Some("1"));
    assert_eq!(group.campaign_id.as_deref(), Some("1"));
    assert_eq!(group.lifetime_budget, Some(Decimal::new(125, 1)));
    assert_eq!(group.daily_budget, None);
    assert_eq!(smart.items[0].id, "3");
}

#[tokio::test]
async fn only_the_beginning_of_smart_plus_may_be_kept_from_an_app() {
    let denied = answering(envelope(40001, "No permission", json!({}))).await;
    let broken = answering(envelope(50000, "Internal error", json!({}))).await;
    let campaigns = query(EntityType::Campaign);
    let withheld = |at: &str| client(&denied).may_be_withheld(&Cursor(at.to_owned()));

    let refused = list(&denied, &campaigns, Some("smart_plus:1")).await;
    let unknown = list(&broken, &campaigns, Some("smart_plus:1")).await;
    let ordinary = list(&denied, &campaigns, None).await;

    assert!(matches!(refused, Err(Error::Permission { .. })));
    assert!(matches!(unknown, Err(Error::Unavailable { .. })));
    assert!(matches!(ordinary, Err(Error::Permission { .. })));
    assert!(withheld("smart_plus:1"));
    assert!(!withheld("smart_plus:2") && !withheld("1"));
}

#[tokio::test]
async fn ads_name_their_ad_group_and_those_of_smart_plus_have_ids_of_their_own() {
    let server = answering(listed(
        json!([{"ad_id": "5", "adgroup_id": "2", "campaign_id": "1", "ad_name": "Ad"},
            {"smart_plus_ad_id": "6", "adgroup_id": "3", "campaign_id": "4"}]),
        1,
        1,
    ))
    .await;

    let page = list(&server, &query(EntityType::Ad), None)
        .await
        .expect("a page");

    assert_eq!(page.items[0].id, "5");
    assert_eq!(page.items[0].parent_id.as_deref(), Some("2"));
    assert_eq!(page.items[0].campaign_id.as_deref(), Some("1"));
    assert_eq!(page.items[1].id, "6");
}

#[tokio::test]
async fn a_state_is_known_by_how_it_ends() {
    assert_eq!(
        status_of("AD_STATUS_DELIVERY_OK").await,
        EntityStatus::Active
    );
    assert_eq!(
        status_of("AD_STATUS_CAMPAIGN_DISABLE").await,
        EntityStatus::Paused
    );
    assert_eq!(
        status_of("AD_STATUS_ADGROUP_DELETE").await,
        EntityStatus::Deleted
    );
    assert_eq!(status_of("AD_STATUS_REAUDIT").await, EntityStatus::Pending);
    assert_eq!(
        status_of("AD_STATUS_AUDIT_DENY").await,
        EntityStatus::Rejected
    );
    assert_eq!(status_of("AD_STATUS_DONE").await, EntityStatus::Ended);
    assert_eq!(
        status_of("AD_STATUS_LIVE_OFFLINE").await,
        EntityStatus::Unknown
    );
}

#[tokio::test]
async fn a_list_that_is_no_list_is_not_taken_for_an_empty_one() {
    let without_list = answering(good(json!({}))).await;
    let without_data = answering(json!({"code": 0, "message": "OK", "data": null})).await;
    let without_id = answering(listed(json!([{"campaign_name": "Fake"}]), 1, 1)).await;
    let empty = answering(listed(json!([]), 1, 0)).await;
    let campaigns = query(EntityType::Campaign);

    for server in [without_list, without_data, without_id] {
        let page = list(&server, &campaigns, None).await;
        assert!(matches!(page, Err(Error::Unavailable { .. })));
    }
    let page = list(&empty, &campaigns, None).await.expect("a page");
    assert!(page.items.is_empty());
}

#[tokio::test]
async fn advertisers_are_told_in_pages_of_a_hundred_in_an_order_of_ours() {
    let server = MockServer::start().await;
    let all: Vec<Value> = (0..150)
        .rev()
        .map(|number| json!({"advertiser_id": format!("70{number:03}"), "advertiser_name": "Fake"}))
        .collect();
    Mock::given(path("/open_api/v1.3/oauth2/advertiser/get/"))
        .and(query_param("secret", SECRET))
        .respond_with(ResponseTemplate::new(200).set_body_json(good(json!({ "list": all }))))
        .mount(&server)
        .await;
    let info = good(
        json!({"list": [{"advertiser_id": 70000, "name": "Fake", "status": "STATUS_LIMIT",
        "currency": "JPY", "timezone": "Asia/Tokyo", "display_timezone": "UTC+09:00"}]}),
    );
    Mock::given(path("/open_api/v1.3/advertiser/info/"))
        .respond_with(ResponseTemplate::new(200).set_body_json(info))
        .mount(&server)
        .await;
    let access = access();
    let door = RecordingDoor::default();
    let client = client(&server);

    let first = client
        .accounts(caller(&access, &door), None)
        .await
        .expect("a page");
    let second = client
        .accounts(caller(&access, &door), first.next.as_ref())
        .await
        .expect("a page");

    assert_eq!(first.next, Some(Cursor("70099".to_owned())));
    assert_eq!(second.next, None);
    assert_eq!(first.items[0].id, "70000");
    assert_eq!(first.items[0].status, EntityStatus::Rejected);
    assert_eq!(first.items[0].time_zone.as_deref(), Some("Asia/Tokyo"));
    let requests = requests(&server).await;
    let asked = parameters(&requests[3]);
    let ids: Vec<String> = serde_json::from_str(&asked["advertiser_ids"]).expect("a list");
    assert_eq!(ids.len(), 50);
    assert_eq!(ids[0], "70100");
}

#[tokio::test]
async fn an_advertiser_that_is_not_told_of_is_out_of_reach() {
    let server = answering(good(json!({"list": []}))).await;
    let access = access();
    let door = RecordingDoor::default();

    let account = client(&server)
        .account(caller(&access, &door), ADVERTISER)
        .await;

    assert!(matches!(account, Err(Error::Permission { .. })));
}

#[tokio::test]
async fn what_is_to_be_changed_is_asked_for_by_its_ids() {
    let server = answering(listed(json!([campaign()]), 1, 1)).await;
    let (access, door) = (access(), RecordingDoor::default());
    let ids = ["1700000000000001".to_owned()];

    let found = client(&server)
        .present(caller(&access, &door), &query(EntityType::Campaign), &ids)
        .await
        .expect("campaigns");

    assert_eq!(found[0].daily_budget, Some(Decimal::from(50)));
    let asked = parameters(&requests(&server).await[0]);
    assert_eq!(
        asked["filtering"],
        r#"{"campaign_ids":["1700000000000001"],"secondary_status":"CAMPAIGN_STATUS_ALL"}"#
    );
}
