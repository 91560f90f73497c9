//! Reports in the background, from their making to their rows.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::{
    ADVERTISER, access, answering, answering_in_turn, caller, client, day, envelope, good,
    parameters, query, requests, respond_with,
};
use crate::{
    error::Error,
    platform::{
        AdPlatform, Cursor, InsightQuery, InsightRow, Insights, Page, Platform, ReportRun,
        ReportState, testing::RecordingDoor,
    },
};

fn in_background() -> InsightQuery {
    InsightQuery {
        in_background: true,
        ..query()
    }
}

fn run() -> ReportRun {
    ReportRun {
        platform: Platform::TikTok,
        account_id: ADVERTISER.to_owned(),
        id: "task1".to_owned(),
    }
}

async fn state_of(answer: Value) -> Result<ReportState, Error> {
    let server = answering(answer).await;
    let access = access();
    let door = RecordingDoor::default();
    client(&server).report(caller(&access, &door), &run()).await
}

async fn rows(file: &str, after: Option<&str>) -> Result<Page<InsightRow>, Error> {
    let server = MockServer::start().await;
    respond_with(&server, ResponseTemplate::new(200).set_body_string(file)).await;
    let access = access();
    let door = RecordingDoor::default();
    let after = after.map(|cursor| Cursor(cursor.to_owned()));
    client(&server)
        .report_rows(
            caller(&access, &door),
            &run(),
            &in_background(),
            after.as_ref(),
        )
        .await
}

#[tokio::test]
async fn a_report_is_a_task_with_columns_of_known_names_and_of_any_span() {
    let server = answering(good(json!({"task_id": "task1"}))).await;
    let access = access();
    let door = RecordingDoor::default();
    let year = InsightQuery {
        to: day(1) + chrono::TimeDelta::days(365),
        ..in_background()
    };

    let started = client(&server)
        .insights(caller(&access, &door), &year, None)
        .await
        .expect("a report");

    assert_eq!(started, Insights::Started(run()));
    let requests = requests(&server).await;
    assert_eq!(requests[0].url.path(), "/open_api/v1.3/report/task/create/");
    let body: Value = requests[0].body_json().expect("JSON");
    assert_eq!(body["output_format"], "CSV_STRING");
    assert_eq!(body["enable_report_title_translation"], false);
    assert_eq!(body["dimensions"], json!(["campaign_id", "stat_time_day"]));
    assert_eq!(body["end_date"], "2027-11-01");
    assert_eq!(body.get("page"), None);
    assert_eq!(body.get("filtering"), None);
}

#[tokio::test]
async fn a_dead_metric_does_not_keep_a_report_from_being_made() {
    let server = answering_in_turn(vec![
        envelope(40002, "reach cannot be asked for", json!({})),
        good(json!({"task_id": "task1"})),
    ])
    .await;
    let access = access();
    let door = RecordingDoor::default();

    let started = client(&server)
        .insights(caller(&access, &door), &in_background(), None)
        .await;

    assert!(matches!(started, Ok(Insights::Started(_))));
    let requests = requests(&server).await;
    let body: Value = requests[1].body_json().expect("JSON");
    let metrics = body["metrics"].as_array().expect("a list");
    assert!(!metrics.contains(&json!("reach")));
    assert!(metrics.contains(&json!("likes")));
}

#[tokio::test]
async fn a_report_is_ready_unfinished_or_given_up() {
    let status = |status: &str| good(json!({ "status": status }));

    let ready = state_of(status("SUCCESS")).await.expect("a state");
    let queued = state_of(status("QUEUING")).await.expect("a state");
    let working = state_of(status("PROCESSING")).await.expect("a state");
    let not_ready = state_of(envelope(40201, "not ready", json!({}))).await;
    let failed = state_of(status("FAILED")).await.expect("a state");
    let cancelled = state_of(status("CANCELED")).await.expect("a state");
    let task_error = state_of(envelope(40200, "task error", json!({}))).await;

    let unfinished = ReportState::NotReady { percent: None };
    assert_eq!(ready, ReportState::Ready { from: None });
    assert_eq!(queued, unfinished);
    assert_eq!(working, unfinished);
    assert_eq!(not_ready.expect("a state"), unfinished);
    assert!(matches!(failed, ReportState::Failed(_)));
    assert!(matches!(cancelled, ReportState::Failed(_)));
    assert_eq!(
        task_error.expect("a state"),
        ReportState::Failed("task error".to_owned())
    );
}

#[tokio::test]
async fn a_report_that_is_not_ready_is_no_failure_of_the_call() {
    let server = answering(envelope(40201, "not ready", json!({}))).await;
    let access = access();
    let door = RecordingDoor::default();

    let state = client(&server).report(caller(&access, &door), &run()).await;

    assert!(state.is_ok());
    assert_eq!(door.records()[0].class, None);
    let asked = parameters(&requests(&server).await[0]);
    assert_eq!(asked["advertiser_id"], ADVERTISER);
    assert_eq!(asked["task_id"], "task1");
}

#[tokio::test]
async fn the_rows_of_a_file_are_those_of_a_report_at_once() {
    let file = "\u{feff}campaign_id,stat_time_day,spend,impressions,conversion\r\n\
                1700000000000001,2026-11-01 00:00:00,84.37,10452,6\r\n\
                1700000000000002,2026-11-02,0.1,3,-\r\n";

    let page = rows(file, None).await.expect("rows");

    assert_eq!(page.items.len(), 2);
    assert_eq!(page.next, None);
    assert_eq!(page.items[0].entity_id, "1700000000000001");
    assert_eq!(page.items[0].date, day(1));
    assert_eq!(page.items[0].figures.spend, Decimal::new(8_437, 2));
    assert_eq!(page.items[0].figures.impressions, 10_452);
    assert_eq!(page.items[1].date, day(2));
    assert_eq!(page.items[1].figures.conversions, Decimal::ZERO);
}

#[tokio::test]
async fn a_long_file_is_told_in_pages() {
    let mut file = String::from("campaign_id,stat_time_day,spend\n");
    for number in 0..20_001 {
        file.push_str(&format!("{number},2026-11-01 00:00:00,1\n"));
    }

    let first = rows(&file, None).await.expect("rows");
    let second = rows(&file, Some("2")).await.expect("rows");

    assert_eq!(first.items.len(), 20_000);
    assert_eq!(first.next, Some(Cursor("2".to_owned())));
    assert_eq!(second.items.len(), 1);
    assert_eq!(second.items[0].entity_id, "20000");
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_file_of_something_else_is_not_taken_for_an_empty_report() {
    let other_columns = rows("Campaign ID,Cost\n1,2\n", None).await;
    let page_of_a_front_end = rows("<html>later</html>", None).await;
    let empty = rows("", None).await;
    let odd_row = rows("campaign_id,stat_time_day,spend\n1,soon,2\n", None).await;

    for result in [other_columns, page_of_a_front_end, empty, odd_row] {
        assert!(matches!(result, Err(Error::Unavailable { .. })));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_had_says_why() {
    let refusal = envelope(
        40105,
        "Access token is incorrect or has been revoked.",
        json!({}),
    );

    let revoked = rows(&refusal.to_string(), None).await;

    assert!(matches!(revoked, Err(Error::AuthExpired { .. })));
}
