//! What a token is good for: `debug_token`, and whom it belongs to: `me`.

use serde_json::{Value, json};

use super::{
    Context, access,
    call::Call,
    error::{GraphError, UNKNOWN_TOKEN, spent},
};
use crate::{
    oauth::{Holder, Refused, TokenRole, TokenState},
    world::Platform,
};

/// Seconds since a spent token's end, where it had none of its own.
const SPENT_SINCE_S: i64 = 3_600;
/// What a token is good for that was granted everything.
const EVERYTHING: [&str; 11] = [
    "ads_management",
    "ads_read",
    "business_management",
    "instagram_basic",
    "instagram_manage_insights",
    "leads_retrieval",
    "pages_manage_ads",
    "pages_manage_metadata",
    "pages_read_engagement",
    "pages_show_list",
    "read_insights",
];

/// `GET /debug_token`: a token that does not work is no error here.
///
/// # Errors
/// [`GraphError`] when the caller's own token does not work, or no token is named.
pub(super) fn token(call: &Call, ctx: &Context<'_>) -> Result<Value, GraphError> {
    access::check(call, ctx)?;
    let input = call
        .text("input_token")
        .ok_or_else(|| GraphError::bad_param("input_token", "is required"))?;
    let data = match ctx.shared.oauth.look_up(Platform::Meta, input, ctx.now) {
        Err(Refused::Unknown) => json!({
            "error": { "code": 190, "message": UNKNOWN_TOKEN },
            "is_valid": false,
            "scopes": [],
        }),
        Ok(holder) => token_data(ctx, &holder, None),
        Err(Refused::Spent(state, holder)) => token_data(ctx, &holder, Some(state)),
    };
    Ok(json!({ "data": data }))
}

/// Times are Unix seconds, and 0 is never.
fn token_data(ctx: &Context<'_>, holder: &Holder, state: Option<TokenState>) -> Value {
    let kind = match (&holder.grant.scopes, holder.role) {
        (_, TokenRole::Page) => "PAGE",
        (None, _) => "SYSTEM_USER",
        (Some(_), _) => "USER",
    };
    let data_access = access::data_access_ends(holder).map_or(0, |end| end.timestamp());
    let expires_at = match (holder.expires_at, state) {
        (Some(end), _) => end.timestamp(),
        (None, Some(_)) => ctx.now.timestamp() - SPENT_SINCE_S,
        (None, None) => 0,
    };
    let scopes = scopes(holder);
    let mut data = json!({
        "app_id": ctx.config.app_id,
        "type": kind,
        "application": "Millpond Sandbox",
        "data_access_expires_at": data_access,
        "expires_at": expires_at,
        "is_valid": state.is_none(),
        "issued_at": holder.issued_at.timestamp(),
        "granular_scopes": granular(holder, &scopes),
        "scopes": scopes,
        "user_id": holder.grant.user,
    });
    if let Some(page) = holder.page {
        data["profile_id"] = json!(ctx.shared.world.id(page));
    }
    if let Some(spent) = state.and_then(spent) {
        data["error"] = json!({ "code": 190, "message": spent.message, "subcode": spent.subcode });
    }
    data
}

/// What a token is good for.
pub(super) fn scopes(holder: &Holder) -> Vec<String> {
    let everything = || EVERYTHING.map(str::to_owned).to_vec();
    holder.grant.scopes.clone().unwrap_or_else(everything)
}

/// The same, each with the accounts that it was granted for where that is not all of them.
fn granular(holder: &Holder, scopes: &[String]) -> Value {
    let each = scopes.iter().map(|scope| match &holder.grant.accounts {
        Some(accounts) if scope.starts_with("ads_") => {
            json!({ "scope": scope, "target_ids": accounts })
        }
        Some(_) | None => json!({ "scope": scope }),
    });
    each.collect()
}

/// `GET /me`: the page for a page's token, the person for all others.
///
/// # Errors
/// [`GraphError`] when the token does not work.
pub(super) fn me(call: &Call, ctx: &Context<'_>) -> Result<Value, GraphError> {
    let caller = access::check(call, ctx)?;
    let holder = caller.holder()?;
    let page = holder.page.and_then(|page| ctx.shared.world.entity(page));
    Ok(match page {
        Some(page) => json!({ "name": page.name, "id": page.id }),
        None => json!({ "name": "Sandbox User", "id": holder.grant.user }),
    })
}
