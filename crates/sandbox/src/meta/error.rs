//! Meta's error envelope, and the errors that any call can meet. Statuses and texts are those that
//! Graph v26.0 sends.

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use super::rules::Refusal;
use crate::config::TokenState;

/// What Meta says of a token that it cannot read.
pub(super) const UNKNOWN_TOKEN: &str = "Invalid OAuth access token - Cannot parse access token";

/// An error as Meta tells it.
#[derive(Debug)]
pub(super) struct GraphError {
    status: StatusCode,
    /// Boxed, since it is far larger than what is told when all is well.
    body: Box<ErrorBody>,
}

#[derive(Serialize)]
struct Envelope {
    error: Box<ErrorBody>,
}

#[derive(Debug, Serialize)]
struct ErrorBody {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    code: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_transient: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_title: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_data: Option<ErrorData>,
    fbtrace_id: String,
}

#[derive(Debug, Serialize)]
struct ErrorData {
    blame_field_specs: [[String; 1]; 1],
}

impl GraphError {
    fn new(kind: &'static str, code: i64, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            body: Box::new(ErrorBody {
                message: message.into(),
                kind,
                code,
                error_subcode: None,
                is_transient: None,
                error_user_title: None,
                error_user_msg: None,
                error_data: None,
                fbtrace_id: trace_id(),
            }),
        }
    }

    fn with_subcode(mut self, subcode: i64) -> Self {
        self.body.error_subcode = Some(subcode);
        self
    }

    fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A call without any token.
    pub(super) fn no_token() -> Self {
        Self::new(
            "OAuthException",
            104,
            "An access token is required to request this resource.",
        )
    }

    /// A token that Meta never gave out.
    pub(super) fn unknown_token() -> Self {
        Self::new("OAuthException", 190, UNKNOWN_TOKEN).with_status(StatusCode::UNAUTHORIZED)
    }

    /// A token that worked once.
    pub(super) fn spent_token(spent: SpentToken) -> Self {
        Self::new("OAuthException", 190, spent.message)
            .with_subcode(spent.subcode)
            .with_status(StatusCode::UNAUTHORIZED)
    }

    /// "Require App Secret" is on and the proof is not there.
    pub(super) fn no_proof() -> Self {
        let message = "API calls from the server require an appsecret_proof argument";
        Self::new("GraphMethodException", 100, message)
    }

    /// A proof that was made with another secret or for another token.
    pub(super) fn wrong_proof() -> Self {
        let message = "Invalid appsecret_proof provided in the API argument";
        Self::new("GraphMethodException", 100, message)
    }

    /// An id that is not there, not visible to the token, or does not know the method.
    pub(super) fn no_such_object(method: &Method, object: &str) -> Self {
        let message = format!(
            "Unsupported {} request. Object with ID '{object}' does not exist, cannot be loaded \
             due to missing permissions, or does not support this operation. Please read the \
             Graph API documentation at https://developers.facebook.com/docs/graph-api",
            method.as_str().to_lowercase(),
        );
        Self::new("GraphMethodException", 100, message).with_subcode(33)
    }

    /// A path with more segments than Graph knows.
    pub(super) fn unknown_path(path: &str) -> Self {
        Self::new(
            "OAuthException",
            2500,
            format!("Unknown path components: /{path}"),
        )
    }

    /// A body that is neither a form nor a JSON object.
    pub(super) fn unreadable_body() -> Self {
        Self::new(
            "OAuthException",
            100,
            "(#100) The request's body is not a form and not a JSON object",
        )
    }

    /// A parameter that is missing or wrong as a whole.
    pub(super) fn bad_param(name: &str, what: &str) -> Self {
        Self::new("OAuthException", 100, format!("(#100) Param {name} {what}"))
    }

    /// The first event that is wrong; its call is refused whole.
    pub(super) fn bad_event(index: usize, refusal: Refusal) -> Self {
        let Refusal {
            subcode,
            member,
            title,
            message,
        } = refusal;
        let mut error = Self::new("OAuthException", 100, "Invalid parameter");
        error.body.error_subcode = subcode;
        error.body.is_transient = Some(false);
        error.body.error_user_title = Some(title);
        error.body.error_user_msg = Some(format!("data[{index}]: {message}"));
        error.body.error_data = Some(ErrorData {
            blame_field_specs: [[format!("data[{index}][{member}]")]],
        });
        error
    }
}

impl IntoResponse for GraphError {
    fn into_response(self) -> Response {
        let is_auth = self.body.code == 190;
        let mut answer = (self.status, Json(Envelope { error: self.body })).into_response();
        if is_auth {
            let value = HeaderValue::from_static(r#"OAuth "Facebook Platform" "invalid_token""#);
            answer.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        answer
    }
}

/// How Meta tells that a token works no more.
pub(super) struct SpentToken {
    pub(super) subcode: i64,
    pub(super) message: &'static str,
}

/// `None` for a token that works.
pub(super) fn spent(state: TokenState) -> Option<SpentToken> {
    let (subcode, message) = match state {
        TokenState::Valid => return None,
        TokenState::Expired => (
            463,
            "Error validating access token: Session has expired. The time of its end has passed.",
        ),
        TokenState::PasswordChanged => (
            460,
            "Error validating access token: The session has been invalidated because the user \
             changed their password or Facebook has changed the session for security reasons.",
        ),
        TokenState::Invalid => (
            467,
            "Error validating access token: The session is invalid because the user logged out.",
        ),
    };
    Some(SpentToken { subcode, message })
}

/// An error of Meta's that a fault asks for; `code` is the code and the subcode.
pub(crate) fn failure(
    status: StatusCode,
    code: (i64, Option<i64>),
    message: String,
    is_transient: bool,
) -> Response {
    let (code, subcode) = code;
    let mut error = GraphError::new("OAuthException", code, message).with_status(status);
    error.body.error_subcode = subcode;
    error.body.is_transient = Some(is_transient);
    error.into_response()
}

/// What Meta's support wants to hear of a call: a new one for each answer.
pub(super) fn trace_id() -> String {
    format!("A{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()))
}
