//! Replay runs: watching and stopping them. They are begun in `dead_letters.rs`.

use axum::{Json, extract::State};
use queue::AdminError;
use uuid::Uuid;

use crate::{
    answers::{Page, Replay, ReplayDetail},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("replays")
        .key(Scope::Read, __path_list_replays, list_replays)
        .key(Scope::Read, __path_get_replay, get_replay)
        .key(Scope::Operate, __path_pause_replay, pause_replay)
        .key(Scope::Operate, __path_resume_replay, resume_replay)
        .key(Scope::Operate, __path_abort_replay, abort_replay)
}

/// Lists replay runs, the newest first.
#[utoipa::path(
    get,
    path = "/v1/replays",
    params(
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<Replay>)),
)]
async fn list_replays(
    State(state): State<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<Replay>>, ApiError> {
    let page = query.page()?;
    let replays = state
        .queue()
        .replays(&page, caller.tenant())
        .await
        .map_err(ApiError::Listing)?;
    Ok(Json(replays.into()))
}

/// Shows a replay run with what became of each dead letter.
#[utoipa::path(
    get,
    path = "/v1/replays/{id}",
    params(("id" = Uuid, Path, description = "The run's id")),
    responses((status = 200, description = "The run", body = ReplayDetail)),
)]
async fn get_replay(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<Uuid>,
) -> Result<Json<ReplayDetail>, ApiError> {
    Ok(Json(
        state.queue().replay_run(id, caller.tenant()).await?.into(),
    ))
}

/// Pauses a replay run.
#[utoipa::path(
    post,
    path = "/v1/replays/{id}/pause",
    params(("id" = Uuid, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The run as it now stands", body = Replay),
        (status = 409, description = "The run does not run"),
    ),
)]
async fn pause_replay(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<Uuid>,
    body: RequestBody,
) -> Result<Json<Replay>, ApiError> {
    let actor = caller.actor();
    changed(body, state.queue().pause_replay(id, &actor)).await
}

/// Resumes a paused replay run.
#[utoipa::path(
    post,
    path = "/v1/replays/{id}/resume",
    params(("id" = Uuid, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The run as it now stands", body = Replay),
        (status = 409, description = "The run is not paused"),
    ),
)]
async fn resume_replay(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<Uuid>,
    body: RequestBody,
) -> Result<Json<Replay>, ApiError> {
    let actor = caller.actor();
    changed(body, state.queue().resume_replay(id, &actor)).await
}

/// Ends a replay run: what it has enqueued stays, nothing more follows.
#[utoipa::path(
    post,
    path = "/v1/replays/{id}/abort",
    params(("id" = Uuid, Path, description = "The run's id")),
    responses(
        (status = 200, description = "The run as it now stands", body = Replay),
        (status = 409, description = "The run has ended"),
    ),
)]
async fn abort_replay(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<Uuid>,
    body: RequestBody,
) -> Result<Json<Replay>, ApiError> {
    let actor = caller.actor();
    changed(body, state.queue().abort_replay(id, &actor)).await
}

/// What pausing, resuming and ending a run have in common.
async fn changed(
    body: RequestBody,
    change: impl Future<Output = Result<queue::Replay, AdminError>>,
) -> Result<Json<Replay>, ApiError> {
    body.nothing()?;
    Ok(Json(change.await?.into()))
}
