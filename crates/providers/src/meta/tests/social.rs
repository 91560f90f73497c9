//! Figures of Pages and of Instagram accounts.

use serde_json::{Value, json};

use super::{Site, graph_error, json_of, ok};
use crate::{
    error::Error,
    meta::{
        SocialFigures,
        instagram_insights::{self, InstagramQuery, Values},
        page_insights::{self, PageQuery},
    },
};

const PAGE: &str = "100000000000001";
const INSTAGRAM: &str = "17841400000000001";

fn of_page(metrics: &[&str]) -> PageQuery {
    PageQuery {
        page_id: PAGE.to_owned(),
        metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect(),
        from: "2026-11-01".parse().expect("a day"),
        to: "2026-11-02".parse().expect("a day"),
    }
}

fn of_instagram(values: Values) -> InstagramQuery {
    InstagramQuery {
        account_id: INSTAGRAM.to_owned(),
        metrics: vec!["reach".to_owned(), "views".to_owned()],
        from: "2026-11-01".parse().expect("a day"),
        to: "2026-11-01".parse().expect("a day"),
        values,
    }
}

/// A Page's metric with a value for each of four days, of which two were asked for.
fn metric(name: &str) -> Value {
    let values: Vec<Value> = ["01", "02", "03", "04"]
        .iter()
        .zip(40..)
        .map(|(day, value)| json!({"value": value, "end_time": format!("2026-11-{day}T08:00:00+0000")}))
        .collect();
    json!({"name": name, "period": "day", "values": values, "title": "Daily", "id": format!("{PAGE}/insights/{name}/day")})
}

fn dead() -> Value {
    let message = "(#100) The value must be a valid insights metric";
    json!({"error": {"message": message, "type": "OAuthException", "code": 100, "fbtrace_id": "Afake"}})
}

fn told(figures: &SocialFigures) -> Vec<(String, String, String)> {
    let values = figures.values.iter();
    values
        .map(|value| {
            assert_eq!(value.from, value.to);
            (
                value.metric.clone(),
                value.from.to_string(),
                value.value.to_string(),
            )
        })
        .collect()
}

fn value(metric: &str, day: &str, value: &str) -> (String, String, String) {
    (metric.to_owned(), day.to_owned(), value.to_owned())
}

#[tokio::test]
async fn a_pages_values_belong_to_the_day_before_their_end() {
    let site = Site::new().await;
    let body = json!({"data": [metric("page_follows")], "paging": {"next": "https://graph.facebook.com/x"}});
    site.on("GET", &format!("{PAGE}/insights"), ok(body)).await;

    let figures = site
        .meta
        .page_insights(site.caller(), &of_page(&["page_follows"]))
        .await
        .expect("figures");

    let expected = [
        value("page_follows", "2026-11-01", "41"),
        value("page_follows", "2026-11-02", "42"),
    ];
    assert_eq!(told(&figures), expected);
    let asked = &site.asked().await[0];
    assert_eq!(asked["period"], "day");
    assert_eq!(asked["since"], "2026-11-01");
    // The end of the address of the next page is in the future: it was not followed.
    assert_eq!(site.requests().await.len(), 1);
}

#[tokio::test]
async fn a_value_by_type_is_one_for_each_type() {
    let site = Site::new().await;
    let values = json!([{"value": {"like": 4, "love": 2}, "end_time": "2026-11-02T08:00:00+0000"}]);
    let body = json!({"data": [{"name": "reactions", "period": "day", "values": values}]});
    site.on("GET", &format!("{PAGE}/insights"), ok(body)).await;

    let figures = site
        .meta
        .page_insights(site.caller(), &of_page(&["reactions"]))
        .await
        .expect("figures");

    let parts: Vec<&str> = figures
        .values
        .iter()
        .map(|value| value.part.as_str())
        .collect();
    assert_eq!(parts, ["like", "love"]);
}

#[tokio::test]
async fn a_dead_metric_is_found_and_told_and_the_others_are_read() {
    let site = Site::new().await;
    site.on(
        "GET",
        &format!("{PAGE}/insights"),
        graph_error(400, dead()["error"].clone()),
    )
    .await;
    let alive = |name: &str| json!({"code": 200, "headers": [], "body": json!({"data": [metric(name)]}).to_string()});
    let refused = json!({"code": 400, "headers": [], "body": dead().to_string()});
    let entries = json!([alive("page_follows"), refused, alive("page_views_total")]);
    site.on("POST", "", ok(entries)).await;
    let metrics = ["page_follows", "page_impressions", "page_views_total"];

    let figures = site
        .meta
        .page_insights(site.caller(), &of_page(&metrics))
        .await
        .expect("figures");

    assert_eq!(figures.dead, ["page_impressions"]);
    assert_eq!(told(&figures).len(), 4);
    let batch = json_of(&site.asked().await[1], "batch");
    let second = batch[1]["relative_url"].as_str().expect("text");
    assert!(second.starts_with(&format!(
        "{PAGE}/insights?metric=page_impressions&period=day"
    )));
    assert!(site.door.steps().contains(&"admitted 3".to_owned()));
}

