//! Lists by cursor to their end, what is hidden in them, and their order.

use std::collections::BTreeSet;

use super::*;

/// Each list, and its name to the control.
const LISTS: [(&str, &str); 7] = [
    ("funding_instruments", "funding_instrument"),
    ("campaigns", "campaign"),
    ("line_items", "ad_set"),
    ("promoted_tweets", "ad"),
    ("media_creatives", "creative"),
    ("custom_audiences", "audience"),
    ("web_event_tags", "pixel"),
];
const FIRST_CAMPAIGN: &str = "c010000000";

fn of_first(list: &str) -> String {
    format!("accounts/{FIRST}/{list}")
}

fn ids(things: &[Value]) -> BTreeSet<String> {
    things.iter().map(|it| text(it, "id").to_owned()).collect()
}

async fn known(ads: &Ads, kind: &str) -> Vec<Value> {
    let path = format!("entities?platform=x&account={FIRST}&kind={kind}");
    let known = ads.world(&path).await;
    known["entities"].as_array().expect("a list").clone()
}

async fn change(ads: &Ads, id: &str, name: &str, value: &str) {
    let mut order = json!({ "platform": "x", "id": id });
    order[name] = json!(value);
    let changed = ads.site.control("POST", "/world", &order).await;
    assert_eq!(changed.status, 204, "{}", changed.body);
}

