//! The outermost layer of every request: its id, its span, its metric, the headers of every answer, and the writing of
//! problem documents, the framework's own refusals and panics included.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tracing::Instrument;

use crate::{
    error::ApiError,
    metrics,
    problem::{PROBLEM_JSON, Problem, ProblemKind, retry_after_seconds},
    request_id::{RequestId, X_REQUEST_ID},
    server::AmbiguousFraming,
    state::ApiState,
};

/// What a browser may do with answers that are not pages: nothing.
const NO_CONTENT: &str = "default-src 'none'; frame-ancestors 'none'";
/// The route of what no route matches.
const UNMATCHED: &str = "unmatched";

/// Answers a request, come what may.
pub(crate) async fn frame(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::of(request.headers());
    let method = metrics::method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(UNMATCHED, MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!(
        "request",
        request.id = id.as_str(),
        http.method = method,
        http.route = route
    );

    let mut response = answer(request, next).instrument(span.clone()).await;
    span.in_scope(|| log(&state, &response));
    response = finished(response, &id);

    metrics::answered(method, route, response.status(), began.elapsed());
    response
}

async fn answer(request: Request, next: Next) -> Response {
    if request.extensions().get::<AmbiguousFraming>().is_some() {
        let detail = "the request has both a length and a chunked body".to_owned();
        return ApiError::MalformedRequest {
            detail,
            errors: Vec::new(),
        }
        .into_response();
    }
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| ApiError::Panicked.into_response())
}

/// Failures of ours are logged here, once, in the request's span.
fn log(state: &ApiState, response: &Response) {
    let Some(problem) = response.extensions().get::<Problem>() else {
        return;
    };
    let cause = problem.cause.as_deref().unwrap_or_default();
    match problem.kind {
        ProblemKind::Internal => tracing::error!(error = cause, "a request failed unexpectedly"),
        ProblemKind::NotSetUp if !cause.is_empty() => {
            tracing::error!(
                error = cause,
                "a request met a platform for which our own set-up is missing or wrong"
            );
        }
        ProblemKind::Unavailable if state.may_log_outage() => {
            tracing::warn!(
                error = cause,
                "requests are refused while the database does not answer"
            );
        }
        _ => {}
    }
}

/// Writes out a problem, and adds what every answer has.
fn finished(mut response: Response, id: &RequestId) -> Response {
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = problem.or_else(|| foreign_refusal(&response)) {
        write_problem(&mut response, problem, id);
    }
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id.header());
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(NO_CONTENT));
    response
}

/// A refusal that is none of ours, such as the framework's own: told in our form all the same.
fn foreign_refusal(response: &Response) -> Option<Problem> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let kind = ProblemKind::of_status(status);
    Some(Problem::new(kind, kind.title()))
}

fn write_problem(response: &mut Response, problem: Problem, id: &RequestId) {
    let kind = problem.kind;
    let retry_after = problem.retry_after.map(retry_after_seconds);
    let document = serde_json::to_vec(&problem.document(Some(id.as_str())))
        .expect("a document of texts and numbers can be written as JSON");

    *response.status_mut() = kind.status();
    *response.body_mut() = Body::from(document);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if kind == ProblemKind::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if closes_connection(kind) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// After these, what is left on the connection cannot be trusted to be a new request.
fn closes_connection(kind: ProblemKind) -> bool {
    matches!(kind, ProblemKind::BodyTimedOut | ProblemKind::TooLarge)
}
