//! Figures at once: sums that are the world's, and what cannot be asked.

use super::*;

const LEVELS: [(&str, &str, &str); 4] = [
    ("AUCTION_ADVERTISER", "advertiser_id", "account"),
    ("AUCTION_CAMPAIGN", "campaign_id", "campaign"),
    ("AUCTION_ADGROUP", "adgroup_id", "ad_set"),
    ("AUCTION_AD", "ad_id", "ad"),
];
const METRICS: &str = r#"["spend","impressions","clicks","conversion","total_purchase_value"]"#;

/// What a report is asked for.
struct Question<'q> {
    level: &'q str,
    dimensions: &'q str,
    metrics: &'q str,
    days: (&'q str, &'q str),
}

impl Question<'_> {
    fn params(&self) -> Vec<(&str, &str)> {
        vec![
            ("advertiser_id", FIRST),
            ("report_type", "BASIC"),
            ("service_type", "AUCTION"),
            ("data_level", self.level),
            ("dimensions", self.dimensions),
            ("metrics", self.metrics),
            ("start_date", self.days.0),
            ("end_date", self.days.1),
        ]
    }
}

fn of_campaigns<'q>(dimensions: &'q str, days: (&'q str, &'q str)) -> Question<'q> {
    Question {
        level: "AUCTION_CAMPAIGN",
        dimensions,
        metrics: METRICS,
        days,
    }
}

async fn ask(ads: &Ads, question: &Question<'_>) -> Answer {
    ads.get("report/integrated/get/", &question.params()).await
}

async fn rows(ads: &Ads, question: &Question<'_>, size: &str) -> Vec<Value> {
    let mut params = question.params();
    params.push(("page_size", size));
    ads.pages("report/integrated/get/", &params).await.0
}

/// That rows are as many and add up to the same as the world says.
fn assert_sums(rows: &[Value], export: &Value) {
    let sum = |name: &str, read: fn(&Value) -> i64| -> i64 {
        rows.iter().map(|row| read(&row["metrics"][name])).sum()
    };
    let totals = &export["totals"];
    assert_eq!(json!(rows.len()), export["count"]);
    assert_eq!(json!(sum("impressions", int)), totals["impressions"]);
    assert_eq!(json!(sum("clicks", int)), totals["clicks"]);
    assert_eq!(json!(sum("spend", micros)), totals["spend_micros"]);
    let conversions = sum("conversion", int) * 1_000;
    assert_eq!(json!(conversions), totals["conversion_millis"]);
    let value = sum("total_purchase_value", micros);
    assert_eq!(json!(value), totals["revenue_micros"]);
}

