//! What an account holds.

use chrono::{TimeDelta, Utc};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, matchers::path};

use super::{
    CUSTOMER, SEARCH, access, asks, caller, client_of, continues, failure, ok, query_of,
    requests_of,
};
use crate::{
    error::Error,
    platform::{AdPlatform, Cursor, Entity, EntityQuery, EntityStatus, EntityType, Page},
};

fn query(kind: EntityType) -> EntityQuery {
    EntityQuery {
        account_id: CUSTOMER.to_owned(),
        currency: Some("EUR".to_owned()),
        kind,
        changed_since: None,
        page_size: Some(50),
    }
}

async fn list(
    server: &MockServer,
    query: &EntityQuery,
    after: Option<&Cursor>,
) -> Result<Page<Entity>, Error> {
    let access = access(None);
    client_of(server)
        .entities(caller(&access), query, after)
        .await
}

async fn finding(server: &MockServer, part: &'static str, results: Value) {
    Mock::given(path(SEARCH))
        .and(asks(part))
        .respond_with(ok(json!({ "results": results })))
        .mount(server)
        .await;
}

fn ad_group(id: &str) -> Value {
    json!({"adGroup": {"id": id, "name": "Shoes", "status": "PAUSED", "type": "SEARCH_STANDARD"},
        "campaign": {"id": "900"}})
}

fn change(id: &str) -> Value {
    json!({"changeStatus": {"resourceType": "AD_GROUP", "resourceStatus": "CHANGED",
        "lastChangeDateTime": "2026-11-07 10:11:12.123456",
        "adGroup": format!("customers/1111111111/adGroups/{id}")}})
}

