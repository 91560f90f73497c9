//! The pages on which a person is asked for access. Nobody has to click there: they answer at once
//! what the control told them to, yes by default, by sending the browser back.

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use url::Url;

use super::{Context, param};
use crate::{
    door::Incoming,
    oauth::{Consent, Denied},
    world::Platform,
};

/// How long a code of OAuth 2.0 is good for.
const CODE_LASTS: TimeDelta = TimeDelta::seconds(30);

/// `i/oauth2/authorize`. What is wrong with the question is shown on the page.
pub(in crate::x) fn show_consent(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    match ask(ctx, &incoming.query()) {
        Ok(back) => send_to(&back),
        Err(problem) => page(StatusCode::BAD_REQUEST, problem),
    }
}

fn ask(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Url, &'static str> {
    if param(params, "client_id") != Some(ctx.shared.app(Platform::X).id.as_str()) {
        return Err("The client does not exist");
    }
    if param(params, "response_type") != Some("code") {
        return Err("The response type must be code");
    }
    let redirect_uri = param(params, "redirect_uri").ok_or("The redirect URI is missing")?;
    let mut back =
        Url::parse(redirect_uri).map_err(|_| "The redirect URI is not an absolute address")?;
    let state = param(params, "state").ok_or("The state is missing")?;
    let challenge = param(params, "code_challenge").ok_or("The code challenge is missing")?;
    let challenge = match param(params, "code_challenge_method") {
        Some("S256") => challenge.to_owned(),
        Some("plain") | None => URL_SAFE_NO_PAD.encode(Sha256::digest(challenge)),
        Some(_) => return Err("The code challenge method is not supported"),
    };
    let scopes = param(params, "scope").ok_or("The scope is missing")?;
    let consent = Consent {
        redirect_uri: redirect_uri.to_owned(),
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        challenge: Some(challenge),
        lasts: CODE_LASTS,
    };
    let (name, value) = match ctx.shared.oauth.consent(Platform::X, consent, ctx.now) {
        Ok(code) => ("code", code),
        Err(Denied) => ("error", "access_denied".to_owned()),
    };
    back.query_pairs_mut()
        .append_pair("state", state)
        .append_pair(name, &value);
    Ok(back)
}

/// Sends the browser there.
pub(super) fn send_to(back: &Url) -> Response {
    match HeaderValue::from_str(back.as_str()) {
        Ok(address) => (StatusCode::FOUND, [(LOCATION, address)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// A page that says something.
pub(super) fn page(status: StatusCode, text: &str) -> Response {
    let page = format!("<!doctype html><html><body><h1>{text}</h1></body></html>\n");
    let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    (status, kind, page).into_response()
}
