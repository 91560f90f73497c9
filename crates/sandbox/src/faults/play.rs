//! Plays a fault: refuses in place of the server, or lets it work and spoils its answer.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    body::{self, Body, Bytes},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::time;

use super::{
    RetryAfter,
    body::{EndlessBody, PacedBody},
    http::{HttpFault, parsed},
};
use crate::{clock, http::Peer};

/// Largest answer that a fault can send badly; our own are smaller.
const MOST_ANSWER_BYTES: usize = 64 << 20;

/// How a server says what a fault makes it say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice {
    /// An error.
    pub(crate) fail: fn(Failure) -> Response,
    /// That there were too many calls.
    pub(crate) throttle: fn(Throttling) -> Response,
}

/// An error as a fault describes it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) code: i64,
    pub(crate) subcode: Option<i64>,
    pub(crate) name: Option<String>,
    pub(crate) message: String,
    pub(crate) is_transient: bool,
}

/// Too many calls, as a fault describes it.
#[derive(Debug)]
pub(crate) struct Throttling {
    pub(crate) status: Option<StatusCode>,
    pub(crate) code: Option<i64>,
    /// Seconds until access comes back.
    pub(crate) wait_s: u32,
}

impl Voice {
    /// Plain JSON.
    pub(crate) const PLAIN: Self = Self {
        fail: |failure| plain_error(failure.status, &failure.message),
        throttle: |throttling| {
            let status = throttling.status.unwrap_or(StatusCode::TOO_MANY_REQUESTS);
            plain_error(status, "come back later")
        },
    };
}

/// Answers a request under `fault`: instead of `work`, which is then never begun, or around it.
pub(crate) async fn play<F>(
    fault: Option<HttpFault>,
    voice: Voice,
    peer: &Peer,
    work: F,
) -> Response
where
    F: Future<Output = Response>,
{
    let Some(fault) = fault else {
        return work.await;
    };
    match fault {
        HttpFault::Fail {
            status,
            code,
            subcode,
            name,
            message,
            is_transient,
        } => (voice.fail)(Failure {
            status: known(status),
            code,
            subcode,
            name,
            message: message.unwrap_or_else(|| "An unknown error occurred".to_owned()),
            is_transient,
        }),
        HttpFault::Throttle {
            code,
            status,
            retry_after,
            wait_s,
        } => {
            let answer = (voice.throttle)(Throttling {
                status: status.map(known),
                code,
                wait_s,
            });
            put_off(answer, retry_after)
        }
        HttpFault::Html { status } => html(known(status)),
        HttpFault::Answer {
            status,
            headers,
            body,
        } => exactly(known(status), &headers, body),
        HttpFault::Hang { wait_ms, after } => late(work, wait_ms, after).await,
        HttpFault::Slow { bytes_per_second } => {
            let slow = |bytes| Body::new(PacedBody::slow(bytes, bytes_per_second));
            reshaped(work.await, slow).await
        }
        HttpFault::CutOff => {
            peer.reset_at_end();
            reshaped(work.await, |bytes| Body::new(PacedBody::cut(&bytes))).await
        }
        HttpFault::HalfJson => reshaped(work.await, half).await,
        HttpFault::Endless => reshaped(work.await, |_| Body::new(EndlessBody::new())).await,
        HttpFault::NullEntries { every } => {
            reshaped(work.await, |bytes| with_nulls(bytes, every)).await
        }
        HttpFault::HugeHeaders { count, size_bytes } => enlarged(work.await, count, size_bytes),
    }
}

async fn late(work: impl Future<Output = Response>, wait_ms: u64, after: bool) -> Response {
    let wait = Duration::from_millis(wait_ms);
    if after {
        let answer = work.await;
        time::sleep(wait).await;
        answer
    } else {
        time::sleep(wait).await;
        work.await
    }
}

fn put_off(mut answer: Response, until: Option<RetryAfter>) -> Response {
    if let Some(value) = until.and_then(|form| form.header(clock::now())) {
        answer.headers_mut().insert(RETRY_AFTER, value);
    }
    answer
}

fn exactly(status: StatusCode, headers: &BTreeMap<String, String>, body: String) -> Response {
    let mut answer = (status, body).into_response();
    for (name, value) in headers.iter().filter_map(parsed) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

async fn reshaped(answer: Response, shape: impl FnOnce(Bytes) -> Body) -> Response {
    let (mut parts, body) = answer.into_parts();
    let bytes = body::to_bytes(body, MOST_ANSWER_BYTES)
        .await
        .unwrap_or_default();
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, shape(bytes))
}

fn half(answer: Bytes) -> Body {
    Body::from(answer.slice(..answer.len() / 2))
}

fn with_nulls(answer: Bytes, every: u32) -> Body {
    let Ok(mut entries) = serde_json::from_slice::<Vec<Value>>(&answer) else {
        return Body::from(answer);
    };
    for entry in entries
        .iter_mut()
        .skip(every.saturating_sub(1) as usize)
        .step_by(every.max(1) as usize)
    {
        *entry = Value::Null;
    }
    Body::from(Value::Array(entries).to_string())
}

fn enlarged(mut answer: Response, count: u16, size_bytes: u32) -> Response {
    let Ok(filler) = HeaderValue::from_str(&"x".repeat(size_bytes as usize)) else {
        return answer;
    };
    for number in 0..count {
        if let Ok(name) = HeaderName::try_from(format!("x-filler-{number}")) {
            answer.headers_mut().insert(name, filler.clone());
        }
    }
    answer
}

fn plain_error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message } }))).into_response()
}

fn html(status: StatusCode) -> Response {
    let page = format!(
        "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
    );
    let mut answer = (status, page).into_response();
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    answer
}

/// The status that [`HttpFault::check`] has found to be one.
fn known(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
