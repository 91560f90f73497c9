//! Accounts and what they hold, as the platform shows them.

use rust_decimal::Decimal;
use serde_json::json;

use super::{ACCOUNT, access, answering, caller, client, only_query, requests};
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
    after: Option<&Cursor>,
) -> Result<Page<Entity>, Error> {
    let access = access();
    let door = RecordingDoor::default();
    client(server)
        .entities(caller(&access, &door), query, after)
        .await
}

fn campaigns() -> serde_json::Value {
    json!({"elements": [{"id": 300000001, "account": "urn:li:sponsoredAccount:500000001",
        "campaignGroup": "urn:li:sponsoredCampaignGroup:600000001", "name": "Fake campaign", "status": "ACTIVE",
        "type": "SPONSORED_UPDATES", "costType": "CPM", "objectiveType": "WEBSITE_VISIT",
        "dailyBudget": {"amount": "50.00", "currencyCode": "USD"}, "unitCost": {"amount": "8.19", "currencyCode": "USD"},
        "runSchedule": {"start": 1761955200000_i64, "end": 1764547200000_i64}, "servingStatuses": ["RUNNABLE"],
        "changeAuditStamps": {"created": {"time": 1761900000000_i64}, "lastModified": {"time": 1762000000000_i64}}}],
        "metadata": {"nextPageToken": "DgFake+Token="}})
}

#[tokio::test]
async fn a_campaign_of_linkedins_is_an_ad_set_with_everything_that_is_told_of_it() {
    let server = answering(200, campaigns()).await;

    let page = list(&server, &query(EntityType::AdSet), None)
        .await
        .expect("a page");

    let [campaign] = page.items.as_slice() else {
        panic!("{} campaigns", page.items.len());
    };
    assert_eq!(campaign.kind, EntityType::AdSet);
    assert_eq!(campaign.id, "300000001");
    assert_eq!(campaign.parent_id.as_deref(), Some("600000001"));
    assert_eq!(campaign.campaign_id.as_deref(), Some("600000001"));
    assert_eq!(campaign.name, "Fake campaign");
    assert_eq!(campaign.status, EntityStatus::Active);
    assert_eq!(campaign.daily_budget, Some(Decimal::from(50)));
    assert_eq!(campaign.lifetime_budget, None);
    let changed = campaign.updated_at.map(|time| time.timestamp());
    assert_eq!(changed, Some(1_762_000_000));
    assert_eq!(campaign.raw["costType"], "CPM");
    assert_eq!(page.next, Some(Cursor("DgFake+Token=".to_owned())));
}

#[tokio::test]
async fn a_list_names_every_status_and_goes_on_by_the_token_of_the_page_before() {
    let server = answering(200, campaigns()).await;
    let small = EntityQuery {
        page_size: Some(50),
        ..query(EntityType::AdSet)
    };

    list(&server, &small, Some(&Cursor("DgFake+Token=".to_owned())))
        .await
        .expect("a page");

    assert_eq!(
        only_query(&server).await,
        "q=search&search=(status:(values:List(ACTIVE,PAUSED,ARCHIVED,COMPLETED,CANCELED,DRAFT,PENDING_DELETION,REMOVED)))\
         &pageSize=50&pageToken=DgFake%2BToken%3D"
    );
}

#[tokio::test]
async fn groups_are_campaigns_and_the_last_page_has_no_token() {
    let server = answering(
        200,
        json!({"elements": [{"id": 600000001, "name": "Group", "status": "PENDING_DELETION",
            "totalBudget": {"amount": "1000.5", "currencyCode": "USD"}}], "metadata": {}}),
    )
    .await;

    let page = list(&server, &query(EntityType::Campaign), None)
        .await
        .expect("a page");

    assert_eq!(page.next, None);
    assert_eq!(page.items[0].status, EntityStatus::Deleted);
    assert_eq!(page.items[0].platform_status, "PENDING_DELETION");
    assert_eq!(page.items[0].parent_id, None);
    assert_eq!(page.items[0].lifetime_budget, Some(Decimal::new(10_005, 1)));
    let requests = requests(&server).await;
    assert_eq!(
        requests[0].url.path(),
        "/rest/adAccounts/500000001/adCampaignGroups"
    );
    assert_eq!(requests[0].url.query(), Some("q=search&pageSize=500"));
}

