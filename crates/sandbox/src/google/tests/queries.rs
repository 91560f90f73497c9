//! What queries give, and what they are refused for.

use std::collections::BTreeMap;

use super::*;

/// Impressions, clicks, micros of cost, and thousandths of conversions, by thing, day and hour.
type Sums = BTreeMap<(String, String, Option<i64>), (i64, i64, i64, i64)>;

fn told(rows: &[Value], id: impl Fn(&Value) -> Value) -> Sums {
    let each = rows.iter().map(|row| {
        let (metrics, segments) = (&row["metrics"], &row["segments"]);
        let day = segments["date"].as_str().unwrap_or_default().to_owned();
        let conversions = metrics["conversions"].as_f64().unwrap_or_default();
        let figures = (
            int(&metrics["impressions"]),
            int(&metrics["clicks"]),
            int(&metrics["costMicros"]),
            (conversions * 1_000.0).round() as i64,
        );
        let id = id(row).as_str().unwrap_or_default().to_owned();
        ((id, day, segments["hour"].as_i64()), figures)
    });
    each.collect()
}

fn exported(export: &Value) -> Sums {
    let rows = export["rows"].as_array().expect("rows");
    let each = rows.iter().map(|row| {
        let number = |name: &str| row[name].as_i64().unwrap_or_default();
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let figures = (
            number("impressions"),
            number("clicks"),
            number("spend_micros"),
            number("conversion_millis"),
        );
        (
            (text("entity_id"), text("date"), row["hour"].as_i64()),
            figures,
        )
    });
    each.collect()
}

