//! Jobs: looking at them, asking why they do not run, cancelling them, running them now.

use axum::{Json, extract::State};
use queue::{JobFilter, JobId, JobState};

use crate::{
    answers::{Explanation, JobDetail, JobSummary, Page},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("jobs")
        .key(Scope::Read, __path_list_jobs, list_jobs)
        .key(Scope::Read, __path_get_job, get_job)
        .key(Scope::Read, __path_explain_job, explain_job)
        .key(Scope::Operate, __path_cancel_job, cancel_job)
        .key(Scope::Operate, __path_run_job_now, run_job_now)
}

/// Lists jobs, the newest first.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    params(
        ("state" = Option<String>, Query, description = "`scheduled`, `ready`, `running`, `retrying`, `succeeded`, `cancelled` or `dead`"),
        ("kind" = Option<String>, Query, description = "Only this kind"),
        ("queue" = Option<String>, Query, description = "Only this queue"),
        ("tenant" = Option<String>, Query, description = "Only this tenant"),
        ("tag.NAME" = Option<String>, Query, description = "Only jobs whose tag NAME has this value; any number of tags"),
        ("since" = Option<String>, Query, description = "Only jobs enqueued at this time or later (RFC 3339)"),
        ("until" = Option<String>, Query, description = "Only jobs enqueued before this time (RFC 3339)"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<JobSummary>)),
)]
async fn list_jobs(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Json<Page<JobSummary>>, ApiError> {
    let filter = JobFilter {
        state: query.word::<JobState>("state"),
        kind: query.text("kind"),
        queue: query.text("queue"),
        tenant: caller.tenant_for(query.text("tenant"))?,
        tags: query.tags(),
        since: query.time("since"),
        until: query.time("until"),
    };
    let page = query.page()?;
    let jobs = state
        .queue()
        .jobs(&filter, &page)
        .await
        .map_err(ApiError::Listing)?;
    Ok(Json(jobs.into()))
}

/// Shows a job: its payload, its attempts, its log.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses((status = 200, description = "The job", body = JobDetail)),
)]
async fn get_job(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<JobId>,
) -> Result<Json<JobDetail>, ApiError> {
    let job = state.queue().job(id, caller.tenant()).await?;
    Ok(Json(job.into()))
}

/// Says why a job is not running: every gate, who holds it, how many jobs go first, and when it should start.
///
/// By the predicate that claims jobs: `runnable` is true where the next claim starts the job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/explain",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses((status = 200, description = "What keeps it", body = Explanation)),
)]
async fn explain_job(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<JobId>,
) -> Result<Json<Explanation>, ApiError> {
    let told = state.queue().explain_job(id, caller.tenant()).await?;
    Ok(Json(told.into()))
}

/// Cancels a job.
///
/// One that waits is cancelled at once; a running one is asked to stop, and `cancel_requested` says so.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/cancel",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job as it now stands", body = JobDetail),
        (status = 409, description = "The job has ended"),
    ),
)]
async fn cancel_job(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<JobId>,
    body: RequestBody,
) -> Result<Json<JobDetail>, ApiError> {
    body.nothing()?;
    let job = state.queue().cancel(id, &caller.actor()).await?;
    Ok(Json(job.into()))
}

/// Makes a scheduled or retrying job ready at once.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/run-now",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job as it now stands", body = JobDetail),
        (status = 409, description = "The job does not wait for its time"),
    ),
)]
async fn run_job_now(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<JobId>,
    body: RequestBody,
) -> Result<Json<JobDetail>, ApiError> {
    body.nothing()?;
    let job = state.queue().run_now(id, &caller.actor()).await?;
    Ok(Json(job.into()))
}
