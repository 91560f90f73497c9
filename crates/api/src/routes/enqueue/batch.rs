//! Many jobs in one request, as JSON or as lines. Unless the batch is atomic each item stands for itself: one that is
//! wrong is told as such, and the others are stored.

use axum::{Json, extract::State, http::HeaderMap};
use queue::{EnqueueError, EnqueueOutcome, Enqueued, Idempotency, NewJob};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    idempotency,
    request::{EnqueueRequest, traceparent},
};
use crate::{
    auth::{Caller, Scope},
    body::{Batch, RequestBody, utf8},
    error::ApiError,
    json::Object,
    openapi::Operations,
    problem::{FieldProblem, Problem, ProblemDocument},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations.key(Scope::Enqueue, __path_enqueue_batch, enqueue_batch)
}

/// Many jobs. As `application/x-ndjson` the items stand one a line, without this around them.
#[derive(ToSchema)]
struct BatchRequest<'a> {
    /// At most `http.max_batch` items (1,000 unless configured), each as for `POST /v1/jobs`, with an `idempotency_key`
    /// of its own if it likes.
    #[schema(value_type = Vec<EnqueueRequest>)]
    jobs: Vec<Item<'a>>,
    /// Keeps all or nothing: with one item wrong none is stored.
    #[schema(value_type = Option<bool>)]
    atomic: bool,
}

/// An item as it was sent: text that is JSON, or a line that may be anything.
type Item<'a> = &'a [u8];

/// An item that can be enqueued.
type Ready = (NewJob, Option<Idempotency>);

/// What became of a batch.
#[derive(Default, Serialize, ToSchema)]
struct BatchAnswer {
    /// New jobs.
    created: usize,
    /// Items whose job was there already.
    deduplicated: usize,
    /// Items whose content a waiting job took.
    replaced: usize,
    /// Items that were refused.
    failed: usize,
    /// One for each item, in their order.
    results: Vec<BatchResult>,
}

/// What became of an item: `id` and `outcome`, or `error`.
#[derive(Serialize, ToSchema)]
struct BatchResult {
    /// The item's place, from 0; blank lines do not count.
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// `created`, `deduplicated` or `replaced`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "created")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProblemDocument>,
}