#[tokio::test]
async fn days_and_hours_of_every_level_are_those_of_the_world() {
    let ads = Ads::start().await;
    let metrics = "metrics.impressions, metrics.clicks, metrics.cost_micros, metrics.conversions";
    let within = "WHERE segments.date BETWEEN '2026-10-28' AND '2026-11-03'";
    let of = |level: &str, grain: &str| {
        format!("level={level}&granularity={grain}&from=2026-10-28&to=2026-11-03")
    };

    let query = format!("SELECT campaign.id, segments.date, {metrics} FROM campaign {within}");
    let campaigns = ads.results(SECOND, &query).await;
    let query = format!(
        "SELECT campaign.id, segments.date, segments.hour, {metrics} FROM campaign {within}"
    );
    let hours = ads.results(SECOND, &query).await;
    let query = format!(
        "SELECT ad_group_ad.ad.id, ad_group.id, campaign.id, segments.date, {metrics} FROM ad_group_ad {within}"
    );
    let of_ads = ads.results(SECOND, &query).await;
    let query = format!("SELECT customer.id, segments.date, {metrics} FROM customer {within}");
    let whole = ads.results(SECOND, &query).await;

    let campaign = |row: &Value| row["campaign"]["id"].clone();
    let expected = ads.export(SECOND, &of("campaign", "day")).await;
    assert!(!campaigns.is_empty());
    assert_eq!(told(&campaigns, campaign), exported(&expected));
    let expected = ads.export(SECOND, &of("campaign", "hour")).await;
    assert_eq!(told(&hours, campaign), exported(&expected));
    let expected = ads.export(SECOND, &of("ad", "day")).await;
    assert_eq!(
        told(&of_ads, |row| row["adGroupAd"]["ad"]["id"].clone()),
        exported(&expected),
    );
    let expected = ads.export(SECOND, &of("account", "day")).await;
    assert_eq!(
        told(&whole, |row| row["customer"]["id"].clone()),
        exported(&expected),
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn whole_numbers_are_texts_and_zeros_are_left_out() {
    let ads = Ads::start().await;

    let rows = ads
        .results(
            FIRST,
            "SELECT campaign.id, campaign.name, campaign.status, campaign.advertising_channel_type, \
             campaign.bidding_strategy_type, campaign.start_date_time, campaign.end_date_time, \
             campaign_budget.amount_micros, metrics.impressions, metrics.ctr, metrics.average_cpc FROM campaign",
        )
        .await;
    let ended = ads
        .results(
            FIRST,
            "SELECT campaign.id, metrics.impressions FROM campaign WHERE segments.date = '2024-06-02'",
        )
        .await;

    assert!(rows.len() > 10);
    let row = &rows[0];
    assert_eq!(row["campaign"]["id"], "21000000001");
    assert_eq!(
        row["campaign"]["resourceName"],
        "customers/2000000001/campaigns/21000000001",
    );
    assert!(row["metrics"]["impressions"].is_string());
    assert!(row["metrics"]["ctr"].as_f64().is_some_and(|ctr| ctr < 0.2));
    assert!(
        row["metrics"]["averageCpc"]
            .as_f64()
            .is_some_and(|cpc| cpc > 10_000.0)
    );
    // Without a segment there is a row for everything, also for what did nothing.
    assert_eq!(ended.len(), rows.len());
    assert!(ended.iter().any(|row| row.get("metrics").is_none()));
    ads.site.stop().await;
}

#[tokio::test]
async fn what_was_removed_is_told_unless_a_condition_leaves_it_out() {
    let ads = Ads::start().await;
    let remove = json!({ "platform": "google_ads", "id": "21000000003", "status": "deleted" });
    ads.site.control("POST", "/world", &remove).await;
    let query = |condition: &str| {
        format!("SELECT campaign.id FROM campaign WHERE campaign.id = 21000000003{condition}")
    };

    let all = ads
        .results(
            FIRST,
            "SELECT campaign.id, campaign.status FROM campaign ORDER BY campaign.id DESC",
        )
        .await;
    let removed = ads
        .results(FIRST, &query(" AND campaign.status = 'REMOVED'"))
        .await;
    let others = ads
        .results(FIRST, &query(" AND campaign.status IN (ENABLED, PAUSED)"))
        .await;

    let ids: Vec<_> = all.iter().map(|row| int(&row["campaign"]["id"])).collect();
    assert!(ids.is_sorted_by(|one, two| one > two), "{ids:?}");
    assert!(ids.contains(&21_000_000_003));
    assert_eq!((removed.len(), others.len()), (1, 0));
    ads.site.stop().await;
}

#[tokio::test]
async fn what_was_changed_is_told_in_the_order_of_time() {
    let ads = Ads::start().await;
    let pause = json!({ "platform": "google_ads", "id": "21000000001", "status": "paused" });
    ads.site.control("POST", "/world", &pause).await;
    let query = "SELECT change_status.resource_type, change_status.resource_status, \
                 change_status.last_change_date_time, change_status.campaign, change_status.ad_group, \
                 change_status.ad_group_ad FROM change_status WHERE change_status.last_change_date_time \
                 BETWEEN '2026-09-01 00:00:00' AND '2026-11-22 00:00:00' \
                 ORDER BY change_status.last_change_date_time ASC LIMIT 10000";

    let changes = ads.results(FIRST, query).await;

    let times: Vec<_> = changes
        .iter()
        .filter_map(|row| row["changeStatus"]["lastChangeDateTime"].as_str())
        .collect();
    assert!(
        times.is_sorted() && times.len() == changes.len(),
        "{times:?}"
    );
    let last = &changes.last().expect("a change")["changeStatus"];
    assert_eq!(last["resourceType"], "CAMPAIGN");
    assert_eq!(last["resourceStatus"], "CHANGED");
    assert_eq!(
        last["campaign"],
        "customers/2000000001/campaigns/21000000001"
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn performance_max_has_asset_groups_and_no_ads() {
    let ads = Ads::start().await;
    let rename =
        json!({ "platform": "google_ads", "id": "21000000001", "name": "PMax everything" });
    ads.site.control("POST", "/world", &rename).await;
    let query = |fields: &str, from: &str| {
        format!("SELECT {fields} FROM {from} WHERE campaign.id = 21000000001")
    };

    let channel = "campaign.advertising_channel_type";
    let campaigns = ads.results(FIRST, &query(channel, "campaign")).await;
    let groups = ads
        .results(FIRST, &query("asset_group.id", "asset_group"))
        .await;
    let of_ads = ads
        .results(FIRST, &query("ad_group_ad.ad.id", "ad_group_ad"))
        .await;

    assert_eq!(
        campaigns[0]["campaign"]["advertisingChannelType"],
        "PERFORMANCE_MAX"
    );
    assert!(!groups.is_empty() && of_ads.is_empty());
    ads.site.stop().await;
}

#[tokio::test]
async fn changes_are_asked_for_with_an_end_a_limit_and_no_older_than_is_kept() {
    let ads = Ads::start().await;
    let changes = |when: &str| {
        format!(
            "SELECT change_status.campaign FROM change_status \
             WHERE change_status.last_change_date_time {when}"
        )
    };
    let wrong = [
        ("> '2026-11-01' LIMIT 5", "CHANGE_DATE_RANGE_INFINITE"),
        (
            "BETWEEN '2026-11-01' AND '2026-11-02'",
            "LIMIT_NOT_SPECIFIED",
        ),
        (
            "BETWEEN '2026-11-01' AND '2026-11-02' LIMIT 10001",
            "INVALID_LIMIT_CLAUSE",
        ),
        (
            "BETWEEN '2026-08-01' AND '2026-11-02' LIMIT 10",
            "START_DATE_TOO_OLD",
        ),
    ];
    for (when, name) in wrong {
        let answer = ads.search(FIRST, &changes(when)).await;

        assert_refused(&answer, 400, "changeStatusError", name);
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn a_wrong_query_is_refused_by_name() {
    let ads = Ads::start().await;
    let wrong = [
        (
            "SELECT campaign.start_date FROM campaign",
            "queryError",
            "UNRECOGNIZED_FIELD",
        ),
        (
            "SELECT campaign.id FROM campaigns",
            "queryError",
            "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
        ),
        (
            "SELECT ad_group.id FROM campaign",
            "queryError",
            "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE",
        ),
        (
            "SELECT user_list.id, metrics.clicks FROM user_list",
            "queryError",
            "PROHIBITED_METRIC_IN_SELECT_OR_WHERE_CLAUSE",
        ),
        (
            "SELECT campaign.id FROM campaign WHERE campaign.status = 'ON'",
            "queryError",
            "BAD_ENUM_CONSTANT",
        ),
        (
            "SELECT campaign.id FROM campaign WHERE campaign.name = 'it's'",
            "queryError",
            "STRING_NOT_TERMINATED",
        ),
        (
            "SELECT campaign.id, segments.date, metrics.clicks FROM campaign",
            "queryError",
            "EXPECTED_FILTERS_ON_DATE_RANGE",
        ),
        (
            "SELECT segments.date, metrics.clicks FROM campaign WHERE segments.date BETWEEN '2023-01-01' AND '2023-01-02'",
            "dateRangeError",
            "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
        ),
        (
            "SELECT metrics.clicks FROM campaign WHERE segments.date BETWEEN '2026-11-02' AND '2026-11-01'",
            "dateRangeError",
            "START_DATE_AFTER_END_DATE",
        ),
        (
            "SELECT segments.conversion_action, metrics.clicks FROM campaign",
            "queryError",
            "PROHIBITED_SEGMENT_WITH_METRIC_IN_SELECT_OR_WHERE_CLAUSE",
        ),
        (
            "SELECT campaign.id FROM campaign ORDER BY metrics.clicks",
            "queryError",
            "EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE",
        ),
    ];
    for (query, category, name) in wrong {
        let answer = ads.search(FIRST, query).await;

        assert_refused(&answer, 400, category, name);
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn a_manager_account_has_no_metrics() {
    let ads = Ads::start().await;

    let metrics = ads
        .search(GOOGLE_MANAGER, "SELECT metrics.clicks FROM customer")
        .await;
    let campaigns = ads
        .results(GOOGLE_MANAGER, "SELECT campaign.id FROM campaign")
        .await;

    assert_refused(&metrics, 400, "queryError", "REQUESTED_METRICS_FOR_MANAGER");
    assert!(campaigns.is_empty());
    ads.site.stop().await;
}

#[tokio::test]
async fn a_body_that_the_call_does_not_know_is_refused_without_a_failure_of_google_ads() {
    let ads = Ads::start().await;
    let query = "SELECT campaign.id FROM campaign";

    let unknown = ads
        .call(FIRST, "search", &json!({ "query": query, "limit": 5 }))
        .await;
    let sized = ads
        .call(
            FIRST,
            "searchStream",
            &json!({ "query": query, "pageSize": 5 }),
        )
        .await;
    let none = ads.call(FIRST, "search", &json!({})).await;

    for answer in [unknown, sized] {
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("Invalid JSON payload") && !answer.body.contains("details"));
    }
    assert_refused(&none, 400, "fieldError", "REQUIRED");
    ads.site.stop().await;
}
