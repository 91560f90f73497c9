//! Insights: rows that fit the world's own, by level, step, hour and breakdown, and what cannot be
//! asked.

use serde_json::{Value, json};

use super::{ask, assert_refused, paged, signed, stopped, tell, truth};

const INSIGHTS: &str = "act_1000000000001/insights";
const WEEK: &str = r#"{"since":"2026-10-28","until":"2026-11-03"}"#;
const DAYS: &str = "from=2026-10-28&to=2026-11-03";
const EVERY_STATE: &str = r#"[{"field":"campaign.effective_status","operator":"IN",
    "value":["ACTIVE","PAUSED","ARCHIVED","DELETED","IN_PROCESS","WITH_ISSUES"]}]"#;
const HOURLY: &str = "hourly_stats_aggregated_by_advertiser_time_zone";

fn sum(rows: &[Value], figure: &str) -> i64 {
    let figures = rows.iter().filter_map(|row| row[figure].as_str());
    figures
        .map(|text| text.parse::<i64>().expect("digits"))
        .sum()
}

/// Cents of all rows.
fn spend(rows: &[Value]) -> i64 {
    let amounts = rows.iter().filter_map(|row| row["spend"].as_str());
    amounts
        .map(|text| text.replace('.', "").parse::<i64>().expect("digits"))
        .sum()
}

async fn exported(site: &super::Site, level: &str, granularity: &str) -> Value {
    let of = "platform=meta&account=1000000000001";
    let path = format!("world/export?{of}&level={level}&granularity={granularity}&{DAYS}");
    truth(site, &path).await
}

#[tokio::test]
async fn rows_and_sums_are_those_of_the_world() {
    let site = stopped().await;
    for (level, word, granularity) in [
        ("account", "account", "day"),
        ("campaign", "campaign", "day"),
        ("campaign", "campaign", "hour"),
    ] {
        let mut params = vec![
            ("level", level),
            (
                "fields",
                "campaign_id,impressions,clicks,spend,actions,action_values",
            ),
            ("time_range", WEEK),
            ("time_increment", "1"),
            ("limit", "200"),
        ];
        if level == "campaign" {
            params.push(("filtering", EVERY_STATE));
        }
        if granularity == "hour" {
            params.push(("breakdowns", HOURLY));
        }

        let (rows, _) = paged(&site, INSIGHTS, &params).await;
        let truth = exported(&site, word, granularity).await;

        assert_eq!(rows.len(), truth["count"], "{level} {granularity}");
        assert_eq!(sum(&rows, "impressions"), truth["totals"]["impressions"]);
        assert_eq!(sum(&rows, "clicks"), truth["totals"]["clicks"]);
        let micros = truth["totals"]["spend_micros"].as_i64().expect("micros");
        assert_eq!(spend(&rows) * 10_000, micros);
    }
    site.stop().await;
}

