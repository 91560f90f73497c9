//! Ad accounts and what they hold.

use serde_json::{Value, json};
use wiremock::{
    Mock,
    matchers::{any, query_param, query_param_is_missing},
};

use super::{Site, TOKEN, json_of, ok};
use crate::{
    error::Error,
    platform::{AdPlatform, Cursor, Entity, EntityQuery, EntityStatus, EntityType, Page},
};

fn query(kind: EntityType) -> EntityQuery {
    EntityQuery {
        account_id: "1000000000001".to_owned(),
        currency: Some("USD".to_owned()),
        kind,
        changed_since: None,
        page_size: None,
    }
}

async fn listed(site: &Site, query: &EntityQuery) -> Page<Entity> {
    let page = site.meta.entities(site.caller(), query, None).await;
    page.expect("a page")
}

fn campaign() -> Value {
    json!({
        "id": "120200000000000001", "name": "Autumn sale", "objective": "OUTCOME_SALES", "status": "ACTIVE",
        "effective_status": "ACTIVE", "daily_budget": "5000", "lifetime_budget": "0", "budget_remaining": "1834",
        "created_time": "2026-10-01T09:12:44-0700", "updated_time": "2026-11-02T03:10:05-0800"
    })
}

#[tokio::test]
async fn an_account_has_no_prefix_and_its_state_a_word() {
    let site = Site::new().await;
    let answer = json!({"data": [
        {"id": "act_1000000000001", "account_id": "1000000000001", "name": "Fake shop", "account_status": 1,
         "currency": "USD", "timezone_name": "America/Los_Angeles", "amount_spent": "8437"},
        {"id": "act_1000000000002", "account_status": 101}
    ]});
    site.on("GET", "me/adaccounts", ok(answer.clone())).await;

    let page = site
        .meta
        .accounts(site.caller(), None)
        .await
        .expect("a page");

    let ids: Vec<&str> = page
        .items
        .iter()
        .map(|account| account.id.as_str())
        .collect();
    assert_eq!(ids, ["1000000000001", "1000000000002"]);
    let first = &page.items[0];
    assert_eq!(first.name, "Fake shop");
    assert_eq!(first.status, EntityStatus::Active);
    assert_eq!(first.currency.as_deref(), Some("USD"));
    assert_eq!(first.time_zone.as_deref(), Some("America/Los_Angeles"));
    assert_eq!(first.raw, answer["data"][0]);
    assert_eq!(page.items[1].status, EntityStatus::Ended);
    assert_eq!(page.items[1].platform_status, "CLOSED");
}

#[tokio::test]
async fn an_account_is_found_with_and_without_its_prefix() {
    let site = Site::new().await;
    let answer = json!({"id": "act_7", "account_id": "7", "account_status": 2});
    site.on("GET", "act_7", ok(answer)).await;

    for id in ["7", "act_7"] {
        let account = site
            .meta
            .account(site.caller(), id)
            .await
            .expect("an account");

        assert_eq!(account.id, "7");
        assert_eq!(account.platform_status, "DISABLED");
    }
}

#[tokio::test]
async fn a_campaign_is_read_with_its_budget_in_major_units() {
    let site = Site::new().await;
    let answer = json!({"data": [campaign()]});
    site.on("GET", "act_1000000000001/campaigns", ok(answer))
        .await;

    let page = listed(&site, &query(EntityType::Campaign)).await;

    let campaign = &page.items[0];
    assert_eq!(campaign.id, "120200000000000001");
    assert_eq!(campaign.name, "Autumn sale");
    assert_eq!(campaign.status, EntityStatus::Active);
    let budget = campaign.daily_budget.map(|budget| budget.to_string());
    assert_eq!(budget.as_deref(), Some("50.00"));
    assert_eq!(campaign.lifetime_budget, None);
    assert_eq!(campaign.created_at, "2026-10-01T16:12:44Z".parse().ok());
    assert_eq!(campaign.updated_at, "2026-11-02T11:10:05Z".parse().ok());
    assert_eq!(campaign.raw["budget_remaining"], "1834");
}

#[tokio::test]
async fn a_budget_in_yen_is_whole_yen() {
    let site = Site::new().await;
    let answer = json!({"data": [campaign()]});
    site.on("GET", "act_1000000000001/campaigns", ok(answer))
        .await;
    let query = EntityQuery {
        currency: Some("JPY".to_owned()),
        ..query(EntityType::Campaign)
    };

    let page = listed(&site, &query).await;

    let budget = page.items[0].daily_budget.map(|budget| budget.to_string());
    assert_eq!(budget.as_deref(), Some("5000"));
}

