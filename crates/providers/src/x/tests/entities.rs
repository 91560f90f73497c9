//! Accounts and what they hold.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{path, query_param, query_param_is_missing},
};

use super::{ACCOUNT, access, answering, caller, client_of, ok, param, requests_to};
use crate::{
    error::Error,
    platform::{
        AdAccount, AdPlatform, Cursor, Entity, EntityQuery, EntityStatus, EntityType, Page,
    },
};

const CAMPAIGNS: &str = "/12/accounts/18fake0001/campaigns";

fn listed(data: Value, next: Value) -> ResponseTemplate {
    ok(
        json!({"request": {"params": {"account_id": ACCOUNT}}, "next_cursor": next, "total_count": null, "data": data}),
    )
}

fn campaign(id: &str, updated_at: &str) -> Value {
    json!({"id": id, "name": "Fake campaign", "entity_status": "ACTIVE", "effective_status": "RUNNING", "servable": true,
        "reasons_not_servable": [], "daily_budget_amount_local_micro": 50_000_000, "total_budget_amount_local_micro": null,
        "currency": "USD", "funding_instrument_id": "fkfi1", "budget_optimization": "CAMPAIGN",
        "created_at": "2026-10-01T08:00:00Z", "updated_at": updated_at, "deleted": false})
}

fn query(kind: EntityType) -> EntityQuery {
    EntityQuery {
        account_id: ACCOUNT.to_owned(),
        currency: None,
        kind,
        changed_since: None,
        page_size: None,
    }
}

async fn list(
    server: &MockServer,
    query: &EntityQuery,
    after: Option<&Cursor>,
) -> Result<Page<Entity>, Error> {
    let access = access();
    client_of(server)
        .entities(caller(&access), query, after)
        .await
}

async fn account(server: &MockServer) -> Result<AdAccount, Error> {
    let access = access();
    client_of(server).account(caller(&access), ACCOUNT).await
}

async fn with_account() -> MockServer {
    answering(
        "/12/accounts/18fake0001",
        ok(json!({"data": {"id": ACCOUNT, "name": "Fake account", "timezone": "America/Los_Angeles",
            "timezone_switch_at": "2016-07-21T07:00:00Z", "approval_status": "ACCEPTED", "deleted": false}})),
    )
    .await
}

#[tokio::test]
async fn a_campaign_comes_as_x_shows_it() {
    let data = json!([campaign("fkcmp1", "2026-11-02T10:11:12Z")]);
    let server = answering(CAMPAIGNS, listed(data, Value::Null)).await;

    let page = list(&server, &query(EntityType::Campaign), None)
        .await
        .expect("a page");

    let one = &page.items[0];
    assert_eq!(
        (one.id.as_str(), one.name.as_str()),
        ("fkcmp1", "Fake campaign")
    );
    assert_eq!(one.status, EntityStatus::Active);
    assert_eq!(one.platform_status, "RUNNING");
    assert_eq!(one.daily_budget, Some(Decimal::from(50)));
    assert_eq!(one.lifetime_budget, None);
    let at = |text: &str| text.parse::<DateTime<Utc>>().ok();
    assert_eq!(one.created_at, at("2026-10-01T08:00:00Z"));
    assert_eq!(one.updated_at, at("2026-11-02T10:11:12Z"));
    assert_eq!(one.raw["currency"], "USD");
    assert_eq!(page.next, None);
    let requests = requests_to(&server, CAMPAIGNS).await;
    assert_eq!(param(&requests[0], "count"), "1000");
    assert_eq!(param(&requests[0], "with_deleted"), "true");
    assert_eq!(param(&requests[0], "sort_by"), "");
    assert_eq!(param(&requests[0], "with_total_count"), "");
}

#[tokio::test]
async fn a_list_is_read_to_the_cursor_that_is_null() {
    let server = MockServer::start().await;
    let first = json!([campaign("fkcmp1", "2026-11-02T10:11:12Z")]);
    Mock::given(path(CAMPAIGNS))
        .and(query_param_is_missing("cursor"))
        .respond_with(listed(first, json!("c/fake1==")))
        .mount(&server)
        .await;
    let second = json!([campaign("fkcmp2", "2026-11-02T10:11:12Z")]);
    Mock::given(path(CAMPAIGNS))
        .and(query_param("cursor", "c/fake1=="))
        .respond_with(listed(second, Value::Null))
        .mount(&server)
        .await;
    let query = query(EntityType::Campaign);

    let first = list(&server, &query, None).await.expect("a page");
    let second = list(&server, &query, first.next.as_ref())
        .await
        .expect("a page");

    assert_eq!(first.items[0].id, "fkcmp1");
    assert_eq!(second.items[0].id, "fkcmp2");
    assert_eq!(second.next, None);
    // As it was signed, and not as forms are written.
    let requests = requests_to(&server, CAMPAIGNS).await;
    let sent = requests[1].url.query().unwrap_or_default();
    assert!(sent.contains("cursor=c%2Ffake1%3D%3D"), "{sent}");
}

#[tokio::test]
async fn changes_are_read_from_the_newest_until_those_that_are_known() {
    let data = json!([
        campaign("fkcmp3", "2026-11-02T10:30:00Z"),
        campaign("fkcmp2", "2026-11-02T09:55:00Z"),
        campaign("fkcmp1", "2026-11-02T09:45:00Z"),
    ]);
    let server = answering(CAMPAIGNS, listed(data, json!("c-fake1"))).await;
    let query = EntityQuery {
        changed_since: "2026-11-02T10:00:00Z".parse().ok(),
        page_size: Some(5_000),
        ..query(EntityType::Campaign)
    };

    let page = list(&server, &query, None).await.expect("a page");

    // Ten minutes of overlap, and not a page more.
    let ids: Vec<&str> = page.items.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["fkcmp3", "fkcmp2"]);
    assert_eq!(page.next, None);
    let requests = requests_to(&server, CAMPAIGNS).await;
    assert_eq!(param(&requests[0], "sort_by"), "updated_at-desc");
    assert_eq!(param(&requests[0], "with_deleted"), "true");
    assert_eq!(param(&requests[0], "count"), "1000");
}

