//! Figures, as the platform shows them.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use super::{ACCOUNT, access, answering, answering_in_turn, caller, client, only_query, requests};
use crate::{
    error::Error,
    linkedin::{LinkedIn, restli::Query},
    platform::{
        AdPlatform, ConversionChoice, Granularity, InsightQuery, InsightRow, Insights, Level, Page,
        testing::RecordingDoor,
    },
};

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).expect("a day")
}

pub(super) fn query() -> InsightQuery {
    InsightQuery {
        account_id: ACCOUNT.to_owned(),
        level: Level::AdSet,
        granularity: Granularity::Day,
        from: day(1),
        to: day(7),
        time_zone: chrono_tz::Tz::UTC,
        currency: Some("USD".to_owned()),
        attribution: Vec::new(),
        breakdowns: Vec::new(),
        entities: Vec::new(),
        conversion: ConversionChoice::default(),
        page_size: None,
        in_background: false,
    }
}

async fn rows(client: &LinkedIn, query: &InsightQuery) -> Result<Vec<InsightRow>, Error> {
    let access = access();
    let door = RecordingDoor::default();
    let told = client.insights(caller(&access, &door), query, None).await?;
    match told {
        Insights::Rows(Page { items, next: None }) => Ok(items),
        other => panic!("{other:?}"),
    }
}

fn element(pivots: &[&str], metrics: Value) -> Value {
    let date = json!({"year": 2026, "month": 11, "day": 1});
    let mut element = json!({"pivotValues": pivots, "dateRange": {"start": date, "end": date}});
    if let (Value::Object(element), Value::Object(metrics)) = (&mut element, metrics) {
        element.extend(metrics);
    }
    element
}

fn campaign() -> Value {
    element(
        &["urn:li:sponsoredCampaign:300000001"],
        json!({"impressions": 5210, "clicks": 38, "landingPageClicks": 31,
            "costInLocalCurrency": "42.6610000000000000", "costInUsd": "46.1190741000000000",
            "externalWebsiteConversions": 2, "conversionValueInLocalCurrency": "180.0", "oneClickLeads": 1,
            "approximateMemberReach": 4000}),
    )
}

fn answer(elements: &[Value]) -> Value {
    json!({"elements": elements, "paging": {"start": 0, "count": 10, "links": []}})
}

async fn refused(query: &InsightQuery) -> bool {
    let server = MockServer::start().await;
    let result = rows(&client(&server), query).await;
    requests(&server).await.is_empty() && matches!(result, Err(Error::Rejected { .. }))
}

#[tokio::test]
async fn a_row_is_read_digit_by_digit() {
    let server = answering(200, answer(&[campaign()])).await;

    let rows = rows(&client(&server), &query()).await.expect("rows");

    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row.entity_id, "300000001");
    assert_eq!((row.date, row.hour), (day(1), None));
    assert_eq!(row.breakdown, "");
    assert_eq!(row.figures.impressions, 5210);
    assert_eq!(row.figures.clicks, 38);
    assert_eq!(row.figures.link_clicks, 31);
    assert_eq!(row.figures.spend, Decimal::new(42_661, 3));
    assert_eq!(row.figures.revenue, Decimal::from(180));
    assert_eq!(row.figures.leads, Decimal::ONE);
    assert_eq!(row.figures.conversions, Decimal::from(3));
    assert_eq!(row.figures.views, 0);
    assert_eq!(row.reach, Some(4000));
}

#[tokio::test]
async fn every_metric_is_named_or_linkedin_would_tell_two_of_them() {
    let server = answering(200, answer(&[])).await;

    rows(&client(&server), &query()).await.expect("rows");

    assert_eq!(
        only_query(&server).await,
        "q=analytics&pivot=(value:CAMPAIGN)&timeGranularity=(value:DAILY)\
         &dateRange=(start:(year:2026,month:11,day:1),end:(year:2026,month:11,day:7))\
         &accounts=List(urn%3Ali%3AsponsoredAccount%3A500000001)\
         &fields=dateRange,pivotValues,impressions,clicks,landingPageClicks,costInLocalCurrency,oneClickLeads,\
         externalWebsiteConversions,conversionValueInLocalCurrency,videoViews,likes,comments,shares,approximateMemberReach"
    );
}

