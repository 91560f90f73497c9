//! X's OAuth: the dance of 1.0a in three steps, and 2.0 with PKCE and refresh tokens that are good
//! once.

mod dance;
mod pages;
mod tokens;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{Context, access};
use crate::door::Incoming;

pub(super) use dance::{access_token, authorize, request_token};
pub(super) use pages::show_consent;
pub(super) use tokens::{revoke, token};

/// `GET 2/users/me`: whose a token of OAuth 2.0 is.
pub(super) fn whoami(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    let token = incoming.bearer().unwrap_or_default();
    match access::living(ctx, token) {
        Ok(holder) if holder.secret.is_none() => {
            let user = &holder.grant.user;
            let data = json!({ "id": user, "name": "Fake Person", "username": handle(user) });
            Json(json!({ "data": data })).into_response()
        }
        Ok(_) | Err(_) => {
            let body = json!({
                "title": "Unauthorized",
                "type": "about:blank",
                "status": 401,
                "detail": "Unauthorized",
            });
            (StatusCode::UNAUTHORIZED, Json(body)).into_response()
        }
    }
}

/// What a person is called on X.
fn handle(user: &str) -> String {
    format!("fake_{user}")
}

/// The parameter of that name.
fn param<'p>(params: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let found = params.iter().find(|(found, _)| found == name);
    found
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}