#[tokio::test]
async fn a_dead_metric_by_itself_needs_no_second_question() {
    let site = Site::new().await;
    site.on(
        "GET",
        &format!("{PAGE}/insights"),
        graph_error(400, dead()["error"].clone()),
    )
    .await;

    let figures = site
        .meta
        .page_insights(site.caller(), &of_page(&["page_fans"]))
        .await
        .expect("figures");

    assert_eq!(figures.dead, ["page_fans"]);
    assert!(figures.values.is_empty());
    assert_eq!(site.requests().await.len(), 1);
}

#[tokio::test]
async fn other_refusals_are_not_about_metrics() {
    let site = Site::new().await;
    let error = json!({"message": "(#100) until must be after since", "code": 100});
    site.on("GET", &format!("{PAGE}/insights"), graph_error(400, error))
        .await;
    let query = of_page(&["page_follows", "page_views_total"]);

    let refused = site.meta.page_insights(site.caller(), &query).await;

    assert!(matches!(refused, Err(Error::Rejected { .. })));
    assert_eq!(site.requests().await.len(), 1);
}

#[tokio::test]
async fn a_failure_among_the_single_questions_is_one_of_all() {
    let site = Site::new().await;
    site.on(
        "GET",
        &format!("{PAGE}/insights"),
        graph_error(400, dead()["error"].clone()),
    )
    .await;
    let limit = json!({"error": {"message": "limit", "code": 80_001}}).to_string();
    site.on(
        "POST",
        "",
        ok(json!([{"code": 400, "headers": [], "body": limit}, null])),
    )
    .await;
    let query = of_page(&["page_follows", "page_views_total"]);

    let limited = site.meta.page_insights(site.caller(), &query).await;

    assert!(matches!(limited, Err(Error::RateLimited { .. })));
}

#[tokio::test]
async fn totals_of_an_instagram_account_are_of_all_days_that_were_asked_for() {
    let site = Site::new().await;
    let body = json!({"data": [
        {"name": "reach", "period": "day", "title": "Reach", "total_value": {"value": 1834}},
        {"name": "views", "period": "day", "total_value": {"value": 0}}
    ]});
    site.on("GET", &format!("{INSTAGRAM}/insights"), ok(body))
        .await;

    let figures = site
        .meta
        .instagram_insights(site.caller(), &of_instagram(Values::Total))
        .await
        .expect("figures");

    let expected = [
        value("reach", "2026-11-01", "1834"),
        value("views", "2026-11-01", "0"),
    ];
    assert_eq!(told(&figures), expected);
    let asked = &site.asked().await[0];
    assert_eq!(asked["metric"], "reach,views");
    assert_eq!(asked["metric_type"], "total_value");
    assert_eq!(asked["since"], "1793491200");
    assert_eq!(asked["until"], "1793577600");
}

#[tokio::test]
async fn no_figures_instead_of_zeros_are_no_failure() {
    let site = Site::new().await;
    site.on(
        "GET",
        &format!("{INSTAGRAM}/insights"),
        ok(json!({"data": []})),
    )
    .await;

    let figures = site
        .meta
        .instagram_insights(site.caller(), &of_instagram(Values::EachDay))
        .await;

    assert_eq!(figures.expect("figures"), SocialFigures::default());
    assert_eq!(site.asked().await[0]["metric_type"], "time_series");
}

#[tokio::test]
async fn more_days_than_meta_takes_are_refused_unsent() {
    let site = Site::new().await;
    let long = PageQuery {
        from: "2026-08-01".parse().expect("a day"),
        ..of_page(&page_insights::METRICS)
    };
    let backwards = InstagramQuery {
        from: "2026-11-02".parse().expect("a day"),
        ..of_instagram(Values::Total)
    };
    let too_many = PageQuery {
        metrics: vec!["page_follows".to_owned(); 51],
        ..of_page(&[])
    };

    let refused = [
        site.meta.page_insights(site.caller(), &long).await,
        site.meta
            .instagram_insights(site.caller(), &backwards)
            .await,
        site.meta.page_insights(site.caller(), &too_many).await,
    ];
    let nothing = site.meta.page_insights(site.caller(), &of_page(&[])).await;

    for result in refused {
        assert!(matches!(result, Err(Error::Rejected { .. })));
    }
    assert_eq!(nothing.expect("nothing"), SocialFigures::default());
    assert!(site.requests().await.is_empty());
    assert!(!instagram_insights::METRICS.contains(&"impressions"));
}
