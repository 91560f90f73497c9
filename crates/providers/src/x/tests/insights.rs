//! Figures at once.

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer,
    matchers::{path, query_param},
};

use super::{ACTIVE, STATS, access, answering, caller, client_of, ok, param, query, requests_to};
use crate::{
    error::Error,
    platform::{
        AdPlatform, ConversionChoice, Cursor, Granularity, InsightQuery, InsightRow, Insights,
        Level, Page,
    },
};

async fn read(
    server: &MockServer,
    query: &InsightQuery,
    after: Option<&Cursor>,
) -> Result<Page<InsightRow>, Error> {
    let access = access();
    match client_of(server)
        .insights(caller(&access), query, after)
        .await?
    {
        Insights::Rows(page) => Ok(page),
        Insights::Started(run) => panic!("{run:?}"),
    }
}

/// Every page, at most ten.
async fn read_all(server: &MockServer, query: &InsightQuery) -> Vec<InsightRow> {
    let mut rows = Vec::new();
    let mut after = None;
    for _ in 0..10 {
        let page = read(server, query, after.as_ref()).await.expect("rows");
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
    panic!("there are too many pages");
}

async fn active(server: &MockServer, entities: Value) {
    Mock::given(path(ACTIVE))
        .respond_with(ok(json!({"request": {"params": {}}, "data": entities})))
        .mount(server)
        .await;
}

fn at_home(id: &str) -> Value {
    json!({"entity_id": id, "activity_start_time": "2026-11-01T07:00:00Z",
        "activity_end_time": "2026-11-03T08:00:00Z", "placements": ["ALL_ON_TWITTER"]})
}

fn stats(id: &str, metrics: Value) -> Value {
    json!({"data_type": "stats", "time_series_length": 2, "request": {"params": {"granularity": "DAY"}},
        "data": [{"id": id, "id_data": [{"segment": null, "metrics": metrics}]}]})
}

async fn telling(server: &MockServer, placement: &str, answer: Value) {
    Mock::given(path(STATS))
        .and(query_param("placement", placement))
        .respond_with(ok(answer))
        .mount(server)
        .await;
}

#[tokio::test]
async fn days_are_asked_for_from_midnight_to_midnight_of_the_account() {
    let server = MockServer::start().await;
    active(&server, json!([at_home("fkcmp1")])).await;
    let metrics = json!({"impressions": [5210, 4980], "billed_charge_local_micro": [42180000, 42190000],
        "video_total_views": null});
    telling(&server, "ALL_ON_TWITTER", stats("fkcmp1", metrics)).await;

    let page = read(&server, &query(), None).await.expect("rows");

    assert_eq!(page.next, None);
    let days: Vec<(String, i64, Decimal)> = page
        .items
        .iter()
        .map(|row| {
            (
                row.date.to_string(),
                row.figures.impressions,
                row.figures.spend,
            )
        })
        .collect();
    assert_eq!(
        days,
        [
            ("2026-11-01".to_owned(), 5_210, Decimal::new(4_218, 2)),
            ("2026-11-02".to_owned(), 4_980, Decimal::new(4_219, 2)),
        ]
    );
    let request = &requests_to(&server, STATS).await[0];
    for (name, value) in [
        ("entity", "CAMPAIGN"),
        ("entity_ids", "fkcmp1"),
        // Summer time ends on the first of the two days.
        ("start_time", "2026-11-01T07:00:00Z"),
        ("end_time", "2026-11-03T08:00:00Z"),
        ("granularity", "DAY"),
        ("placement", "ALL_ON_TWITTER"),
        ("metric_groups", "ENGAGEMENT,BILLING,VIDEO,WEB_CONVERSION"),
    ] {
        assert_eq!(param(request, name), value, "{name}");
    }
    let sent = request.url.query().unwrap_or_default();
    assert!(
        sent.contains("start_time=2026-11-01T07%3A00%3A00Z"),
        "{sent}"
    );
    assert!(sent.contains("ENGAGEMENT%2CBILLING"), "{sent}");
    let asked = &requests_to(&server, ACTIVE).await[0];
    assert_eq!(param(asked, "entity"), "CAMPAIGN");
    assert_eq!(param(asked, "start_time"), "2026-11-01T07:00:00Z");
}

#[tokio::test]
async fn every_placement_is_asked_for_and_added() {
    let server = MockServer::start().await;
    let entities = json!([
        {"entity_id": "fkcmp1", "placements": ["ALL_ON_TWITTER", "SPOTLIGHT"]},
        {"entity_id": "fkcmp2", "placements": ["ALL_ON_TWITTER"]},
    ]);
    active(&server, entities).await;
    let spend = |micros: i64| json!({"billed_charge_local_micro": [micros, 0]});
    telling(&server, "ALL_ON_TWITTER", stats("fkcmp1", spend(1_500_000))).await;
    telling(&server, "SPOTLIGHT", stats("fkcmp1", spend(2_000_000))).await;

    let page = read(&server, &query(), None).await.expect("rows");

    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].figures.spend, Decimal::new(35, 1));
    let requests = requests_to(&server, STATS).await;
    let asked: Vec<(String, String)> = requests
        .iter()
        .map(|it| (param(it, "placement"), param(it, "entity_ids")))
        .collect();
    let text = |placement: &str, ids: &str| (placement.to_owned(), ids.to_owned());
    assert_eq!(
        asked,
        [
            text("ALL_ON_TWITTER", "fkcmp1,fkcmp2"),
            text("SPOTLIGHT", "fkcmp1")
        ]
    );
}

