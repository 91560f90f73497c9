//! Figures.

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use super::{
    CUSTOMER, SEARCH, STREAM, access, answering, asks, caller, client_of, continues, failure_body,
    ok, query_of, requests_of,
};
use crate::{
    error::Error,
    platform::{
        AdPlatform, ConversionChoice, Cursor, Figures, Granularity, InsightQuery, InsightRow,
        Insights, Level, Page, Platform, ReportRun,
    },
};

fn query(level: Level) -> InsightQuery {
    InsightQuery {
        account_id: "111-111-1111".to_owned(),
        level,
        granularity: Granularity::Day,
        from: "2026-11-01".parse().expect("a day"),
        to: "2026-11-07".parse().expect("a day"),
        time_zone: Tz::Europe__Berlin,
        currency: Some("EUR".to_owned()),
        attribution: Vec::new(),
        breakdowns: Vec::new(),
        entities: Vec::new(),
        conversion: ConversionChoice::default(),
        page_size: None,
        in_background: true,
    }
}

async fn read(
    server: &MockServer,
    query: &InsightQuery,
    after: Option<&Cursor>,
) -> Result<Page<InsightRow>, Error> {
    let access = access(None);
    match client_of(server)
        .insights(caller(&access), query, after)
        .await?
    {
        Insights::Rows(page) => Ok(page),
        Insights::Started(run) => panic!("{run:?}"),
    }
}

/// As Google shows it: whole numbers as text, others as numbers, what is zero left out.
fn batches() -> Value {
    json!([
        {"results": [{
            "campaign": {"resourceName": "customers/1111111111/campaigns/900", "id": "900", "name": "Brand", "status": "ENABLED"},
            "metrics": {"impressions": "10452", "clicks": "231", "costMicros": "84370000", "conversions": 6.5,
                "conversionsValue": 512.4, "ctr": 0.0221, "averageCpc": 365238.1},
            "segments": {"date": "2026-11-01"}}],
         "fieldMask": "campaign.id,metrics.impressions", "requestId": "fakeReqId1", "queryResourceConsumption": "512"},
        {"results": [{"campaign": {"id": "901"}, "metrics": {"impressions": "3"}, "segments": {"date": "2026-11-02"}}],
         "requestId": "fakeReqId1"}
    ])
}

#[tokio::test]
async fn all_batches_of_a_stream_are_read_and_what_is_left_out_is_zero() {
    let server = answering(STREAM, ok(batches())).await;

    let page = read(&server, &query(Level::Campaign), None)
        .await
        .expect("rows");

    assert_eq!(page.next, None);
    let [brand, other] = page.items.as_slice() else {
        panic!("{page:?}");
    };
    assert_eq!(brand.entity_id, "900");
    assert_eq!(brand.date.to_string(), "2026-11-01");
    assert_eq!(brand.hour, None);
    let expected = Figures {
        impressions: 10_452,
        clicks: 231,
        spend: Decimal::new(8_437, 2),
        conversions: Decimal::new(65, 1),
        revenue: Decimal::new(5_124, 1),
        ..Figures::default()
    };
    assert_eq!(brand.figures, expected);
    let expected = Figures {
        impressions: 3,
        ..Figures::default()
    };
    assert_eq!(other.figures, expected);
    assert_eq!(
        query_of(&requests_of(&server).await[0]),
        "SELECT campaign.id, segments.date, metrics.impressions, metrics.clicks, metrics.cost_micros, \
         metrics.conversions, metrics.conversions_value FROM campaign \
         WHERE segments.date BETWEEN '2026-11-01' AND '2026-11-07'"
    );
}

#[tokio::test]
async fn an_error_behind_good_batches_is_the_answer() {
    let mut answer = batches();
    let error = failure_body(500, "internalError", "TRANSIENT_ERROR");
    answer.as_array_mut().expect("batches").push(error);
    let server = answering(STREAM, ok(answer)).await;

    let result = read(&server, &query(Level::Campaign), None).await;

    let error = result.expect_err("a failure");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert_eq!(
        error.detail().code.as_deref(),
        Some("internalError.TRANSIENT_ERROR")
    );
    assert_eq!(error.detail().request_id.as_deref(), Some("fakeReqId2"));
}

#[tokio::test]
async fn an_error_in_an_array_is_an_error() {
    let body = json!([failure_body(
        400,
        "queryError",
        "REQUESTED_METRICS_FOR_MANAGER"
    )]);
    let server = answering(STREAM, ResponseTemplate::new(400).set_body_json(body)).await;

    let error = read(&server, &query(Level::Campaign), None)
        .await
        .expect_err("a failure");

    assert!(matches!(error, Error::Rejected { .. }), "{error}");
}

