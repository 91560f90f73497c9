//! LinkedIn's OAuth 2.0: the page that asks for consent, tokens, and what a token is good for.

mod consent;
mod introspect;
mod token;

use axum::{
    Json,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Context, error::ApiError};
use crate::{door::Incoming, limits::Allowance, oauth::Grant, world::Platform};

pub(super) use consent::show as show_consent;

/// What the control leaves out of consents for apps that LinkedIn gives no refresh tokens to. Apps do not ask for it: it is
/// added to what they ask for, and never shown.
const REFRESHABLE: &str = "refresh_token";
/// What a token is good for that was granted everything.
const EVERYTHING: [&str; 5] = [
    "r_ads",
    "r_ads_reporting",
    "rw_ads",
    "rw_conversions",
    "r_organization_social",
];
/// Calls of an app in a minute; chosen.
const OF_A_MINUTE: Allowance = Allowance {
    calls: 6_000,
    per: TimeDelta::minutes(1),
};

/// An answer that is not the one hoped for.
#[derive(Debug)]
struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl OAuthError {
    /// A code or a refresh token that is worth nothing, or nothing any more.
    const DEAD: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "invalid_request",
        "The provided authorization grant or refresh token is invalid, expired or revoked",
    );
    /// Another app, or a wrong secret.
    const CLIENT: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "Client authentication failed",
    );

    const fn new(status: StatusCode, error: &'static str, description: &'static str) -> Self {
        Self {
            status,
            error,
            description,
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        (self.status, Json(body)).into_response()
    }
}

/// `POST /oauth/v2/accessToken`.
pub(super) fn answer_token(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    answered(ctx, incoming, token::issue)
}

/// `POST /oauth/v2/introspectToken`.
pub(super) fn answer_introspection(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    answered(ctx, incoming, introspect::show)
}

/// An answer of an address at which the app says who it is.
fn answered(
    ctx: &Context<'_>,
    incoming: &Incoming,
    answer: impl Fn(&Context<'_>, &[(String, String)]) -> Result<Value, OAuthError>,
) -> Response {
    if incoming.method != Method::POST {
        return ApiError::method_not_allowed().into_response();
    }
    let limits = &ctx.shared.limits;
    let reading = limits.count(Platform::LinkedIn, "oauth", OF_A_MINUTE, ctx.now);
    if reading.is_over {
        return ApiError::throttled(false).into_response();
    }
    let params = incoming.form();
    let app = ctx.shared.app(Platform::LinkedIn);
    let is_app = param(&params, "client_id") == Some(app.id.as_str())
        && param(&params, "client_secret") == Some(app.secret.as_str());
    let told = if is_app {
        answer(ctx, &params)
    } else {
        Err(OAuthError::CLIENT)
    };
    match told {
        Ok(body) => Json(body).into_response(),
        Err(error) => error.into_response(),
    }
}

/// The parameter of that name.
fn param<'p>(params: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let found = params.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str())
}

/// What was granted, with commas between.
fn scope_text(grant: &Grant) -> String {
    let granted: Vec<_> = match &grant.scopes {
        Some(scopes) => scopes.iter().map(String::as_str).collect(),
        None => EVERYTHING.to_vec(),
    };
    let shown: Vec<_> = granted
        .into_iter()
        .filter(|scope| *scope != REFRESHABLE)
        .collect();
    shown.join(",")
}
