//! Figures that X makes in the background.

use std::{
    io::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path, query_param},
};

use super::{
    ACCOUNT, ACTIVE, JOBS, STATS, access, answering, caller, client_of, ok, param, query,
    requests_to,
};
use crate::{
    error::Error,
    platform::{
        AdPlatform, Cursor, InsightQuery, InsightRow, Insights, Level, Page, Platform, ReportRun,
        ReportState,
    },
};

const FILE: &str = "/advertiser-api-async-analytics/fake.json.gz";

fn in_background() -> InsightQuery {
    InsightQuery {
        in_background: true,
        ..query()
    }
}

async fn insights(server: &MockServer, query: &InsightQuery) -> Result<Insights, Error> {
    let access = access();
    client_of(server)
        .insights(caller(&access), query, None)
        .await
}

fn run(id: &str) -> ReportRun {
    ReportRun {
        platform: Platform::X,
        account_id: ACCOUNT.to_owned(),
        id: id.to_owned(),
    }
}

async fn state(server: &MockServer, id: &str) -> Result<ReportState, Error> {
    let access = access();
    client_of(server).report(caller(&access), &run(id)).await
}

async fn rows(
    server: &MockServer,
    id: &str,
    after: Option<&Cursor>,
) -> Result<Page<InsightRow>, Error> {
    let access = access();
    client_of(server)
        .report_rows(caller(&access), &run(id), &query(), after)
        .await
}

async fn active(server: &MockServer, entities: Vec<Value>) {
    Mock::given(path(ACTIVE))
        .respond_with(ok(json!({ "data": entities })))
        .mount(server)
        .await;
}

fn shown(id: &str, placements: &[&str]) -> Value {
    json!({"entity_id": id, "placements": placements})
}

/// Jobs get ids that count up; their numbers have lost their last digits.
async fn beginning_jobs(server: &MockServer) {
    let next = AtomicU64::new(0);
    Mock::given(method("POST"))
        .and(path(JOBS))
        .respond_with(move |_: &Request| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            ok(json!({"data": {"id": 1_080_000_000_000_000_000_u64, "id_str": format!("10800000000000000{number:02}"),
                "status": "QUEUED"}}))
        })
        .mount(server)
        .await;
}

