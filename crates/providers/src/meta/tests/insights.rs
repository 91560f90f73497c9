//! Figures at once.

use chrono_tz::America::Los_Angeles;
use serde_json::{Value, json};

use super::{Site, json_of, ok};
use crate::{
    error::Error,
    platform::{
        AdPlatform, ConversionChoice, Granularity, InsightQuery, InsightRow, Insights, Level, Page,
    },
};

pub(super) fn query(level: Level, granularity: Granularity) -> InsightQuery {
    InsightQuery {
        account_id: "1000000000001".to_owned(),
        level,
        granularity,
        from: "2026-11-01".parse().expect("a day"),
        to: "2026-11-07".parse().expect("a day"),
        time_zone: Los_Angeles,
        currency: Some("USD".to_owned()),
        attribution: Vec::new(),
        breakdowns: Vec::new(),
        entities: Vec::new(),
        conversion: ConversionChoice::default(),
        page_size: None,
        in_background: false,
    }
}

/// A row as Meta shows it.
pub(super) fn row() -> Value {
    json!({
        "account_id": "1000000000001", "account_currency": "USD", "campaign_id": "120200000000000001",
        "date_start": "2026-11-01", "date_stop": "2026-11-01",
        "impressions": "10452", "clicks": "231", "inline_link_clicks": "187", "reach": "8120", "frequency": "1.287192",
        "spend": "84.37", "ctr": "2.210103", "cpc": "0.365238", "cpm": "8.072139",
        "actions": [
            {"action_type": "link_click", "value": "187"},
            {"action_type": "video_view", "value": "12"},
            {"action_type": "post_reaction", "value": "9"},
            {"action_type": "comment", "value": "3"},
            {"action_type": "post", "value": "2"},
            {"action_type": "purchase", "value": "6", "7d_click": "5", "1d_view": "1"},
            {"action_type": "omni_purchase", "value": "6", "7d_click": "5", "1d_view": "1"},
            {"action_type": "offsite_conversion.fb_pixel_purchase", "value": "6"}
        ],
        "action_values": [
            {"action_type": "purchase", "value": "512.4"}, {"action_type": "omni_purchase", "value": "512.4"}
        ],
        "purchase_roas": [{"action_type": "omni_purchase", "value": "6.073249"}]
    })
}

async fn answering(rows: Value) -> Site {
    let site = Site::new().await;
    let body =
        json!({"data": rows, "paging": {"cursors": {"before": "MAZDZD", "after": "MAZDZD"}}});
    site.on("GET", "act_1000000000001/insights", ok(body)).await;
    site
}

