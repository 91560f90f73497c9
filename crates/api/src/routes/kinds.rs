//! The kinds of jobs that this process knows, and the schemas of their payloads.

use axum::{Json, extract::State};
use serde_json::Value;

use crate::{
    answers::{Kind, Page},
    auth::Scope,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("kinds")
        .key(Scope::Read, __path_list_kinds, list_kinds)
        .key(Scope::Read, __path_get_kind_schema, get_kind_schema)
}

/// Lists the kinds, with what holds for their jobs unless they say otherwise.
#[utoipa::path(
    get,
    path = "/v1/kinds",
    responses((status = 200, description = "All kinds, by name", body = Page<Kind>)),
)]
async fn list_kinds(
    State(state): State<ApiState>,
    query: QueryString,
) -> Result<Json<Page<Kind>>, ApiError> {
    query.finish()?;
    Ok(Json(state.queue().kinds().into()))
}

/// Shows the JSON Schema of a kind's payload.
#[utoipa::path(
    get,
    path = "/v1/kinds/{kind}/schema",
    params(("kind" = String, Path, description = "The kind, such as `email.send`")),
    responses((status = 200, description = "A JSON Schema", body = Value)),
)]
async fn get_kind_schema(
    State(state): State<ApiState>,
    Segment(name): Segment<String>,
) -> Result<Json<Value>, ApiError> {
    let kind = state.queue().kind(&name).ok_or(ApiError::NotFound)?;
    Ok(Json(Value::clone(&kind.schema)))
}
