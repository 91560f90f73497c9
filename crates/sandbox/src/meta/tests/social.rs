//! Insights of Pages and Instagram accounts, and the metrics that are dead.

use serde_json::{Value, json};

use super::{Site, ask, assert_refused, signed, signed_by, stopped};

/// The id of the first page, its token, and the id of its Instagram account.
async fn page(site: &Site) -> (String, String, String) {
    let fields = [("fields", "id,access_token,instagram_business_account")];
    let page = ask(site, "me/accounts", &fields).await["data"][0].clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (
        text(&page["id"]),
        text(&page["access_token"]),
        text(&page["instagram_business_account"]["id"]),
    )
}

#[tokio::test]
async fn a_pages_values_are_dated_by_the_end_of_their_day_in_california() {
    let site = stopped().await;
    let (page, token, _) = page(&site).await;
    let params = [
        (
            "metric",
            "page_media_view,page_actions_post_reactions_total",
        ),
        ("period", "day"),
        ("since", "2026-11-01"),
        ("until", "2026-11-08"),
    ];

    let path = format!("{page}/insights");
    let answer = site.get(&signed_by(&token, &path, &params)).await.json();

    let values = answer["data"][0]["values"].as_array().expect("a list");
    assert_eq!(values.len(), 7, "{answer}");
    assert_eq!(values[0]["end_time"], "2026-11-01T07:00:00+0000");
    assert_eq!(values[1]["end_time"], "2026-11-02T08:00:00+0000");
    assert!(answer["data"][1]["values"][0]["value"]["like"].is_i64());
    assert!(answer["paging"]["next"].is_string());
    site.stop().await;
}

#[tokio::test]
async fn the_pages_after_today_go_on_without_an_end_and_are_empty() {
    let site = stopped().await;
    let (page, token, _) = page(&site).await;
    let params = [
        ("metric", "page_follows"),
        ("since", "2026-12-01"),
        ("until", "2026-12-08"),
    ];

    let path = format!("{page}/insights");
    let answer = site.get(&signed_by(&token, &path, &params)).await.json();

    assert_eq!(answer["data"], json!([]));
    assert!(answer["paging"]["next"].is_string());
    site.stop().await;
}

#[tokio::test]
async fn one_dead_metric_fails_the_whole_call() {
    let site = stopped().await;
    let (page, token, instagram) = page(&site).await;

    let path = format!("{page}/insights");
    let metrics = [("metric", "page_follows,page_impressions")];
    let dead = site.get(&signed_by(&token, &path, &metrics)).await;
    let path = format!("{instagram}/insights");
    let metrics = [
        ("metric", "reach,impressions"),
        ("period", "day"),
        ("metric_type", "total_value"),
    ];
    let gone = site.get(&signed(&path, &metrics)).await;

    assert_refused(&dead, 100, None);
    assert!(dead.body.contains("must be a valid insights metric"));
    assert_refused(&gone, 100, None);
    site.stop().await;
}

#[tokio::test]
async fn a_pages_figures_are_for_the_pages_own_token() {
    let site = stopped().await;
    let (page, token, _) = page(&site).await;
    let path = format!("{page}/insights");

    let user = site
        .get(&signed(&path, &[("metric", "page_follows")]))
        .await;
    let long = [
        ("metric", "page_follows"),
        ("since", "2026-08-01"),
        ("until", "2026-11-08"),
    ];
    let too_long = site.get(&signed_by(&token, &path, &long)).await;

    assert_refused(&user, 190, None);
    assert_refused(&too_long, 100, None);
    site.stop().await;
}

#[tokio::test]
async fn an_instagram_account_tells_totals_or_a_value_a_day_two_days_late() {
    let site = stopped().await;
    let (_, _, instagram) = page(&site).await;
    let path = format!("{instagram}/insights");
    let time = [("since", "2026-11-01"), ("until", "2026-11-08")];
    let with = |more: &[(&'static str, &'static str)]| [time.as_slice(), more].concat();

    let total = with(&[
        ("metric", "reach,views"),
        ("period", "day"),
        ("metric_type", "total_value"),
    ]);
    let total = ask(&site, &path, &total).await;
    let series = with(&[
        ("metric", "reach"),
        ("period", "day"),
        ("metric_type", "time_series"),
    ]);
    let series = ask(&site, &path, &series).await;
    let late = [
        ("metric", "reach"),
        ("period", "day"),
        ("since", "2026-11-19"),
        ("until", "2026-11-20"),
    ];
    let late = ask(&site, &path, &late).await;

    let values = series["data"][0]["values"].as_array().expect("a list");
    let sum: i64 = values
        .iter()
        .filter_map(|value| value["value"].as_i64())
        .sum();
    assert_eq!(values.len(), 7);
    assert_eq!(total["data"][0]["total_value"]["value"], sum);
    assert_eq!(late["data"], json!([]));
    site.stop().await;
}