async fn rows_of(site: &Site, query: &InsightQuery) -> Page<InsightRow> {
    match site.meta.insights(site.caller(), query, None).await {
        Ok(Insights::Rows(page)) => page,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_row_of_a_day_is_read_with_one_type_of_purchase() {
    let site = answering(json!([row()])).await;

    let page = rows_of(&site, &query(Level::Campaign, Granularity::Day)).await;

    assert_eq!(page.next, None);
    let row = &page.items[0];
    assert_eq!(row.entity_id, "120200000000000001");
    assert_eq!(row.date.to_string(), "2026-11-01");
    assert_eq!(row.hour, None);
    assert_eq!(row.breakdown, "");
    assert_eq!(row.currency.as_deref(), Some("USD"));
    assert_eq!(row.reach, Some(8120));
    let figures = &row.figures;
    assert_eq!(figures.impressions, 10_452);
    assert_eq!((figures.clicks, figures.link_clicks), (231, 187));
    assert_eq!((figures.views, figures.likes), (12, 9));
    assert_eq!((figures.comments, figures.shares), (3, 2));
    assert_eq!(figures.conversions.to_string(), "6");
    assert_eq!(figures.revenue.to_string(), "512.4");
}

#[tokio::test]
async fn spend_is_in_major_units_whatever_budgets_are_in() {
    let yen = json!({"account_id": "1000000000001", "account_currency": "JPY", "date_start": "2026-11-01", "spend": "5000"});
    let site = answering(json!([row(), yen])).await;

    let page = rows_of(&site, &query(Level::Account, Granularity::Day)).await;

    assert_eq!(page.items[0].figures.spend.to_string(), "84.37");
    assert_eq!(page.items[1].figures.spend.to_string(), "5000");
    assert_eq!(page.items[1].currency.as_deref(), Some("JPY"));
}

#[tokio::test]
async fn what_is_missing_is_none_of_it() {
    let quiet =
        json!({"account_id": "1000000000001", "date_start": "2026-11-02", "impressions": "1"});
    let site = answering(json!([quiet])).await;

    let page = rows_of(&site, &query(Level::Account, Granularity::Day)).await;

    let row = &page.items[0];
    assert_eq!(row.figures.impressions, 1);
    assert_eq!(row.figures.clicks, 0);
    assert!(row.figures.spend.is_zero() && row.figures.conversions.is_zero());
    assert_eq!(row.reach, None);
}

#[tokio::test]
async fn days_are_asked_for_by_the_accounts_clock_and_never_by_name() {
    let site = answering(json!([])).await;

    rows_of(&site, &query(Level::Account, Granularity::Day)).await;

    let asked = &site.asked().await[0];
    let days = json!({"since": "2026-11-01", "until": "2026-11-07"});
    assert_eq!(json_of(asked, "time_range"), days);
    assert_eq!(asked["time_increment"], "1");
    assert_eq!(asked["level"], "account");
    assert_eq!(asked["limit"], "500");
    assert!(asked["fields"].ends_with(",reach"));
    for absent in [
        "date_preset",
        "breakdowns",
        "filtering",
        "action_attribution_windows",
    ] {
        assert!(!asked.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn hours_are_a_breakdown_without_reach() {
    let mut hourly = row();
    hourly["hourly_stats_aggregated_by_advertiser_time_zone"] = json!("14:00:00 - 14:59:59");
    let site = answering(json!([hourly])).await;

    let page = rows_of(&site, &query(Level::Campaign, Granularity::Hour)).await;

    assert_eq!(page.items[0].hour, Some(14));
    assert_eq!(page.items[0].breakdown, "");
    let asked = &site.asked().await[0];
    assert_eq!(
        asked["breakdowns"],
        "hourly_stats_aggregated_by_advertiser_time_zone"
    );
    assert!(!asked["fields"].contains("reach"));
    assert_eq!(asked["time_increment"], "1");
}

#[tokio::test]
async fn breakdowns_windows_and_entities_can_be_chosen() {
    let mut part = row();
    part["age"] = json!("25-34");
    part["gender"] = json!("female");
    let site = answering(json!([part])).await;
    let query = InsightQuery {
        breakdowns: vec!["age".to_owned(), "gender".to_owned()],
        attribution: vec!["7d_click".to_owned(), "1d_view".to_owned()],
        entities: vec!["120200000000000001".to_owned()],
        ..query(Level::Campaign, Granularity::Day)
    };

    let page = rows_of(&site, &query).await;

    assert_eq!(page.items[0].breakdown, "age=25-34&gender=female");
    assert_eq!(page.items[0].figures.conversions.to_string(), "6");
    let asked = &site.asked().await[0];
    assert_eq!(asked["breakdowns"], "age,gender");
    assert_eq!(
        json_of(asked, "action_attribution_windows"),
        json!(["7d_click", "1d_view"])
    );
    let filtering = json_of(asked, "filtering");
    assert_eq!(filtering[0]["field"], "campaign.effective_status");
    let only = json!({"field": "campaign.id", "operator": "IN", "value": ["120200000000000001"]});
    assert_eq!(filtering[1], only);
    assert!(!asked["fields"].contains("reach"));
}

#[tokio::test]
async fn each_level_has_its_own_id() {
    for (level, word, id) in [
        (Level::Account, "account", "1"),
        (Level::Campaign, "campaign", "2"),
        (Level::AdSet, "adset", "3"),
        (Level::Ad, "ad", "4"),
    ] {
        let row = json!({"account_id": "1", "campaign_id": "2", "adset_id": "3", "ad_id": "4", "date_start": "2026-11-01"});
        let site = answering(json!([row])).await;

        let page = rows_of(&site, &query(level, Granularity::Day)).await;

        assert_eq!(page.items[0].entity_id, id);
        assert_eq!(site.asked().await[0]["level"], word);
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_not_zero() {
    for broken in [
        json!({"account_id": "1", "date_start": "2026-11-01", "spend": "many"}),
        json!({"account_id": "1", "date_start": "yesterday"}),
        json!({"date_start": "2026-11-01"}),
    ] {
        let site = answering(json!([broken])).await;
        let query = query(Level::Account, Granularity::Day);

        let result = site.meta.insights(site.caller(), &query, None).await;

        assert!(matches!(result, Err(Error::Unavailable { .. })), "{broken}");
    }
}

#[tokio::test]
async fn a_window_that_nothing_can_be_added_to_is_refused_unsent() {
    let site = answering(json!([])).await;
    let query = InsightQuery {
        attribution: vec!["skan_click".to_owned()],
        ..query(Level::Account, Granularity::Day)
    };

    let result = site.meta.insights(site.caller(), &query, None).await;

    assert!(matches!(result, Err(Error::Rejected { .. })));
    assert!(site.requests().await.is_empty());
}