/// Enqueues many jobs.
///
/// The answer is sent only after those that were kept are committed to disk. An item whose idempotency key is known
/// answers `deduplicated` with the first id. Where a queue has room for some of its items alone, each of the others has
/// the problem `queue-full`.
#[utoipa::path(
    post,
    path = "/v1/jobs/batch",
    request_body(content(
        (BatchRequest = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "What became of each item", body = BatchAnswer),
        (status = 422, description = "The batch itself is wrong, or it is atomic and an item is, or it never fits: nothing was stored"),
        (status = 429, description = "The API key makes too many requests, or the queues have no room for any item, or for all of an atomic batch"),
    ),
)]
async fn enqueue_batch(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Json<BatchAnswer>, ApiError> {
    let most = state.queue().config().http.max_batch;
    let BatchRequest { jobs, atomic } = BatchRequest::read(&body, most)?;
    let traceparent = traceparent(&headers);
    let items: Vec<_> = jobs
        .into_iter()
        .map(|item| ready(item, &caller, traceparent.as_deref()))
        .collect();

    let results: Vec<Result<Enqueued, ApiError>> = if atomic && items.iter().any(Result::is_err) {
        items
            .into_iter()
            .map(|item| item.and(Err(ApiError::from(EnqueueError::NotKept))))
            .collect()
    } else {
        stored(&state, items, atomic).await?
    };
    if atomic && results.iter().any(Result::is_err) {
        return Err(refused(results));
    }
    Ok(Json(BatchAnswer::of(results)))
}

impl<'a> BatchRequest<'a> {
    fn read(body: &'a RequestBody, most: usize) -> Result<Self, ApiError> {
        let request = match body.batch()? {
            Batch::Json(mut object) => {
                let jobs = object.list("jobs").unwrap_or_default();
                let atomic = object.flag("atomic");
                object.finish()?;
                Self {
                    jobs: jobs.into_iter().map(|raw| raw.get().as_bytes()).collect(),
                    atomic,
                }
            }
            Batch::Lines(lines) => {
                let lines = lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                // One more than is allowed is enough to know that there are too many.
                let jobs = lines
                    .filter(|line| !line.is_empty())
                    .take(most.saturating_add(1))
                    .collect();
                Self {
                    jobs,
                    atomic: false,
                }
            }
        };
        if !(1..=most).contains(&request.jobs.len()) {
            let message = format!("must have 1 to {most} items");
            return Err(ApiError::Invalid(vec![FieldProblem::new("/jobs", message)]));
        }
        Ok(request)
    }
}

fn ready(item: Item<'_>, caller: &Caller, traceparent: Option<&str>) -> Result<Ready, ApiError> {
    let text = utf8(item)?;
    let mut request = EnqueueRequest::read_item(Object::parse(text)?)?;
    let key = idempotency::item_key(request.take_idempotency_key())?;
    let job = request.into_job(caller, traceparent.map(str::to_owned))?;
    let idempotency = key.map(|key| idempotency::of_job(caller, key, &job));
    Ok((job, idempotency))
}

/// Stores the items that can be, and puts the answers where their items were.
async fn stored(
    state: &ApiState,
    items: Vec<Result<Ready, ApiError>>,
    atomic: bool,
) -> Result<Vec<Result<Enqueued, ApiError>>, ApiError> {
    let mut jobs = Vec::with_capacity(items.len());
    let mut places: Vec<Option<ApiError>> = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Ok(job) => {
                jobs.push(job);
                places.push(None);
            }
            Err(error) => places.push(Some(error)),
        }
    }
    let answers = if jobs.is_empty() {
        Vec::new()
    } else {
        state.queue().enqueue_batch(jobs, atomic).await?
    };
    let mut answers = answers.into_iter();
    let results = places.into_iter().map(|place| match place {
        Some(error) => Err(error),
        None => match answers.next() {
            Some(answer) => answer.map_err(ApiError::from),
            None => Err(ApiError::Wiring(
                "the queue answered fewer items than it was given",
            )),
        },
    });
    Ok(results.collect())
}

/// Why an atomic batch was not kept: what is wrong with each item, or that it is worth trying again.
fn refused(results: Vec<Result<Enqueued, ApiError>>) -> ApiError {
    let mut errors = Vec::new();
    for (index, result) in results.into_iter().enumerate() {
        let error = match result {
            Ok(_) | Err(ApiError::Enqueue(EnqueueError::NotKept)) => continue,
            Err(error) => error,
        };
        if error.is_passing() {
            return error;
        }
        let problem = Problem::from(error);
        let place = format!("/jobs/{index}");
        if problem.errors.is_empty() {
            errors.push(FieldProblem::new(place, problem.detail));
        } else {
            let told = problem.errors.into_iter();
            errors.extend(told.map(|error| {
                FieldProblem::new(format!("{place}{}", error.pointer), error.message)
            }));
        }
    }
    ApiError::BatchRefused(errors)
}

impl BatchAnswer {
    fn of(results: Vec<Result<Enqueued, ApiError>>) -> Self {
        let mut answer = Self::default();
        for (index, result) in results.into_iter().enumerate() {
            let result = match result {
                Ok(enqueued) => answer.accepted(index, &enqueued),
                Err(error) => {
                    answer.failed += 1;
                    let error = Problem::from(error).document(None);
                    BatchResult {
                        index,
                        id: None,
                        outcome: None,
                        error: Some(error),
                    }
                }
            };
            answer.results.push(result);
        }
        answer
    }

    fn accepted(&mut self, index: usize, enqueued: &Enqueued) -> BatchResult {
        let outcome = if enqueued.repeated {
            EnqueueOutcome::Deduplicated
        } else {
            enqueued.outcome
        };
        match outcome {
            EnqueueOutcome::Created => self.created += 1,
            EnqueueOutcome::Deduplicated => self.deduplicated += 1,
            EnqueueOutcome::Replaced => self.replaced += 1,
        }
        BatchResult {
            index,
            id: Some(enqueued.id.0),
            outcome: Some(outcome.as_str()),
            error: None,
        }
    }
}
