//! Who calls, and for which advertisers they may: the token stands in the header `Access-Token` and
//! nowhere else.

use super::{Call, Context, error::TikTokError, quota};
use crate::{
    oauth::{Grant, Holder, Refused, TokenRole, TokenState},
    world::{Account, Platform},
};

/// The number of the permission to read reports.
pub(super) const REPORTING: &str = "4";

/// Whom the call's token belongs to: somebody who gave access to advertisers.
///
/// # Errors
/// 40104 without a token, 40102 or 40105 for one that does not work, 40001 for one of a person's
/// own account.
pub(super) fn holder(ctx: &Context<'_>, call: &Call<'_>) -> Result<Holder, TikTokError> {
    let token = call.incoming.header("access-token").unwrap_or_default();
    if token.is_empty() {
        return Err(TikTokError::no_token());
    }
    let holder = match ctx.shared.oauth.look_up(Platform::TikTok, token, ctx.now) {
        Ok(holder) if holder.role == TokenRole::Access => holder,
        Err(Refused::Spent(TokenState::Expired, _)) => return Err(TikTokError::expired_token()),
        Ok(_) | Err(_) => return Err(TikTokError::bad_token()),
    };
    if !is_of_advertisers(&holder.grant) {
        return Err(TikTokError::no_permission(
            "The access token is not authorized for the API for Business.",
        ));
    }
    Ok(holder)
}

/// The advertiser that a call is for. Counts the call.
///
/// # Errors
/// As [`holder`] and [`reached`], and 40100 for too many calls.
pub(super) fn advertiser(ctx: &Context<'_>, call: &Call<'_>) -> Result<Account, TikTokError> {
    let holder = holder(ctx, call)?;
    let account = reached(ctx, &holder, call.params.required("advertiser_id")?)?;
    quota::count(ctx, call.name, Some(&account.id))?;
    Ok(account)
}

/// An advertiser that the caller names.
///
/// # Errors
/// 40106 for one that the token is not for, 40001 for one that there is not.
pub(super) fn reached(
    ctx: &Context<'_>,
    holder: &Holder,
    id: &str,
) -> Result<Account, TikTokError> {
    let account = ctx.shared.world.account(Platform::TikTok, id);
    let account = account.ok_or_else(|| {
        TikTokError::no_permission(format!("No permission to operate the advertiser {id}."))
    })?;
    if !holder.grant.reaches(id) {
        return Err(TikTokError::other_advertiser(id));
    }
    Ok(account)
}

/// # Errors
/// 40001 for a token that was given for something else.
pub(super) fn check_permission(holder: &Holder, scope: &str) -> Result<(), TikTokError> {
    if holder.grant.allows(scope) {
        return Ok(());
    }
    Err(TikTokError::no_permission(
        "The app has no permission to call this API.",
    ))
}

/// # Errors
/// 40101 unless these are the app's id and secret.
pub(super) fn check_app(
    ctx: &Context<'_>,
    id: Option<&str>,
    secret: Option<&str>,
) -> Result<(), TikTokError> {
    let app = ctx.shared.app(Platform::TikTok);
    if id == Some(app.id.as_str()) && secret == Some(app.secret.as_str()) {
        Ok(())
    } else {
        Err(TikTokError::wrong_app())
    }
}

/// What advertisers permit has numbers, what people permit has names.
fn is_of_advertisers(grant: &Grant) -> bool {
    let scopes = grant.scopes.as_deref().unwrap_or_default();
    scopes.iter().all(|scope| scope.parse::<u32>().is_ok())
}