#[tokio::test]
async fn every_level_adds_up_to_what_the_world_says_page_by_page() {
    let ads = Ads::start_with(|config| config.world.campaigns_per_account = 16).await;
    for (level, id, exported) in LEVELS {
        let dimensions = json!([id, "stat_time_day"]).to_string();
        let question = Question {
            level,
            ..of_campaigns(&dimensions, ("2026-10-22", "2026-11-20"))
        };

        let rows = rows(&ads, &question, "90").await;

        let params = format!("level={exported}&granularity=day&from=2026-10-22&to=2026-11-20");
        let export = ads.export(&params).await;
        assert_sums(&rows, &export);
        assert!(rows.len() > 20, "{level}");
        let first = &rows[0]["dimensions"];
        let told = &export["rows"][0];
        assert_eq!(first[id], told["entity_id"]);
        let time = format!("{} 00:00:00", text(told, "date"));
        assert_eq!(first["stat_time_day"], time.as_str());
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn hours_are_those_of_the_advertisers_day_also_when_the_clocks_change() {
    let ads = Ads::start().await;
    let dimensions = r#"["campaign_id","stat_time_hour"]"#;
    let day = "2026-11-01";

    let rows = rows(&ads, &of_campaigns(dimensions, (day, day)), "1000").await;

    let params = format!("level=campaign&granularity=hour&from={day}&to={day}");
    assert_sums(&rows, &ads.export(&params).await);
    assert!(!rows.is_empty());
    for row in &rows {
        let time = text(&row["dimensions"], "stat_time_hour");
        assert!(time.starts_with(day) && time.ends_with(":00:00"), "{time}");
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn figures_without_time_are_of_the_whole_range_or_of_the_whole_life() {
    let ads = Ads::start().await;
    let question = of_campaigns(r#"["campaign_id"]"#, ("2026-01-01", "2026-11-20"));

    let whole = rows(&ads, &question, "1000").await;
    let mut lifetime = question.params();
    lifetime.retain(|(name, _)| !name.ends_with("_date"));
    lifetime.extend([("query_lifetime", "true"), ("page_size", "1000")]);
    let lifetime = ads.pages("report/integrated/get/", &lifetime).await.0;

    let impressions = |rows: &[Value]| -> i64 {
        rows.iter()
            .map(|row| int(&row["metrics"]["impressions"]))
            .sum()
    };
    let params = "level=account&granularity=day&from=2026-01-01&to=2026-11-20";
    let export = ads.export(params).await;
    assert_eq!(json!(impressions(&whole)), export["totals"]["impressions"]);
    assert!(impressions(&lifetime) > impressions(&whole));
    ads.site.stop().await;
}

#[tokio::test]
async fn late_conversions_arrive_for_days_that_are_past() {
    let ads = Ads::start().await;
    let dimensions = r#"["advertiser_id","stat_time_day"]"#;
    let question = Question {
        level: "AUCTION_ADVERTISER",
        ..of_campaigns(dimensions, ("2026-11-10", "2026-11-19"))
    };
    let conversions = |rows: &[Value]| -> i64 {
        rows.iter()
            .map(|row| int(&row["metrics"]["conversion"]))
            .sum()
    };

    let before = rows(&ads, &question, "1000").await;
    ads.advance(28 * 24 * 3_600).await;
    let after = rows(&ads, &question, "1000").await;

    assert!(conversions(&after) > conversions(&before));
    ads.site.stop().await;
}

#[tokio::test]
async fn there_is_no_value_where_only_leads_are_collected() {
    let ads = Ads::start_with(|config| config.world.campaigns_per_account = 80).await;
    let question = Question {
        metrics: r#"["total_purchase_value","cost_per_conversion","objective_type"]"#,
        ..of_campaigns(
            r#"["campaign_id","stat_time_day"]"#,
            ("2026-10-22", "2026-11-20"),
        )
    };

    let rows = rows(&ads, &question, "1000").await;

    let mut without = 0;
    for row in &rows {
        let metrics = row["metrics"].as_object().expect("metrics");
        assert!(metrics.values().all(Value::is_string), "{row}");
        let is_for_leads = metrics["objective_type"] == "LEAD_GENERATION";
        let has_none = metrics["total_purchase_value"] == "-";
        assert_eq!(is_for_leads, has_none, "{row}");
        without += usize::from(has_none);
    }
    assert!((1..rows.len()).contains(&without));
    ads.site.stop().await;
}

#[tokio::test]
async fn a_metric_that_there_is_not_fails_the_whole_call() {
    let ads = Ads::start().await;
    let days = ("2026-11-01", "2026-11-07");
    for metrics in [
        r#"["spend","no_such_metric"]"#,
        r#"["spend","ad_name"]"#,
        "spend,impressions",
    ] {
        let question = Question {
            metrics,
            ..of_campaigns(r#"["campaign_id","stat_time_day"]"#, days)
        };

        let answer = ask(&ads, &question).await;

        assert_code(&answer, 40_002);
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn windows_and_dimensions_have_bounds() {
    let ads = Ads::start().await;
    let by_day = r#"["campaign_id","stat_time_day"]"#;
    let by_hour = r#"["campaign_id","stat_time_hour"]"#;
    let month = ("2026-10-22", "2026-11-20");
    data(&ask(&ads, &of_campaigns(by_day, month)).await);

    for (dimensions, days) in [
        (by_day, ("2026-10-21", "2026-11-20")),
        (by_day, ("2026-11-20", "2026-11-19")),
        (by_day, ("2026-11-31", "2026-12-01")),
        (by_hour, ("2026-11-19", "2026-11-20")),
        (r#"["campaign_id"]"#, ("2025-11-20", "2026-11-20")),
        (r#"["stat_time_day"]"#, month),
        (r#"["adgroup_id","stat_time_day"]"#, month),
        (r#"["campaign_id","adgroup_id"]"#, month),
        (
            r#"["campaign_id","stat_time_day","stat_time_hour"]"#,
            ("2026-11-20", "2026-11-20"),
        ),
        (r#"["campaign_id","country_code"]"#, month),
        ("campaign_id", month),
    ] {
        let answer = ask(&ads, &of_campaigns(dimensions, days)).await;

        assert_code(&answer, 40_002);
    }
    ads.site.stop().await;
}

/// What a report on who people are is asked for.
fn of_people<'q>(dimensions: &'q str, metrics: &'q str) -> Vec<(&'q str, &'q str)> {
    vec![
        ("advertiser_id", FIRST),
        ("report_type", "AUDIENCE"),
        ("service_type", "AUCTION"),
        ("data_level", "AUCTION_CAMPAIGN"),
        ("dimensions", dimensions),
        ("metrics", metrics),
        ("start_date", "2026-11-01"),
        ("end_date", "2026-11-20"),
    ]
}

#[tokio::test]
async fn who_people_are_adds_up_to_all_of_them() {
    let ads = Ads::start().await;
    let metrics = r#"["spend","impressions","clicks","conversion"]"#;
    let dimensions = r#"["campaign_id","stat_time_day","gender","age"]"#;
    let mut params = of_people(dimensions, metrics);
    params.push(("page_size", "1000"));

    let rows = ads.pages("report/integrated/get/", &params).await.0;

    let params = "level=campaign&granularity=day&from=2026-11-01&to=2026-11-20";
    let totals = ads.export(params).await["totals"].clone();
    let sum = |name: &str, read: fn(&Value) -> i64| -> i64 {
        rows.iter().map(|row| read(&row["metrics"][name])).sum()
    };
    assert_eq!(json!(sum("impressions", int)), totals["impressions"]);
    assert_eq!(json!(sum("spend", micros)), totals["spend_micros"]);
    for row in &rows {
        let dimensions = row["dimensions"].as_object().expect("dimensions");
        assert!(dimensions.values().all(Value::is_string), "{row}");
        assert_eq!(dimensions.len(), 4);
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn a_report_on_people_knows_few_metrics_and_no_hours() {
    let ads = Ads::start().await;
    let known = r#"["spend","clicks"]"#;
    let by_age = r#"["campaign_id","stat_time_day","age"]"#;
    let asked = async |dimensions: &str, metrics: &str| {
        let params = of_people(dimensions, metrics);
        ads.get("report/integrated/get/", &params).await
    };

    data(&asked(by_age, known).await);
    for (dimensions, metrics) in [
        (by_age, r#"["spend","reach"]"#),
        (by_age, r#"["spend","total_purchase_value"]"#),
        (r#"["campaign_id","stat_time_hour","age"]"#, known),
        (r#"["campaign_id","stat_time_day"]"#, known),
        (r#"["campaign_id","age","age"]"#, known),
        (r#"["campaign_id","age","gender","platform"]"#, known),
    ] {
        assert_code(&asked(dimensions, metrics).await, 40_002);
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn reports_can_be_narrowed_by_ids_and_by_what_was_deleted() {
    let ads = Ads::start().await;
    let question = of_campaigns(
        r#"["campaign_id","stat_time_day"]"#,
        ("2026-10-22", "2026-11-20"),
    );
    let all = rows(&ads, &question, "1000").await;
    let id = text(&all[0]["dimensions"], "campaign_id").to_owned();
    let filtered = async |field: &str, values: Value| {
        let filtering = json!([
            { "field_name": field, "filter_type": "IN", "filter_value": values.to_string() }
        ]);
        let filtering = filtering.to_string();
        let mut params = question.params();
        params.extend([("page_size", "1000"), ("filtering", filtering.as_str())]);
        ads.get("report/integrated/get/", &params).await
    };

    let one = data(&filtered("campaign_ids", json!([id])).await);
    let every = data(&filtered("campaign_status", json!(["STATUS_ALL"])).await);
    let deleted = data(&filtered("campaign_status", json!(["STATUS_DELETE"])).await);
    let kept = data(&filtered("campaign_status", json!(["STATUS_NOT_DELETE"])).await);

    let count = |data: &Value| {
        data["page_info"]["total_number"]
            .as_u64()
            .expect("a number")
    };
    let expected = all
        .iter()
        .filter(|row| row["dimensions"]["campaign_id"] == id.as_str());
    assert_eq!(count(&one), expected.count() as u64);
    assert_eq!(count(&every), all.len() as u64);
    assert_eq!(count(&deleted) + count(&kept), count(&every));
    assert_code(&filtered("ad_ids", json!([id])).await, 40_002);
    assert_code(
        &filtered("campaign_ids", json!(vec!["1"; 101])).await,
        40_011,
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn reports_need_a_permission_of_their_own() {
    let ads = Ads::start().await;
    let known = json!({ "platform": "tiktok", "tokens": [{ "token": "fake", "scopes": ["2"] }] });
    ads.site.control("POST", "/tokens", &known).await;
    let question = of_campaigns(r#"["campaign_id"]"#, ("2026-11-01", "2026-11-07"));

    let report = ads
        .get_as("fake", "report/integrated/get/", &question.params())
        .await;
    let list = ads
        .get_as("fake", "campaign/get/", &[("advertiser_id", FIRST)])
        .await;

    assert_code(&report, 40_001);
    data(&list);
    ads.site.stop().await;
}