#[tokio::test]
async fn creatives_are_ads_and_are_asked_for_by_a_finder_that_is_named() {
    let server = answering(
        200,
        json!({"elements": [{"id": "urn:li:sponsoredCreative:900000001",
            "campaign": "urn:li:sponsoredCampaign:300000001", "account": "urn:li:sponsoredAccount:500000001",
            "intendedStatus": "PAUSED", "createdAt": 1761900000000_i64, "lastModifiedAt": 1762000000000_i64}]}),
    )
    .await;
    let large = EntityQuery {
        page_size: Some(500),
        ..query(EntityType::Ad)
    };

    let page = list(&server, &large, None).await.expect("a page");

    let ad = &page.items[0];
    assert_eq!(ad.id, "900000001");
    assert_eq!(ad.parent_id.as_deref(), Some("300000001"));
    assert_eq!(ad.campaign_id, None);
    assert_eq!(ad.status, EntityStatus::Paused);
    assert_eq!(ad.name, "");
    assert!(ad.created_at.is_some() && ad.updated_at.is_some());
    let requests = requests(&server).await;
    let finder = requests[0].headers.get("x-restli-method");
    assert_eq!(finder.and_then(|v| v.to_str().ok()), Some("FINDER"));
    assert_eq!(requests[0].url.query(), Some("q=criteria&pageSize=100"));
}

#[tokio::test]
async fn what_did_not_change_is_listed_too() {
    let server = answering(200, campaigns()).await;
    let since = EntityQuery {
        changed_since: "2026-11-20T00:00:00Z".parse().ok(),
        ..query(EntityType::AdSet)
    };

    let page = list(&server, &since, None).await.expect("a page");

    assert!(!client(&server).lists_changes(EntityType::AdSet));
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn an_element_that_cannot_be_read_fails_the_page_instead_of_vanishing() {
    let server = answering(200, json!({"elements": [{"name": "without an id"}]})).await;

    let page = list(&server, &query(EntityType::Campaign), None).await;

    assert!(matches!(page, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn what_linkedin_does_not_have_is_not_asked_for() {
    let server = wiremock::MockServer::start().await;

    let page = list(&server, &query(EntityType::LeadForm), None).await;

    assert!(matches!(page, Err(Error::Rejected { .. })));
    assert!(requests(&server).await.is_empty());
}

#[tokio::test]
async fn accounts_count_by_days_of_utc() {
    let server = answering(
        200,
        json!({"elements": [
            {"id": 500000001, "name": "Fake", "currency": "EUR", "status": "ACTIVE", "type": "BUSINESS"},
            {"id": 500000002, "name": "Gone", "currency": "JPY", "status": "CANCELED"}
        ]}),
    )
    .await;
    let access = access();
    let door = RecordingDoor::default();

    let page = client(&server)
        .accounts(caller(&access, &door), None)
        .await
        .expect("a page");

    assert_eq!(page.items[0].id, "500000001");
    assert_eq!(page.items[0].currency.as_deref(), Some("EUR"));
    assert_eq!(page.items[0].time_zone.as_deref(), Some("UTC"));
    assert_eq!(page.items[1].status, EntityStatus::Ended);
    assert_eq!(
        only_query(&server).await,
        "q=search&search=(status:(values:List(ACTIVE,CANCELED,DRAFT)))&pageSize=100"
    );
}

#[tokio::test]
async fn what_is_to_be_changed_is_asked_for_by_its_urns() {
    for (kind, asked) in [
        (
            EntityType::Campaign,
            "q=search&search=(id:(values:List(urn%3Ali%3AsponsoredCampaignGroup%3A1)))&pageSize=500",
        ),
        (
            EntityType::AdSet,
            "q=search&search=(id:(values:List(urn%3Ali%3AsponsoredCampaign%3A1)))&pageSize=500",
        ),
        (
            EntityType::Ad,
            "q=criteria&creatives=List(urn%3Ali%3AsponsoredCreative%3A1)&pageSize=100",
        ),
    ] {
        let server = answering(200, json!({"elements": [{"id": 1, "status": "PAUSED"}]})).await;
        let (access, door) = (access(), RecordingDoor::default());

        let found = client(&server)
            .present(caller(&access, &door), &query(kind), &["1".to_owned()])
            .await
            .expect("what is there");

        assert_eq!(found[0].status, EntityStatus::Paused, "{kind}");
        assert_eq!(only_query(&server).await, asked);
    }
}