#[tokio::test]
async fn twenty_entities_are_asked_for_at_a_time() {
    let server = MockServer::start().await;
    let ids: Vec<String> = (10..55).map(|n| format!("fk{n}")).collect();
    let entities: Vec<Value> = ids.iter().map(|id| at_home(id)).collect();
    active(&server, json!(entities)).await;
    telling(
        &server,
        "ALL_ON_TWITTER",
        stats("fk10", json!({"clicks": null})),
    )
    .await;

    let rows = read_all(&server, &query()).await;

    assert!(rows.is_empty());
    let requests = requests_to(&server, STATS).await;
    let asked: Vec<Vec<String>> = requests
        .iter()
        .map(|it| {
            param(it, "entity_ids")
                .split(',')
                .map(str::to_owned)
                .collect()
        })
        .collect();
    let counts: Vec<usize> = asked.iter().map(Vec::len).collect();
    assert_eq!(counts, [20, 20, 5]);
    assert_eq!(asked.concat(), ids);
}

#[tokio::test]
async fn a_longer_time_is_read_week_by_week() {
    let server = MockServer::start().await;
    active(&server, json!([at_home("fkcmp1")])).await;
    telling(
        &server,
        "ALL_ON_TWITTER",
        stats("fkcmp1", json!({"clicks": [1]})),
    )
    .await;
    let query = InsightQuery {
        from: "2026-10-20".parse().expect("a day"),
        to: "2026-11-05".parse().expect("a day"),
        ..query()
    };

    let rows = read_all(&server, &query).await;

    let days: Vec<String> = rows.iter().map(|row| row.date.to_string()).collect();
    assert_eq!(days, ["2026-10-20", "2026-10-27", "2026-11-02"]);
    // A week in which a day has 25 hours is more than X's seven days.
    let requests = requests_to(&server, STATS).await;
    let ends: Vec<String> = requests.iter().map(|it| param(it, "end_time")).collect();
    assert_eq!(
        ends,
        [
            "2026-10-27T07:00:00Z",
            "2026-11-02T08:00:00Z",
            "2026-11-06T08:00:00Z"
        ]
    );
}

#[tokio::test]
async fn hours_are_those_of_the_clock_and_the_repeated_one_is_one() {
    let server = MockServer::start().await;
    let series: Vec<i64> = (0..25).map(|_| 1).collect();
    telling(
        &server,
        "ALL_ON_TWITTER",
        stats("18fake0001", json!({ "clicks": series })),
    )
    .await;
    for other in ["SPOTLIGHT", "TREND"] {
        telling(&server, other, stats("18fake0001", json!({"clicks": null}))).await;
    }
    let query = InsightQuery {
        level: Level::Account,
        granularity: Granularity::Hour,
        to: "2026-11-01".parse().expect("a day"),
        ..query()
    };

    let page = read(&server, &query, None).await.expect("rows");

    assert_eq!(page.items.len(), 24);
    assert_eq!(page.items[1].hour, Some(1));
    assert_eq!(page.items[1].figures.clicks, 2);
    assert_eq!(page.items[23].hour, Some(23));
    let requests = requests_to(&server, STATS).await;
    assert_eq!(requests.len(), 3);
    assert_eq!(param(&requests[0], "entity"), "ACCOUNT");
    assert_eq!(param(&requests[0], "entity_ids"), "18fake0001");
    assert_eq!(param(&requests[0], "granularity"), "HOUR");
    assert!(requests_to(&server, ACTIVE).await.is_empty());
}

