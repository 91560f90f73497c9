//! Reports in the background, from the order to the file.

use super::*;

fn order() -> Value {
    json!({
        "advertiser_id": FIRST,
        "report_type": "BASIC",
        "data_level": "AUCTION_AD",
        "dimensions": ["ad_id", "stat_time_day"],
        "metrics": ["spend", "impressions", "ad_name"],
        "start_date": "2026-10-22",
        "end_date": "2026-11-20",
    })
}

async fn begin(ads: &Ads) -> String {
    let data = data(&ads.post("report/task/create/", &order()).await);
    text(&data, "task_id").to_owned()
}

async fn status(ads: &Ads, task: &str) -> Value {
    let params = [("advertiser_id", FIRST), ("task_id", task)];
    data(&ads.get("report/task/check/", &params).await)["status"].clone()
}

async fn download(ads: &Ads, task: &str) -> Answer {
    let params = [("advertiser_id", FIRST), ("task_id", task)];
    ads.get("report/task/download/", &params).await
}

#[tokio::test]
async fn a_report_is_made_in_the_background_and_adds_up() {
    let ads = Ads::start_with(|config| config.world.campaigns_per_account = 12).await;

    let task = begin(&ads).await;
    assert_eq!(status(&ads, &task).await, "QUEUING");
    ads.advance(3).await;
    assert_eq!(status(&ads, &task).await, "PROCESSING");
    assert_code(&download(&ads, &task).await, 40_201);
    ads.advance(8).await;
    assert_eq!(status(&ads, &task).await, "SUCCESS");
    let file = download(&ads, &task).await;

    assert_eq!(file.header("content-type"), Some("text/csv"));
    let mut lines = file.body.lines();
    assert_eq!(
        lines.next(),
        Some("ad_id,stat_time_day,spend,impressions,ad_name")
    );
    let rows: Vec<Vec<_>> = lines.map(|line| line.splitn(5, ',').collect()).collect();
    let export = ads
        .export("level=ad&granularity=day&from=2026-10-22&to=2026-11-20")
        .await;
    assert_eq!(json!(rows.len()), export["count"]);
    let spend: i64 = rows.iter().map(|row| micros(&json!(row[2]))).sum();
    assert_eq!(json!(spend), export["totals"]["spend_micros"]);
    let impressions: i64 = rows.iter().map(|row| int(&json!(row[3]))).sum();
    assert_eq!(json!(impressions), export["totals"]["impressions"]);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_report_can_fail_be_cancelled_or_never_end() {
    let ads = Ads::start().await;
    for (fate, told) in [
        ("fails", "FAILED"),
        ("skipped", "CANCELED"),
        ("stalls", "PROCESSING"),
    ] {
        let order = json!({ "platform": "tiktok", "fate": fate });
        ads.site.control("POST", "/reports", &order).await;

        let task = begin(&ads).await;
        ads.advance(3_600).await;

        assert_eq!(status(&ads, &task).await, told);
        let code = if fate == "stalls" { 40_201 } else { 40_200 };
        assert_code(&download(&ads, &task).await, code);
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn a_report_belongs_to_the_advertisers_it_was_asked_for() {
    let ads = Ads::start().await;
    let both = json!({ "advertiser_ids": [FIRST, SECOND] });
    let mut of_both = order();
    of_both["advertiser_ids"] = both["advertiser_ids"].clone();
    let mut of_six = order();
    of_six["advertiser_ids"] = json!(vec![FIRST; 6]);
    let alone = begin(&ads).await;
    let params = [("advertiser_id", SECOND), ("task_id", alone.as_str())];

    let elsewhere = ads.get("report/task/check/", &params).await;
    let unknown = [("advertiser_id", FIRST), ("task_id", "12")];
    let unknown = ads.get("report/task/check/", &unknown).await;
    let of_both = ads.post("report/task/create/", &of_both).await;
    let of_six = ads.post("report/task/create/", &of_six).await;

    assert_code(&elsewhere, 40_200);
    assert_code(&unknown, 40_200);
    let task = data(&of_both)["task_id"].clone();
    let params = [
        ("advertiser_id", SECOND),
        ("task_id", task.as_str().expect("an id")),
    ];
    data(&ads.get("report/task/check/", &params).await);
    assert_code(&of_six, 40_011);
    ads.site.stop().await;
}

#[tokio::test]
async fn an_order_is_json_with_the_types_of_json() {
    let ads = Ads::start().await;
    let mut as_text = order();
    as_text["dimensions"] = json!(r#"["ad_id"]"#);
    let mut excel = order();
    excel["output_format"] = json!("XLSX_DOWNLOAD");

    let as_text = ads.post("report/task/create/", &as_text).await;
    let excel = ads.post("report/task/create/", &excel).await;
    let headers = format!("access-token: {DEV_TIKTOK_TOKEN}\r\n{JSON}");
    let path = path("report/task/create/", &[]);
    let broken = ads.site.post(&path, &headers, "{").await;

    for refused in [as_text, excel, broken] {
        assert_code(&refused, 40_002);
    }
    ads.site.stop().await;
}
