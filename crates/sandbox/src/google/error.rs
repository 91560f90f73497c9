//! Google's error envelope, with what Google Ads says inside of it (`GoogleAdsFailure`), and what the front end says before
//! a call gets that far.

use axum::{
    Json,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{gaql::QueryError, json_text};
use crate::faults::{Failure, Throttling};

/// The version in the envelope of an error that a fault asks for.
const FAULTS_VERSION: &str = "v26";

/// An error as Google tells it.
#[derive(Debug)]
pub(super) struct AdsError {
    status: StatusCode,
    message: String,
    detail: Option<Box<Detail>>,
}

#[derive(Debug)]
enum Detail {
    /// What Google Ads says.
    Failure {
        category: String,
        name: String,
        message: String,
        quota: Option<Quota>,
    },
    /// What the front end says: a reason.
    Info(&'static str),
}

/// Whose allowance is used up, and for how long.
#[derive(Debug)]
pub(super) struct Quota {
    /// `ACCOUNT` or `DEVELOPER`.
    pub(super) scope: &'static str,
    pub(super) name: &'static str,
    pub(super) wait: TimeDelta,
}

impl AdsError {
    /// An error of Google Ads'; the category decides the status.
    fn failure(category: &str, name: &str, message: impl Into<String>) -> Self {
        let status = match category {
            "authenticationError" => StatusCode::UNAUTHORIZED,
            "authorizationError" => StatusCode::FORBIDDEN,
            "quotaError" => StatusCode::TOO_MANY_REQUESTS,
            "internalError" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self {
            status,
            message: summary(status).to_owned(),
            detail: Some(Box::new(Detail::Failure {
                category: category.to_owned(),
                name: name.to_owned(),
                message: message.into(),
                quota: None,
            })),
        }
    }

    /// An error of any category.
    pub(super) fn of(category: &str, name: &str, message: impl Into<String>) -> Self {
        Self::failure(category, name, message)
    }

    /// Who calls is not who they say.
    pub(super) fn authentication(name: &str, message: &str) -> Self {
        Self::failure("authenticationError", name, message)
    }

    /// Who calls may not do that.
    pub(super) fn authorization(name: &str, message: &str) -> Self {
        Self::failure("authorizationError", name, message)
    }

    /// Something about the request is wrong.
    pub(super) fn request(name: &str, message: impl Into<String>) -> Self {
        Self::failure("requestError", name, message)
    }

    /// A header is wrong.
    pub(super) fn header(name: &str, message: &str) -> Self {
        Self::failure("headerError", name, message)
    }

    /// The query is wrong.
    pub(super) fn query(name: &str, message: impl Into<String>) -> Self {
        Self::failure("queryError", name, message)
    }

    /// A date in the query is none.
    pub(super) fn date(name: &str, message: impl Into<String>) -> Self {
        Self::failure("dateError", name, message)
    }

    /// The query's dates are not ones to ask for.
    pub(super) fn date_range(name: &str, message: &str) -> Self {
        Self::failure("dateRangeError", name, message)
    }

    /// A query for changes without what such a query needs.
    pub(super) fn change_status(name: &str, message: &str) -> Self {
        Self::failure("changeStatusError", name, message)
    }

    /// A member of the request is missing.
    pub(super) fn missing_query() -> Self {
        Self::failure(
            "fieldError",
            "REQUIRED",
            "The required field was not present: query.",
        )
    }

    /// Something broke at Google.
    pub(super) fn internal() -> Self {
        Self::failure(
            "internalError",
            "INTERNAL_ERROR",
            "Internal error encountered.",
        )
    }

    /// An allowance is used up.
    pub(super) fn quota(name: &str, message: &str, quota: Quota) -> Self {
        let mut error = Self::failure("quotaError", name, message);
        if let Some(Detail::Failure { quota: told, .. }) = error.detail.as_deref_mut() {
            *told = Some(quota);
        }
        error
    }

    /// An answer larger than any answer may be: the same status as for too many calls, but no wait helps.
    pub(super) fn too_large(most_bytes: usize) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: format!(
                "Received message larger than max: the response size exceeds {most_bytes} bytes"
            ),
            detail: None,
        }
    }

    /// A call without any token.
    pub(super) fn no_credentials() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            message: "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or \
                      other valid authentication credential."
                .to_owned(),
            detail: Some(Box::new(Detail::Info("CREDENTIALS_MISSING"))),
        }
    }

    /// A token that was given for something else.
    pub(super) fn insufficient_scope() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            message: "Request had insufficient authentication scopes.".to_owned(),
            detail: Some(Box::new(Detail::Info("ACCESS_TOKEN_SCOPE_INSUFFICIENT"))),
        }
    }

    /// A body that is no JSON, or has members that the call does not know.
    pub(super) fn bad_payload(why: &serde_json::Error) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: format!("Invalid JSON payload received. {why}"),
            detail: None,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The envelope, as the version `version` writes it.
    pub(super) fn body(&self, version: &str) -> Value {
        let mut error = json!({
            "code": self.status.as_u16(),
            "message": self.message,
            "status": rpc_name(self.status),
        });
        if let Some(detail) = &self.detail {
            error["details"] = json!([detail.json(version)]);
        }
        json!({ "error": error })
    }
}