#[tokio::test]
async fn what_was_put_away_is_asked_for_and_only_what_changed() {
    let site = Site::new().await;
    site.on("GET", "act_1000000000001/ads", ok(json!({"data": []})))
        .await;
    let changes = EntityQuery {
        changed_since: "2025-11-01T13:46:40Z".parse().ok(),
        page_size: Some(25),
        ..query(EntityType::Ad)
    };

    listed(&site, &query(EntityType::Ad)).await;
    listed(&site, &changes).await;

    let asked = site.asked().await;
    let all = json_of(&asked[0], "filtering");
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    assert_eq!(all[0]["field"], "ad.effective_status");
    let states = all[0]["value"].as_array().expect("a list");
    for state in [
        "ACTIVE",
        "DELETED",
        "ARCHIVED",
        "ADSET_PAUSED",
        "DISAPPROVED",
    ] {
        assert!(states.contains(&json!(state)), "{state}");
    }
    assert_eq!(asked[0]["limit"], "50");

    let changed =
        json!({"field": "ad.updated_time", "operator": "GREATER_THAN", "value": 1_762_004_800});
    assert_eq!(json_of(&asked[1], "filtering")[1], changed);
    assert_eq!(asked[1]["limit"], "25");
}

#[tokio::test]
async fn only_what_can_be_asked_for_changes_says_so() {
    let site = Site::new().await;

    for kind in site.meta.entity_types() {
        let expected = matches!(
            kind,
            EntityType::Campaign | EntityType::AdSet | EntityType::Ad
        );

        assert_eq!(site.meta.lists_changes(*kind), expected, "{kind}");
    }
    assert_eq!(site.meta.entity_types().len(), EntityType::ALL.len());
}

#[tokio::test]
async fn a_list_is_read_to_its_end_by_cursors_of_our_own_making() {
    let site = Site::new().await;
    let next = format!(
        "https://graph.facebook.com/v26.0/act_1000000000001/campaigns?access_token={TOKEN}&limit=100&after=B"
    );
    let first =
        json!({"data": [], "paging": {"cursors": {"before": "A", "after": "B"}, "next": next}});
    let last = json!({"data": [campaign()], "paging": {"cursors": {"before": "C", "after": "D"}}});
    Mock::given(query_param_is_missing("after"))
        .respond_with(ok(first))
        .mount(&site.server)
        .await;
    Mock::given(query_param("after", "B"))
        .respond_with(ok(last))
        .mount(&site.server)
        .await;
    let query = query(EntityType::Campaign);

    let empty = listed(&site, &query).await;
    let full = site
        .meta
        .entities(site.caller(), &query, empty.next.as_ref())
        .await
        .expect("a page");

    assert!(empty.items.is_empty());
    assert_eq!(empty.next, Some(Cursor("B".to_owned())));
    assert_eq!(full.items.len(), 1);
    assert_eq!(full.next, None);
}

#[tokio::test]
async fn an_ad_belongs_to_its_ad_set_and_an_ad_set_to_its_campaign() {
    let site = Site::new().await;
    let ad = json!({"id": "3", "name": "Ad", "adset_id": "2", "campaign_id": "1", "effective_status": "DISAPPROVED"});
    let ad_set = json!({"id": "2", "campaign_id": "1", "effective_status": "CAMPAIGN_PAUSED", "daily_budget": "1"});
    site.on("GET", "act_1000000000001/ads", ok(json!({"data": [ad]})))
        .await;
    site.on(
        "GET",
        "act_1000000000001/adsets",
        ok(json!({"data": [ad_set]})),
    )
    .await;

    let ads = listed(&site, &query(EntityType::Ad)).await;
    let ad_sets = listed(&site, &query(EntityType::AdSet)).await;

    assert_eq!(ads.items[0].parent_id.as_deref(), Some("2"));
    assert_eq!(ads.items[0].campaign_id.as_deref(), Some("1"));
    assert_eq!(ads.items[0].status, EntityStatus::Rejected);
    assert_eq!(ad_sets.items[0].parent_id.as_deref(), Some("1"));
    assert_eq!(ad_sets.items[0].status, EntityStatus::Paused);
}

