//! Schedules: how they stand, pause, resume, a job now.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode},
};
use utoipa::ToSchema;

use super::{
    enqueue::{EnqueueAnswer, created},
    queues::PauseRequest,
};
use crate::{
    answers::{Page, ScheduleStatus},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("schedules")
        .fleet_key(Scope::Read, __path_list_schedules, list_schedules)
        .fleet_key(Scope::Read, __path_get_schedule, get_schedule)
        .fleet_key(Scope::Operate, __path_trigger_schedule, trigger_schedule)
        .fleet_key(Scope::Operate, __path_pause_schedule, pause_schedule)
        .fleet_key(Scope::Operate, __path_resume_schedule, resume_schedule)
}

/// Lists the schedules: last and next ticks, last outcome, pause.
#[utoipa::path(
    get,
    path = "/v1/schedules",
    responses((status = 200, description = "All schedules, by name", body = Page<ScheduleStatus>)),
)]
async fn list_schedules(
    State(state): State<ApiState>,
    query: QueryString,
) -> Result<Json<Page<ScheduleStatus>>, ApiError> {
    query.finish()?;
    Ok(Json(state.queue().schedules().await?.into()))
}

/// Shows one schedule.
#[utoipa::path(
    get,
    path = "/v1/schedules/{schedule}",
    params(("schedule" = String, Path, description = "The schedule's name")),
    responses((status = 200, description = "The schedule", body = ScheduleStatus)),
)]
async fn get_schedule(
    State(state): State<ApiState>,
    Segment(name): Segment<String>,
) -> Result<Json<ScheduleStatus>, ApiError> {
    Ok(Json(state.queue().schedule(&name).await?.into()))
}

/// Why a job is made beside the ticks.
#[derive(ToSchema)]
struct TriggerRequest {
    /// Why; at most 500 characters.
    #[schema(example = "yesterday's figures came late")]
    reason: Option<String>,
}

impl TriggerRequest {
    fn read(body: &RequestBody) -> Result<Self, ApiError> {
        let mut object = body.object_or_nothing()?;
        let request = Self {
            reason: object.text("reason"),
        };
        object.finish()?;
        Ok(request)
    }
}

/// Makes a job of a schedule now, also of one that is paused. No tick is used up.
#[utoipa::path(
    post,
    path = "/v1/schedules/{schedule}/trigger",
    params(("schedule" = String, Path, description = "The schedule's name")),
    request_body = TriggerRequest,
    responses(
        (status = 201, description = "A new job; `Location` leads to it", body = EnqueueAnswer),
        (status = 200, description = "A job with the kind's unique key was there already", body = EnqueueAnswer),
        (status = 409, description = "A job has the kind's unique key, and its rule says `reject`"),
    ),
)]
async fn trigger_schedule(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(name): Segment<String>,
    body: RequestBody,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<EnqueueAnswer>), ApiError> {
    let TriggerRequest { reason } = TriggerRequest::read(&body)?;
    let job = state
        .queue()
        .trigger_schedule(&name, reason.as_deref(), &caller.actor())
        .await?;
    Ok(created(job))
}

/// Pauses a schedule: none of its ticks makes a job, and none of them is caught up later.
#[utoipa::path(
    post,
    path = "/v1/schedules/{schedule}/pause",
    params(("schedule" = String, Path, description = "The schedule's name")),
    request_body = PauseRequest,
    responses((status = 200, description = "The schedule as it now stands", body = ScheduleStatus)),
)]
async fn pause_schedule(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(name): Segment<String>,
    body: RequestBody,
) -> Result<Json<ScheduleStatus>, ApiError> {
    let PauseRequest { reason, until } = PauseRequest::read(&body)?;
    let schedule = state
        .queue()
        .pause_schedule(&name, reason.as_deref(), until, &caller.actor())
        .await?;
    Ok(Json(schedule.into()))
}

/// Resumes a schedule from its next tick on; one that is not paused stays as it is.
#[utoipa::path(
    post,
    path = "/v1/schedules/{schedule}/resume",
    params(("schedule" = String, Path, description = "The schedule's name")),
    responses((status = 200, description = "The schedule as it now stands", body = ScheduleStatus)),
)]
async fn resume_schedule(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(name): Segment<String>,
    body: RequestBody,
) -> Result<Json<ScheduleStatus>, ApiError> {
    body.nothing()?;
    let schedule = state
        .queue()
        .resume_schedule(&name, &caller.actor())
        .await?;
    Ok(Json(schedule.into()))
}