impl From<QueryError> for AdsError {
    fn from(error: QueryError) -> Self {
        Self::query(error.name, error.message)
    }
}

impl Detail {
    fn json(&self, version: &str) -> Value {
        match self {
            Self::Info(reason) => json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": "googleapis.com",
                "metadata": { "service": "googleads.googleapis.com" },
            }),
            Self::Failure {
                category,
                name,
                message,
                quota,
            } => {
                let mut error = json!({ "errorCode": { category: name }, "message": message });
                if let Some(quota) = quota {
                    error["details"] = json!({
                        "quotaErrorDetails": {
                            "rateScope": quota.scope,
                            "rateName": quota.name,
                            "retryDelay": duration(quota.wait),
                        },
                    });
                }
                json!({
                    "@type": format!(
                        "type.googleapis.com/google.ads.googleads.{version}.errors.GoogleAdsFailure"
                    ),
                    "errors": [error],
                    "requestId": request_id(),
                })
            }
        }
    }
}

/// A span of time as Google writes it: `5s`, `1.500s`.
pub(super) fn duration(span: TimeDelta) -> String {
    let millis = span.num_milliseconds().max(0);
    match (millis / 1_000, millis % 1_000) {
        (seconds, 0) => format!("{seconds}s"),
        (seconds, rest) => format!("{seconds}.{rest:03}s"),
    }
}

/// What Google's support wants to hear of a call: a new one for each answer.
pub(super) fn request_id() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

/// What the front end answers to paths that lead nowhere: a page, and no envelope.
pub(super) fn front_end_404(path: &str) -> Response {
    let shown = path.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!(
        "<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)!!1</title>\n<p><b>404.</b> <ins>That’s an \
         error.</ins>\n<p>The requested URL <code>{shown}</code> was not found on this server.\n"
    );
    let kind = [(CONTENT_TYPE, "text/html; charset=UTF-8")];
    (StatusCode::NOT_FOUND, kind, page).into_response()
}

/// An error that a fault asks for: `category.NAME` is one of Google Ads', a name without a dot one of OAuth's, and none at
/// all one of the front end's.
pub(super) fn on_demand(failure: Failure) -> Response {
    let Failure {
        status,
        name,
        message,
        ..
    } = failure;
    let error = match name.as_deref().map(|name| (name, name.split_once('.'))) {
        Some((name, None)) => {
            let body = json!({ "error": name, "error_description": message });
            return (status, Json(body)).into_response();
        }
        Some((_, Some((category, name)))) => AdsError {
            status,
            ..AdsError::failure(category, name, message)
        },
        None => AdsError {
            status,
            message,
            detail: None,
        },
    };
    json_text(status, error.body(FAULTS_VERSION).to_string())
}

/// Too many calls, as a fault asks for it.
pub(super) fn throttled(throttling: &Throttling) -> Response {
    let wait = TimeDelta::seconds(i64::from(throttling.wait_s));
    let error = AdsError::quota(
        "RESOURCE_TEMPORARILY_EXHAUSTED",
        &format!(
            "Too many requests. Retry in {} seconds.",
            wait.num_seconds()
        ),
        Quota {
            scope: "ACCOUNT",
            name: "Requests per account",
            wait,
        },
    );
    let status = throttling.status.unwrap_or(error.status);
    json_text(status, error.body(FAULTS_VERSION).to_string())
}

fn summary(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
             authentication credential."
        }
        StatusCode::FORBIDDEN => "The caller does not have permission",
        StatusCode::TOO_MANY_REQUESTS => "Resource has been exhausted (e.g. check quota).",
        StatusCode::INTERNAL_SERVER_ERROR => "Internal error encountered.",
        _ => "Request contains an invalid argument.",
    }
}

/// What gRPC calls an HTTP status.
fn rpc_name(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_category_and_carries_the_version_that_was_called() {
        let body = AdsError::query("UNRECOGNIZED_FIELD", "no such field").body("v25");

        let error = &body["error"];
        assert_eq!(error["status"], "INVALID_ARGUMENT");
        let failure = &error["details"][0];
        assert_eq!(
            failure["@type"],
            "type.googleapis.com/google.ads.googleads.v25.errors.GoogleAdsFailure",
        );
        assert_eq!(
            failure["errors"][0]["errorCode"],
            json!({ "queryError": "UNRECOGNIZED_FIELD" }),
        );
    }

    #[test]
    fn spans_of_time_are_seconds_with_or_without_a_fraction() {
        assert_eq!(duration(TimeDelta::seconds(5)), "5s");
        assert_eq!(duration(TimeDelta::milliseconds(1_500)), "1.500s");
        assert_eq!(duration(TimeDelta::milliseconds(-3)), "0s");
    }
}
