//! `introspectToken`: whether a token works, until when, and what for. Times are seconds here, unlike everywhere else.

use serde_json::{Value, json};

use super::{Context, OAuthError, param, scope_text};
use crate::{
    oauth::{Refused, TokenState},
    world::Platform,
};

/// A token that does not work is no error here.
pub(super) fn show(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Value, OAuthError> {
    let token = param(params, "token").unwrap_or_default();
    let found = ctx.shared.oauth.look_up(Platform::LinkedIn, token, ctx.now);
    let (status, holder) = match found {
        Ok(holder) => ("active", Box::new(holder)),
        Err(Refused::Spent(TokenState::Expired, holder)) => ("expired", holder),
        Err(Refused::Spent(_, holder)) => ("revoked", holder),
        Err(Refused::Unknown) => return Ok(json!({ "active": false })),
    };
    let mut told = json!({
        "active": status == "active",
        "status": status,
        "client_id": ctx.shared.app(Platform::LinkedIn).id,
        "authorized_at": holder.grant.since.timestamp(),
        "created_at": holder.issued_at.timestamp(),
        "scope": scope_text(&holder.grant),
        "auth_type": "3L",
    });
    if let Some(end) = holder.expires_at {
        told["expires_at"] = json!(end.timestamp());
    }
    Ok(told)
}
