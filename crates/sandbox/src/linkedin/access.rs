//! Who calls, what for, and which accounts they see.

use super::{Context, error::ApiError};
use crate::{
    door::Incoming,
    oauth::{Holder, Refused, TokenRole, TokenState},
    world::{Account, Platform},
};

/// What reads accounts and what they hold.
pub(super) const READ: [&str; 2] = ["r_ads", "rw_ads"];
/// What reads figures.
pub(super) const REPORT: [&str; 1] = ["r_ads_reporting"];

/// Whom the call's token belongs to.
///
/// # Errors
/// 401 with the number that tells why it does not work.
pub(super) fn holder(ctx: &Context<'_>, incoming: &Incoming) -> Result<Holder, ApiError> {
    let token = incoming
        .bearer()
        .filter(|token| !token.is_empty())
        .ok_or_else(|| {
            ApiError::token(65_604, "EMPTY_ACCESS_TOKEN", "Empty oauth2 access token")
        })?;
    match ctx.shared.oauth.look_up(Platform::LinkedIn, token, ctx.now) {
        Ok(holder) if holder.role == TokenRole::Access => Ok(holder),
        Err(Refused::Spent(TokenState::Expired, _)) => Err(ApiError::token(
            65_602,
            "EXPIRED_ACCESS_TOKEN",
            "The token used in the request has expired",
        )),
        Err(Refused::Spent(TokenState::Revoked | TokenState::PasswordChanged, _)) => {
            Err(ApiError::token(
                65_601,
                "REVOKED_ACCESS_TOKEN",
                "The token used in the request has been revoked by the user",
            ))
        }
        Ok(_) | Err(_) => Err(ApiError::token(
            65_600,
            "INVALID_ACCESS_TOKEN",
            "Invalid access token",
        )),
    }
}

/// Lets a call pass that has one of these scopes.
///
/// # Errors
/// 403 without.
pub(super) fn require(holder: &Holder, scopes: &[&str], what: &str) -> Result<(), ApiError> {
    if scopes.iter().any(|scope| holder.grant.allows(scope)) {
        return Ok(());
    }
    Err(ApiError::denied(what))
}

/// The accounts that the token's owner sees.
pub(super) fn accounts(ctx: &Context<'_>, holder: &Holder) -> Vec<Account> {
    let mut accounts = ctx.shared.world.accounts(Platform::LinkedIn);
    accounts.retain(|account| holder.grant.reaches(&account.id));
    accounts
}

/// One of them.
///
/// # Errors
/// 404 for any other.
pub(super) fn account(ctx: &Context<'_>, holder: &Holder, id: &str) -> Result<Account, ApiError> {
    let account = ctx.shared.world.account(Platform::LinkedIn, id);
    account
        .filter(|account| holder.grant.reaches(&account.id))
        .ok_or_else(|| ApiError::not_found(&format!("urn:li:sponsoredAccount:{id}")))
}
