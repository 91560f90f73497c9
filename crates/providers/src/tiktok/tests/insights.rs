//! Figures at once, as the platform shows them.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::{
    ADVERTISER, access, answering, caller, client, day, envelope, good, listed, parameters, query,
    requests, respond_with,
};
use crate::{
    error::Error,
    platform::{
        AdPlatform, Cursor, Granularity, InsightQuery, InsightRow, Insights, Level, Page,
        testing::RecordingDoor,
    },
    tiktok::TikTok,
};

async fn page(
    client: &TikTok,
    query: &InsightQuery,
    after: Option<&str>,
) -> Result<Page<InsightRow>, Error> {
    let access = access();
    let door = RecordingDoor::default();
    let after = after.map(|cursor| Cursor(cursor.to_owned()));
    let told = client
        .insights(caller(&access, &door), query, after.as_ref())
        .await?;
    match told {
        Insights::Rows(page) => Ok(page),
        other => panic!("{other:?}"),
    }
}

fn element(time: Value, metrics: Value) -> Value {
    let mut dimensions = json!({"campaign_id": "1700000000000001"});
    if let (Value::Object(dimensions), Value::Object(time)) = (&mut dimensions, time) {
        dimensions.extend(time);
    }
    json!({"dimensions": dimensions, "metrics": metrics})
}

fn campaign() -> Value {
    element(
        json!({"stat_time_day": "2026-11-01 00:00:00"}),
        json!({"spend": "84.37", "impressions": "10452", "clicks": "231", "conversion": "6",
            "cost_per_conversion": "14.06", "total_purchase_value": "512.40", "ctr": "2.21", "cpc": "0.37",
            "cpm": "8.07", "likes": "-", "reach": "9000"}),
    )
}

async fn refused(query: &InsightQuery) -> bool {
    let server = MockServer::start().await;
    let result = page(&client(&server), query, None).await;
    requests(&server).await.is_empty() && matches!(result, Err(Error::Rejected { .. }))
}

