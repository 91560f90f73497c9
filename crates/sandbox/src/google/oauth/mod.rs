//! Google's OAuth 2.0: the page that asks for consent, tokens, and taking them back.

mod consent;
mod token;

use axum::{
    Json,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Context, error};
use crate::{door::Incoming, world::Platform};

pub(super) use consent::show as show_consent;

/// An answer of the token's or the revocation's address that is not the one hoped for.
#[derive(Debug)]
struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
    subtype: Option<&'static str>,
}

impl OAuthError {
    fn new(error: &'static str, description: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description,
            subtype: None,
        }
    }

    /// A code or a refresh token that is worth nothing, or nothing any more.
    fn invalid_grant(description: &'static str) -> Self {
        Self::new("invalid_grant", description)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.error, "error_description": self.description });
        if let Some(subtype) = self.subtype {
            body["error_subtype"] = json!(subtype);
        }
        (self.status, Json(body)).into_response()
    }
}

/// `POST /token`.
pub(super) fn answer_token(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    answered(incoming, || token::issue(ctx, &incoming.form()))
}

/// `POST /revoke`: takes the whole consent back, by any of its tokens.
pub(super) fn answer_revoke(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    answered(incoming, || {
        let mut params = incoming.query();
        params.extend(incoming.form());
        let token = param(&params, "token").unwrap_or_default();
        let found = ctx
            .shared
            .oauth
            .look_up(Platform::GoogleAds, token, ctx.now);
        let holder =
            found.map_err(|_| OAuthError::new("invalid_token", "Token expired or revoked"))?;
        ctx.shared.oauth.revoke(holder.grant_id);
        Ok(json!({}))
    })
}

fn answered(incoming: &Incoming, answer: impl FnOnce() -> Result<Value, OAuthError>) -> Response {
    if incoming.method != Method::POST {
        return error::front_end_404(&incoming.path);
    }
    match answer() {
        Ok(body) => Json(body).into_response(),
        Err(error) => error.into_response(),
    }
}

/// The parameter of that name.
fn param<'p>(params: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let found = params.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str())
}