async fn knowing(server: &MockServer, jobs: Value) {
    Mock::given(method("GET"))
        .and(path(JOBS))
        .respond_with(ok(json!({ "data": jobs })))
        .mount(server)
        .await;
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

fn file_of(id: &str, clicks: i64) -> Vec<u8> {
    let body = json!({"data_type": "stats", "data": [{"id": id, "id_data": [
        {"segment": null, "metrics": {"clicks": [clicks, 0]}}]}]});
    gzip(&body.to_string())
}

async fn serving(server: &MockServer, at: &str, body: Vec<u8>) {
    Mock::given(path(at))
        .respond_with(ResponseTemplate::new(200).set_body_raw(body, "application/gzip"))
        .mount(server)
        .await;
}

fn done(server: &MockServer, id: &str, at: &str) -> Value {
    json!({"id_str": id, "status": "SUCCESS", "url": format!("{}{at}", server.uri()),
        "expires_at": "2026-11-05T00:00:00Z"})
}

#[tokio::test]
async fn a_query_begins_a_job_for_each_placement_and_twenty_entities() {
    let server = MockServer::start().await;
    let mut entities: Vec<Value> = (10..31)
        .map(|n| shown(&format!("fk{n}"), &["ALL_ON_TWITTER"]))
        .collect();
    entities.push(shown("fk10", &["TREND"]));
    active(&server, entities).await;
    beginning_jobs(&server).await;

    let begun = insights(&server, &in_background()).await.expect("a run");

    let expected = run("1080000000000000000,1080000000000000001;1080000000000000002");
    assert_eq!(begun, Insights::Started(expected));
    let requests = requests_to(&server, JOBS).await;
    let placements: Vec<String> = requests.iter().map(|it| param(it, "placement")).collect();
    assert_eq!(placements, ["ALL_ON_TWITTER", "TREND", "ALL_ON_TWITTER"]);
    assert_eq!(param(&requests[1], "entity_ids"), "fk10");
    assert_eq!(param(&requests[2], "entity_ids"), "fk30");
    assert_eq!(param(&requests[0], "start_time"), "2026-11-01T07:00:00Z");
    assert!(requests[0].body.is_empty());
}

// Fails when the first year of an account uses up what its hourly jobs may ask at once.
#[tokio::test]
async fn a_long_time_is_asked_for_by_jobs_at_every_level() {
    let server = MockServer::start().await;
    beginning_jobs(&server).await;
    let a_month = InsightQuery {
        level: Level::Account,
        from: "2026-10-01".parse().expect("a day"),
        to: "2026-10-30".parse().expect("a day"),
        ..in_background()
    };

    let wanted_from = Level::ALL.map(|level| client_of(&server).report_from_days(level));
    let begun = insights(&server, &a_month).await.expect("a run");

    assert_eq!(wanted_from, [Some(8); 4]);
    assert!(matches!(begun, Insights::Started(_)), "{begun:?}");
    assert_eq!(requests_to(&server, JOBS).await.len(), 3);
    assert!(requests_to(&server, STATS).await.is_empty());
}

#[tokio::test]
async fn without_activity_there_is_nothing_to_begin() {
    let server = MockServer::start().await;
    active(&server, Vec::new()).await;

    let answer = insights(&server, &in_background()).await.expect("rows");

    let nothing = Page {
        items: Vec::new(),
        next: None,
    };
    assert_eq!(answer, Insights::Rows(nothing));
}

#[tokio::test]
async fn more_jobs_than_may_be_are_read_at_once_instead() {
    let server = MockServer::start().await;
    let everywhere = ["ALL_ON_TWITTER", "SPOTLIGHT", "TREND"];
    let entities = (100..500).map(|n| shown(&format!("fk{n}"), &everywhere));
    active(&server, entities.collect()).await;
    Mock::given(path(STATS))
        .respond_with(ok(json!({"data": []})))
        .mount(&server)
        .await;
    let segmented = InsightQuery {
        breakdowns: vec!["GENDER".to_owned()],
        ..in_background()
    };

    let at_once = insights(&server, &in_background()).await.expect("rows");
    let segmented = insights(&server, &segmented).await;

    assert!(matches!(
        at_once,
        Insights::Rows(Page { next: Some(_), .. })
    ));
    assert!(matches!(segmented, Err(Error::TooLarge { .. })));
    assert!(requests_to(&server, JOBS).await.is_empty());
}

#[tokio::test]
async fn segments_are_made_in_the_background_whoever_asks() {
    let server = MockServer::start().await;
    active(&server, vec![shown("fk1", &["ALL_ON_TWITTER"])]).await;
    beginning_jobs(&server).await;
    let query = InsightQuery {
        breakdowns: vec!["GENDER".to_owned()],
        in_background: false,
        ..query()
    };

    let begun = insights(&server, &query).await.expect("a run");

    assert!(matches!(begun, Insights::Started(_)));
    let requests = requests_to(&server, JOBS).await;
    assert_eq!(param(&requests[0], "segmentation_type"), "GENDER");
}

#[tokio::test]
async fn as_many_jobs_as_may_be_at_a_time_are_a_pause() {
    let server = MockServer::start().await;
    active(&server, vec![shown("fk1", &["ALL_ON_TWITTER"])]).await;
    let body = json!({"errors": [{"code": "TOO_MANY_JOBS", "message": "Too many concurrent jobs for this account."}]});
    Mock::given(path(JOBS))
        .respond_with(ResponseTemplate::new(400).set_body_json(body))
        .mount(&server)
        .await;

    let error = insights(&server, &in_background())
        .await
        .expect_err("a failure");

    let Error::RateLimited { retry_after, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(300)));
}

