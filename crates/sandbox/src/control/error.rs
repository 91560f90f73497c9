//! Why the control refuses, told with every cause.

use std::error::Error;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{access::MOST_KNOWN, world::MOST_ROWS};
use crate::{
    faults::FaultError,
    limits::TooManyKnobs,
    signature::SecretError,
    world::{ChangeError, TooFar},
};

/// Why the control refuses.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    #[error("the control answers callers on this machine only")]
    NotLocal,
    #[error("the body is not what is expected here")]
    Body(#[from] serde_json::Error),
    #[error(
        "target must be a platform (\"meta\", \"google_ads\", \"linkedin\", \"tiktok\", \"x\"), \"receiver:NAME\" or \"smtp\", and \
         match is for platforms only"
    )]
    Target,
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error("a hook secret cannot be used")]
    HookSecret(#[from] SecretError),
    #[error("at most {MOST_KNOWN} tokens and as many datasets can be named")]
    TooManyKnown,
    #[error("usage_percent must be 0 to 1,000")]
    UsagePercent,
    #[error(transparent)]
    Limits(#[from] TooManyKnobs),
    #[error(transparent)]
    Clock(#[from] TooFar),
    #[error("there is no account or no such thing with this id")]
    Unknown,
    #[error("this cannot be changed")]
    Change(#[from] ChangeError),
    #[error("{0} must be one of {1}")]
    Word(&'static str, &'static str),
    #[error("{0} must be a day such as 2026-11-20")]
    Day(&'static str),
    #[error("more than {MOST_ROWS} rows: ask for a shorter time")]
    TooManyRows,
    #[error("{0}")]
    Webhooks(&'static str),
    #[error("the answer could not be made")]
    Broken,
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotLocal => StatusCode::FORBIDDEN,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Unknown | Self::Change(ChangeError::Unknown) => StatusCode::NOT_FOUND,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Target
            | Self::Fault(_)
            | Self::HookSecret(_)
            | Self::TooManyKnown
            | Self::UsagePercent
            | Self::Limits(_)
            | Self::Clock(_)
            | Self::Change(_)
            | Self::Word(..)
            | Self::Day(_)
            | Self::Webhooks(_)
            | Self::TooManyRows => StatusCode::UNPROCESSABLE_ENTITY,
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
