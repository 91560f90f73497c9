//! The page on which a person is asked for access. Nobody has to click here: it answers at once what the control told it
//! to, yes by default, by sending the browser back.

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

use super::{Context, param, token::Code};
use crate::{
    door::Incoming,
    oauth::{Consent, Denied},
    world::Platform,
};

/// How long a code is good for.
const CODE_LASTS: TimeDelta = TimeDelta::minutes(10);

/// What is wrong with a request for access: the status, Google's word for it, and a sentence.
type Problem = (StatusCode, &'static str, &'static str);

/// Sends the browser back with a code, or with the person's no. What is wrong with the request itself is shown on a page,
/// since nobody knows whom to send back to.
pub(in super::super) fn show(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    match redirect(ctx, &incoming.query()) {
        Ok(address) => (StatusCode::FOUND, [(LOCATION, address)]).into_response(),
        Err((status, error, message)) => {
            let page = format!(
                "<!doctype html><html><head><title>Error</title></head><body><h1>Access blocked</h1><p>Error {}: {error}</p>\
                 <p>{message}</p></body></html>\n",
                status.as_u16(),
            );
            let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
            (status, kind, page).into_response()
        }
    }
}

fn redirect(ctx: &Context<'_>, params: &[(String, String)]) -> Result<HeaderValue, Problem> {
    let app = ctx.shared.app(Platform::GoogleAds);
    if param(params, "client_id") != Some(app.id.as_str()) {
        let status = StatusCode::UNAUTHORIZED;
        return Err((status, "invalid_client", "The OAuth client was not found."));
    }
    let bad = |error, message| (StatusCode::BAD_REQUEST, error, message);
    let redirect_uri = param(params, "redirect_uri").ok_or(bad(
        "invalid_request",
        "Missing required parameter: redirect_uri",
    ))?;
    let mut back = Url::parse(redirect_uri).map_err(|_| {
        bad(
            "redirect_uri_mismatch",
            "The redirect URI is not an absolute address.",
        )
    })?;
    if param(params, "response_type") != Some("code") {
        return Err(bad(
            "unsupported_response_type",
            "Only response_type=code is supported.",
        ));
    }
    let scopes: Vec<_> = param(params, "scope")
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    if scopes.is_empty() {
        return Err(bad("invalid_request", "Missing required parameter: scope"));
    }
    let challenge = challenge(params).ok_or(bad(
        "invalid_request",
        "The code challenge method is not supported.",
    ))?;
    let consent = Consent {
        redirect_uri: redirect_uri.to_owned(),
        scopes,
        challenge,
        lasts: CODE_LASTS,
    };
    let told = ctx
        .shared
        .oauth
        .consent(Platform::GoogleAds, consent, ctx.now);
    {
        let mut query = back.query_pairs_mut();
        if let Some(state) = param(params, "state") {
            query.append_pair("state", state);
        }
        match told {
            Ok(code) => {
                let is_offline = param(params, "access_type") == Some("offline");
                query.append_pair("code", &Code { code, is_offline }.text());
            }
            Err(Denied) => {
                query.append_pair("error", "access_denied");
            }
        }
    }
    HeaderValue::from_str(back.as_str()).map_err(|_| {
        bad(
            "redirect_uri_mismatch",
            "The redirect URI is not an address.",
        )
    })
}

/// The S256 challenge of PKCE, if there is any; `None` for a method that there is not. A plain one, which Google takes too,
/// is made one.
fn challenge(params: &[(String, String)]) -> Option<Option<String>> {
    let Some(challenge) = param(params, "code_challenge") else {
        return Some(None);
    };
    match param(params, "code_challenge_method") {
        Some("S256") => Some(Some(challenge.to_owned())),
        Some("plain") | None => {
            let digest = Sha256::digest(challenge);
            Some(Some(URL_SAFE_NO_PAD.encode(digest)))
        }
        Some(_) => None,
    }
}
