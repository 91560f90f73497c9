//! Reports in the background: asked for, looked at as the clock goes on, read.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{DEV_META_TOKEN, FORM, Site, ask, assert_refused, paged, proof, signed, stopped, tell};

const PATH: &str = "/v26.0/act_1000000000001/insights";
const QUESTION: &str = "level=campaign&fields=campaign_id,impressions&time_increment=1\
    &time_range=%7B%22since%22%3A%222026-11-01%22%2C%22until%22%3A%222026-11-07%22%7D";

/// Asks for a report and gives its id.
async fn start(site: &Site) -> String {
    let proof = proof(DEV_META_TOKEN);
    let form = format!("{QUESTION}&access_token={DEV_META_TOKEN}&appsecret_proof={proof}");
    let answer = site.post(PATH, FORM, &form).await.json();
    answer["report_run_id"].as_str().expect("an id").to_owned()
}

async fn look_after(site: &Site, report: &str, seconds: i64) -> Value {
    let clock = site.sandbox.clock();
    clock.advance(TimeDelta::seconds(seconds)).expect("near");
    ask(site, report, &[]).await
}

#[tokio::test]
async fn a_report_is_done_only_when_it_says_so_and_not_at_100_per_cent() {
    let site = stopped().await;
    let report = start(&site).await;

    let begin = look_after(&site, &report, 0).await;
    let early = site.get(&signed(&format!("{report}/insights"), &[])).await;
    let full = look_after(&site, &report, 13).await;
    let done = look_after(&site, &report, 3).await;
    let (rows, _) = paged(&site, &format!("{report}/insights"), &[("limit", "20")]).await;

    assert_eq!(begin["async_status"], "Job Not Started");
    assert_refused(&early, 2_601, Some(1_815_107));
    assert_eq!(
        (&full["async_status"], &full["async_percent_completion"]),
        (&json!("Job Running"), &json!(100)),
    );
    assert_eq!(done["async_status"], "Job Completed");
    assert_eq!(done["date_start"], "2026-11-01");
    let params = [
        ("level", "campaign"),
        ("fields", "campaign_id,impressions"),
        ("time_increment", "1"),
        (
            "time_range",
            r#"{"since":"2026-11-01","until":"2026-11-07"}"#,
        ),
    ];
    let (at_once, _) = paged(&site, "act_1000000000001/insights", &params).await;
    assert_eq!(rows, at_once);
    assert!(!rows.is_empty());
    site.stop().await;
}

#[tokio::test]
async fn a_report_fails_or_is_skipped_when_told_to() {
    let site = stopped().await;
    let fates = json!({ "platform": "meta", "fate": "fails", "times": 1 });
    tell(&site, "/reports", fates).await;
    let failing = start(&site).await;
    tell(
        &site,
        "/reports",
        json!({ "platform": "meta", "fate": "skipped" }),
    )
    .await;
    let skipped = start(&site).await;
    let fine = start(&site).await;

    let failed = look_after(&site, &failing, 20).await;
    let skipped = look_after(&site, &skipped, 0).await;
    let done = look_after(&site, &fine, 0).await;
    let over = look_after(&site, &fine, 31 * 86_400).await;

    assert_eq!(failed["async_status"], "Job Failed");
    assert!(failed["error_message"].is_string());
    assert_eq!(skipped["async_status"], "Job Skipped");
    assert_eq!(done["async_status"], "Job Completed");
    assert_eq!(over["async_status"], "Job Skipped");
    site.stop().await;
}

#[tokio::test]
async fn a_question_that_cannot_be_asked_makes_no_report() {
    let site = stopped().await;
    let proof = proof(DEV_META_TOKEN);
    let form = format!("fields=nonsense&access_token={DEV_META_TOKEN}&appsecret_proof={proof}");

    let answer = site.post(PATH, FORM, &form).await;

    assert_refused(&answer, 100, None);
    site.stop().await;
}