#[tokio::test]
async fn each_level_has_its_pivot() {
    let pivots = [
        (Level::Account, "ACCOUNT"),
        (Level::Campaign, "CAMPAIGN_GROUP"),
        (Level::AdSet, "CAMPAIGN"),
        (Level::Ad, "CREATIVE"),
    ];

    for (level, pivot) in pivots {
        let server = answering(200, answer(&[])).await;
        let query = InsightQuery { level, ..query() };
        rows(&client(&server), &query).await.expect("rows");

        let asked = only_query(&server).await;
        assert!(
            asked.contains(&format!("pivot=(value:{pivot})&")),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn more_metrics_than_a_call_takes_are_asked_for_in_portions_and_put_together() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(|request: &Request| {
            let query = request.url.query().unwrap_or_default();
            let (_, fields) = query.split_once("fields=").unwrap_or_default();
            assert!(fields.split(',').count() <= 20, "{fields}");
            let told = if fields.contains(",m19") {
                vec![
                    element(&["urn:li:sponsoredCampaign:1"], json!({"m19": 19})),
                    element(&["urn:li:sponsoredCampaign:2"], json!({"m20": 20})),
                ]
            } else {
                vec![element(&["urn:li:sponsoredCampaign:1"], json!({"m0": 1}))]
            };
            ResponseTemplate::new(200).set_body_json(answer(&told))
        })
        .mount(&server)
        .await;
    let metrics: Vec<String> = (0..30).map(|number| format!("m{number}")).collect();
    let metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
    let access = access();
    let door = RecordingDoor::default();

    let rows = client(&server)
        .rows(
            caller(&access, &door),
            &Query::finder("analytics"),
            &metrics,
        )
        .await
        .expect("rows");

    assert_eq!(requests(&server).await.len(), 2);
    let first = (vec!["urn:li:sponsoredCampaign:1".to_owned()], day(1));
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[&first]["m0"], 1);
    assert_eq!(rows[&first]["m19"], 19);
}

#[tokio::test]
async fn a_metric_that_linkedin_does_not_know_any_more_is_dropped_and_not_asked_for_again() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(|request: &Request| {
            let query = request.url.query().unwrap_or_default();
            if query.contains("approximateMemberReach") {
                let message = "Invalid field approximateMemberReach in the projection";
                ResponseTemplate::new(400).set_body_json(json!({"status": 400, "message": message}))
            } else {
                ResponseTemplate::new(200).set_body_json(answer(&[campaign()]))
            }
        })
        .mount(&server)
        .await;
    let client = client(&server);

    let first = rows(&client, &query()).await.expect("rows");
    let second = rows(&client, &query()).await.expect("rows");

    assert_eq!(first.len(), 1);
    assert_eq!(second.len(), 1);
    assert_eq!(requests(&server).await.len(), 3);
}

#[tokio::test]
async fn a_metric_that_somebody_chose_is_not_dropped() {
    let message = "Invalid field qualifiedLeads in the projection";
    let server = answering(400, json!({"status": 400, "message": message})).await;
    let mut chosen = query();
    chosen.conversion.conversions = Some("qualifiedLeads".to_owned());

    let result = rows(&client(&server), &chosen).await;

    assert!(matches!(result, Err(Error::Rejected { .. })));
    for request in requests(&server).await {
        assert!(request.url.as_str().contains(",qualifiedLeads,"));
    }
}

