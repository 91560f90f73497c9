//! The stand-in for X's Ads API, version 12, and for the OAuth that leads to it: signed calls, lists
//! by cursor, statistics at once as arrays without dates and in the background as files, and limits
//! in headers. OAuth 1.0a and 2.0 stand beside it.

mod access;
mod accounts;
mod ads;
mod conversions;
mod cursor;
mod entities;
mod error;
mod nonces;
mod oauth;
mod params;
mod quota;
mod signature;
mod stats;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};

use crate::{
    door::{Incoming, Server},
    faults::Voice,
    http::Peer,
    shared::Shared,
    world::Platform,
};
use error::XError;

pub(crate) use nonces::Nonces;

/// What stands before all paths here.
const MOUNT: &str = "/x";

static SERVER: Server = Server {
    platform: Platform::X,
    mount: MOUNT,
    voice: VOICE,
    answer: respond,
};

const VOICE: Voice = Voice {
    fail: error::on_demand,
    throttle: |throttling| quota::throttled(&throttling),
};

/// What a call is answered from.
struct Context<'s> {
    shared: &'s Shared,
    now: DateTime<Utc>,
}

/// Every path below `/x`.
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
    let path = incoming.path.strip_prefix('/').unwrap_or_default();
    let segments: Vec<_> = path.split('/').collect();
    match (incoming.method.as_str(), segments.as_slice()) {
        (_, ["12", rest @ ..]) => ads::answer(&ctx, incoming, rest),
        ("GET", ["files", name]) => stats::file(&ctx, name),
        ("GET", ["i", "oauth2", "authorize"]) => oauth::show_consent(&ctx, incoming),
        ("POST", ["2", "oauth2", "token"]) => oauth::token(&ctx, incoming),
        ("POST", ["2", "oauth2", "revoke"]) => oauth::revoke(&ctx, incoming),
        ("GET", ["2", "users", "me"]) => oauth::whoami(&ctx, incoming),
        ("POST", ["oauth", "request_token"]) => oauth::request_token(&ctx, incoming),
        ("GET", ["oauth", "authorize"]) => oauth::authorize(&ctx, incoming),
        ("POST", ["oauth", "access_token"]) => oauth::access_token(&ctx, incoming),
        _ => XError::no_route().into_response(),
    }
}

#[cfg(test)]
mod tests;
