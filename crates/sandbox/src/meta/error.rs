//! Meta's error envelope, and the errors that any call can meet. Statuses and texts are those that
//! Graph v26.0 sends.

use axum::{
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Value, json};

use super::{reply::Reply, rules::Refusal};
use crate::{faults::Failure, oauth::TokenState};

/// What Meta says of a token that it cannot read.
pub(super) const UNKNOWN_TOKEN: &str = "Invalid OAuth access token - Cannot parse access token";

/// An error as Meta tells it.
#[derive(Debug)]
pub(super) struct GraphError {
    status: StatusCode,
    /// Boxed, since it is far larger than what is told when all is well.
    body: Box<ErrorBody>,
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

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The envelope.
    pub(super) fn body(&self) -> Value {
        json!({ "error": self.body })
    }

    /// Whether it says that the token does not work.
    pub(super) fn is_about_the_token(&self) -> bool {
        self.body.code == 190
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

    /// A call that only a person's token can make.
    pub(super) fn no_user() -> Self {
        let message =
            "An active access token must be used to query information about the current user.";
        Self::new("OAuthException", 2500, message)
    }

    /// A call about a page that was not made with the page's own token.
    pub(super) fn no_page_token() -> Self {
        let message = "(#190) This method must be called with a Page Access Token";
        Self::new("OAuthException", 190, message).with_status(StatusCode::UNAUTHORIZED)
    }

    /// A right that was not granted, or an ad account that is not the token's.
    pub(super) fn not_allowed(scope: &str) -> Self {
        let message =
            format!("(#200) Ad account owner or Page admin has NOT granted the {scope} permission");
        Self::new("OAuthException", 200, message).with_status(StatusCode::FORBIDDEN)
    }

    /// The person has not been seen for so long that the app may not see their data, though the
    /// token works.
    pub(super) fn data_access_over() -> Self {
        let message =
            "(#10) Application does not have permission for this action: data access has expired";
        Self::new("OAuthException", 10, message).with_status(StatusCode::FORBIDDEN)
    }

    /// App id or app secret are not those of the app.
    pub(super) fn wrong_app() -> Self {
        Self::new("OAuthException", 101, "Error validating client secret.")
    }

    /// A code that cannot be taken; the subcode says why.
    pub(super) fn bad_code(subcode: i64, message: &str) -> Self {
        Self::new("OAuthException", 100, message).with_subcode(subcode)
    }

    /// A field that a thing of that sort does not have.
    pub(super) fn no_such_field(field: &str, node: &str) -> Self {
        let message =
            format!("(#100) Tried accessing nonexisting field ({field}) on node type ({node})");
        Self::new("OAuthException", 100, message)
    }

    /// Too much was asked for in one page.
    pub(super) fn reduce_the_amount() -> Self {
        let message = "Please reduce the amount of data you're asking for, then retry your request";
        Self::new("OAuthException", 1, message).with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Too many rows for an answer at once: it takes a report, or a shorter time.
    pub(super) fn too_many_rows() -> Self {
        let message = "Please reduce the amount of data you're asking for, then retry your request";
        let mut error = Self::new("OAuthException", 100, message).with_subcode(1_487_534);
        error.body.is_transient = Some(false);
        error
    }

    /// A breakdown that cannot be combined with the rest.
    pub(super) fn bad_breakdown(breakdown: &str) -> Self {
        let message =
            format!("(#2) Current combination of data breakdown columns ({breakdown}) is invalid");
        Self::new("OAuthException", 2, message).with_subcode(1_504_041)
    }

    /// A metric that there is not, or not any more.
    pub(super) fn bad_metric(name: &str, known: &[&str]) -> Self {
        let message = format!(
            "(#100) The value must be a valid insights metric: {name} must be one of the following values: {}",
            known.join(", ")
        );
        Self::new("OAuthException", 100, message)
    }

    /// More calls in one than there may be.
    pub(super) fn batch_too_large(most: usize) -> Self {
        let message = format!("Too many requests in batch message. Maximum batch size is {most}");
        Self::new("GraphBatchException", 100, message)
    }

    /// Rows of what stands above the thing that is asked.
    pub(super) fn wrong_level() -> Self {
        Self::new("OAuthException", 1, "Please check the level parameter").with_subcode(99)
    }

    /// A report whose rows are asked for before it is done.
    pub(super) fn report_not_done() -> Self {
        let message = "(#2601) Error accessing adreport job.";
        Self::new("OAuthException", 2601, message).with_subcode(1_815_107)
    }

    /// An allowance is used up.
    pub(super) fn too_many_calls(code: i64, subcode: Option<i64>) -> Self {
        let message = match code {
            4 => "(#4) Application request limit reached",
            17 => "(#17) User request limit reached",
            32 => "(#32) Page request limit reached",
            613 => "(#613) Calls to this api have exceeded the rate limit.",
            _ => "There have been too many calls to this ad-account. Wait a bit and try again.",
        };
        let mut error = Self::new("OAuthException", code, message);
        error.body.error_subcode = subcode;
        error.body.is_transient = Some(true);
        error
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
        TokenState::Revoked => (
            458,
            "Error validating access token: The user has not authorized the application.",
        ),
    };
    Some(SpentToken { subcode, message })
}

/// An error of Meta's that a fault asks for.
pub(super) fn failure(failure: Failure) -> Response {
    let mut error = GraphError::new("OAuthException", failure.code, failure.message);
    error.status = failure.status;
    error.body.error_subcode = failure.subcode;
    error.body.is_transient = Some(failure.is_transient);
    Reply::from(error).into_response()
}

/// What Meta's support wants to hear of a call: a new one for each answer.
pub(super) fn trace_id() -> String {
    format!("A{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()))
}