#[tokio::test]
async fn a_campaign_comes_with_its_budget_in_major_units() {
    let server = MockServer::start().await;
    let row = json!({"campaign": {"resourceName": "customers/1111111111/campaigns/900", "id": "900",
            "name": "Brand", "status": "ENABLED", "advertisingChannelType": "SEARCH"},
        "campaignBudget": {"resourceName": "customers/1111111111/campaignBudgets/7", "amountMicros": "50500000"}});
    let removed = json!({"campaign": {"id": "901", "status": "REMOVED"}});
    finding(&server, " FROM campaign", json!([row, removed])).await;

    let page = list(&server, &query(EntityType::Campaign), None)
        .await
        .expect("a page");

    let campaign = &page.items[0];
    assert_eq!(
        (campaign.id.as_str(), campaign.name.as_str()),
        ("900", "Brand")
    );
    assert_eq!(campaign.status, EntityStatus::Active);
    assert_eq!(campaign.daily_budget, Some(Decimal::new(505, 1)));
    assert_eq!(campaign.parent_id, None);
    assert_eq!(campaign.campaign_id, None);
    assert_eq!(campaign.raw, row);
    assert_eq!(page.items[1].status, EntityStatus::Deleted);
    assert_eq!(page.items[1].name, "");
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn what_is_switched_on_may_have_ended_or_be_disapproved_all_the_same() {
    let server = MockServer::start().await;
    let campaign = |status: &str, serving: &str| {
        json!({"campaign": {"id": "900", "status": status, "servingStatus": serving},
        "campaignBudget": {"totalAmountMicros": "700000000"}})
    };
    let campaigns = json!([
        campaign("ENABLED", "ENDED"),
        campaign("PAUSED", "ENDED"),
        campaign("ENABLED", "SERVING")
    ]);
    finding(&server, " FROM campaign", campaigns).await;
    let ad = |summary: Value| json!({"adGroupAd": {"ad": {"id": "77"}, "status": "ENABLED", "policySummary": summary}});
    let ads = json!([
        ad(json!({"approvalStatus": "DISAPPROVED", "reviewStatus": "REVIEWED"})),
        ad(json!({"reviewStatus": "REVIEW_IN_PROGRESS"})),
    ]);
    finding(&server, " FROM ad_group_ad", ads).await;

    let campaigns = list(&server, &query(EntityType::Campaign), None).await;
    let ads = list(&server, &query(EntityType::Ad), None).await;

    let campaigns = campaigns.expect("a page").items;
    let states: Vec<_> = campaigns.iter().map(|it| it.status).collect();
    assert_eq!(
        states,
        [
            EntityStatus::Ended,
            EntityStatus::Paused,
            EntityStatus::Active
        ]
    );
    assert_eq!(campaigns[0].platform_status, "ENDED");
    assert_eq!(campaigns[0].daily_budget, None);
    assert_eq!(campaigns[0].lifetime_budget, Some(Decimal::from(700)));
    let states: Vec<_> = ads
        .expect("a page")
        .items
        .iter()
        .map(|it| it.status)
        .collect();
    assert_eq!(states, [EntityStatus::Rejected, EntityStatus::Pending]);
}

#[tokio::test]
async fn pages_follow_by_token_with_the_identical_query_and_no_size() {
    let server = MockServer::start().await;
    for (token, next, id) in [("", "fake:Next/1", "10"), ("fake:Next/1", "", "11")] {
        Mock::given(path(SEARCH))
            .and(continues(token))
            .respond_with(ok(
                json!({"results": [ad_group(id)], "nextPageToken": next, "fieldMask": "adGroup.id"}),
            ))
            .expect(1)
            .mount(&server)
            .await;
    }
    let query = query(EntityType::AdSet);

    let first = list(&server, &query, None).await.expect("a page");
    let second = list(&server, &query, first.next.as_ref())
        .await
        .expect("a page");

    assert_eq!(first.items[0].id, "10");
    assert_eq!(first.items[0].parent_id.as_deref(), Some("900"));
    assert_eq!(first.items[0].status, EntityStatus::Paused);
    assert_eq!(second.items[0].id, "11");
    assert_eq!(second.next, None);
    let requests = requests_of(&server).await;
    assert_eq!(query_of(&requests[0]), query_of(&requests[1]));
    for request in requests {
        let body: Value = request.body_json().expect("JSON");
        assert_eq!(body.get("pageSize"), None);
    }
}

#[tokio::test]
async fn a_token_that_grew_old_begins_the_list_anew() {
    for name in ["EXPIRED_PAGE_TOKEN", "INVALID_PAGE_TOKEN"] {
        let server = MockServer::start().await;
        Mock::given(path(SEARCH))
            .and(continues("fakeOld"))
            .respond_with(failure(400, "requestError", name))
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(path(SEARCH))
            .and(continues(""))
            .respond_with(ok(json!({"results": [ad_group("10")]})))
            .expect(1)
            .mount(&server)
            .await;
        let old = Cursor("ad_group:fakeOld".to_owned());

        let page = list(&server, &query(EntityType::AdSet), Some(&old))
            .await
            .expect("a page");

        assert_eq!(page.items.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn ads_are_followed_by_the_asset_groups_that_stand_in_their_place() {
    let server = MockServer::start().await;
    let ad = json!({"adGroupAd": {"status": "ENABLED", "ad": {"id": "77", "type": "RESPONSIVE_SEARCH_AD"}},
        "adGroup": {"id": "10"}, "campaign": {"id": "900"}});
    let group = json!({"assetGroup": {"id": "78", "name": "All", "status": "ENABLED"}, "campaign": {"id": "901"}});
    finding(&server, " FROM ad_group_ad", json!([ad])).await;
    finding(&server, " FROM asset_group", json!([group])).await;
    let query = query(EntityType::Ad);

    let first = list(&server, &query, None).await.expect("a page");
    let second = list(&server, &query, first.next.as_ref())
        .await
        .expect("a page");

    assert_eq!(first.items[0].id, "77");
    assert_eq!(first.items[0].parent_id.as_deref(), Some("10"));
    assert_eq!(first.items[0].campaign_id.as_deref(), Some("900"));
    assert_eq!(second.items[0].id, "78");
    assert_eq!(second.items[0].kind, EntityType::Ad);
    assert_eq!(second.items[0].parent_id.as_deref(), Some("901"));
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn audiences_and_pixels_are_user_lists_and_conversion_actions() {
    let server = MockServer::start().await;
    let list_row = json!({"userList": {"id": "5", "name": "Buyers", "membershipStatus": "OPEN"}});
    let action = json!({"conversionAction": {"id": "6", "name": "Sale", "status": "HIDDEN"}});
    finding(&server, " FROM user_list", json!([list_row])).await;
    finding(&server, " FROM conversion_action", json!([action])).await;

    let audiences = list(&server, &query(EntityType::Audience), None).await;
    let pixels = list(&server, &query(EntityType::Pixel), None).await;

    let audience = &audiences.expect("a page").items[0];
    let pixel = &pixels.expect("a page").items[0];
    assert_eq!(
        (audience.id.as_str(), audience.status),
        ("5", EntityStatus::Active)
    );
    assert_eq!(
        (pixel.id.as_str(), pixel.status),
        ("6", EntityStatus::Archived)
    );
}

#[tokio::test]
async fn only_what_changed_is_read_where_google_tells_it() {
    let server = MockServer::start().await;
    let changes = json!([change("12"), change("10"), change("12")]);
    finding(&server, " FROM change_status", changes).await;
    finding(
        &server,
        " FROM ad_group WHERE ad_group.id IN (10, 12)",
        json!([ad_group("10"), ad_group("12")]),
    )
    .await;
    let query = EntityQuery {
        changed_since: Some(Utc::now() - TimeDelta::hours(2)),
        ..query(EntityType::AdSet)
    };

    let page = list(&server, &query, None).await.expect("a page");

    assert_eq!(page.items.len(), 2);
    assert_eq!(page.next, None);
    assert_eq!(requests_of(&server).await.len(), 2);
}

#[tokio::test]
async fn where_nothing_changed_nothing_is_read() {
    let server = MockServer::start().await;
    finding(&server, " FROM change_status", json!([])).await;
    let query = EntityQuery {
        changed_since: Some(Utc::now() - TimeDelta::hours(2)),
        ..query(EntityType::AdSet)
    };

    let page = list(&server, &query, None).await.expect("a page");

    assert!(page.items.is_empty());
    assert_eq!(page.next, None);
    assert_eq!(requests_of(&server).await.len(), 1);
}

#[tokio::test]
async fn more_changes_than_can_be_told_are_the_whole_list() {
    let server = MockServer::start().await;
    let changes: Vec<Value> = (0..10_000).map(|id| change(&id.to_string())).collect();
    finding(&server, " FROM change_status", json!(changes)).await;
    finding(&server, " FROM ad_group", json!([ad_group("10")])).await;
    let query = EntityQuery {
        changed_since: Some(Utc::now() - TimeDelta::hours(2)),
        ..query(EntityType::AdSet)
    };

    let page = list(&server, &query, None).await.expect("a page");

    assert_eq!(page.items.len(), 1);
    let requests = requests_of(&server).await;
    assert!(!query_of(&requests[1]).contains("IN ("));
}

#[tokio::test]
async fn changes_of_long_ago_and_of_budgets_are_found_by_the_whole_list() {
    let server = MockServer::start().await;
    finding(&server, " FROM ad_group", json!([ad_group("10")])).await;
    finding(&server, " FROM campaign", json!([])).await;
    let since = |days, kind| EntityQuery {
        changed_since: Some(Utc::now() - TimeDelta::days(days)),
        ..query(kind)
    };

    let old = list(&server, &since(89, EntityType::AdSet), None).await;
    let campaigns = list(&server, &since(1, EntityType::Campaign), None).await;

    assert_eq!(old.expect("a page").items.len(), 1);
    assert!(campaigns.expect("a page").items.is_empty());
    let google = client_of(&server);
    assert!(google.lists_changes(EntityType::AdSet));
    assert!(!google.lists_changes(EntityType::Campaign));
    assert_eq!(requests_of(&server).await.len(), 2);
}

#[tokio::test]
async fn what_google_does_not_have_and_foreign_cursors_are_refused_unsent() {
    let server = MockServer::start().await;
    let foreign = Cursor("campaign:fakeNext".to_owned());

    let forms = list(&server, &query(EntityType::LeadForm), None).await;
    let mixed = list(&server, &query(EntityType::AdSet), Some(&foreign)).await;

    assert!(matches!(forms, Err(Error::Rejected { .. })));
    assert!(matches!(mixed, Err(Error::Rejected { .. })));
    assert!(requests_of(&server).await.is_empty());
}

#[tokio::test]
async fn what_is_to_be_changed_is_asked_for_by_its_ids() {
    let server = MockServer::start().await;
    let condition = " FROM ad_group WHERE ad_group.id IN (10, 12)";
    finding(&server, condition, json!([ad_group("10")])).await;
    let (access, ids) = (access(None), ["10".to_owned(), "12".to_owned()]);

    let found = client_of(&server)
        .present(caller(&access), &query(EntityType::AdSet), &ids)
        .await
        .expect("ad groups");

    let found: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.status)).collect();
    assert_eq!(found, [("10", EntityStatus::Paused)]);
}
