//! The stand-in for LinkedIn's Marketing API, as LinkedIn documents version 202609, and for its OAuth: accounts and what
//! they hold, figures, the syntax of Rest.li 2.0 to the letter, and an error envelope for everything else.

mod access;
mod accounts;
mod analytics;
mod assets;
mod call;
mod conversions;
mod edits;
mod error;
mod lists;
mod numbered;
mod oauth;
mod quota;
mod restli;
mod search;
mod shapes;
mod urn;
mod versions;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    door::{Incoming, Server},
    faults::Voice,
    http::Peer,
    shared::Shared,
    world::{Kind, Platform},
};
use call::Call;
use error::ApiError;

static SERVER: Server = Server {
    platform: Platform::LinkedIn,
    mount: "/linkedin",
    voice: VOICE,
    answer: respond,
};

const VOICE: Voice = Voice {
    fail: error::on_demand,
    throttle: |throttling| error::throttled(&throttling),
};

/// What a call is answered from.
struct Context<'s> {
    shared: &'s Shared,
    now: DateTime<Utc>,
}

/// Every path below `/linkedin`.
pub(crate) async fn answer(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    SERVER.serve(shared, peer, request).await
}

fn respond(shared: &Shared, incoming: &Incoming) -> Response {
    let ctx = Context {
        shared,
        now: incoming.at,
    };
    match incoming.path.as_str() {
        "/oauth/v2/authorization" => oauth::show_consent(&ctx, incoming),
        "/oauth/v2/accessToken" => oauth::answer_token(&ctx, incoming),
        "/oauth/v2/introspectToken" => oauth::answer_introspection(&ctx, incoming),
        "/rest/conversionEvents" => conversions::create(&ctx, incoming),
        _ if edits::is_batch(incoming) => match edits::update(&ctx, incoming) {
            Ok(body) => error::told(StatusCode::OK, body),
            Err(error) => error.into_response(),
        },
        _ => match rest(&ctx, incoming) {
            Ok(body) => error::told(StatusCode::OK, body),
            Err(error) => error.into_response(),
        },
    }
}

fn rest(ctx: &Context<'_>, incoming: &Incoming) -> Result<Value, ApiError> {
    let call = Call::read(incoming)?;
    let holder = access::holder(ctx, incoming)?;
    let path = incoming.path.strip_prefix("/rest/").unwrap_or_default();
    let segments: Vec<_> = path.split('/').collect();
    match segments.as_slice() {
        ["adAccounts"] => accounts::find(ctx, &holder, &call),
        ["adAccounts", id] => accounts::get(ctx, &holder, &call, id),
        ["adAccountUsers"] => accounts::users(ctx, &holder, &call),
        ["adAccounts", id, "adCampaignGroups"] => {
            lists::find(ctx, &holder, &call, (*id, Kind::Campaign))
        }
        ["adAccounts", id, "adCampaigns"] => lists::find(ctx, &holder, &call, (*id, Kind::AdSet)),
        ["adAccounts", id, "creatives"] => lists::find(ctx, &holder, &call, (*id, Kind::Ad)),
        ["adSegments"] => assets::segments(ctx, &holder, &call),
        ["conversions"] => assets::conversions(ctx, &holder, &call),
        ["adAnalytics"] => analytics::answer(ctx, &holder, &call),
        _ => Err(ApiError::not_found(&incoming.path)),
    }
}

#[cfg(test)]
mod tests;
