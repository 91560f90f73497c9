//! `POST /v1/jobs/batch`.

use axum::{
    body::Body,
    http::{Method, header},
};
use queue::config::Config;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Answer, Api, request};

const BATCH: &str = "/v1/jobs/batch";

async fn lines(api: &Api, text: &'static str) -> Answer {
    let request = request(Method::POST, BATCH, &api.admin)
        .header(header::CONTENT_TYPE, "application/x-ndjson");
    api.send(request.body(Body::from(text)).expect("a request"))
        .await
}

fn counts(answer: &Value) -> [i64; 4] {
    ["created", "deduplicated", "replaced", "failed"]
        .map(|name| answer[name].as_i64().unwrap_or(-1))
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_wrong_item_fails_alone(pool: PgPool) {
    let api = Api::new(pool).await;

    let answer = api
        .post(
            BATCH,
            &api.admin,
            json!({"jobs": [
                {"kind": "sync.account"},
                {"kind": "email.snd"},
                {"kind": "email.send", "payload": {"to": 7}},
                7,
                {"kind": "email.send", "payload": {"to": "a@example.com"}},
            ]}),
        )
        .await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(counts(&body), [2, 0, 0, 3]);
    let outcome = |index: usize| {
        (
            body["results"][index]["outcome"].as_str(),
            body["results"][index]["error"]["status"].as_i64(),
        )
    };
    assert_eq!(outcome(0), (Some("created"), None));
    assert_eq!(outcome(1), (None, Some(422)));
    assert_eq!(
        body["results"][2]["error"]["errors"][0]["pointer"],
        "/payload/to"
    );
    assert_eq!(outcome(3), (None, Some(422)));
    assert_eq!(outcome(4), (Some("created"), None));
}

#[sqlx::test(migrations = "../../migrations")]
async fn lines_stand_for_themselves_and_blank_ones_do_not_count(pool: PgPool) {
    let api = Api::new(pool).await;

    let answer = lines(
        &api,
        "{\"kind\": \"sync.account\"}\n\n{oops\r\n  \n{\"kind\": \"sync.insights\"}",
    )
    .await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(counts(&body), [2, 0, 0, 1]);
    assert_eq!(
        (
            &body["results"][1]["index"],
            &body["results"][1]["error"]["status"]
        ),
        (&json!(1), &json!(400))
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_atomic_batch_keeps_all_or_nothing(pool: PgPool) {
    let api = Api::new(pool).await;
    let good = json!({"kind": "sync.account", "delay": "1h"});

    let refused = api
        .post(BATCH, &api.admin, json!({"atomic": true, "jobs": [good, {"kind": "email.send", "payload": {}}, {"kind": "x", "priority": 99}]}))
        .await;
    let gate = api
        .post(
            BATCH,
            &api.admin,
            json!({"atomic": true, "jobs": [good, {"kind": "no.such"}]}),
        )
        .await;
    let jobs = api.get("/v1/jobs", &api.admin).await.json();
    let kept = api
        .post(
            BATCH,
            &api.admin,
            json!({"atomic": true, "jobs": [good, {"kind": "sync.insights", "delay": "1h"}]}),
        )
        .await;

    refused.is_problem(422, "batch-refused");
    assert_eq!(refused.pointers(), ["/jobs/2/priority"]);
    gate.is_problem(422, "batch-refused");
    assert_eq!(gate.pointers(), ["/jobs/1/kind"]);
    assert_eq!(jobs["items"], json!([]));
    assert_eq!(counts(&kept.json()), [2, 0, 0, 0]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_item_whose_key_is_known_answers_with_the_first_id(pool: PgPool) {
    let api = Api::new(pool).await;
    let batch = json!({"jobs": [{"kind": "sync.account", "idempotency_key": "a"}]});
    let other = json!({"jobs": [{"kind": "sync.account", "idempotency_key": "a", "priority": 1}]});

    let first = api.post(BATCH, &api.admin, batch.clone()).await.json();
    let again = api.post(BATCH, &api.admin, batch).await.json();
    let other = api.post(BATCH, &api.admin, other).await.json();

    assert_eq!(counts(&again), [0, 1, 0, 0]);
    assert_eq!(again["results"][0]["id"], first["results"][0]["id"]);
    assert_eq!(again["results"][0]["outcome"], "deduplicated");
    assert_eq!(
        other["results"][0]["error"]["type"],
        "/docs/problems#idempotency-mismatch"
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_job_is_repeated_alone_and_laid_out_otherwise_under_the_key_of_its_batch(pool: PgPool) {
    let api = Api::new(pool).await;
    let batch =
        json!({"jobs": [{"kind": "sync.account", "payload": {"a": 1}, "idempotency_key": "a"}]});
    let alone = async |text: &'static str| {
        let request = request(Method::POST, "/v1/jobs", &api.admin)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "a");
        api.send(request.body(Body::from(text)).expect("a request"))
            .await
    };

    let first = api.post(BATCH, &api.admin, batch).await.json();
    let same = alone("{\n \"payload\": { \"a\" : 1 },\n \"kind\": \"sync.account\"\n}\n").await;
    let other = alone(r#"{"kind": "sync.account", "payload": {"a": 2}}"#).await;

    assert_eq!(same.status, 201, "{}", same.text);
    assert_eq!(same.json()["id"], first["results"][0]["id"]);
    other.is_problem(422, "idempotency-mismatch");
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_empty_or_too_long_batch_is_wrong_as_a_whole(pool: PgPool) {
    let mut config = Config::builtin();
    config.http.max_batch = 2;
    let api = Api::with(pool, config, |_| {}).await;
    let item = json!({"kind": "sync.account"});

    let empty = api.post(BATCH, &api.admin, json!({"jobs": []})).await;
    let long = api
        .post(BATCH, &api.admin, json!({"jobs": [item, item, item]}))
        .await;
    let long_lines = lines(&api, "{\"kind\": \"sync.account\"}\n{}\n{}\n{}\n").await;
    let fits = api
        .post(BATCH, &api.admin, json!({"jobs": [item, item]}))
        .await;

    for refused in [empty, long, long_lines] {
        refused.is_problem(422, "invalid");
        assert_eq!(refused.pointers(), ["/jobs"]);
    }
    assert_eq!(fits.status, 200);
}
