//! `me/permissions`: what was granted, and taking it back.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Context, access, call::Call, debug, error::GraphError};

/// `GET` lists what was granted; `DELETE` takes one permission back, or with none named the whole
/// consent, which ends all of its tokens.
///
/// # Errors
/// [`GraphError`] when the token does not work.
pub(super) fn answer(
    call: &Call,
    ctx: &Context<'_>,
    permission: Option<&str>,
) -> Result<Value, GraphError> {
    let caller = access::check(call, ctx)?;
    let holder = caller.holder()?;
    if call.method != Method::DELETE {
        let granted = debug::scopes(holder);
        let shown: Vec<_> = granted
            .iter()
            .map(|scope| json!({ "permission": scope, "status": "granted" }))
            .collect();
        return Ok(json!({ "data": shown }));
    }
    match permission.or_else(|| call.text("permission")) {
        Some(permission) => ctx.shared.oauth.withdraw(holder.grant_id, permission),
        None => ctx.shared.oauth.revoke(holder.grant_id),
    }
    Ok(json!({ "success": true }))
}
