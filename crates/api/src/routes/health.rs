//! Health and metrics: for orchestrators and Prometheus, without a key. Nothing of the inside is told here.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{error::ApiError, openapi::Operations, state::ApiState};

/// The text exposition format of Prometheus.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("health")
        .public(__path_livez, livez)
        .public(__path_readyz, readyz)
        .public(__path_metrics, metrics)
}

/// That all is well.
#[derive(Serialize, ToSchema)]
struct Healthy {
    /// Always `ok`.
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
    /// The release that runs.
    #[schema(value_type = String, example = "0.1.0")]
    version: &'static str,
}

impl Healthy {
    fn of(state: &ApiState) -> Json<Self> {
        Json(Self {
            status: "ok",
            version: state.settings().version,
        })
    }
}

/// That the process should get requests.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// Always `ok`.
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
    /// The release that runs.
    #[schema(value_type = String, example = "0.1.0")]
    version: &'static str,
    /// What an operator should look at all the same; null where nothing is.
    #[schema(value_type = Option<String>)]
    detail: Option<&'static str>,
}

/// Tells that the process lives, whatever else is wrong.
#[utoipa::path(
    get,
    path = "/livez",
    responses((status = 200, description = "It lives", body = Healthy)),
)]
async fn livez(State(state): State<ApiState>) -> Json<Healthy> {
    Healthy::of(&state)
}

/// Tells whether the process should get requests.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "It should", body = Ready),
        (status = 503, description = "It should not: it starts or stops, the database does not answer, or its schema is too old"),
    ),
)]
async fn readyz(State(state): State<ApiState>) -> Result<Json<Ready>, ApiError> {
    if state.settings().stopping.is_cancelled() {
        return Err(ApiError::NotReady("the process is stopping"));
    }
    let health = state.queue().health().await;
    if !health.database {
        return Err(ApiError::NotReady("the database does not answer"));
    }
    if !health.schema {
        return Err(ApiError::NotReady(
            "the database's schema is older than this release: run `millpond migrate`",
        ));
    }
    if !state.settings().started.is_cancelled() {
        return Err(ApiError::NotReady("the process is starting"));
    }
    // What is wrong with it is for those who have a key.
    let detail = state.queue().has_rejected_config().then_some(
        "the configuration was changed to something that is wrong, so what held before holds on: see GET /v1/config",
    );
    Ok(Json(Ready {
        status: "ok",
        version: state.settings().version,
        detail,
    }))
}

/// Shows the process's metrics, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "The text exposition format", body = String, content_type = "text/plain")),
)]
async fn metrics(State(state): State<ApiState>) -> ([(HeaderName, &'static str); 1], String) {
    (
        [(header::CONTENT_TYPE, EXPOSITION)],
        state.queue().scrape(|| state.prometheus().render()),
    )
}