#[tokio::test]
async fn a_zone_with_half_an_hour_is_asked_for_by_its_offset() {
    let server = MockServer::start().await;
    active(&server, json!([at_home("fkcmp1")])).await;
    telling(
        &server,
        "ALL_ON_TWITTER",
        stats("fkcmp1", json!({"clicks": [1, 1]})),
    )
    .await;
    let query = InsightQuery {
        time_zone: Tz::Asia__Kolkata,
        ..query()
    };

    let page = read(&server, &query, None).await.expect("rows");

    assert_eq!(page.items.len(), 2);
    let request = &requests_to(&server, STATS).await[0];
    assert_eq!(param(request, "start_time"), "2026-11-01T00:00:00+05:30");
}

#[tokio::test]
async fn only_what_is_asked_for_and_had_activity_is_read() {
    let server = MockServer::start().await;
    active(&server, json!([at_home("fkcmp1"), at_home("fkcmp2")])).await;
    telling(
        &server,
        "ALL_ON_TWITTER",
        stats("fkcmp2", json!({"clicks": [1, 1]})),
    )
    .await;
    let some = InsightQuery {
        entities: vec!["fkcmp2".to_owned(), "fkcmp9".to_owned()],
        ..query()
    };
    let none = InsightQuery {
        entities: vec!["fkcmp9".to_owned()],
        ..query()
    };

    let some = read(&server, &some, None).await.expect("rows");
    let none = read(&server, &none, None).await.expect("rows");

    assert_eq!(some.items.len(), 2);
    assert!(none.items.is_empty());
    let requests = requests_to(&server, STATS).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(param(&requests[0], "entity_ids"), "fkcmp2");
}

#[tokio::test]
async fn conversions_of_apps_are_asked_for_in_a_call_of_their_own() {
    let server = MockServer::start().await;
    active(&server, json!([at_home("fkcmp1")])).await;
    Mock::given(path(STATS))
        .and(query_param("metric_groups", "MOBILE_CONVERSION"))
        .respond_with(ok(stats(
            "fkcmp1",
            json!({"mobile_conversion_installs": {"post_view": [1, 0], "post_engagement": [2, 0]}}),
        )))
        .with_priority(1)
        .mount(&server)
        .await;
    telling(
        &server,
        "ALL_ON_TWITTER",
        stats("fkcmp1", json!({"clicks": [5, 0]})),
    )
    .await;
    let query = InsightQuery {
        conversion: ConversionChoice {
            conversions: Some("mobile_conversion_installs".to_owned()),
            revenue: None,
        },
        ..query()
    };

    let page = read(&server, &query, None).await.expect("rows");

    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].figures.clicks, 5);
    assert_eq!(page.items[0].figures.conversions, Decimal::from(3));
    assert_eq!(requests_to(&server, STATS).await.len(), 2);
}

#[tokio::test]
async fn series_of_more_steps_than_were_asked_for_are_passing_trouble() {
    let server = MockServer::start().await;
    active(&server, json!([at_home("fkcmp1")])).await;
    telling(
        &server,
        "ALL_ON_TWITTER",
        stats("fkcmp1", json!({"clicks": [1, 2, 3]})),
    )
    .await;

    let result = read(&server, &query(), None).await;

    assert!(matches!(result, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn what_x_cannot_do_is_refused_unsent() {
    let server = answering(ACTIVE, ok(json!({"data": []}))).await;
    let rejected = [
        InsightQuery {
            attribution: vec!["7d_click".to_owned()],
            ..query()
        },
        InsightQuery {
            breakdowns: vec!["GENDER".to_owned(), "AGE".to_owned()],
            ..query()
        },
        InsightQuery {
            entities: vec!["a,b".to_owned()],
            ..query()
        },
        InsightQuery {
            account_id: "1/2".to_owned(),
            ..query()
        },
        InsightQuery {
            to: "2026-10-31".parse().expect("a day"),
            ..query()
        },
    ];
    let too_long = InsightQuery {
        from: "2026-08-01".parse().expect("a day"),
        ..query()
    };

    for query in rejected {
        let result = read(&server, &query, None).await;

        assert!(matches!(result, Err(Error::Rejected { .. })), "{query:?}");
    }
    let result = read(&server, &too_long, None).await;
    assert!(matches!(result, Err(Error::TooLarge { .. })));
    for odd in ["soon/fk1", "2026-11-01", "2026-12-01/"] {
        let after = Cursor(odd.to_owned());

        let result = read(&server, &query(), Some(&after)).await;

        assert!(matches!(result, Err(Error::Rejected { .. })), "{odd}");
    }
    let received = server.received_requests().await.expect("recorded");
    assert!(received.is_empty());
}