#[tokio::test]
async fn creatives_audiences_and_pixels_are_read_by_edges_of_their_own() {
    let site = Site::new().await;
    let cases = [
        (
            EntityType::Creative,
            "adcreatives",
            json!({"id": "5", "name": "Creative", "status": "ACTIVE"}),
        ),
        (
            EntityType::Audience,
            "customaudiences",
            json!({"id": "6", "name": "Audience", "delivery_status": {"code": 200}, "time_updated": 1_762_004_800}),
        ),
        (
            EntityType::Pixel,
            "adspixels",
            json!({"id": "7", "name": "Pixel", "is_unavailable": false}),
        ),
    ];

    for (kind, edge, raw) in cases {
        let at = format!("act_1000000000001/{edge}");
        site.on("GET", &at, ok(json!({"data": [raw]}))).await;

        let page = listed(&site, &query(kind)).await;

        assert_eq!(page.items[0].kind, kind);
        assert_eq!(page.items[0].status, EntityStatus::Active, "{kind}");
        assert_eq!(page.items[0].parent_id, None);
    }
    let asked = site.asked().await;
    assert!(asked.iter().all(|params| !params.contains_key("filtering")));
}

#[tokio::test]
async fn pages_and_their_instagram_accounts_come_without_tokens() {
    let site = Site::new().await;
    let answer = json!({"data": [
        {"id": "100000000000001", "name": "Fake Page", "tasks": ["ANALYZE"],
         "instagram_business_account": {"id": "17841400000000001", "username": "fake"}},
        {"id": "100000000000002", "name": "Other Page"}
    ]});
    site.on("GET", "me/accounts", ok(answer)).await;

    let pages = listed(&site, &query(EntityType::Page)).await;
    let accounts = listed(&site, &query(EntityType::InstagramAccount)).await;

    assert_eq!(pages.items.len(), 2);
    assert_eq!(pages.items[0].name, "Fake Page");
    assert_eq!(accounts.items.len(), 1);
    assert_eq!(accounts.items[0].id, "17841400000000001");
    assert_eq!(accounts.items[0].name, "fake");
    assert_eq!(
        accounts.items[0].parent_id.as_deref(),
        Some("100000000000001")
    );
    for params in site.asked().await {
        assert!(!params["fields"].contains("access_token"));
    }
}

// Fails when an answer about one account is taken for the same about another one.
#[tokio::test]
async fn what_is_of_the_grant_is_asked_for_without_an_account() {
    let site = Site::new().await;
    Mock::given(any())
        .respond_with(ok(json!({"data": []})))
        .mount(&site.server)
        .await;

    for &kind in site.meta.entity_types() {
        let before = site.requests().await.len();
        listed(&site, &query(kind)).await;

        let asked = site.requests().await.split_off(before);
        let names_account = asked
            .iter()
            .any(|request| request.url.as_str().contains("1000000000001"));
        assert_ne!(names_account, site.meta.is_of_the_grant(kind), "{kind}");
    }
}

#[tokio::test]
async fn an_entry_without_an_id_is_not_passed_over() {
    let site = Site::new().await;
    let answer = json!({"data": [campaign(), {"name": "nothing"}]});
    site.on("GET", "act_1000000000001/campaigns", ok(answer))
        .await;

    let result = site
        .meta
        .entities(site.caller(), &query(EntityType::Campaign), None)
        .await;

    assert!(matches!(result, Err(Error::Unavailable { .. })));
}

// Fails when one that is gone keeps the others from being told, or is taken for one that is as it was.
#[tokio::test]
async fn what_is_to_be_changed_is_asked_for_by_its_ids() {
    let site = Site::new().await;
    let gone = json!({"error": {"message": "gone", "code": 100, "error_subcode": 33}});
    let entry =
        |code: u16, body: &Value| json!({"code": code, "headers": [], "body": body.to_string()});
    let entries = json!([entry(400, &gone), entry(200, &campaign())]);
    site.on("POST", "", ok(entries)).await;
    let ids = ["11".to_owned(), "12".to_owned()];

    let found = site
        .meta
        .present(site.caller(), &query(EntityType::Campaign), &ids)
        .await
        .expect("campaigns");

    assert_eq!(found.len(), 1);
    let budget = found[0].daily_budget.map(|budget| budget.to_string());
    assert_eq!(budget.as_deref(), Some("50.00"));
    let batch = json_of(&site.asked().await[0], "batch");
    let asked = batch[1]["relative_url"].as_str().expect("an address");
    assert!(asked.starts_with("12?fields=id%2Cname"), "{asked}");
}
