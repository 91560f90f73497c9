//! Rates, places, wrong keys, health and what every answer has.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, Request},
};
use queue::config::{Config, Rate};
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Api, request};

#[sqlx::test(migrations = "../../migrations")]
async fn a_key_beyond_its_rate_is_told_when_to_return(pool: PgPool) {
    let mut config = Config::builtin();
    config.http.rate_per_key = Some(Rate {
        count: 2,
        per: Duration::from_secs(3_600),
    });
    let api = Api::with(pool, config, |_| {}).await;
    let other = api.key(&["read"]).await;

    let statuses = [
        api.get("/v1/kinds", &api.admin).await.status.as_u16(),
        api.get("/v1/kinds", &api.admin).await.status.as_u16(),
    ];
    let refused = api.get("/v1/kinds", &api.admin).await;

    assert_eq!(statuses, [200, 200]);
    refused.is_problem(429, "rate-limited");
    assert!(
        refused
            .header("retry-after")
            .parse::<u64>()
            .is_ok_and(|seconds| seconds >= 1_800)
    );
    assert_eq!(api.get("/v1/kinds", &other).await.status, 200);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_request_that_finds_no_place_is_refused_with_a_time_to_return(pool: PgPool) {
    let api = Api::with(pool, Config::builtin(), |settings| settings.in_flight = 0).await;

    let refused = api.get("/v1/kinds", &api.admin).await;

    refused.is_problem(503, "overloaded");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(api.get("/livez", "").await.status, 200);
}

#[sqlx::test(migrations = "../../migrations")]
async fn wrong_keys_are_slowed_down_and_right_ones_are_not(pool: PgPool) {
    let api = Api::with(pool, Config::builtin(), |settings| {
        settings.wrong_keys_a_minute = 3
    })
    .await;
    let wrong = format!("mp_{}", "0".repeat(64));

    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(api.get("/v1/kinds", &wrong).await.status.as_u16());
    }

    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    assert_eq!(api.get("/v1/kinds", &api.admin).await.status, 200);
    api.get("/v1/kinds", "")
        .await
        .is_problem(401, "unauthenticated");
}

#[sqlx::test(migrations = "../../migrations")]
async fn readiness_fails_until_the_process_has_begun_its_work(pool: PgPool) {
    let started = CancellationToken::new();
    let api = Api::with(pool, Config::builtin(), |settings| {
        settings.started = started.clone();
    })
    .await;

    let starting = api.get("/readyz", "").await;
    started.cancel();

    starting.is_problem(503, "not-ready");
    assert_eq!(api.get("/readyz", "").await.status, 200);
}

#[sqlx::test(migrations = "../../migrations")]
async fn readiness_fails_when_the_process_stops_or_the_database_is_away_and_liveness_does_not(
    pool: PgPool,
) {
    let api = Api::new(pool.clone()).await;
    assert_eq!(api.get("/readyz", "").await.json()["status"], "ok");

    api.stopping.cancel();
    let stopping = api.get("/readyz", "").await;
    let other = Api::new(pool.clone()).await;
    pool.close().await;
    let away = other.get("/readyz", "").await;
    let refused = other.get("/v1/jobs", &other.admin).await;

    stopping.is_problem(503, "not-ready");
    away.is_problem(503, "not-ready");
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(other.get("/livez", "").await.status, 200);
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_callers_request_id_comes_back_when_it_is_sane(pool: PgPool) {
    let api = Api::new(pool).await;
    let ask = async |id: &str| {
        let request = Request::get("/nowhere").header("x-request-id", id);
        api.send(request.body(Body::empty()).expect("a request"))
            .await
    };

    let (sane, odd) = (ask("order-42").await, ask("a b<c>").await);

    sane.is_problem(404, "not-found");
    assert_eq!(sane.header("x-request-id"), "order-42");
    odd.is_problem(404, "not-found");
    assert_eq!(odd.header("x-request-id").len(), 32);
}

#[sqlx::test(migrations = "../../migrations")]
async fn unknown_paths_methods_and_parameters_are_problems(pool: PgPool) {
    let api = Api::new(pool).await;

    let path = api.get("/v1/explain", &api.admin).await;
    let method = api.call(Method::PUT, "/v1/jobs", &api.admin, "").await;
    let parameter = api.get("/v1/jobs?stat=ready", &api.admin).await;
    let limit = api.get("/v1/jobs?limit=501", &api.admin).await;
    let cursor = api.get("/v1/jobs?cursor=%27%3B--", &api.admin).await;

    path.is_problem(404, "not-found");
    method.is_problem(405, "method-not-allowed");
    let allowed: Vec<_> = method.header("allow").split(',').collect();
    assert!(
        ["GET", "HEAD", "POST"]
            .iter()
            .all(|method| allowed.contains(method)),
        "{allowed:?}"
    );
    parameter.is_problem(400, "malformed-request");
    assert!(
        parameter.text.contains("did you mean \\\"state\\\"?"),
        "{}",
        parameter.text
    );
    limit.is_problem(400, "malformed-request");
    assert_eq!(limit.pointers(), ["?limit"]);
    cursor.is_problem(400, "malformed-request");
    assert_eq!(cursor.pointers(), ["?cursor"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn paths_that_try_to_escape_find_nothing(pool: PgPool) {
    let api = Api::new(pool).await;

    for path in [
        "/v1/jobs/..",
        "/v1/jobs/%2e%2e%2fkinds",
        "/v1/jobs/%00",
        "/v1/jobs/'%3B--",
        "/v1//jobs",
        "/v1/kinds/%ff/schema",
        "/v1/kinds/..%2F..%2Fetc%2Fpasswd/schema",
        "/docs/..%2fCargo.toml",
        "/docs/swagger-ui.css.map",
        "/docs/oauth2-redirect.html",
    ] {
        let answer = api.get(path, &api.admin).await;

        assert!(
            [400, 404].contains(&answer.status.as_u16()),
            "{path}: {}",
            answer.status
        );
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn filters_have_their_literal_meaning(pool: PgPool) {
    let api = Api::new(pool).await;
    let id = api
        .scheduled_job(&api.admin, json!({"tags": {"a%_'\\": "x"}}))
        .await;

    for filter in [
        "kind=%25",
        "kind=%27%20OR%201%3D1--",
        "queue=_mail",
        "tag.a%25_%27%5C=%25",
    ] {
        let found = api
            .get(&format!("/v1/jobs?{filter}"), &api.admin)
            .await
            .json();

        assert_eq!(found["items"], json!([]), "{filter}");
    }
    let found = api
        .get(
            "/v1/jobs?tag.a%25_%27%5C=x&state=scheduled&kind=email.send",
            &api.admin,
        )
        .await
        .json();
    assert_eq!(found["items"][0]["id"], id);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_head_of_a_page_has_no_body_and_an_odd_method_is_no_route(pool: PgPool) {
    let api = Api::new(pool).await;

    let head = api
        .send(
            request(Method::HEAD, "/livez", "")
                .body(Body::empty())
                .expect("a request"),
        )
        .await;
    let odd = Method::from_bytes(b"BREW").expect("a method");
    let odd = api
        .send(
            request(odd, "/livez", "")
                .body(Body::empty())
                .expect("a request"),
        )
        .await;

    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    odd.is_problem(405, "method-not-allowed");
}
