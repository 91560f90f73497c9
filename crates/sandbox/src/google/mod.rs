//! The stand-in for the Google Ads API in its REST form, as Google documents version 26, and for Google's OAuth: customers
//! behind a manager account, queries in GAQL, pages and streams, operations a day, and an error envelope for all of it.

mod access;
mod call;
mod changes;
mod conversions;
mod customer;
mod error;
mod fields;
mod filter;
mod gaql;
mod mutate;
mod oauth;
mod page_token;
mod plan;
mod quota;
mod resource;
mod scene;
mod search;
mod uploads;
mod walk;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{
    door::{Incoming, Server},
    faults::Voice,
    http::Peer,
    shared::Shared,
    world::Platform,
};
use call::{Call, What};
use error::AdsError;

/// What a token has to be good for.
const SCOPE: &str = "https://www.googleapis.com/auth/adwords";

static SERVER: Server = Server {
    platform: Platform::GoogleAds,
    mount: "/google_ads",
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

/// Every path below `/google_ads`.
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
        "/o/oauth2/v2/auth" => oauth::show_consent(&ctx, incoming),
        "/token" => oauth::answer_token(&ctx, incoming),
        "/revoke" => oauth::answer_revoke(&ctx, incoming),
        "/v1/events:ingest" => conversions::ingest(&ctx, incoming),
        "/v1/requestStatus:retrieve" => conversions::status(&ctx, incoming),
        _ => match Call::read(&incoming.method, &incoming.path) {
            Some(call) => answer_call(&ctx, incoming, &call),
            None => error::front_end_404(&incoming.path),
        },
    }
}

fn answer_call(ctx: &Context<'_>, incoming: &Incoming, call: &Call<'_>) -> Response {
    let answered = call.check_version().and_then(|()| match call.what {
        What::Accessible => accessible(ctx, incoming),
        What::Mutate(customer) => mutate::mutate(ctx, incoming, customer, call.version),
        What::Upload(customer) => uploads::upload(ctx, incoming, customer, call.version),
        What::Page(customer) => search::page(ctx, incoming, customer),
        What::Stream(customer) => search::stream(ctx, incoming, customer, call.version),
    });
    match (answered, &call.what) {
        (Ok(text), _) => json_text(StatusCode::OK, text),
        // A stream is a list, also when all there is in it is an error.
        (Err(error), What::Stream(_)) => {
            let body = Value::Array(vec![error.body(call.version)]);
            json_text(error.status(), body.to_string())
        }
        (Err(error), _) => json_text(error.status(), error.body(call.version).to_string()),
    }
}

/// `customers:listAccessibleCustomers`: whom the person may act for without a manager account between them.
fn accessible(ctx: &Context<'_>, incoming: &Incoming) -> Result<String, AdsError> {
    let holder = access::holder(ctx, incoming)?;
    quota::count_request(ctx, None)?;
    let names: Vec<_> = access::direct(&ctx.shared.world, &holder.grant)
        .iter()
        .map(|id| format!("customers/{id}"))
        .collect();
    Ok(json!({ "resourceNames": names }).to_string())
}

fn json_text(status: StatusCode, text: String) -> Response {
    let kind = [(CONTENT_TYPE, "application/json; charset=UTF-8")];
    (status, kind, text).into_response()
}

#[cfg(test)]
mod tests;
