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
use serde_json::json;
use tokio::time;

use super::{
    RetryAfter,
    body::{EndlessBody, PacedBody},
    http::{HttpFault, parsed},
};
use crate::{clock, http::Peer, meta};

/// Largest answer that a fault can send badly; our own are far smaller.
const MOST_ANSWER_BYTES: usize = 1 << 20;

/// Whose words an error is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Meta's envelope.
    Graph,
    /// Plain JSON.
    Plain,
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
            message,
            is_transient,
        } => {
            let message = message.unwrap_or_else(|| "An unknown error occurred".to_owned());
            failed(voice, known(status), (code, subcode), message, is_transient)
        }
        HttpFault::Throttle {
            code,
            status,
            retry_after,
            wait_s,
        } => {
            let answer = throttled(voice, code, status.map(known), wait_s);
            put_off(answer, retry_after)
        }
        HttpFault::Html { status } => html(known(status)),
        HttpFault::Answer {
            status,
            headers,
            body,
        } => exactly(known(status), &headers, body),
        HttpFault::Hang {
            wait_ms,
            after: false,
        } => {
            time::sleep(Duration::from_millis(wait_ms)).await;
            work.await
        }
        HttpFault::Hang {
            wait_ms,
            after: true,
        } => {
            let answer = work.await;
            time::sleep(Duration::from_millis(wait_ms)).await;
            answer
        }
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
        HttpFault::HugeHeaders { count, size_bytes } => enlarged(work.await, count, size_bytes),
    }
}

fn failed(
    voice: Voice,
    status: StatusCode,
    code: (i64, Option<i64>),
    message: String,
    is_transient: bool,
) -> Response {
    match voice {
        Voice::Graph => meta::failure(status, code, message, is_transient),
        Voice::Plain => plain_error(status, &message),
    }
}

fn throttled(voice: Voice, code: Option<i64>, status: Option<StatusCode>, wait_s: u32) -> Response {
    match (voice, code) {
        (Voice::Graph, Some(code)) => {
            meta::throttled(status.unwrap_or(StatusCode::BAD_REQUEST), code, wait_s)
        }
        (Voice::Graph, None) | (Voice::Plain, _) => plain_error(
            status.unwrap_or(StatusCode::TOO_MANY_REQUESTS),
            "come back later",
        ),
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