#[tokio::test]
async fn cursors_to_the_end_lead_to_everything_there_is() {
    let ads = Ads::start().await;
    for (list, kind) in LISTS {
        let params = [("count", "5"), ("with_deleted", "true")];

        let things = ads.pages(&of_first(list), &params).await;

        let known = known(&ads, kind).await;
        assert!(!known.is_empty(), "{list}");
        assert_eq!(things.len(), known.len(), "{list}");
        assert_eq!(ids(&things), ids(&known), "{list}");
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn what_was_deleted_is_hidden_until_it_is_asked_for() {
    let ads = Ads::start().await;
    change(&ads, FIRST_CAMPAIGN, "status", "deleted").await;
    for list in ["campaigns", "line_items", "promoted_tweets"] {
        let path = of_first(list);

        let usual = ads.pages(&path, &[]).await;
        let all = ads.pages(&path, &[("with_deleted", "true")]).await;

        let is_deleted = |thing: &&Value| thing["deleted"] == true;
        let deleted: Vec<_> = all.iter().filter(is_deleted).cloned().collect();
        assert!(!deleted.is_empty(), "{list}");
        assert!(
            !usual.iter().any(|thing| thing["deleted"] == true),
            "{list}"
        );
        assert_eq!(usual.len() + deleted.len(), all.len(), "{list}");
    }
    let one = of_first(&format!("campaigns/{FIRST_CAMPAIGN}"));
    let hidden = ads.get(&one, &[]).await;
    let shown = good(&ads.get(&one, &[("with_deleted", "true")]).await);
    assert_refused(&hidden, 404, "NOT_FOUND");
    assert_eq!(shown["data"]["id"], FIRST_CAMPAIGN);
    ads.site.stop().await;
}

#[tokio::test]
async fn what_changed_last_comes_first_where_that_is_asked_for() {
    let ads = Ads::start().await;
    change(&ads, "c010000002", "name", "Renamed").await;
    let params = [
        ("sort_by", "updated_at-desc"),
        ("with_deleted", "true"),
        ("count", "5"),
    ];

    let campaigns = ads.pages(&of_first("campaigns"), &params).await;

    assert_eq!(
        (&campaigns[0]["id"], &campaigns[0]["name"]),
        (&json!("c010000002"), &json!("Renamed"))
    );
    assert_eq!(campaigns[0]["updated_at"], "2026-11-20T12:10:00Z");
    assert_eq!(ids(&campaigns).len(), known(&ads, "campaign").await.len());
    let times: Vec<_> = campaigns.iter().map(|it| text(it, "updated_at")).collect();
    assert!(times.is_sorted_by(|one, next| one >= next), "{times:?}");
    ads.site.stop().await;
}

#[tokio::test]
async fn a_cursor_is_good_for_its_list_and_run() {
    let ads = Ads::start().await;
    let path = of_first("campaigns");
    let body = good(&ads.get(&path, &[("count", "3")]).await);
    let cursor = text(&body, "next_cursor");

    let same = ads.get(&path, &[("count", "3"), ("cursor", cursor)]).await;
    let other = ads
        .get(&of_first("line_items"), &[("cursor", cursor)])
        .await;
    let sorted = [("cursor", cursor), ("sort_by", "updated_at-desc")];
    let sorted = ads.get(&path, &sorted).await;
    let counted = [("cursor", cursor), ("with_total_count", "true")];
    let counted = ads.get(&path, &counted).await;
    let forged = ads.get(&path, &[("cursor", "c-fake")]).await;
    ads.advance(3_600).await;
    let late = ads.get(&path, &[("count", "3"), ("cursor", cursor)]).await;

    good(&same);
    for refused in [other, sorted, counted, forged, late] {
        assert_refused(&refused, 400, "INVALID_PARAMETER");
        assert_eq!(refused.json()["errors"][0]["parameter"], "cursor");
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn parameters_have_bounds() {
    let ads = Ads::start().await;
    let many = vec!["a"; 201].join(",");
    let path = of_first("line_items");

    for (name, value) in [
        ("count", "0"),
        ("count", "1001"),
        ("count", "many"),
        ("with_deleted", "yes"),
        ("sort_by", "budget-desc"),
        ("campaign_ids", many.as_str()),
    ] {
        let answer = ads.get(&path, &[(name, value)]).await;

        assert_refused(&answer, 400, "INVALID_PARAMETER");
        assert_eq!(answer.json()["errors"][0]["parameter"], name);
    }
    let largest = ads.get(&path, &[("count", "1000")]).await;
    assert_eq!(good(&largest)["request"]["params"]["account_id"], FIRST);
    ads.site.stop().await;
}

#[tokio::test]
async fn lists_can_be_counted_and_narrowed() {
    let ads = Ads::start().await;
    let counted = [
        ("with_total_count", "true"),
        ("count", "2"),
        ("with_deleted", "true"),
    ];
    let counted = good(&ads.get(&of_first("campaigns"), &counted).await);
    let of_two = [
        ("campaign_ids", "c010000001,c010000002"),
        ("with_deleted", "true"),
    ];

    let line_items = ads.pages(&of_first("line_items"), &of_two).await;
    let line_item = text(&line_items[0], "id");
    let below = [("line_item_ids", line_item), ("with_deleted", "true")];
    let tweets = ads.pages(&of_first("promoted_tweets"), &below).await;

    assert_eq!(counted["total_count"], json!(12));
    assert!((2..=6).contains(&line_items.len()));
    let campaigns: BTreeSet<_> = line_items
        .iter()
        .map(|it| text(it, "campaign_id"))
        .collect();
    assert_eq!(campaigns, BTreeSet::from(["c010000001", "c010000002"]));
    assert!((1..=3).contains(&tweets.len()));
    assert!(tweets.iter().all(|it| it["line_item_id"] == line_item));
    assert!(tweets.iter().all(|it| it.get("name").is_none()));
    ads.site.stop().await;
}

#[tokio::test]
async fn budgets_are_micros_and_the_currency_stands_beside_them() {
    let ads = Ads::start_with(|config| config.world.accounts_per_platform = 8).await;
    // The account whose currency has no cents: yen.
    let yen = "1010000006";
    let path = format!("accounts/{yen}/campaigns");

    let campaigns = ads.pages(&path, &[("with_deleted", "true")]).await;
    let funding = ads
        .pages(&format!("accounts/{yen}/funding_instruments"), &[])
        .await;

    assert_eq!(funding[0]["currency"], "JPY");
    for campaign in &campaigns {
        assert_eq!(campaign["currency"], "JPY");
        assert_eq!(campaign["funding_instrument_id"], funding[0]["id"]);
        let daily = campaign["daily_budget_amount_local_micro"].as_i64();
        let total = campaign["total_budget_amount_local_micro"].as_i64();
        assert!(daily.or(total).is_none_or(|micros| micros % 1_000_000 == 0));
        let is_campaigns = campaign["budget_optimization"] == "CAMPAIGN";
        assert_eq!(is_campaigns, daily.or(total).is_some());
    }
    ads.site.stop().await;
}
