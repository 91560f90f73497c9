//! The page on which a person is asked for access. Nobody has to click here: it answers at once what the control told it
//! to, yes by default, by sending the browser back.

use axum::{
    http::{HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use url::Url;

use super::{Context, REFRESHABLE, param};
use crate::{
    door::Incoming,
    oauth::{Consent, Denied},
    world::Platform,
};

/// How long a code is good for.
const CODE_LASTS: TimeDelta = TimeDelta::minutes(30);

/// Sends the browser back with a code, or with the person's no. What is wrong with the app or the address is shown on a
/// page.
pub(in super::super) fn show(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    let params = incoming.query();
    match redirect(ctx, &params) {
        Ok(address) => (StatusCode::FOUND, [(LOCATION, address)]).into_response(),
        Err(problem) => (StatusCode::BAD_REQUEST, problem).into_response(),
    }
}

fn redirect(ctx: &Context<'_>, params: &[(String, String)]) -> Result<HeaderValue, &'static str> {
    let app = ctx.shared.app(Platform::LinkedIn);
    if param(params, "client_id") != Some(app.id.as_str()) {
        return Err("The passed in client_id is invalid");
    }
    let redirect_uri = param(params, "redirect_uri").unwrap_or_default();
    let mut back = Url::parse(redirect_uri)
        .map_err(|_| "The redirect_uri does not match the registered value")?;
    let scopes: Vec<_> = param(params, "scope")
        .unwrap_or_default()
        .split([' ', ','])
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    let told = if param(params, "response_type") != Some("code") {
        Err((
            "unsupported_response_type",
            "The response type is not supported",
        ))
    } else if scopes.is_empty() {
        Err(("invalid_scope", "No scope was requested"))
    } else {
        ask(ctx, redirect_uri, scopes).map_err(|Denied| {
            (
                "user_cancelled_authorize",
                "The user cancelled the authorization",
            )
        })
    };
    {
        let mut query = back.query_pairs_mut();
        match told {
            Ok(code) => query.append_pair("code", &code),
            Err((error, description)) => query
                .append_pair("error", error)
                .append_pair("error_description", description),
        };
        if let Some(state) = param(params, "state") {
            query.append_pair("state", state);
        }
    }
    HeaderValue::from_str(back.as_str()).map_err(|_| "The redirect_uri is not an address")
}

fn ask(ctx: &Context<'_>, redirect_uri: &str, mut scopes: Vec<String>) -> Result<String, Denied> {
    scopes.push(REFRESHABLE.to_owned());
    let consent = Consent {
        redirect_uri: redirect_uri.to_owned(),
        scopes,
        challenge: None,
        lasts: CODE_LASTS,
    };
    ctx.shared
        .oauth
        .consent(Platform::LinkedIn, consent, ctx.now)
}