#[tokio::test]
async fn every_sort_has_its_list_and_its_parent() {
    let cases = [
        (EntityType::Campaign, "campaigns", None, None),
        (
            EntityType::AdSet,
            "line_items",
            Some("fkcmp1"),
            Some("fkcmp1"),
        ),
        (EntityType::Ad, "promoted_tweets", Some("fkli1"), None),
        (EntityType::Creative, "media_creatives", Some("fkli1"), None),
        (EntityType::Audience, "custom_audiences", None, None),
        (EntityType::Pixel, "web_event_tags", None, None),
    ];

    for (kind, at, parent, campaign) in cases {
        let mut raw = json!({"id": "fk1", "entity_status": "PAUSED", "deleted": false});
        match kind {
            EntityType::AdSet => raw["campaign_id"] = json!("fkcmp1"),
            EntityType::Ad | EntityType::Creative => raw["line_item_id"] = json!("fkli1"),
            _ => {}
        }
        let at = format!("/12/accounts/18fake0001/{at}");
        let server = answering(&at, listed(json!([raw]), Value::Null)).await;

        let page = list(&server, &query(kind), None).await.expect("a page");

        let one = &page.items[0];
        assert_eq!(one.kind, kind);
        assert_eq!(one.parent_id.as_deref(), parent, "{kind}");
        assert_eq!(one.campaign_id.as_deref(), campaign, "{kind}");
        assert_eq!(one.name, "", "{kind}");
        assert_eq!(one.status, EntityStatus::Paused, "{kind}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_listed_as_that() {
    let data = json!([{"id": "fkcmp1", "entity_status": "ACTIVE", "deleted": true}]);
    let server = answering(CAMPAIGNS, listed(data, Value::Null)).await;

    let page = list(&server, &query(EntityType::Campaign), None)
        .await
        .expect("a page");

    assert_eq!(page.items[0].status, EntityStatus::Deleted);
}

#[tokio::test]
async fn what_x_does_not_have_is_refused_unsent() {
    let server = MockServer::start().await;

    let result = list(&server, &query(EntityType::LeadForm), None).await;

    assert!(matches!(result, Err(Error::Rejected { .. })));
    let received = server.received_requests().await.expect("recorded");
    assert!(received.is_empty());
}

#[tokio::test]
async fn accounts_are_listed_by_pages_without_a_currency() {
    let data = json!([{"id": ACCOUNT, "name": "Fake account", "timezone": "Asia/Tokyo",
        "approval_status": "UNDER_REVIEW", "deleted": false}]);
    let server = answering("/12/accounts", listed(data, json!("c-fake1"))).await;
    let access = access();

    let page = client_of(&server)
        .accounts(caller(&access), None)
        .await
        .expect("a page");

    let account = &page.items[0];
    assert_eq!(account.id, ACCOUNT);
    assert_eq!(account.currency, None);
    assert_eq!(account.time_zone.as_deref(), Some("Asia/Tokyo"));
    assert_eq!(account.status, EntityStatus::Pending);
    assert_eq!(page.next, Some(Cursor("c-fake1".to_owned())));
}

#[tokio::test]
async fn an_account_has_the_currency_of_what_pays_for_it() {
    let server = with_account().await;
    let data = json!([{"id": "fkfi1", "currency": "JPY", "deleted": false}]);
    Mock::given(path("/12/accounts/18fake0001/funding_instruments"))
        .respond_with(listed(data, Value::Null))
        .mount(&server)
        .await;

    let account = account(&server).await.expect("an account");

    assert_eq!(account.name, "Fake account");
    assert_eq!(account.status, EntityStatus::Active);
    assert_eq!(account.currency.as_deref(), Some("JPY"));
    assert_eq!(account.time_zone.as_deref(), Some("America/Los_Angeles"));
}

#[tokio::test]
async fn who_may_not_see_who_pays_sees_the_account_all_the_same() {
    let server = with_account().await;
    let refusal = json!({"errors": [{"code": "ACTION_NOT_ALLOWED", "message": "No."}]});
    Mock::given(path("/12/accounts/18fake0001/funding_instruments"))
        .respond_with(ResponseTemplate::new(403).set_body_json(refusal))
        .mount(&server)
        .await;

    let account = account(&server).await.expect("an account");

    assert_eq!(account.currency, None);
}

// Fails when a change is held against a whole list, or against nothing.
#[tokio::test]
async fn what_is_to_be_changed_is_asked_for_by_its_ids() {
    let data = json!([campaign("fkcmp1", "2026-11-02T10:11:12Z")]);
    let server = answering(CAMPAIGNS, listed(data, Value::Null)).await;
    let (access, ids) = (access(), ["fkcmp1".to_owned(), "fkcmp2".to_owned()]);

    let found = client_of(&server)
        .present(caller(&access), &query(EntityType::Campaign), &ids)
        .await
        .expect("campaigns");

    assert_eq!(found.len(), 1);
    assert_eq!(found[0].daily_budget, Some(Decimal::from(50)));
    let asked = requests_to(&server, CAMPAIGNS).await;
    assert_eq!(param(&asked[0], "campaign_ids"), "fkcmp1,fkcmp2");
}
