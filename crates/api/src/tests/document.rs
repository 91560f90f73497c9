//! `openapi.json`, the pages that show it, and the process's metrics.

use std::collections::BTreeSet;

use marketing::accounts::Accounts;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::Api;
use crate::{ApiSettings, ApiState, problem::ProblemKind, router};

#[sqlx::test(migrations = "../../migrations")]
async fn every_operation_has_an_id_a_summary_and_describes_its_refusals(pool: PgPool) {
    let api = Api::new(pool).await;

    let document = api.get("/openapi.json", "").await.json();

    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            assert!(
                operation["summary"].is_string(),
                "{method} {path} has no summary"
            );
            let schema =
                &operation["responses"]["500"]["content"]["application/problem+json"]["schema"];
            assert_eq!(
                schema["$ref"], "#/components/schemas/Problem",
                "{method} {path}"
            );
        }
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn every_reference_of_the_document_leads_somewhere(pool: PgPool) {
    let api = Api::new(pool).await;

    let document = api.get("/openapi.json", "").await.json();

    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let found = document.pointer(reference.trim_start_matches('#'));
        assert!(found.is_some(), "{reference} leads nowhere");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            references.extend(
                members
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            members
                .values()
                .for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_pages_load_nothing_from_elsewhere_and_stand_in_no_frame(pool: PgPool) {
    let api = Api::new(pool).await;

    let page = api.get("/docs/", "").await;
    let script = api.get("/docs/swagger-initializer.js", "").await;
    let moved = api.get("/docs", "").await;

    assert_eq!((page.status.as_u16(), script.status.as_u16()), (200, 200));
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(!page.text.contains("<script>"), "{}", page.text);
    assert!(script.text.contains("/openapi.json"), "{}", script.text);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"),
        "{policy}"
    );
    assert_eq!(
        (moved.status.as_u16(), moved.header("location")),
        (308, "/docs/")
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn every_type_of_problem_is_explained_where_it_leads(pool: PgPool) {
    let api = Api::new(pool).await;

    let page = api.get("/docs/problems", "").await;

    assert_eq!(page.status, 200);
    for kind in ProblemKind::ALL {
        assert!(
            page.text.contains(&format!("<h2 id=\"{}\">", kind.slug())),
            "{}",
            kind.slug()
        );
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_root_says_what_runs(pool: PgPool) {
    let api = Api::new(pool).await;

    let root = api.get("/", "").await.json();

    assert_eq!(
        (&root["version"], &root["commit"]),
        (&json!("1.2.3"), &json!("abcdef0"))
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn requests_are_measured_by_route_with_bounded_labels(pool: PgPool) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let mut api = Api::new(pool).await;
    let settings = ApiSettings::new("1.2.3", "abcdef0", CancellationToken::new());
    let accounts = Accounts::only_to_look_at(api.queue.clone());
    let state = ApiState::new(api.queue.clone(), accounts, handle, settings);
    api.router = router(state);

    for path in [
        "/v1/jobs/a",
        "/v1/jobs/b",
        "/no/such/path",
        "/no/other/path",
    ] {
        api.get(path, "").await;
    }
    let text = api.get("/metrics", "").await.text;

    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("millpond_http_request_seconds_count"))
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("route=\"/v1/jobs/{id}\"") && line.ends_with(" 2")),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("route=\"unmatched\"") && line.contains("status=\"404\"")),
        "{lines:?}"
    );
    assert!(
        text.contains("millpond_build_info{version=\"1.2.3\",commit=\"abcdef0\"} 1"),
        "{text}"
    );
}