#[tokio::test]
async fn a_result_that_is_full_is_too_large() {
    let elements: Vec<Value> = (0..15_000)
        .map(|number| {
            let creative = format!("urn:li:sponsoredCreative:{number}");
            element(&[creative.as_str()], json!({}))
        })
        .collect();
    let server = answering(200, answer(&elements)).await;

    let result = rows(&client(&server), &query()).await;

    assert!(matches!(result, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn figures_that_do_not_get_ready_twice_are_too_large() {
    let late = (504, json!({"status": 504, "message": "Gateway timeout"}));
    let ready = (200, answer(&[campaign()]));
    let server = answering_in_turn(vec![late.clone(), ready, late.clone(), late]).await;
    let client = client(&server);

    let first = rows(&client, &query()).await;
    let after = rows(&client, &query()).await;
    let once_more = rows(&client, &query()).await;
    let twice = rows(&client, &query()).await;

    assert!(matches!(first, Err(Error::Unavailable { .. })));
    assert!(after.is_ok());
    assert!(matches!(once_more, Err(Error::Unavailable { .. })));
    assert!(matches!(twice, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn people_are_told_of_one_thing_at_a_time() {
    let element = element(
        &["urn:li:organization:1337"],
        json!({"impressions": 12, "clicks": 3}),
    );
    let server = answering(200, answer(&[element])).await;
    let by_company = InsightQuery {
        entities: vec!["300000001".to_owned()],
        breakdowns: vec!["MEMBER_COMPANY".to_owned()],
        ..query()
    };
    let of_all = InsightQuery {
        entities: Vec::new(),
        ..by_company.clone()
    };

    let rows = rows(&client(&server), &by_company).await.expect("rows");

    assert_eq!(rows[0].entity_id, "300000001");
    assert_eq!(rows[0].breakdown, "MEMBER_COMPANY=urn:li:organization:1337");
    let asked = only_query(&server).await;
    assert!(asked.starts_with("q=analytics&pivot=(value:MEMBER_COMPANY)&"));
    assert!(asked.contains("campaigns=List(urn%3Ali%3AsponsoredCampaign%3A300000001)"));
    assert!(refused(&of_all).await);
}

#[tokio::test]
async fn several_pivots_are_asked_for_as_statistics() {
    let element = element(
        &["urn:li:sponsoredCampaign:300000001", "MOBILE_APP"],
        json!({"impressions": 12}),
    );
    let server = answering(200, answer(&[element])).await;
    let by_device = InsightQuery {
        breakdowns: vec!["IMPRESSION_DEVICE_TYPE".to_owned()],
        ..query()
    };

    let rows = rows(&client(&server), &by_device).await.expect("rows");

    assert_eq!(rows[0].entity_id, "300000001");
    assert_eq!(rows[0].breakdown, "IMPRESSION_DEVICE_TYPE=MOBILE_APP");
    let asked = only_query(&server).await;
    assert!(asked.starts_with("q=statistics&pivots=List(CAMPAIGN,IMPRESSION_DEVICE_TYPE)&"));
}

#[tokio::test]
async fn what_linkedin_cannot_tell_is_not_asked_for() {
    let by_hour = InsightQuery {
        granularity: Granularity::Hour,
        ..query()
    };
    let too_long = InsightQuery {
        to: day(1) + chrono::TimeDelta::days(92),
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
        breakdowns: vec!["COMPANY)&q=(".to_owned()],
        ..query()
    };
    let grouped = InsightQuery {
        breakdowns: ["A", "B", "C"].map(str::to_owned).to_vec(),
        ..query()
    };

    for query in [by_hour, too_long, backwards, attributed, injected, grouped] {
        assert!(refused(&query).await, "{query:?}");
    }
}

#[tokio::test]
async fn a_figure_that_is_no_number_fails_the_call_instead_of_counting_as_nothing() {
    let odd = element(
        &["urn:li:sponsoredCampaign:300000001"],
        json!({"impressions": 1, "costInLocalCurrency": "a lot"}),
    );
    let server = answering(200, answer(&[odd])).await;

    let result = rows(&client(&server), &query()).await;

    assert!(matches!(result, Err(Error::Unavailable { .. })));
}
