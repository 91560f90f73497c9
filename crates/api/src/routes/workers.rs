//! The worker processes of the fleet.

use axum::{Json, extract::State};

use crate::{
    answers::{Page, WorkerStatus},
    auth::Scope,
    error::ApiError,
    openapi::Operations,
    query::QueryString,
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("workers")
        .fleet_key(Scope::Read, __path_list_workers, list_workers)
}

/// Lists the workers that were seen within a lease's time.
#[utoipa::path(
    get,
    path = "/v1/workers",
    responses((status = 200, description = "All workers, the longest-lived first", body = Page<WorkerStatus>)),
)]
async fn list_workers(
    State(state): State<ApiState>,
    query: QueryString,
) -> Result<Json<Page<WorkerStatus>>, ApiError> {
    query.finish()?;
    Ok(Json(state.queue().workers().await?.into()))
}
