//! Who may call the platforms, how often, and what becomes of reports: tokens, consents, limits and
//! fates on demand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{body::Bytes, extract::State, http::StatusCode};
use serde::Deserialize;

use super::{ControlError, Local, read};
use crate::{
    limits::Knob,
    oauth::{ConsentRule, KnownToken, TokenState},
    reports::Fate,
    shared::Shared,
    world::Platform,
};

/// Most tokens, and most datasets, that one request may name, and most datasets that are known.
pub(super) const MOST_KNOWN: usize = 10_000;

/// What a platform and the receivers shall know from now on; what is missing stays as it is.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TokensRequest {
    /// Whose tokens and app; Meta's without it.
    platform: Option<Platform>,
    tokens: Vec<KnownToken>,
    /// The state that every token has from now on which the platform knows already.
    every: Option<TokenState>,
    datasets: Vec<String>,
    app_id: Option<String>,
    app_secret: Option<String>,
    require_proof: Option<bool>,
    hook_secrets: BTreeMap<String, String>,
}

pub(super) async fn tokens(
    State(shared): State<Arc<Shared>>,
    _: Local,
    body: Bytes,
) -> Result<StatusCode, ControlError> {
    let request: TokensRequest = read(&body)?;
    if request.tokens.len() > MOST_KNOWN
        || shared.meta().datasets.len() + request.datasets.len() > MOST_KNOWN
    {
        return Err(ControlError::TooManyKnown);
    }
    shared.set_hook_secrets(&request.hook_secrets)?;
    let platform = request.platform.unwrap_or(Platform::Meta);
    if let Some(state) = request.every {
        shared.oauth.spend_all(platform, state);
    }
    for mut token in request.tokens {
        token.platform = request.platform.unwrap_or(token.platform);
        shared.oauth.know(token, shared.world.now());
    }
    shared.change_app(platform, |app| {
        if let Some(id) = request.app_id {
            app.id = id;
        }
        if let Some(secret) = request.app_secret {
            app.secret = secret;
        }
    });
    shared.change_meta(|meta| {
        meta.datasets.extend(request.datasets);
        if let Some(require_proof) = request.require_proof {
            meta.require_proof = require_proof;
        }
    });
    Ok(StatusCode::NO_CONTENT)
}

/// What people say from now on when an app asks them for access.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentRequest {
    platform: Platform,
    #[serde(default)]
    deny: bool,
    user: Option<String>,
    accounts: Option<BTreeSet<String>>,
    #[serde(default)]
    without_scopes: BTreeSet<String>,
}

pub(super) async fn consent(
    State(shared): State<Arc<Shared>>,
    _: Local,
    body: Bytes,
) -> Result<StatusCode, ControlError> {
    let request: ConsentRequest = read(&body)?;
    let rule = ConsentRule {
        deny: request.deny,
        user: request.user,
        accounts: request.accounts,
        without_scopes: request.without_scopes,
    };
    shared.oauth.rule(request.platform, rule);
    Ok(StatusCode::NO_CONTENT)
}

/// What holds from now on for an account's allowances, or for a whole platform's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsRequest {
    platform: Platform,
    /// An account's id, or whatever else the platform counts by; `null` or missing for all.
    account: Option<String>,
    usage_percent: Option<f64>,
    #[serde(default)]
    refuse: u32,
    #[serde(default)]
    down: bool,
}

pub(super) async fn limits(
    State(shared): State<Arc<Shared>>,
    _: Local,
    body: Bytes,
) -> Result<StatusCode, ControlError> {
    let request: LimitsRequest = read(&body)?;
    if request
        .usage_percent
        .is_some_and(|percent| !(0.0..=1_000.0).contains(&percent))
    {
        return Err(ControlError::UsagePercent);
    }
    let knob = Knob {
        usage_percent: request.usage_percent,
        refuse: request.refuse,
        down: request.down,
    };
    shared.limits.set(request.platform, request.account, knob)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What becomes of the reports that are asked for next.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportsRequest {
    platform: Platform,
    fate: Fate,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

pub(super) async fn reports(
    State(shared): State<Arc<Shared>>,
    _: Local,
    body: Bytes,
) -> Result<StatusCode, ControlError> {
    let request: ReportsRequest = read(&body)?;
    shared
        .reports
        .decide(request.platform, request.fate, request.times);
    Ok(StatusCode::NO_CONTENT)
}