#[tokio::test]
async fn a_row_is_read_digit_by_digit_and_a_dash_is_nothing() {
    let server = answering(listed(json!([campaign()]), 1, 1)).await;

    let page = page(&client(&server), &query(), None).await.expect("rows");

    let row = &page.items[0];
    assert_eq!(row.entity_id, "1700000000000001");
    assert_eq!((row.date, row.hour), (day(1), None));
    assert_eq!(row.figures.spend, Decimal::new(8_437, 2));
    assert_eq!(row.figures.impressions, 10_452);
    assert_eq!(row.figures.clicks, 231);
    assert_eq!(row.figures.conversions, Decimal::from(6));
    assert_eq!(row.figures.revenue, Decimal::new(5_124, 1));
    assert_eq!(row.figures.likes, 0);
    assert_eq!(row.reach, Some(9_000));
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn a_report_is_asked_for_by_level_and_day_with_what_was_deleted() {
    let server = answering(listed(json!([]), 1, 0)).await;

    page(&client(&server), &query(), None).await.expect("rows");

    let asked = parameters(&requests(&server).await[0]);
    let expected = [
        ("advertiser_id", ADVERTISER),
        ("report_type", "BASIC"),
        ("service_type", "AUCTION"),
        ("data_level", "AUCTION_CAMPAIGN"),
        ("dimensions", r#"["campaign_id","stat_time_day"]"#),
        (
            "metrics",
            r#"["spend","impressions","clicks","conversion","total_purchase_value","video_play_actions","likes","comments","shares","reach"]"#,
        ),
        ("start_date", "2026-11-01"),
        ("end_date", "2026-11-07"),
        ("page", "1"),
        ("page_size", "1000"),
    ];
    for (name, value) in expected {
        assert_eq!(asked[name], value, "{name}");
    }
    let filtering: Value = serde_json::from_str(&asked["filtering"]).expect("JSON");
    assert_eq!(
        filtering,
        json!([{"field_name": "campaign_status", "filter_type": "IN", "filter_value": "[\"STATUS_ALL\"]"}])
    );
}

#[tokio::test]
async fn each_level_has_its_dimension() {
    let levels = [
        (Level::Account, "AUCTION_ADVERTISER", "advertiser_id"),
        (Level::Campaign, "AUCTION_CAMPAIGN", "campaign_id"),
        (Level::AdSet, "AUCTION_ADGROUP", "adgroup_id"),
        (Level::Ad, "AUCTION_AD", "ad_id"),
    ];

    for (level, data_level, id) in levels {
        let element =
            json!({"dimensions": {id: "1", "stat_time_day": "2026-11-01"}, "metrics": {}});
        let server = answering(listed(json!([element]), 1, 1)).await;
        let query = InsightQuery { level, ..query() };
        let page = page(&client(&server), &query, None).await.expect("rows");

        assert_eq!(page.items[0].entity_id, "1");
        assert_eq!(
            parameters(&requests(&server).await[0])["data_level"],
            data_level
        );
    }
}

#[tokio::test]
async fn hours_are_those_of_the_advertisers_clock() {
    let element = element(
        json!({"stat_time_hour": "2026-11-01 13:00:00"}),
        json!({"impressions": "5"}),
    );
    let server = answering(listed(json!([element]), 1, 1)).await;
    let by_hour = InsightQuery {
        granularity: Granularity::Hour,
        to: day(1),
        ..query()
    };

    let page = page(&client(&server), &by_hour, None).await.expect("rows");

    assert_eq!((page.items[0].date, page.items[0].hour), (day(1), Some(13)));
    let asked = parameters(&requests(&server).await[0]);
    assert_eq!(asked["dimensions"], r#"["campaign_id","stat_time_hour"]"#);
}

#[tokio::test]
async fn pages_go_on_until_the_last_one() {
    let server = answering(listed(json!([campaign()]), 2, 3)).await;
    let small = InsightQuery {
        page_size: Some(10),
        ..query()
    };

    let second = page(&client(&server), &small, Some("2"))
        .await
        .expect("rows");
    let last = page(&client(&server), &small, Some("3"))
        .await
        .expect("rows");
    let odd = page(&client(&server), &small, Some("next")).await;

    assert_eq!(second.next, Some(Cursor("3".to_owned())));
    assert_eq!(last.next, None);
    assert!(matches!(odd, Err(Error::Rejected { .. })));
    let asked = parameters(&requests(&server).await[0]);
    assert_eq!(
        (asked["page"].as_str(), asked["page_size"].as_str()),
        ("2", "10")
    );
}

#[tokio::test]
async fn a_metric_that_tiktok_does_not_know_any_more_is_dropped_and_not_asked_for_again() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(|request: &Request| {
            let body = if parameters(request)["metrics"].contains("total_purchase_value") {
                envelope(
                    40002,
                    "metrics: total_purchase_value is not valid",
                    json!({}),
                )
            } else {
                listed(json!([campaign()]), 1, 1)
            };
            ResponseTemplate::new(200).set_body_json(body)
        })
        .mount(&server)
        .await;
    let client = client(&server);

    let first = page(&client, &query(), None).await;
    let second = page(&client, &query(), None).await;

    assert!(first.is_ok() && second.is_ok());
    assert_eq!(requests(&server).await.len(), 3);
}

#[tokio::test]
async fn revenue_that_somebody_chose_is_not_dropped() {
    let refusal = envelope(40002, "metrics: my_value is not valid", json!({}));
    let server = answering(refusal).await;
    let mut chosen = query();
    chosen.conversion.revenue = Some("my_value".to_owned());

    let result = page(&client(&server), &chosen, None).await;

    assert!(matches!(result, Err(Error::Rejected { .. })));
    for request in requests(&server).await {
        assert!(parameters(&request)["metrics"].contains("my_value"));
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_is_too_large() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200)
        .insert_header(
            "X-Tt-Ads-Throttle",
            "Number of ad ids is equal or more than 20k",
        )
        .set_body_json(listed(json!([campaign()]), 1, 1));
    respond_with(&server, answer).await;

    let result = page(&client(&server), &query(), None).await;

    assert!(matches!(result, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn breakdowns_are_reports_on_who_people_are() {
    let element = json!({"dimensions": {"campaign_id": "1", "stat_time_day": "2026-11-01 00:00:00",
        "gender": "FEMALE", "age": "AGE_25_34"}, "metrics": {"spend": "1.5"}});
    let server = answering(listed(json!([element]), 1, 1)).await;
    let by_people = InsightQuery {
        breakdowns: vec!["gender".to_owned(), "age".to_owned()],
        entities: vec!["1".to_owned()],
        ..query()
    };

    let page = page(&client(&server), &by_people, None)
        .await
        .expect("rows");

    assert_eq!(page.items[0].breakdown, "gender=FEMALE&age=AGE_25_34");
    let asked = parameters(&requests(&server).await[0]);
    assert_eq!(asked["report_type"], "AUDIENCE");
    assert_eq!(
        asked["dimensions"],
        r#"["campaign_id","stat_time_day","gender","age"]"#
    );
    let filtering: Value = serde_json::from_str(&asked["filtering"]).expect("JSON");
    assert_eq!(filtering[1]["filter_value"], "[\"1\"]");
}

#[tokio::test]
async fn what_tiktok_cannot_tell_is_not_asked_for() {
    let too_long = InsightQuery {
        to: day(1) + chrono::TimeDelta::days(30),
        ..query()
    };
    let hours_of_two_days = InsightQuery {
        granularity: Granularity::Hour,
        to: day(2),
        ..query()
    };
    let backwards = InsightQuery {
        from: day(8),
        ..query()
    };
    let attributed = InsightQuery {
        attribution: vec!["7d_click".to_owned()],
        ..query()
    };
    let injected = InsightQuery {
        breakdowns: vec!["age\"]".to_owned()],
        ..query()
    };

    for query in [too_long, hours_of_two_days, backwards, attributed, injected] {
        assert!(refused(&query).await, "{query:?}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_the_page() {
    let odd = element(
        json!({"stat_time_day": "2026-11-01 00:00:00"}),
        json!({"spend": "a lot"}),
    );
    let odd_spend = answering(listed(json!([odd]), 1, 1)).await;
    let no_pages = answering(good(json!({"list": [campaign()]}))).await;

    for server in [odd_spend, no_pages] {
        let result = page(&client(&server), &query(), None).await;
        assert!(matches!(result, Err(Error::Unavailable { .. })));
    }
}
