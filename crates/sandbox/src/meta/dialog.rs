//! `dialog/oauth`: the page on which a person is asked for access. Nobody has to click here: it
//! answers at once what the control told it to, yes by default, by sending the browser back.

use axum::{
    http::{HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use url::Url;

use super::{Context, call::Call, error::GraphError, reply::Reply};
use crate::{
    oauth::{Consent, Denied},
    world::Platform,
};

/// How long a code is good for.
const CODE_LASTS: TimeDelta = TimeDelta::minutes(10);

/// Sends the browser back with a code, or with the person's no. Without an address to send it back
/// to, or for another app, it shows an error.
pub(super) fn show(call: &Call, ctx: &Context<'_>) -> Response {
    if call.text("client_id") != Some(ctx.config.app_id.as_str()) {
        return Reply::from(GraphError::wrong_app()).into_response();
    }
    let redirect_uri = call.text("redirect_uri").unwrap_or_default();
    let Ok(mut back) = Url::parse(redirect_uri) else {
        let error = GraphError::bad_param("redirect_uri", "must be an absolute address");
        return Reply::from(error).into_response();
    };
    let consent = Consent {
        redirect_uri: redirect_uri.to_owned(),
        scopes: call.words("scope"),
        challenge: None,
        lasts: CODE_LASTS,
    };
    let told = ctx.shared.oauth.consent(Platform::Meta, consent, ctx.now);
    {
        let mut query = back.query_pairs_mut();
        match told {
            Ok(code) => query.append_pair("code", &code),
            Err(Denied) => query
                .append_pair("error", "access_denied")
                .append_pair("error_reason", "user_denied")
                .append_pair("error_description", "Permissions error"),
        };
        if let Some(state) = call.text("state") {
            query.append_pair("state", state);
        }
    }
    match HeaderValue::from_str(back.as_str()) {
        Ok(address) => (StatusCode::FOUND, [(LOCATION, address)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}
