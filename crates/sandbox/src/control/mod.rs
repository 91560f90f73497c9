//! How a test or a person looks into a sandbox and changes it while it runs: `/_control`, for
//! callers on this machine only.

mod error;

use std::{collections::BTreeMap, sync::Arc};

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
    config::TokenState,
    faults::{Fault, HttpFault, SmtpFault},
    http::Peer,
    ledger::LedgerSnapshot,
    shared::Shared,
};
use error::ControlError;

/// What stands before a receiver's name in a fault's target.
const RECEIVER: &str = "receiver:";
/// Most tokens, and most datasets, that a sandbox knows.
const MOST_KNOWN: usize = 10_000;

/// The routes below `/_control`.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/ledger", routing::get(ledger))
        .route("/faults", routing::post(arm).delete(disarm))
        .route("/tokens", routing::post(tokens))
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
    let fault = match (target.as_str(), r#match) {
        ("meta", matched) => Fault::Meta {
            fault: serde_json::from_value::<HttpFault>(fault)?,
            path: matched.map(|matched| matched.path),
        },
        ("smtp", None) => Fault::Smtp(serde_json::from_value::<SmtpFault>(fault)?),
        (target, None) => {
            let name = target
                .strip_prefix(RECEIVER)
                .ok_or(ControlError::Target)?
                .to_owned();
            Fault::Receiver {
                name,
                fault: serde_json::from_value::<HttpFault>(fault)?,
            }
        }
        (_, Some(_)) => return Err(ControlError::Target),
    };
    shared.faults.add(fault, times)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn disarm(State(shared): State<Arc<Shared>>, _: Local) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}

/// What Meta and the receivers shall know from now on; what is missing stays as it is.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TokensRequest {
    tokens: Vec<KnownToken>,
    datasets: Vec<String>,
    app_secret: Option<String>,
    require_proof: Option<bool>,
    hook_secrets: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownToken {
    token: String,
    #[serde(default = "valid")]
    state: TokenState,
}

fn valid() -> TokenState {
    TokenState::Valid
}

async fn tokens(
    State(shared): State<Arc<Shared>>,
    _: Local,
    body: Bytes,
) -> Result<StatusCode, ControlError> {
    let request: TokensRequest = read(&body)?;
    let known = shared.meta();
    if known.tokens.len() + request.tokens.len() > MOST_KNOWN
        || known.datasets.len() + request.datasets.len() > MOST_KNOWN
    {
        return Err(ControlError::TooManyKnown);
    }
    shared.set_hook_secrets(&request.hook_secrets)?;
    shared.change_meta(|meta| {
        meta.tokens.extend(
            request
                .tokens
                .into_iter()
                .map(|known| (known.token, known.state)),
        );
        meta.datasets.extend(request.datasets);
        if let Some(app_secret) = request.app_secret {
            meta.app_secret = app_secret;
        }
        if let Some(require_proof) = request.require_proof {
            meta.require_proof = require_proof;
        }
    });
    Ok(StatusCode::NO_CONTENT)
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
