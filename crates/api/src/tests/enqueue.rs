//! `POST /v1/jobs`.

use axum::{
    body::Body,
    http::{Method, header},
};
use serde_json::json;
use sqlx::PgPool;

use super::{Api, request};

const JOBS: &str = "/v1/jobs";

#[sqlx::test(migrations = "../../migrations")]
async fn a_new_job_is_answered_201_with_its_place(pool: PgPool) {
    let api = Api::new(pool).await;

    let answer = api
        .post(
            JOBS,
            &api.admin,
            json!({"kind": "email.send", "payload": {"to": "a@example.com"}, "delay": "15m"}),
        )
        .await;

    assert_eq!(answer.status, 201, "{}", answer.text);
    let body = answer.json();
    assert_eq!(
        answer.header("location"),
        format!("/v1/jobs/{}", body["id"].as_str().expect("an id"))
    );
    assert_eq!(
        (&body["queue"], &body["state"], &body["outcome"]),
        (&json!("email"), &json!("scheduled"), &json!("created"))
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_repeated_request_answers_as_the_first_time_and_another_body_is_refused(pool: PgPool) {
    let api = Api::new(pool).await;
    let send = |body: &'static str| {
        let request = request(Method::POST, JOBS, &api.admin)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "order-42");
        api.send(request.body(Body::from(body)).expect("a request"))
    };

    let first = send(r#"{"kind": "sync.account"}"#).await;
    let again = send(r#"{"kind": "sync.account"}"#).await;
    let other = send(r#"{"kind": "sync.account", "priority": 1}"#).await;

    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.text, again.text);
    other.is_problem(422, "idempotency-mismatch");
}

#[sqlx::test(migrations = "../../migrations")]
async fn keys_of_two_api_keys_never_meet(pool: PgPool) {
    let api = Api::new(pool).await;
    let other = api.key(&["enqueue"]).await;
    let mail = r#"{"kind": "email.send", "payload": {"to": "a@example.com"}}"#;
    let mut ids = Vec::new();

    for key in [&api.admin, &other] {
        let request = request(Method::POST, JOBS, key)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "order-42");
        let answer = api
            .send(request.body(Body::from(mail)).expect("a request"))
            .await;
        ids.push(answer.json()["id"].clone());
    }

    assert_ne!(ids[0], ids[1]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_is_wrong_is_pointed_at(pool: PgPool) {
    let api = Api::new(pool).await;
    let post = async |body| api.post(JOBS, &api.admin, body).await;

    let unknown_kind = post(json!({"kind": "email.snd"})).await;
    let payload = post(json!({"kind": "email.send", "payload": {"to": 7, "cc": "x"}})).await;
    let members = post(json!({"kind": "email.send", "priority": 10, "max_attempts": 0, "tenant": 7, "state": "ready"})).await;
    let nothing = post(json!({})).await;

    unknown_kind.is_problem(422, "unknown-kind");
    assert!(unknown_kind.text.contains("email.send"));
    payload.is_problem(422, "invalid-payload");
    assert!(
        payload
            .pointers()
            .iter()
            .all(|pointer| pointer.starts_with("/payload"))
    );
    members.is_problem(422, "invalid");
    assert_eq!(
        members.pointers(),
        ["/priority", "/max_attempts", "/tenant", "/state"]
    );
    nothing.is_problem(422, "invalid");
    assert_eq!(nothing.pointers(), ["/kind"]);
}

#[sqlx::test(migrations = "../../migrations")]
async fn times_out_of_bounds_are_wrong_and_not_stored(pool: PgPool) {
    let api = Api::new(pool).await;

    for (member, value) in [
        ("run_at", "0001-01-01T00:00:00Z"),
        ("run_at", "9999-12-31T23:59:59Z"),
        ("run_at", "NaN"),
        ("delay", "99999999999999 years"),
        ("delay", "-1s"),
    ] {
        let refused = api
            .post(
                JOBS,
                &api.admin,
                json!({"kind": "sync.account", member: value}),
            )
            .await;

        refused.is_problem(422, "invalid");
        assert_eq!(refused.pointers(), [format!("/{member}")], "{value}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_unsound_body_fails_alone(pool: PgPool) {
    let api = Api::new(pool).await;
    let deep = format!(
        r#"{{"kind": "sync.account", "payload": {}1{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let names: String = (0..20_000).map(|n| format!("\"n{n}\": 1,")).collect();
    let wide = format!(r#"{{"kind": "sync.account", "payload": {{{names}"z": 1}}}}"#);

    for body in [
        "{",
        "\u{feff}{}",
        r#"{"kind": "sync.account"} x"#,
        r#"{"kind": "sync.account", "kind": "sync.account"}"#,
        r#"{"kind": "sync.account", "payload": {"a": 1, "a": 2}}"#,
        r#"{"kind": "sync.account", "payload": {"a": 1e400}}"#,
        r#"{"kind": "sync.account", "payload": {"a": "\u0000"}}"#,
        r#"{"kind": "sync.account", "payload": {"a": "\ud800"}}"#,
        deep.as_str(),
        wide.as_str(),
    ] {
        let refused = api
            .call(Method::POST, JOBS, &api.admin, body.to_owned())
            .await;
        let mail = json!({"kind": "email.send", "payload": {"to": "a@example.com"}});
        let neighbour = api.post(JOBS, &api.admin, mail).await;

        refused.is_problem(400, "malformed-body");
        assert_eq!(neighbour.status, 201);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn integers_are_kept_as_they_were_sent(pool: PgPool) {
    let api = Api::new(pool).await;
    let body = r#"{"kind": "sync.account", "payload": {"n": 9007199254740993}, "delay": "1h"}"#;

    let id = api.call(Method::POST, JOBS, &api.admin, body).await.json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();

    let shown = api.get(&format!("/v1/jobs/{id}"), &api.admin).await;
    assert!(shown.text.contains("9007199254740993"), "{}", shown.text);
}

#[sqlx::test(migrations = "../../migrations")]
async fn bodies_of_the_wrong_size_or_form_are_refused(pool: PgPool) {
    let api = Api::new(pool).await;
    let limit = api.queue.config().http.max_body_bytes;
    let json = "application/json";
    let send = async |media: &str, encoding: Option<&str>, body: Body| {
        let request = request(Method::POST, JOBS, &api.admin).header(header::CONTENT_TYPE, media);
        let request = match encoding {
            Some(encoding) => request.header(header::CONTENT_ENCODING, encoding),
            None => request,
        };
        api.send(request.body(body).expect("a request")).await
    };

    let declared = send(json, None, Body::from("x".repeat(limit + 1))).await;
    let endless =
        futures::stream::repeat_with(|| Ok::<_, std::convert::Infallible>("x".repeat(65_536)));
    let endless = send(json, None, Body::from_stream(endless)).await;
    let form = send(
        "application/x-www-form-urlencoded",
        None,
        Body::from("kind=sync.account"),
    )
    .await;
    let latin = send("application/json; charset=latin-1", None, Body::from("{}")).await;
    let gzip = send(json, Some("gzip"), Body::from("{}")).await;

    declared.is_problem(413, "too-large");
    endless.is_problem(413, "too-large");
    form.is_problem(415, "media-type");
    latin.is_problem(415, "media-type");
    gzip.is_problem(415, "media-type");
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_unique_key_that_is_taken_is_answered_as_asked(pool: PgPool) {
    let api = Api::new(pool).await;
    let unique = |on_conflict: &str| json!({"kind": "sync.account", "delay": "1h", "unique": {"key": "a", "on_conflict": on_conflict}});

    let first = api.post(JOBS, &api.admin, unique("keep")).await;
    let kept = api.post(JOBS, &api.admin, unique("keep")).await;
    let rejected = api.post(JOBS, &api.admin, unique("reject")).await;
    let unknown = api.post(JOBS, &api.admin, unique("ignore")).await;

    assert_eq!((first.status.as_u16(), kept.status.as_u16()), (201, 200));
    assert_eq!(
        (&kept.json()["id"], &kept.json()["outcome"]),
        (&first.json()["id"], &json!("deduplicated"))
    );
    rejected.is_problem(409, "unique-conflict");
    assert_eq!(rejected.json()["existing"], first.json()["id"]);
    assert_eq!(unknown.pointers(), ["/unique/on_conflict"]);
}
