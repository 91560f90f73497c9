//! The stand-in for Meta's Graph API, as Meta documents it for version 26.0: conversion events,
//! `debug_token`, `me`, and an error envelope for everything else. Any `/vNN.N/` is answered alike,
//! as expired versions are at Meta.

mod access;
mod call;
mod error;
mod events;
mod rules;
mod tokens;
mod usage;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::Method,
    response::{IntoResponse, Response},
};

use crate::{
    clock,
    config::MetaConfig,
    faults::{Voice, play},
    http::{self, Peer},
    ledger::{Ledger, MetaRequest},
    shared::Shared,
};
use call::Call;
use error::GraphError;

pub(crate) use error::failure;
pub(crate) use usage::throttled;

/// Largest body that is taken: a thousand events have room in it many times over.
const MOST_BODY_BYTES: usize = 16 << 20;

/// Every path that is nobody else's.
pub(crate) async fn answer(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match http::read_body(body, MOST_BODY_BYTES).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    let path = parts.uri.path();
    let fault = shared.faults.take_meta(path);
    let number = shared.ledger.add_meta_request(MetaRequest {
        at: clock::now(),
        method: parts.method.to_string(),
        path: path.to_owned(),
        body_bytes: body.len(),
        fault: fault.as_ref().map(|fault| fault.kind()),
    });
    play(fault, Voice::Graph, &peer, async {
        let config = shared.meta();
        let told = Call::read(&parts, &body)
            .and_then(|call| dispatch(&call, &config, &shared.ledger, number));
        let mut answer = match told {
            Ok(answer) => answer,
            Err(error) => error.into_response(),
        };
        usage::tell_calm(answer.headers_mut());
        answer
    })
    .await
}

fn dispatch(
    call: &Call,
    config: &MetaConfig,
    ledger: &Ledger,
    number: u64,
) -> Result<Response, GraphError> {
    let segments: Vec<&str> = call.segments().collect();
    match (&call.method, segments.as_slice()) {
        (&Method::POST, [dataset, "events"]) => {
            events::receive(call, config, dataset, ledger, number)
        }
        (&Method::GET, ["debug_token"]) => tokens::debug(call, config),
        (&Method::GET, ["me"]) => tokens::me(call, config),
        (method, [object] | [object, "events"]) => Err(GraphError::no_such_object(method, object)),
        (method, []) => Err(GraphError::no_such_object(method, "")),
        (_, unknown) => Err(GraphError::unknown_path(&unknown.join("/"))),
    }
}

#[cfg(test)]
mod tests;
