//! What the outermost layer makes of answers that are none of ours: panics, and the framework's own refusals.

use axum::{
    Json, Router,
    http::Method,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Api;
use crate::frame::frame;

async fn panics() -> &'static str {
    panic!("the handler's own fault")
}

async fn echoes(Json(body): Json<Value>) -> Json<Value> {
    Json(body)
}

async fn framed(pool: PgPool) -> Api {
    let mut api = Api::new(pool).await;
    api.router = Router::new()
        .route("/panics", get(panics))
        .route("/echoes", post(echoes))
        .layer(from_fn_with_state(api.state.clone(), frame));
    api
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_panic_is_that_requests_problem_and_nobody_elses(pool: PgPool) {
    let api = framed(pool).await;

    let panicked = api.get("/panics", "").await;
    let neighbour = api.post("/echoes", "", json!({"a": 1})).await;

    panicked.is_problem(500, "internal");
    assert!(!panicked.text.contains("fault"), "{}", panicked.text);
    assert_eq!(neighbour.json(), json!({"a": 1}));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refusal_of_the_framework_is_told_in_our_form(pool: PgPool) {
    let api = framed(pool).await;

    let syntax = api.call(Method::POST, "/echoes", "", "{").await;
    let path = api.get("/nowhere", "").await;
    let method = api.get("/echoes", "").await;

    syntax.is_problem(400, "malformed-body");
    path.is_problem(404, "not-found");
    method.is_problem(405, "method-not-allowed");
    assert_eq!(method.header("allow"), "POST");
}
