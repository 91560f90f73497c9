//! TikTok's envelope: status 200 for everything, a code that says whether it went well, a message,
//! and the number of the request.

use axum::{
    Json,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    clock,
    faults::{Failure, Throttling},
};

/// An error as TikTok tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TikTokError {
    pub(super) code: i64,
    pub(super) message: String,
}

/// Which allowance is used up: only the message says it, and nothing says for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Queries per second.
    Second,
    /// Queries per minute. Once it is passed, calls are refused for five minutes.
    Minute,
    /// Queries per day, until midnight UTC.
    Day,
}

impl TikTokError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A parameter is wrong.
    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::new(40_002, message)
    }

    /// A parameter is not there.
    pub(super) fn missing(name: &str) -> Self {
        Self::parameter(format!("{name}: Missing data for required field."))
    }

    /// A list is too long.
    pub(super) fn too_many(name: &str, most: usize) -> Self {
        Self::new(
            40_011,
            format!("{name}: Longer than maximum length {most}."),
        )
    }

    /// The header `Access-Token` is missing or empty.
    pub(super) fn no_token() -> Self {
        Self::new(40_104, "Access token is empty.")
    }

    pub(super) fn expired_token() -> Self {
        Self::new(40_102, "Access token has expired.")
    }

    pub(super) fn bad_token() -> Self {
        Self::new(40_105, "Access token is incorrect or has been revoked.")
    }

    /// Whoever calls may not do that.
    pub(super) fn no_permission(message: impl Into<String>) -> Self {
        Self::new(40_001, message)
    }

    /// The token is another advertiser's.
    pub(super) fn other_advertiser(id: &str) -> Self {
        Self::new(
            40_106,
            format!("The access token does not belong to the advertiser {id}."),
        )
    }

    /// The app does not exist, or its secret is another.
    pub(super) fn wrong_app() -> Self {
        Self::new(40_101, "The app ID and the secret do not match.")
    }

    /// A code that nobody gave, or that was used.
    pub(super) fn bad_code() -> Self {
        Self::new(40_110, "Auth_code is incorrect or has been used.")
    }

    pub(super) fn late_code() -> Self {
        Self::new(40_115, "Auth_code has expired.")
    }

    pub(super) fn bad_refresh_token() -> Self {
        Self::new(40_107, "Refresh token is incorrect or has been revoked.")
    }

    pub(super) fn late_refresh_token() -> Self {
        Self::new(40_103, "Refresh token has expired.")
    }

    /// A report that will not be there.
    pub(super) fn task(message: &str) -> Self {
        Self::new(40_200, message)
    }

    /// A report that is not there yet.
    pub(super) fn not_ready() -> Self {
        Self::new(40_201, "The task is not ready. Please try again later.")
    }

    /// An allowance is used up.
    pub(super) fn over(limit: Limit) -> Self {
        let name = match limit {
            Limit::Second => "QPS",
            Limit::Minute => "QPM",
            Limit::Day => "QPD",
        };
        Self::new(
            40_100,
            format!("Too many requests. The {name} limit of the app has been reached."),
        )
    }
}

impl IntoResponse for TikTokError {
    fn into_response(self) -> Response {
        refused(StatusCode::OK, self.code, &self.message)
    }
}

/// A call that went well.
pub(super) fn good(data: Value) -> Response {
    let body = json!({ "code": 0, "message": "OK", "request_id": request_id(), "data": data });
    Json(body).into_response()
}

/// What a path is answered with that leads nowhere: a page, and no envelope.
pub(super) fn not_found() -> Response {
    let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    let page = "<html><head><title>404</title></head><body><h1>404 Not Found</h1></body></html>\n";
    (StatusCode::NOT_FOUND, kind, page).into_response()
}

/// An error that a fault asks for.
pub(super) fn on_demand(failure: Failure) -> Response {
    refused(failure.status, failure.code, &failure.message)
}

/// Too many calls, as a fault asks for it: how long it is to last decides which limit it is.
pub(super) fn throttled(throttling: &Throttling) -> Response {
    let error = TikTokError::over(match throttling.wait_s {
        0..=2 => Limit::Second,
        3..=300 => Limit::Minute,
        _ => Limit::Day,
    });
    let status = throttling.status.unwrap_or(StatusCode::OK);
    refused(
        status,
        throttling.code.unwrap_or(error.code),
        &error.message,
    )
}

/// With errors `data` is empty, null or missing, by the code.
fn refused(status: StatusCode, code: i64, message: &str) -> Response {
    let mut body = json!({ "code": code, "message": message, "request_id": request_id() });
    match code % 3 {
        0 => body["data"] = json!({}),
        1 => body["data"] = Value::Null,
        _ => {}
    }
    (status, Json(body)).into_response()
}

/// What TikTok's support wants to hear of a call: a new one for each answer.
fn request_id() -> String {
    let now = clock::now().format("%Y%m%d%H%M%S");
    format!("{now}{}", hex::encode_upper(rand::random::<[u8; 9]>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_tells_which_limit_was_met() {
        let errors = [Limit::Second, Limit::Minute, Limit::Day].map(TikTokError::over);

        assert!(errors.iter().all(|error| error.code == 40_100));
        for (error, name) in errors.iter().zip(["QPS", "QPM", "QPD"]) {
            assert!(error.message.contains(name), "{}", error.message);
        }
    }
}
