//! LinkedIn's error envelope.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::faults::{Failure, Throttling};

/// What LinkedIn says of too many calls.
const THROTTLED: &str = "Resource level throttle limit for calls to this resource is reached.";
/// Its number for that.
const THROTTLED_CODE: i64 = 101;

/// An error as LinkedIn tells it.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: Option<&'static str>,
    service_code: Option<i64>,
    message: String,
    input: Option<Box<Input>>,
}

/// What of the request is wrong.
#[derive(Debug)]
struct Input {
    field: String,
    code: &'static str,
    description: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: Some(code),
            service_code: None,
            message: message.into(),
            input: None,
        }
    }

    /// A token that does not work, or none.
    pub(super) fn token(service_code: i64, code: &'static str, message: &str) -> Self {
        Self {
            service_code: Some(service_code),
            ..Self::new(StatusCode::UNAUTHORIZED, code, message)
        }
    }

    /// A scope or a role that is missing.
    pub(super) fn denied(what: &str) -> Self {
        Self {
            service_code: Some(100),
            ..Self::new(
                StatusCode::FORBIDDEN,
                "ACCESS_DENIED",
                format!("Not enough permissions to access: {what}"),
            )
        }
    }

    /// What is not there, and what one may not see.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            format!("Could not find entity: {what}"),
        )
    }

    /// A method that an address does not have.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            "The method is not allowed for this resource",
        )
    }

    /// A POST that does not say how long its body is.
    pub(super) fn length_required() -> Self {
        Self::new(
            StatusCode::LENGTH_REQUIRED,
            "LENGTH_REQUIRED",
            "Content-Length is required",
        )
    }

    /// A query that should have been tunnelled.
    pub(super) fn query_too_long() -> Self {
        Self::new(
            StatusCode::URI_TOO_LONG,
            "URI_TOO_LONG",
            "The request URI is too long",
        )
    }

    /// No version at all.
    pub(super) fn no_version() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "VERSION_MISSING",
            "A version must be present. Please specify a version by adding the LinkedIn-Version header.",
        )
    }

    /// A version that is not there any more, or not yet.
    pub(super) fn no_such_version(version: &str) -> Self {
        Self::new(
            StatusCode::UPGRADE_REQUIRED,
            "NONEXISTENT_VERSION",
            format!("Requested version {version} is not active"),
        )
    }

    /// Something about a request as a whole.
    pub(super) fn illegal(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ILLEGAL_ARGUMENT", message)
    }

    /// A parameter whose value is wrong.
    pub(super) fn invalid_param(name: &str, description: &str) -> Self {
        Self::input(name, "PARAM_INVALID", description)
    }

    /// A parameter whose value is against the syntax, or of another type.
    pub(super) fn bad_syntax(name: &str) -> Self {
        Self::invalid_param(
            name,
            "Invalid value for param; wrong type or other syntax error",
        )
    }

    /// A parameter that is missing.
    pub(super) fn missing_param(name: &str) -> Self {
        Self::input(name, "MISSING_REQUIRED_PARAM", "Required param is missing")
    }

    /// A parameter that the method does not know.
    pub(super) fn unknown_param(name: &str) -> Self {
        Self::input(
            name,
            "QUERY_PARAM_NOT_ALLOWED",
            "Query parameter is not allowed",
        )
    }

    fn input(field: &str, code: &'static str, description: &str) -> Self {
        let message = "Invalid param. Please see errorDetails for more information.";
        Self {
            code: None,
            input: Some(Box::new(Input {
                field: field.to_owned(),
                code,
                description: description.to_owned(),
            })),
            ..Self::new(StatusCode::BAD_REQUEST, code, message)
        }
    }

    /// More rows than one answer can have.
    pub(super) fn too_many_rows(most: usize) -> Self {
        let message = format!("The response exceeds the limit of {most} elements");
        Self::new(StatusCode::BAD_REQUEST, "TOO_MANY_ELEMENTS", message)
    }

    /// A batch with bad events: what is wrong with which, a line each.
    pub(super) fn unprocessable(message: String) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "UNPROCESSABLE_ENTITY",
            message,
        )
    }

    /// Too many calls. LinkedIn does not say until when, and no header does.
    pub(super) fn throttled(is_of_the_day: bool) -> Self {
        let message = if is_of_the_day {
            "Resource level throttle DAY limit for calls to this resource is reached."
        } else {
            THROTTLED
        };
        Self {
            service_code: Some(THROTTLED_CODE),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", message)
        }
    }

    /// Too many figures in a few minutes.
    pub(super) fn too_much_data() -> Self {
        let message = "The data request limit has been exceeded. More than 45 million metric values have been requested in a \
                       5 minute interval.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", message)
    }

    fn body(&self) -> Value {
        let mut body = json!({ "status": self.status.as_u16(), "message": self.message });
        if let Some(code) = self.code {
            body["code"] = json!(code);
        }
        if let Some(service_code) = self.service_code {
            body["serviceErrorCode"] = json!(service_code);
        }
        if let Some(input) = &self.input {
            body["errorDetailType"] = json!("com.linkedin.common.error.BadRequest");
            body["errorDetails"] = json!({ "inputErrors": [{
                "description": input.description,
                "input": { "inputPath": { "fieldPath": input.field } },
                "code": input.code,
            }] });
        }
        body
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        told(self.status, self.body())
    }
}

/// An answer with the id that LinkedIn's support wants to hear of a call.
pub(super) fn told(status: StatusCode, body: Value) -> Response {
    let id = STANDARD.encode(rand::random::<[u8; 12]>());
    (status, [("x-li-uuid", id)], Json(body)).into_response()
}

/// An error that a fault asks for: one of OAuth's where its name is in lower case.
pub(super) fn on_demand(failure: Failure) -> Response {
    let Failure {
        status,
        code,
        name,
        message,
        ..
    } = failure;
    let body = match name {
        Some(name) if name.bytes().any(|byte| byte.is_ascii_lowercase()) => {
            json!({ "error": name, "error_description": message })
        }
        Some(name) => json!({
            "status": status.as_u16(),
            "code": name,
            "serviceErrorCode": code,
            "message": message,
        }),
        None => json!({
            "status": status.as_u16(),
            "serviceErrorCode": code,
            "message": message,
        }),
    };
    told(status, body)
}

/// Too many calls, as a fault asks for it: there is no word of when to come back.
pub(super) fn throttled(throttling: &Throttling) -> Response {
    let mut error = ApiError::throttled(false);
    error.status = throttling.status.unwrap_or(error.status);
    error.service_code = throttling.code.or(error.service_code);
    error.into_response()
}
