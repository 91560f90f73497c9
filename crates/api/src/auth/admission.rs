//! What happens before a handler runs, in the order in which requests are refused: key (401), rate of the key (429),
//! scope (403), body (413, 415, 408; 503 without room for it), requests at work (503). What the queue refuses comes
//! after.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::{
    Access, Caller,
    key::{Presented, presented},
};
use crate::{body::RequestBody, error::ApiError, state::ApiState};

/// The address that a connection came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Lets a request through to its handler, with its [`Caller`] and its [`RequestBody`].
pub(crate) async fn admit(
    State((state, access)): State<(ApiState, Access)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let peer = parts
        .extensions
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let caller = caller(&state, presented(&parts.headers), peer).await?;
    within_rate(&state, &caller)?;
    caller.require(access)?;

    let limit_bytes = state.queue().config().http.max_body_bytes;
    // Kept until the request is answered.
    let mut share = state.body_room().share();
    let body = RequestBody::read(
        &parts.headers,
        body,
        limit_bytes,
        &state.settings().body_pace,
        &mut share,
    )
    .await?;

    let _place = state.place()?;
    parts.extensions.insert(caller);
    parts.extensions.insert(body);
    Ok(next.run(Request::from_parts(parts, Body::empty())).await)
}

async fn caller(
    state: &ApiState,
    presented: Presented<'_>,
    peer: IpAddr,
) -> Result<Caller, ApiError> {
    let known = match presented {
        Presented::Nothing => return Err(ApiError::Unauthenticated),
        Presented::Unsound => None,
        Presented::Secret(secret) => state.queue().authenticate(secret).await?,
    };
    match known {
        Some(key) => Ok(Caller::new(key)),
        None => Err(match state.wrong_keys().count(peer, Instant::now()) {
            Ok(()) => ApiError::Unauthenticated,
            Err(retry_after) => ApiError::TooManyWrongKeys { retry_after },
        }),
    }
}

fn within_rate(state: &ApiState, caller: &Caller) -> Result<(), ApiError> {
    let config = state.queue().config();
    let Some(rate) = &config.http.rate_per_key else {
        return Ok(());
    };
    state
        .key_rates()
        .admit(caller.0.id, rate)
        .map_err(|retry_after| ApiError::RateLimited { retry_after })
}
