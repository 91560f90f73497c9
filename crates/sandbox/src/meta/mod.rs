//! The stand-in for Meta's Graph API, as Meta documents it for version 26.0: ad accounts and what
//! they hold, insights at once and in reports, batches, Pages and Instagram, OAuth, conversion
//! events, and an error envelope for everything else. Any `/vNN.N/` is answered alike, as expired
//! versions are at Meta.

mod access;
mod batch;
mod call;
mod debug;
mod dialog;
mod entities;
mod error;
mod events;
mod fields;
mod insights;
mod leads;
mod oauth;
mod paging;
mod permissions;
mod reply;
mod reports;
mod routes;
mod rules;
mod social;
mod subscriptions;
mod usage;
mod words;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};

use crate::{
    config::MetaConfig,
    door::{Incoming, Server},
    faults::Voice,
    http::Peer,
    shared::Shared,
    world::Platform,
};
use call::Call;
use reply::Reply;

static SERVER: Server = Server {
    platform: Platform::Meta,
    mount: "",
    voice: VOICE,
    answer: respond,
};

const VOICE: Voice = Voice {
    fail: error::failure,
    throttle: |throttling| match throttling.code {
        Some(code) => {
            let status = throttling.status.unwrap_or(StatusCode::BAD_REQUEST);
            usage::throttled(status, code, throttling.wait_s)
        }
        None => (Voice::PLAIN.throttle)(throttling),
    },
};

/// What a call is answered from.
struct Context<'s> {
    shared: &'s Shared,
    config: &'s MetaConfig,
    now: DateTime<Utc>,
    /// The number that the ledger knows the call by.
    number: u64,
}

/// Every path that is nobody else's.
pub(crate) async fn answer(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    SERVER.serve(shared, peer, request).await
}

fn respond(shared: &Shared, incoming: &Incoming) -> Response {
    let config = shared.meta();
    let ctx = Context {
        shared,
        config: &config,
        now: incoming.at,
        number: incoming.number,
    };
    match Call::read(incoming) {
        Err(error) => Reply::from(error).into_response(),
        Ok(call) if call.is_dialog() => dialog::show(&call, &ctx),
        Ok(call) if call.is_batch() => batch::answer(&call, &ctx).into_response(),
        Ok(call) => routes::answer(&call, &ctx).into_response(),
    }
}

#[cfg(test)]
mod tests;
