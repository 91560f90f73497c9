//! The pages on which a person is asked for access. Nobody has to click there: they answer at once
//! what the control told them to, yes by default, by sending the browser back.

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use url::Url;

use super::Context;
use crate::{
    oauth::{Consent, Denied},
    world::Platform,
};

/// How long a code is good for.
const CODE_LASTS: TimeDelta = TimeDelta::hours(1);

/// What a page was opened with.
pub(super) struct Question<'q> {
    /// What the app says it is.
    pub(super) app: Option<&'q str>,
    /// Where the person is sent back to.
    pub(super) back: Option<&'q str>,
    pub(super) state: Option<&'q str>,
    pub(super) scopes: Vec<String>,
    /// Whether whoever takes the code has to name the address once more.
    pub(super) is_bound: bool,
    /// By what names the code goes.
    pub(super) code_names: &'static [&'static str],
}

/// Sends the browser back with a code, or with the person's no. What is wrong with the question is
/// shown on the page.
pub(super) fn show(ctx: &Context<'_>, question: Question<'_>) -> Response {
    match redirect(ctx, question) {
        Ok(address) => (StatusCode::FOUND, [(LOCATION, address)]).into_response(),
        Err(problem) => {
            let page = format!("<!doctype html><html><body><h1>{problem}</h1></body></html>\n");
            let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
            (StatusCode::BAD_REQUEST, kind, page).into_response()
        }
    }
}

fn redirect(ctx: &Context<'_>, question: Question<'_>) -> Result<HeaderValue, &'static str> {
    if question.app != Some(ctx.shared.app(Platform::TikTok).id.as_str()) {
        return Err("The app does not exist");
    }
    let asked_for = question.back.unwrap_or_default();
    let mut back =
        Url::parse(asked_for).map_err(|_| "The redirect URI is not an absolute address")?;
    let bound_to = if question.is_bound { asked_for } else { "" };
    let consent = Consent {
        redirect_uri: bound_to.to_owned(),
        scopes: question.scopes,
        challenge: None,
        lasts: CODE_LASTS,
    };
    let told = ctx.shared.oauth.consent(Platform::TikTok, consent, ctx.now);
    {
        let mut query = back.query_pairs_mut();
        match told {
            Ok(code) => {
                for name in question.code_names {
                    query.append_pair(name, &code);
                }
            }
            Err(Denied) => {
                query.append_pair("error", "access_denied");
            }
        }
        if let Some(state) = question.state {
            query.append_pair("state", state);
        }
    }
    HeaderValue::from_str(back.as_str()).map_err(|_| "The redirect URI is not an address")
}

/// The parameter of that name.
pub(super) fn param<'p>(params: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let found = params.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_str())
}
