//! Queues: how they stand, what keeps their jobs, pause, resume.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use utoipa::ToSchema;

use crate::{
    answers::{Explanation, Page, QueueStatus},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("queues")
        .key(Scope::Read, __path_list_queues, list_queues)
        .fleet_key(Scope::Read, __path_explain_queue, explain_queue)
        .fleet_key(Scope::Operate, __path_pause_queue, pause_queue)
        .fleet_key(Scope::Operate, __path_resume_queue, resume_queue)
}

/// Lists the queues: depth by state, age of the oldest ready job, slots, pause.
#[utoipa::path(
    get,
    path = "/v1/queues",
    responses((status = 200, description = "All queues, by name", body = Page<QueueStatus>)),
)]
async fn list_queues(
    State(state): State<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<QueueStatus>>, ApiError> {
    query.finish()?;
    let mut queues = state.queue().queues(caller.tenant()).await?;
    if caller.tenant().is_some() {
        // Whose job has waited longest would tell one tenant how another fares.
        queues
            .iter_mut()
            .for_each(|queue| queue.oldest_ready_seconds = None);
    }
    Ok(Json(queues.into()))
}

/// Says what keeps a queue's jobs from running, and when a job that came now should start.
///
/// Jobs behind `key_limit`, `budget` and `account_held` are those that a claim found there and that are kept still: up to
/// three groups of them are told of, each with how many they are, who holds its gate, and until when.
#[utoipa::path(
    get,
    path = "/v1/queues/{queue}/explain",
    params(("queue" = String, Path, description = "The queue's name")),
    responses((status = 200, description = "What keeps its jobs", body = Explanation)),
)]
async fn explain_queue(
    State(state): State<ApiState>,
    Segment(name): Segment<String>,
) -> Result<Json<Explanation>, ApiError> {
    let told = state.queue().explain_queue(&name).await?;
    Ok(Json(told.into()))
}

/// Why a queue or a schedule is paused, and for how long.
#[derive(ToSchema)]
pub(super) struct PauseRequest {
    /// Why; at most 500 characters.
    #[schema(example = "the mail server is being moved")]
    pub(super) reason: Option<String>,
    /// Until when; absent: until somebody resumes it.
    pub(super) until: Option<DateTime<Utc>>,
}

impl PauseRequest {
    pub(super) fn read(body: &RequestBody) -> Result<Self, ApiError> {
        let mut object = body.object_or_nothing()?;
        let request = Self {
            reason: object.text("reason"),
            until: object.time("until"),
        };
        object.finish()?;
        Ok(request)
    }
}

/// Pauses a queue: what runs goes on, nothing more is claimed.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/pause",
    params(("queue" = String, Path, description = "The queue's name")),
    request_body = PauseRequest,
    responses((status = 200, description = "The queue as it now stands", body = QueueStatus)),
)]
async fn pause_queue(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(name): Segment<String>,
    body: RequestBody,
) -> Result<Json<QueueStatus>, ApiError> {
    let PauseRequest { reason, until } = PauseRequest::read(&body)?;
    let queue = state
        .queue()
        .pause_queue(&name, reason.as_deref(), until, &caller.actor())
        .await?;
    Ok(Json(queue.into()))
}

/// Resumes a queue; one that is not paused stays as it is.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/resume",
    params(("queue" = String, Path, description = "The queue's name")),
    responses((status = 200, description = "The queue as it now stands", body = QueueStatus)),
)]
async fn resume_queue(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(name): Segment<String>,
    body: RequestBody,
) -> Result<Json<QueueStatus>, ApiError> {
    body.nothing()?;
    let queue = state.queue().resume_queue(&name, &caller.actor()).await?;
    Ok(Json(queue.into()))
}