#[tokio::test]
async fn a_row_is_text_with_overlapping_types_of_actions() {
    let site = stopped().await;
    let params = [
        (
            "fields",
            "account_currency,impressions,spend,reach,ctr,actions,purchase_roas",
        ),
        ("time_range", WEEK),
        ("action_attribution_windows", r#"["7d_click","1d_view"]"#),
    ];

    let page = ask(&site, INSIGHTS, &params).await;

    let row = &page["data"][0];
    assert_eq!(
        (&row["date_start"], &row["date_stop"]),
        (&json!("2026-10-28"), &json!("2026-11-03"))
    );
    assert!(row["spend"].is_string() && row["reach"].is_string() && row["ctr"].is_string());
    let actions = row["actions"].as_array().expect("a list");
    let of = |kind: &str| actions.iter().find(|action| action["action_type"] == kind);
    let purchase = of("purchase").expect("purchases");
    assert_eq!(
        purchase["value"],
        of("omni_purchase").expect("the same")["value"]
    );
    assert!(purchase["7d_click"].is_string());
    assert!(page["paging"]["next"].is_null());
    site.stop().await;
}

#[tokio::test]
async fn rows_of_what_is_deleted_come_only_when_asked_for_and_the_account_keeps_them() {
    let site = stopped().await;
    let account = [("fields", "impressions"), ("time_range", WEEK)];
    let campaigns = [
        ("level", "campaign"),
        ("fields", "campaign_id,impressions"),
        ("time_range", WEEK),
    ];
    let mut filtered = campaigns.to_vec();
    filtered.push(("filtering", EVERY_STATE));
    let (before, _) = paged(&site, INSIGHTS, &campaigns).await;
    let all = ask(&site, INSIGHTS, &account).await;
    let (every, _) = paged(&site, INSIGHTS, &filtered).await;
    let id = before[0]["campaign_id"].as_str().expect("an id");

    tell(
        &site,
        "/world",
        json!({ "platform": "meta", "id": id, "status": "deleted" }),
    )
    .await;

    let (after, _) = paged(&site, INSIGHTS, &campaigns).await;
    assert_eq!(after, before[1..]);
    assert_eq!(paged(&site, INSIGHTS, &filtered).await.0, every);
    assert_eq!(ask(&site, INSIGHTS, &account).await, all);
    site.stop().await;
}

#[tokio::test]
async fn hours_have_their_member_and_no_people() {
    let site = stopped().await;
    let params = [
        ("fields", "impressions,reach"),
        (
            "time_range",
            r#"{"since":"2026-11-01","until":"2026-11-01"}"#,
        ),
        ("breakdowns", HOURLY),
    ];

    let page = ask(&site, INSIGHTS, &params).await;

    let hours = page["data"].as_array().expect("a list");
    // The hour that came twice is one row.
    assert_eq!(hours.len(), 24);
    assert_eq!(hours[14][HOURLY], "14:00:00 - 14:59:59");
    assert!(hours.iter().all(|hour| hour["reach"].is_null()));
    site.stop().await;
}

#[tokio::test]
async fn the_parts_of_a_breakdown_are_the_whole() {
    let site = stopped().await;
    let whole = [
        ("fields", "impressions,spend"),
        ("time_range", WEEK),
        ("level", "campaign"),
    ];
    let mut parts = whole.to_vec();
    parts.push(("breakdowns", "publisher_platform"));

    let (whole, _) = paged(&site, INSIGHTS, &whole).await;
    let (parts, _) = paged(&site, INSIGHTS, &parts).await;

    assert_eq!(sum(&parts, "impressions"), sum(&whole, "impressions"));
    assert_eq!(spend(&parts), spend(&whole));
    assert!(
        parts
            .iter()
            .any(|row| row["publisher_platform"] == "instagram")
    );
    site.stop().await;
}

#[tokio::test]
async fn a_page_may_be_empty_at_the_end_of_a_full_one() {
    let site = stopped().await;
    let params = [
        ("fields", "impressions"),
        ("time_range", WEEK),
        ("time_increment", "1"),
        ("limit", "7"),
    ];

    let (rows, lengths) = paged(&site, INSIGHTS, &params).await;

    assert_eq!(rows.len(), 7);
    assert_eq!(lengths, [7, 0]);
    site.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let site = stopped().await;
    let cases = [
        (vec![("level", "nonsense")], 100, None),
        (vec![("fields", "impressions,nonsense")], 100, None),
        (
            vec![(
                "time_range",
                r#"{"since":"2023-10-01","until":"2023-10-02"}"#,
            )],
            100,
            None,
        ),
        (
            vec![(
                "time_range",
                r#"{"since":"2026-11-02","until":"2026-11-01"}"#,
            )],
            100,
            None,
        ),
        (vec![("time_increment", "91")], 100, None),
        (vec![("date_preset", "last_5d")], 100, None),
        (
            vec![("action_attribution_windows", r#"["7d_view"]"#)],
            100,
            None,
        ),
        (vec![("breakdowns", "age,product_id")], 2, Some(1_504_041)),
        (vec![("limit", "501")], 1, None),
        (
            vec![
                ("level", "ad"),
                ("breakdowns", HOURLY),
                ("time_increment", "1"),
            ],
            100,
            Some(1_487_534),
        ),
    ];
    for (params, code, subcode) in cases {
        let answer = site.get(&signed(INSIGHTS, &params)).await;

        assert_refused(&answer, code, subcode);
    }
    let ad = ask(&site, "act_1000000000001/ads", &[]).await["data"][0]["id"].clone();
    let path = format!("{}/insights", ad.as_str().expect("an id"));
    let above = site.get(&signed(&path, &[("level", "campaign")])).await;
    assert_refused(&above, 1, Some(99));
    site.stop().await;
}