#[tokio::test]
async fn hours_are_of_the_accounts_clock_and_midnight_may_be_left_out() {
    let row = |hour: Value| json!({"customer": {"id": "1111111111"}, "metrics": {"clicks": "1"}, "segments": hour});
    let rows = json!([{"results": [
        row(json!({"date": "2026-11-07"})),
        row(json!({"date": "2026-11-07", "hour": 23})),
    ]}]);
    let server = answering(STREAM, ok(rows)).await;
    let query = InsightQuery {
        granularity: Granularity::Hour,
        ..query(Level::Account)
    };

    let page = read(&server, &query, None).await.expect("rows");

    let hours: Vec<Option<u8>> = page.items.iter().map(|row| row.hour).collect();
    assert_eq!(hours, [Some(0), Some(23)]);
    let text = query_of(&requests_of(&server).await[0]);
    assert!(
        text.contains("customer.id, segments.date, segments.hour,"),
        "{text}"
    );
}

#[tokio::test]
async fn figures_of_ads_are_followed_by_those_of_asset_groups() {
    let server = MockServer::start().await;
    let of = |member: Value| {
        let mut row = member;
        row["segments"] = json!({"date": "2026-11-01"});
        row["metrics"] = json!({"clicks": "2"});
        json!([{ "results": [row] }])
    };
    for (part, rows) in [
        (
            " FROM ad_group_ad",
            of(json!({"adGroupAd": {"ad": {"id": "77"}}})),
        ),
        (" FROM asset_group", of(json!({"assetGroup": {"id": "78"}}))),
    ] {
        Mock::given(path(STREAM))
            .and(asks(part))
            .respond_with(ok(rows))
            .expect(1)
            .mount(&server)
            .await;
    }
    let query = query(Level::Ad);

    let first = read(&server, &query, None).await.expect("rows");
    let second = read(&server, &query, first.next.as_ref())
        .await
        .expect("rows");

    assert_eq!(first.items[0].entity_id, "77");
    assert_eq!(second.items[0].entity_id, "78");
    assert_eq!(second.next, None);
}

// Fails when an account with thousands of ads can never be read by the hour: no less than a day can be asked for at once.
#[tokio::test]
async fn a_day_that_was_too_much_at_once_is_read_by_pages() {
    let server = MockServer::start().await;
    let row =
        |id: &str| json!({"adGroupAd": {"ad": {"id": id}}, "segments": {"date": "2026-11-01"}});
    let pages = [
        (
            "",
            json!({"results": [row("77")], "nextPageToken": "fakeNext"}),
        ),
        ("fakeNext", json!({"results": [row("78")]})),
    ];
    for (token, page) in pages {
        Mock::given(path(SEARCH))
            .and(asks(" FROM ad_group_ad"))
            .and(continues(token))
            .respond_with(ok(page))
            .expect(1)
            .mount(&server)
            .await;
    }
    Mock::given(path(SEARCH))
        .and(asks(" FROM asset_group"))
        .respond_with(ok(json!({})))
        .expect(1)
        .mount(&server)
        .await;
    let query = InsightQuery {
        page_size: Some(250),
        ..query(Level::Ad)
    };

    let (mut ids, mut after) = (Vec::new(), None);
    for _ in 0..3 {
        let page = read(&server, &query, after.as_ref()).await.expect("a page");
        ids.extend(page.items.into_iter().map(|row| row.entity_id));
        after = page.next;
    }

    assert_eq!(ids, ["77", "78"]);
    assert_eq!(after, None);
}

#[tokio::test]
async fn a_time_without_activity_has_no_rows() {
    let server = answering(STREAM, ok(json!([]))).await;

    let page = read(&server, &query(Level::AdSet), None)
        .await
        .expect("rows");

    assert!(page.items.is_empty());
}

#[tokio::test]
async fn by_conversion_action_no_cost_is_asked_for() {
    let rows = json!([{"results": [{
        "campaign": {"id": "900"}, "metrics": {"conversions": 0.333333333333},
        "segments": {"date": "2026-11-01", "conversionAction": "customers/1111111111/conversionActions/6"}}]}]);
    let server = answering(STREAM, ok(rows)).await;
    let query = InsightQuery {
        breakdowns: vec!["conversion_action".to_owned()],
        ..query(Level::Campaign)
    };

    let page = read(&server, &query, None).await.expect("rows");

    let row = &page.items[0];
    assert_eq!(
        row.breakdown,
        "conversion_action=customers/1111111111/conversionActions/6"
    );
    assert_eq!(row.figures.conversions.to_string(), "0.333333333333");
    assert_eq!(row.figures.spend, Decimal::ZERO);
    let text = query_of(&requests_of(&server).await[0]);
    for metric in ["impressions", "clicks", "cost_micros"] {
        assert!(!text.contains(&format!("metrics.{metric}")), "{text}");
    }
}

