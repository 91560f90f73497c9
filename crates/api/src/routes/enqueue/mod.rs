//! Enqueueing: one job, or many in one request. Answers are sent only after the jobs are on disk.

mod batch;
mod idempotency;
mod request;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
};
use chrono::{DateTime, Utc};
use queue::{EnqueueOutcome, Enqueued};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    state::ApiState,
};
use request::{EnqueueRequest, traceparent};

pub(super) fn operations(operations: Operations) -> Operations {
    let operations = operations
        .tag("jobs")
        .key(Scope::Enqueue, __path_enqueue_job, enqueue_job);
    batch::operations(operations)
}

/// What became of an enqueue.
#[derive(Serialize, ToSchema)]
pub(super) struct EnqueueAnswer {
    /// The job: the new one, or the one that was there.
    id: Uuid,
    #[schema(example = "email.send")]
    kind: String,
    #[schema(example = "email")]
    queue: String,
    /// Its state when this was answered first.
    #[schema(value_type = String, example = "scheduled")]
    state: &'static str,
    /// When it is due.
    run_at: DateTime<Utc>,
    /// `created`, `deduplicated` (it was there already) or `replaced` (the waiting job took the new content).
    #[schema(value_type = String, example = "created")]
    outcome: &'static str,
}

impl From<Enqueued> for EnqueueAnswer {
    fn from(enqueued: Enqueued) -> Self {
        Self {
            id: enqueued.id.0,
            kind: enqueued.kind.to_string(),
            queue: enqueued.queue,
            state: enqueued.state.as_str(),
            run_at: enqueued.run_at,
            outcome: enqueued.outcome.as_str(),
        }
    }
}

/// Enqueues a job.
///
/// The answer is sent only after the job is committed to disk. With an `Idempotency-Key` the request is safe to repeat:
/// the same key with the same body answers as the first time. Bodies are the same that ask for the same job, also in a
/// batch, however they are laid out.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context, carried to the job's spans"),
    ),
    request_body = EnqueueRequest,
    responses(
        (status = 201, description = "A new job; `Location` leads to it", body = EnqueueAnswer),
        (status = 200, description = "The job was there already", body = EnqueueAnswer),
        (status = 409, description = "Its unique key is taken (`reject`), or the first request with this idempotency key is still at work"),
        (status = 429, description = "The API key makes too many requests, or the queue takes no more jobs at present"),
    ),
)]
async fn enqueue_job(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<EnqueueAnswer>), ApiError> {
    let key = idempotency::key(&headers)?;
    let job = EnqueueRequest::read(body.object()?)?.into_job(&caller, traceparent(&headers))?;
    let idempotency = key.map(|key| idempotency::of_job(&caller, key, &job));

    let enqueued = state.queue().enqueue(job, idempotency).await?;
    Ok(created(enqueued))
}

/// The answer to whoever asked for a job.
pub(super) fn created(
    enqueued: Enqueued,
) -> (StatusCode, [(HeaderName, String); 1], Json<EnqueueAnswer>) {
    let location = [(header::LOCATION, format!("/v1/jobs/{}", enqueued.id))];
    (status(enqueued.outcome), location, Json(enqueued.into()))
}

/// A repeated request answers as the first time, so only the outcome decides.
fn status(outcome: EnqueueOutcome) -> StatusCode {
    match outcome {
        EnqueueOutcome::Created => StatusCode::CREATED,
        EnqueueOutcome::Deduplicated | EnqueueOutcome::Replaced => StatusCode::OK,
    }
}
