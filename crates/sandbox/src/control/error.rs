//! Why the control refuses, told with every cause.

use std::error::Error;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::MOST_KNOWN;
use crate::{faults::FaultError, signature::SecretError};

/// Why the control refuses.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    #[error("the control answers callers on this machine only")]
    NotLocal,
    #[error("the body is not what is expected here")]
    Body(#[from] serde_json::Error),
    #[error(
        "target must be \"meta\", \"receiver:NAME\" or \"smtp\", and match is for \"meta\" only"
    )]
    Target,
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error("a hook secret cannot be used")]
    HookSecret(#[from] SecretError),
    #[error("at most {MOST_KNOWN} tokens and as many datasets can be known")]
    TooManyKnown,
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotLocal => StatusCode::FORBIDDEN,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Target | Self::Fault(_) | Self::HookSecret(_) | Self::TooManyKnown => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        (
            status,
            Json(json!({ "error": { "message": with_causes(&self) } })),
        )
            .into_response()
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