#[tokio::test]
async fn breakdowns_entities_and_the_choice_of_conversions_are_part_of_the_query() {
    let rows = json!([{"results": [{
        "campaign": {"id": "900"}, "segments": {"date": "2026-11-01", "adNetworkType": "SEARCH", "device": "MOBILE"},
        "metrics": {"allConversions": 7, "allConversionsValue": 9.25, "conversions": 1}}]}]);
    let server = answering(STREAM, ok(rows)).await;
    let query = InsightQuery {
        breakdowns: vec!["ad_network_type".to_owned(), "device".to_owned()],
        entities: vec!["900".to_owned()],
        conversion: ConversionChoice {
            conversions: Some("all_conversions".to_owned()),
            revenue: Some("all_conversions_value".to_owned()),
        },
        ..query(Level::Campaign)
    };

    let page = read(&server, &query, None).await.expect("rows");

    let row = &page.items[0];
    assert_eq!(row.breakdown, "ad_network_type=SEARCH&device=MOBILE");
    assert_eq!(row.figures.conversions, Decimal::from(7));
    assert_eq!(row.figures.revenue, Decimal::new(925, 2));
    let text = query_of(&requests_of(&server).await[0]);
    assert!(
        text.ends_with("AND '2026-11-07' AND campaign.id IN (900)"),
        "{text}"
    );
}

#[tokio::test]
async fn what_google_cannot_do_is_refused_unsent() {
    let server = MockServer::start().await;
    let whole = || query(Level::Campaign);
    let chosen = |conversions: Option<&str>, revenue: Option<&str>| InsightQuery {
        conversion: ConversionChoice {
            conversions: conversions.map(str::to_owned),
            revenue: revenue.map(str::to_owned),
        },
        ..whole()
    };
    let cases = [
        InsightQuery {
            attribution: vec!["7d_click".to_owned()],
            ..whole()
        },
        InsightQuery {
            breakdowns: vec!["device, metrics.clicks".to_owned()],
            ..whole()
        },
        InsightQuery {
            entities: vec!["900) OR (1".to_owned()],
            ..whole()
        },
        InsightQuery {
            from: "2026-11-08".parse().expect("a day"),
            ..whole()
        },
        chosen(Some("purchase"), None),
        chosen(None, Some("purchase")),
    ];

    for query in cases {
        let result = read(&server, &query, None).await;

        assert!(matches!(result, Err(Error::Rejected { .. })), "{query:?}");
    }
    assert!(requests_of(&server).await.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_too_large_and_not_a_part_of_itself() {
    let quota = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED",
        "message": "Received message larger than max (67108900 vs. 67108864)"}});
    let refused = ResponseTemplate::new(429).set_body_json(quota);
    let endless = ResponseTemplate::new(200).set_body_string(" ".repeat((16 << 20) + 1));

    for answer in [refused, endless] {
        let server = answering(STREAM, answer).await;

        let result = read(&server, &query(Level::Ad), None).await;

        assert!(matches!(result, Err(Error::TooLarge { .. })));
    }
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_passing_trouble() {
    let odd = [
        json!([{"results": [{"campaign": {"id": "900"}, "segments": {}}]}]),
        json!([{"results": [{"segments": {"date": "2026-11-01"}}]}]),
        json!([{"results": [{"campaign": {"id": "900"}, "segments": {"date": "2026-11-01"},
            "metrics": {"clicks": "many"}}]}]),
        json!({"results": []}),
    ];

    for body in odd {
        let server = answering(STREAM, ok(body)).await;

        let result = read(&server, &query(Level::Campaign), None).await;

        assert!(matches!(result, Err(Error::Unavailable { .. })));
    }
}

#[tokio::test]
async fn there_are_no_reports_in_the_background() {
    let server = MockServer::start().await;
    let google = client_of(&server);
    let (access, query) = (access(None), query(Level::Campaign));
    let run = ReportRun {
        platform: Platform::GoogleAds,
        account_id: CUSTOMER.to_owned(),
        id: "1".to_owned(),
    };

    let state = google.report(caller(&access), &run).await;
    let rows = google
        .report_rows(caller(&access), &run, &query, None)
        .await;

    assert!(matches!(state, Err(Error::Rejected { .. })));
    assert!(matches!(rows, Err(Error::Rejected { .. })));
}
