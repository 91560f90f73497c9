//! Lists to their end, what is hidden in them, and what is elsewhere.

use std::collections::BTreeSet;

use super::*;

/// Each sort: its list, its id and its name to the control.
const SORTS: [(&str, &str, &str, &str); 3] = [
    ("campaign/get/", "campaign_id", "CAMPAIGN", "campaign"),
    ("adgroup/get/", "adgroup_id", "ADGROUP", "ad_set"),
    ("ad/get/", "ad_id", "AD", "ad"),
];

const FIRST_CAMPAIGN: &str = "1700000000000001";

async fn listed(ads: &Ads, list: &str, filtering: &Value, size: &str) -> Vec<Value> {
    let filtering = filtering.to_string();
    let params = [
        ("advertiser_id", FIRST),
        ("page_size", size),
        ("filtering", filtering.as_str()),
    ];
    ads.pages(list, &params).await.0
}

fn ids(list: &[Value], name: &str) -> BTreeSet<String> {
    list.iter().map(|it| text(it, name).to_owned()).collect()
}

async fn known(ads: &Ads, kind: &str) -> Vec<Value> {
    let path = format!("entities?platform=tiktok&account={FIRST}&kind={kind}");
    let known = ads.world(&path).await;
    known["entities"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn pages_to_the_end_of_both_lists_are_everything_there_is() {
    let ads = Ads::start().await;
    for (list, id, prefix, kind) in SORTS {
        let all = json!({ "secondary_status": format!("{prefix}_STATUS_ALL") });

        let ordinary = listed(&ads, list, &all, "7").await;
        let smart_plus = listed(&ads, &format!("smart_plus/{list}"), &all, "7").await;

        assert!(ordinary.len() > 14 && smart_plus.len() > 1, "{list}");
        let (ordinary, smart_plus) = (ids(&ordinary, id), ids(&smart_plus, id));
        assert!(ordinary.is_disjoint(&smart_plus));
        let known = ids(&known(&ads, kind).await, "id");
        assert_eq!(&ordinary | &smart_plus, known, "{list}");
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn what_was_deleted_is_hidden_until_it_is_asked_for() {
    let ads = Ads::start().await;
    let delete = json!({ "platform": "tiktok", "id": FIRST_CAMPAIGN, "status": "deleted" });
    ads.site.control("POST", "/world", &delete).await;
    for (list, id, prefix, kind) in SORTS {
        let family = async |filtering: Value| {
            let mut all = listed(&ads, list, &filtering, "1000").await;
            let smart_plus = format!("smart_plus/{list}");
            all.extend(listed(&ads, &smart_plus, &filtering, "1000").await);
            all
        };
        let status = |word: &str| json!({ "secondary_status": format!("{prefix}_STATUS_{word}") });

        let usual = family(json!({})).await;
        let deleted = family(status("DELETE")).await;
        let all = family(status("ALL")).await;

        let entities = known(&ads, kind).await;
        let gone: Vec<_> = entities
            .into_iter()
            .filter(|entity| entity["effective"] == "deleted")
            .collect();
        assert!(!gone.is_empty(), "{list}");
        assert_eq!(ids(&deleted, id), ids(&gone, "id"), "{list}");
        assert_eq!(usual.len() + deleted.len(), all.len(), "{list}");
        assert!(ids(&usual, id).is_disjoint(&ids(&deleted, id)), "{list}");
        let word = format!("{prefix}_STATUS_DELETE");
        assert!(
            deleted
                .iter()
                .all(|it| it["secondary_status"] == word.as_str())
        );
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn a_state_of_another_sort_is_no_state() {
    let ads = Ads::start().await;
    let get = async |list: &str, filtering: &str| {
        let params = [("advertiser_id", FIRST), ("filtering", filtering)];
        ads.get(list, &params).await
    };

    for (list, filtering) in [
        (
            "adgroup/get/",
            r#"{"secondary_status":"CAMPAIGN_STATUS_ALL"}"#,
        ),
        ("campaign/get/", r#"{"secondary_status":"STATUS_ALL"}"#),
        (
            "campaign/get/",
            r#"{"modified_since":"2026-11-01 00:00:00"}"#,
        ),
        ("campaign/get/", "secondary_status=CAMPAIGN_STATUS_ALL"),
        ("campaign/get/", r#"["CAMPAIGN_STATUS_ALL"]"#),
    ] {
        assert_code(&get(list, filtering).await, 40_002);
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn a_campaign_is_told_as_the_documents_show_it() {
    let ads = Ads::start().await;
    let entities = known(&ads, "campaign").await;

    let campaigns = listed(&ads, "campaign/get/", &json!({}), "1000").await;

    for shown in &campaigns {
        let entity = entities.iter().find(|it| it["id"] == shown["campaign_id"]);
        let entity = entity.expect("a campaign of the world");
        assert_eq!(shown["campaign_name"], entity["name"]);
        let budget = match text(shown, "budget_mode") {
            "BUDGET_MODE_DAY" => entity["daily_budget_micros"].as_f64(),
            "BUDGET_MODE_TOTAL" => entity["lifetime_budget_micros"].as_f64(),
            _ => Some(0.0),
        };
        let shown_budget = shown["budget"].as_f64().expect("a number");
        let difference = shown_budget - budget.expect("a budget") / 1_000_000.0;
        assert!(difference.abs() < 0.001, "{shown}");
        let created = text(entity, "created_at").replace('T', " ");
        assert_eq!(text(shown, "create_time"), &created[..19]);
    }
    let states: BTreeSet<_> = campaigns
        .iter()
        .map(|it| text(it, "secondary_status"))
        .collect();
    assert!(states.contains("CAMPAIGN_STATUS_ENABLE"));
    assert!(states.contains("CAMPAIGN_STATUS_DISABLE"));
    ads.site.stop().await;
}

#[tokio::test]
async fn what_is_made_between_two_pages_moves_the_rest_along() {
    let ads = Ads::start().await;
    ads.set_clock("2025-06-01T00:00:00Z").await;
    let page = async |number: &str| {
        let params = [
            ("advertiser_id", FIRST),
            ("page_size", "8"),
            ("page", number),
        ];
        let data = data(&ads.get("campaign/get/", &params).await);
        let list = data["list"].as_array().expect("a list").clone();
        ids(&list, "campaign_id")
    };

    let first = page("1").await;
    ads.set_clock("2026-09-15T00:00:00Z").await;
    let second = page("2").await;

    assert_eq!(first.len(), 8);
    assert!(!first.is_disjoint(&second));
    ads.site.stop().await;
}

#[tokio::test]
async fn an_empty_list_has_no_pages_and_pages_have_bounds() {
    let ads = Ads::start().await;
    let get = async |name: &str, value: &str| {
        let params = [("advertiser_id", FIRST), (name, value)];
        ads.get("gmv_max/campaign/get/", &params).await
    };

    let empty = data(&get("page", "1").await);

    assert_eq!(empty["list"], json!([]));
    let info = json!({ "page": 1, "page_size": 10, "total_number": 0, "total_page": 0 });
    assert_eq!(empty["page_info"], info);
    assert_code(&get("page", "0").await, 40_002);
    assert_code(&get("page_size", "1001").await, 40_002);
    assert_code(&ads.get("campaign/get/", &[]).await, 40_002);
    ads.site.stop().await;
}

#[tokio::test]
async fn lists_can_be_narrowed_by_what_stands_above() {
    let ads = Ads::start().await;
    let campaigns = listed(&ads, "campaign/get/", &json!({}), "1000").await;
    let campaign = text(&campaigns[0], "campaign_id");

    let below = json!({ "campaign_ids": [campaign] });
    let groups = listed(&ads, "adgroup/get/", &below, "1000").await;
    let found = listed(&ads, "ad/get/", &below, "1000").await;
    let many = json!({ "campaign_ids": vec!["1"; 101] }).to_string();
    let many = [("advertiser_id", FIRST), ("filtering", many.as_str())];
    let many = ads.get("adgroup/get/", &many).await;

    assert!((1..=3).contains(&groups.len()) && !found.is_empty());
    let groups = ids(&groups, "adgroup_id");
    for ad in &found {
        assert_eq!(ad["campaign_id"], campaign);
        assert!(groups.contains(text(ad, "adgroup_id")));
    }
    assert_code(&many, 40_011);
    ads.site.stop().await;
}
