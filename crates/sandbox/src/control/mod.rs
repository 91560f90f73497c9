//! How a test or a person looks into a sandbox and changes it while it runs: `/_control`, for
//! callers on this machine only.

mod access;
mod error;
mod webhooks;
mod world;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRequestParts, Query, State},
    http::{StatusCode, request::Parts},
    routing,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    faults::{Fault, HttpFault, SmtpFault},
    http::Peer,
    ledger::LedgerSnapshot,
    shared::Shared,
    world::Platform,
};
use error::ControlError;

/// What stands before a receiver's name in a fault's target.
const RECEIVER: &str = "receiver:";

/// The routes below `/_control`.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/ledger", routing::get(ledger))
        .route("/faults", routing::post(arm).delete(disarm))
        .route("/tokens", routing::post(access::tokens))
        .route("/consent", routing::post(access::consent))
        .route("/limits", routing::post(access::limits))
        .route("/reports", routing::post(access::reports))
        .route("/clock", routing::get(world::clock).post(world::set_clock))
        .route("/webhooks", routing::post(webhooks::send))
        .route("/world", routing::get(world::accounts).post(world::change))
        .route("/world/entities", routing::get(world::entities))
        .route("/world/export", routing::get(world::export))
        .route("/reset", routing::post(reset))
}

/// A caller on this machine.
struct Local;

impl<S: Send + Sync> FromRequestParts<S> for Local {
    type Rejection = ControlError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ControlError> {
        match parts.extensions.get::<Peer>() {
            Some(peer) if peer.addr.ip().to_canonical().is_loopback() => Ok(Self),
            Some(_) | None => Err(ControlError::NotLocal),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    /// The newest so many of each sort; all without it.
    limit: Option<usize>,
}

async fn ledger(
    State(shared): State<Arc<Shared>>,
    _: Local,
    Query(query): Query<LedgerQuery>,
) -> Json<LedgerSnapshot> {
    Json(shared.ledger.snapshot(query.limit.unwrap_or(usize::MAX)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRequest {
    target: String,
    fault: Value,
    /// How often; null or missing for always.
    times: Option<u32>,
    r#match: Option<Match>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    path: String,
}

async fn arm(
    State(shared): State<Arc<Shared>>,
    _: Local,
    body: Bytes,
) -> Result<StatusCode, ControlError> {
    let FaultRequest {
        target,
        fault,
        times,
        r#match,
    } = read(&body)?;
    let platform = Platform::ALL
        .into_iter()
        .find(|platform| platform.as_str() == target);
    let fault = match (platform, target.as_str(), r#match) {
        (Some(platform), _, matched) => Fault::Platform {
            platform,
            fault: serde_json::from_value::<HttpFault>(fault)?,
            path: matched.map(|matched| matched.path),
        },
        (None, "smtp", None) => Fault::Smtp(serde_json::from_value::<SmtpFault>(fault)?),
        (None, target, None) => {
            let name = target
                .strip_prefix(RECEIVER)
                .ok_or(ControlError::Target)?
                .to_owned();
            Fault::Receiver {
                name,
                fault: serde_json::from_value::<HttpFault>(fault)?,
            }
        }
        (None, _, Some(_)) => return Err(ControlError::Target),
    };
    shared.faults.add(fault, times)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn disarm(State(shared): State<Arc<Shared>>, _: Local) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}

async fn reset(State(shared): State<Arc<Shared>>, _: Local) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ControlError> {
    Ok(serde_json::from_slice(body)?)
}

#[cfg(test)]
mod tests;
