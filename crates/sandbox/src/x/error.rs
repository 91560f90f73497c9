//! X's error envelopes: the Ads API's, whose codes are words, and the one of version 1, whose codes
//! are numbers, which gateways use; and those of OAuth 2.0.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::faults::Failure;

/// An error as X tells it.
#[derive(Debug)]
pub(super) struct XError {
    status: StatusCode,
    said: Said,
}

#[derive(Debug)]
enum Said {
    /// The Ads API's way.
    Word {
        code: String,
        message: String,
        /// Which parameter is wrong, and what it was.
        parameter: Option<(&'static str, String)>,
    },
    /// The way of version 1.
    Number { code: i64, message: String },
}

impl XError {
    pub(super) fn word(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            said: Said::Word {
                code: code.to_owned(),
                message: message.into(),
                parameter: None,
            },
        }
    }

    pub(super) fn number(status: StatusCode, code: i64, message: impl Into<String>) -> Self {
        Self {
            status,
            said: Said::Number {
                code,
                message: message.into(),
            },
        }
    }

    /// A call without any authorization.
    pub(super) fn unauthorized() -> Self {
        Self::word(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED_ACCESS",
            "This request is not properly authenticated",
        )
    }

    /// A signature that does not fit, another app, or a nonce that was used.
    pub(super) fn not_authenticated() -> Self {
        Self::number(StatusCode::UNAUTHORIZED, 32, "Could not authenticate you.")
    }

    pub(super) fn bad_token() -> Self {
        Self::number(StatusCode::UNAUTHORIZED, 89, "Invalid or expired token.")
    }

    /// The caller's clock is off.
    pub(super) fn bad_time() -> Self {
        Self::number(StatusCode::UNAUTHORIZED, 135, "Timestamp out of bounds.")
    }

    /// The token was not given for that.
    pub(super) fn not_allowed() -> Self {
        Self::word(
            StatusCode::FORBIDDEN,
            "ACTION_NOT_ALLOWED",
            "The token does not permit this action",
        )
    }

    /// An account that there is not, or in which the person has no role.
    pub(super) fn no_account(status: StatusCode, id: &str) -> Self {
        Self::word(status, "ACCOUNT_NOT_FOUND", "The account was not found").about("account_id", id)
    }

    pub(super) fn no_route() -> Self {
        Self::word(
            StatusCode::NOT_FOUND,
            "ROUTE_NOT_FOUND",
            "The requested resource could not be found",
        )
    }

    pub(super) fn not_found(parameter: &'static str, id: &str) -> Self {
        Self::word(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            format!("The {parameter} {id} was not found"),
        )
        .about(parameter, id)
    }

    pub(super) fn missing(parameter: &'static str) -> Self {
        Self::word(
            StatusCode::BAD_REQUEST,
            "MISSING_PARAMETER",
            format!("{parameter} is a required parameter"),
        )
        .about(parameter, "")
    }

    pub(super) fn invalid(
        parameter: &'static str,
        value: &str,
        message: impl Into<String>,
    ) -> Self {
        Self::word(StatusCode::BAD_REQUEST, "INVALID_PARAMETER", message).about(parameter, value)
    }

    /// A time that is too long.
    pub(super) fn window(message: impl Into<String>, end: &str) -> Self {
        Self::word(StatusCode::BAD_REQUEST, "INVALID_TIME_WINDOW", message).about("end_time", end)
    }

    pub(super) fn too_many_requests() -> Self {
        Self::word(
            StatusCode::TOO_MANY_REQUESTS,
            "TOO_MANY_REQUESTS",
            "The rate limit of this resource has been reached",
        )
    }

    pub(super) fn too_many_jobs(most: u64) -> Self {
        Self::word(
            StatusCode::TOO_MANY_REQUESTS,
            "TOO_MANY_JOBS",
            format!("Too many concurrent jobs: at most {most} are processed for an account"),
        )
    }

    fn about(mut self, name: &'static str, value: &str) -> Self {
        if let Said::Word { parameter, .. } = &mut self.said {
            *parameter = Some((name, value.to_owned()));
        }
        self
    }

    fn body(&self) -> Value {
        match &self.said {
            Said::Number { code, message } => {
                json!({ "errors": [{ "code": code, "message": message }] })
            }
            Said::Word {
                code,
                message,
                parameter,
            } => {
                let mut error = json!({ "code": code, "message": message });
                if let Some((name, value)) = parameter {
                    error["parameter"] = json!(name);
                    error["details"] = json!("");
                    error["value"] = json!(value);
                }
                json!({ "errors": [error], "request": { "params": {} } })
            }
        }
    }
}

impl IntoResponse for XError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}

/// An error of OAuth 2.0.
#[derive(Debug, Clone, Copy)]
pub(super) struct OAuthError {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) description: &'static str,
}

impl OAuthError {
    /// Something about the request is wrong, a token or a code included.
    pub(super) const fn invalid_request(description: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: "invalid_request",
            description,
        }
    }

    /// The client does not say who it is, or not in the header, or with another secret.
    pub(super) fn unauthorized_client() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            error: "unauthorized_client",
            description: "Missing valid authorization header",
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        oauth_body(self.status, self.error, self.description)
    }
}

fn oauth_body(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({ "error": error, "error_description": description });
    (status, Json(body)).into_response()
}

/// An error that a fault asks for: a name in capitals is one of the Ads API's, another one of
/// OAuth's, and without a name it is a number.
pub(super) fn on_demand(failure: Failure) -> Response {
    let Failure {
        status,
        code,
        name,
        message,
        ..
    } = failure;
    match name {
        Some(name) if name == name.to_lowercase() => oauth_body(status, &name, &message),
        Some(name) => XError::word(status, &name, message).into_response(),
        None => XError::number(status, code, message).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_parameter_and_what_it_was() {
        let body = XError::invalid("start_time", "x", "Expected time").body();

        assert_eq!(
            body,
            json!({
                "errors": [{
                    "code": "INVALID_PARAMETER",
                    "message": "Expected time",
                    "parameter": "start_time",
                    "details": "",
                    "value": "x",
                }],
                "request": { "params": {} },
            }),
        );
    }

    #[test]
    fn an_error_of_version_1_has_a_number() {
        let body = XError::bad_token().body();

        assert_eq!(
            body,
            json!({ "errors": [{ "code": 89, "message": "Invalid or expired token." }] }),
        );
    }
}
