//! The paths of the Ads API: which call one is, and what is told beside every answer.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header::HOST},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    Context,
    access::{self, Caller},
    accounts, conversions, entities,
    error::XError,
    params::Params,
    quota::Meter,
    stats,
};
use crate::door::Incoming;

/// A call by somebody who may call.
pub(super) struct Ask<'a> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) caller: Caller,
    pub(super) params: Params,
    /// What the caller calls this machine.
    pub(super) host: &'a str,
    pub(super) meter: Meter,
}

/// `path` is what stands behind the version.
pub(super) fn answer(ctx: &Context<'_>, incoming: &Incoming, path: &[&str]) -> Response {
    let asked = access::caller(ctx, incoming).map(|caller| Ask {
        ctx,
        caller,
        params: Params::read(incoming),
        host: incoming.header(HOST.as_str()).unwrap_or_default(),
        meter: Meter::default(),
    });
    let mut answer = match asked {
        Err(error) => error.into_response(),
        Ok(mut ask) => {
            let answered = dispatch(&mut ask, incoming, path);
            let mut answer = match answered {
                Ok(body) => Json(body).into_response(),
                Err(error) => error.into_response(),
            };
            ask.meter.write(answer.headers_mut());
            answer
        }
    };
    mark(answer.headers_mut());
    answer
}

fn dispatch(ask: &mut Ask<'_>, incoming: &Incoming, path: &[&str]) -> Result<Value, XError> {
    match (incoming.method.as_str(), path) {
        ("GET", ["accounts"]) => accounts::list(ask),
        ("GET", ["accounts", id]) => accounts::one(ask, id),
        ("GET", ["accounts", id, list]) => entities::list(ask, id, list),
        ("GET", ["accounts", id, list, thing]) => entities::one(ask, id, list, thing),
        ("PUT", ["accounts", id, list, thing]) => entities::edit(ask, id, list, thing),
        ("GET", ["stats", "accounts", id]) => stats::now(ask, id),
        ("GET", ["stats", "accounts", id, "active_entities"]) => stats::active(ask, id),
        ("POST", ["measurement", "conversions", pixel]) => conversions::take(ask, incoming, pixel),
        ("POST", ["stats", "jobs", "accounts", id]) => stats::begin_job(ask, id),
        ("GET", ["stats", "jobs", "accounts", id]) => stats::jobs(ask, id),
        _ => Err(XError::no_route()),
    }
}

fn mark(headers: &mut HeaderMap) {
    headers.insert("x-current-api-version", HeaderValue::from_static("12"));
    let number = hex::encode(rand::random::<[u8; 8]>());
    if let Ok(number) = HeaderValue::from_str(&number) {
        headers.insert("x-transaction-id", number);
    }
}
