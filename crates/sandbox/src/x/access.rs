//! Who calls the Ads API, and for which accounts they may.

use axum::http::StatusCode;
use sha2::{Digest, Sha256};

use super::{
    Context,
    error::XError,
    signature::{self, Header},
};
use crate::{
    door::Incoming,
    oauth::{Holder, TokenRole},
    world::{Account, Platform},
};

/// What tokens of OAuth 2.0 have to be good for.
const READ_SCOPE: &str = "ads.read";

/// Who calls.
pub(super) struct Caller {
    pub(super) holder: Holder,
    /// What the calls of the person are counted under: not the token itself.
    pub(super) tag: String,
}

/// Who makes a call, which is signed, or has a token of OAuth 2.0 that was given for ads.
///
/// # Errors
/// UNAUTHORIZED_ACCESS without any authorization, 32, 89 and 135 for one that does not work,
/// ACTION_NOT_ALLOWED for a token that was given for something else.
pub(super) fn caller(ctx: &Context<'_>, incoming: &Incoming) -> Result<Caller, XError> {
    let (holder, token) = match incoming.bearer() {
        Some(token) => (of_oauth_2(ctx, token)?, token.to_owned()),
        None => {
            let text = incoming.header("authorization");
            let header = text.and_then(Header::read);
            let header = header.ok_or_else(XError::unauthorized)?;
            let token = header.get("oauth_token").unwrap_or_default();
            (of_oauth_1(ctx, incoming, &header)?, token.to_owned())
        }
    };
    let digest = Sha256::digest(token);
    Ok(Caller {
        holder,
        tag: format!("user-{}", hex::encode(&digest[..8])),
    })
}

fn of_oauth_1(ctx: &Context<'_>, incoming: &Incoming, header: &Header) -> Result<Holder, XError> {
    let token = header.get("oauth_token").ok_or_else(XError::unauthorized)?;
    let holder = living(ctx, token)?;
    let secret = holder.secret.as_deref().ok_or_else(XError::bad_token)?;
    signature::check(ctx, incoming, header, secret)?;
    Ok(holder)
}

fn of_oauth_2(ctx: &Context<'_>, token: &str) -> Result<Holder, XError> {
    let holder = living(ctx, token)?;
    if holder.secret.is_some() {
        return Err(XError::unauthorized());
    }
    if !holder.grant.allows(READ_SCOPE) {
        return Err(XError::not_allowed());
    }
    Ok(holder)
}

/// Whom a token belongs to that calls can be made with.
pub(super) fn living(ctx: &Context<'_>, token: &str) -> Result<Holder, XError> {
    match ctx.shared.oauth.look_up(Platform::X, token, ctx.now) {
        Ok(holder) if holder.role == TokenRole::Access => Ok(holder),
        Ok(_) | Err(_) => Err(XError::bad_token()),
    }
}

/// An account that the caller names.
///
/// # Errors
/// ACCOUNT_NOT_FOUND: with 404 where there is none, with 403 where the caller has no role in it.
pub(super) fn account(ctx: &Context<'_>, caller: &Caller, id: &str) -> Result<Account, XError> {
    let account = ctx.shared.world.account(Platform::X, id);
    let account = account.ok_or_else(|| XError::no_account(StatusCode::NOT_FOUND, id))?;
    if caller.holder.grant.reaches(id) {
        Ok(account)
    } else {
        Err(XError::no_account(StatusCode::FORBIDDEN, id))
    }
}