#[tokio::test]
async fn a_report_is_ready_when_all_of_its_jobs_are() {
    let server = MockServer::start().await;
    let jobs = json!([
        done(&server, "11", FILE), {"id_str": "12", "status": "PROCESSING", "url": null},
        {"id_str": "13", "status": "QUEUED"}, done(&server, "14", FILE), {"id_str": "15", "status": "FAILED"}
    ]);
    knowing(&server, jobs).await;

    let under_way = state(&server, "11,12;13").await.expect("a state");
    let ready = state(&server, "11;14").await.expect("a state");
    let failed = state(&server, "11;15").await.expect("a state");
    let forgotten = state(&server, "11;16").await.expect("a state");

    assert_eq!(under_way, ReportState::NotReady { percent: Some(33) });
    assert_eq!(ready, ReportState::Ready { from: None });
    assert!(matches!(failed, ReportState::Failed(_)));
    assert!(matches!(forgotten, ReportState::Failed(_)));
    let requests = requests_to(&server, JOBS).await;
    assert_eq!(param(&requests[0], "job_ids"), "11,12,13");
}

#[tokio::test]
async fn the_files_of_jobs_that_belong_together_are_added_up() {
    let server = MockServer::start().await;
    let other = "/other.json.gz";
    Mock::given(path(JOBS))
        .and(query_param("job_ids", "11,12"))
        .respond_with(ok(
            json!({"data": [done(&server, "12", other), done(&server, "11", FILE)]}),
        ))
        .mount(&server)
        .await;
    Mock::given(path(JOBS))
        .and(query_param("job_ids", "13"))
        .respond_with(ok(json!({"data": [done(&server, "13", other)]})))
        .mount(&server)
        .await;
    serving(&server, FILE, file_of("fk1", 2)).await;
    serving(&server, other, file_of("fk1", 3)).await;

    let first = rows(&server, "11,12;13", None).await.expect("rows");
    let second = rows(&server, "11,12;13", first.next.as_ref())
        .await
        .expect("rows");

    assert_eq!(first.items.len(), 1);
    assert_eq!(first.items[0].figures.clicks, 5);
    assert_eq!(second.items[0].figures.clicks, 3);
    assert_eq!(second.next, None);
    let files = requests_to(&server, FILE).await;
    assert!(!files[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_file_need_not_be_packed() {
    let server = MockServer::start().await;
    knowing(&server, json!([done(&server, "11", FILE)])).await;
    let body = json!({"data": [{"id": "fk1", "id_data": [{"segment": null, "metrics": {"clicks": [1, 0]}}]}]});
    serving(&server, FILE, body.to_string().into_bytes()).await;

    let page = rows(&server, "11", None).await.expect("rows");

    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn a_file_that_unpacks_without_end_is_too_large() {
    let server = MockServer::start().await;
    knowing(&server, json!([done(&server, "11", FILE)])).await;
    serving(&server, FILE, gzip(&" ".repeat(33 << 20))).await;

    let result = rows(&server, "11", None).await;

    assert!(matches!(result, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn files_that_are_gone_or_broken_are_passing_trouble() {
    let mut cut = file_of("fk1", 1);
    cut.truncate(cut.len() / 2);
    for answer in [
        ResponseTemplate::new(404),
        ResponseTemplate::new(200).set_body_raw(cut, "application/gzip"),
        ResponseTemplate::new(200).set_body_string("<html>"),
    ] {
        let server = answering(FILE, answer).await;
        knowing(&server, json!([done(&server, "11", FILE)])).await;

        let result = rows(&server, "11", None).await;

        assert!(matches!(result, Err(Error::Unavailable { .. })));
    }
}

#[tokio::test]
async fn a_file_is_fetched_only_from_an_address_that_is_safe() {
    for address in ["http://example.com/file.gz", "file:///etc/passwd", "none"] {
        let server = MockServer::start().await;
        knowing(
            &server,
            json!([{"id_str": "11", "status": "SUCCESS", "url": address}]),
        )
        .await;

        let result = rows(&server, "11", None).await;

        assert!(matches!(result, Err(Error::Rejected { .. })), "{address}");
    }
}

#[tokio::test]
async fn a_job_that_is_gone_between_two_pages_is_passing_trouble() {
    let server = MockServer::start().await;
    knowing(&server, json!([])).await;

    let result = rows(&server, "11", None).await;
    let beyond = rows(&server, "11", Some(&Cursor("7".to_owned()))).await;

    assert!(matches!(result, Err(Error::Unavailable { .. })));
    assert!(matches!(beyond, Err(Error::Rejected { .. })));
}
