//! What a token is good for: `debug_token`, and whom it belongs to: `me`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    access,
    call::Call,
    error::{GraphError, UNKNOWN_TOKEN, spent},
};
use crate::{clock, config::MetaConfig};

/// The system user that all tokens belong to.
const USER_ID: &str = "10000000000000001";
/// Seconds since a spent token's end, as it is told.
const SPENT_SINCE_S: i64 = 3_600;

/// `GET /debug_token`: a token that does not work is no error here.
///
/// # Errors
/// [`GraphError`] when the caller's own token does not work, or no token is named.
pub(super) fn debug(call: &Call, config: &MetaConfig) -> Result<Response, GraphError> {
    access::check(call, config)?;
    let input = call
        .text("input_token")
        .ok_or_else(|| GraphError::bad_param("input_token", "is required"))?;
    let data = match config.tokens.get(input).map(|state| spent(*state)) {
        None => json!({
            "error": { "code": 190, "message": UNKNOWN_TOKEN },
            "is_valid": false,
            "scopes": [],
        }),
        Some(None) => token_data(config, true, 0),
        Some(Some(spent)) => {
            let mut data = token_data(config, false, clock::now().timestamp() - SPENT_SINCE_S);
            data["error"] =
                json!({ "code": 190, "message": spent.message, "subcode": spent.subcode });
            data
        }
    };
    Ok(Json(json!({ "data": data })).into_response())
}

/// `expires_at` 0 is never, as for every system user's token.
fn token_data(config: &MetaConfig, is_valid: bool, expires_at: i64) -> Value {
    json!({
        "app_id": config.app_id,
        "type": "SYSTEM_USER",
        "application": "Millpond Sandbox",
        "data_access_expires_at": 0,
        "expires_at": expires_at,
        "is_valid": is_valid,
        "issued_at": clock::now().timestamp() - 86_400,
        "scopes": ["ads_management", "ads_read", "business_management"],
        "user_id": USER_ID,
    })
}

/// `GET /me`.
///
/// # Errors
/// [`GraphError`] when the token does not work.
pub(super) fn me(call: &Call, config: &MetaConfig) -> Result<Response, GraphError> {
    access::check(call, config)?;
    Ok(Json(json!({ "name": "Sandbox System User", "id": USER_ID })).into_response())
}
