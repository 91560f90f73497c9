//! Figures that Meta makes a report of.

use serde_json::{Value, json};

use super::{
    Site, TOKEN,
    insights::{query, row},
    ok,
};
use crate::{
    error::Error,
    platform::{
        AdPlatform, Cursor, Granularity, InsightQuery, Insights, Level, Platform, ReportRun,
        ReportState,
    },
};

const ID: &str = "6023920149050";

fn run() -> ReportRun {
    ReportRun {
        platform: Platform::Meta,
        account_id: "1000000000001".to_owned(),
        id: ID.to_owned(),
    }
}

async fn state_of(body: Value) -> Result<ReportState, Error> {
    let site = Site::new().await;
    site.on("GET", ID, ok(body)).await;
    site.meta.report(site.caller(), &run()).await
}

fn told(status: &str, percent: u8) -> Value {
    json!({
        "id": ID, "account_id": "1000000000001", "time_ref": 1_762_000_000, "async_status": status,
        "async_percent_completion": percent, "date_start": "2026-11-01", "date_stop": "2026-11-07"
    })
}

#[tokio::test]
async fn a_report_is_started_with_the_same_question_and_its_id_is_told() {
    let site = Site::new().await;
    site.on(
        "POST",
        "act_1000000000001/insights",
        ok(json!({"report_run_id": ID})),
    )
    .await;
    let query = InsightQuery {
        in_background: true,
        ..query(Level::Ad, Granularity::Day)
    };

    let started = site.meta.insights(site.caller(), &query, None).await;

    assert_eq!(started.expect("a report"), Insights::Started(run()));
    let asked = &site.asked().await[0];
    assert_eq!(asked["level"], "ad");
    assert!(asked.contains_key("time_range") && asked.contains_key("appsecret_proof"));
    assert!(site.requests().await[0].url.query().is_none());
}

#[tokio::test]
async fn a_report_is_ready_by_its_word_and_its_percentage_together() {
    let ready = ReportState::Ready { from: None };
    let cases = [
        ("Job Completed", 100, ready),
        (
            "Job Completed",
            98,
            ReportState::NotReady { percent: Some(98) },
        ),
        (
            "Job Running",
            100,
            ReportState::NotReady { percent: Some(100) },
        ),
        (
            "Job Not Started",
            0,
            ReportState::NotReady { percent: Some(0) },
        ),
        (
            "Job Dreaming",
            7,
            ReportState::NotReady { percent: Some(7) },
        ),
    ];

    for (status, percent, expected) in cases {
        let state = state_of(told(status, percent)).await;

        assert_eq!(state.expect("a state"), expected, "{status} {percent}");
    }
}

#[tokio::test]
async fn a_failed_report_says_why_where_meta_does() {
    let mut failed = told("Job Failed", 60);
    let silent = state_of(failed.clone()).await;
    failed["error_code"] = json!(2);
    failed["error_subcode"] = json!(1_504_044);
    failed["error_message"] = json!(format!("no luck with {TOKEN}"));

    let state = state_of(failed).await;

    let expected = ReportState::Failed("no luck with *** (2/1504044)".to_owned());
    assert_eq!(state.expect("a state"), expected);
    assert!(matches!(silent, Ok(ReportState::Failed(_))));
    let skipped = state_of(told("Job Skipped", 0)).await;
    assert!(matches!(skipped, Ok(ReportState::Failed(_))));
}

#[tokio::test]
async fn an_answer_without_a_state_is_no_state() {
    let state = state_of(json!({"id": ID})).await;

    assert!(matches!(state, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn the_rows_of_a_report_are_paged_like_others() {
    let site = Site::new().await;
    let body = json!({"data": [row()], "paging": {"cursors": {"after": "B"}, "next": "https://graph.facebook.com/x"}});
    site.on("GET", &format!("{ID}/insights"), ok(body)).await;
    let query = query(Level::Campaign, Granularity::Day);
    let after = Cursor("A".to_owned());

    let page = site
        .meta
        .report_rows(site.caller(), &run(), &query, Some(&after))
        .await
        .expect("a page");

    assert_eq!(page.items[0].figures.impressions, 10_452);
    assert_eq!(page.next, Some(Cursor("B".to_owned())));
    let asked = &site.asked().await[0];
    assert_eq!(asked["after"], "A");
    assert_eq!(asked["limit"], "500");
}
