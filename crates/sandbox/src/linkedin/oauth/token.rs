//! `accessToken`: tokens for codes, access tokens for refresh tokens. A refresh token stays the same, and so does its end.

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Context, OAuthError, REFRESHABLE, param, scope_text};
use crate::{
    oauth::{CodeProof, Holder, Issue, TokenRole},
    world::Platform,
};

/// How long an access token works.
const ACCESS_LASTS: TimeDelta = TimeDelta::days(60);
/// How long access tokens can be refreshed, from the consent on.
const REFRESH_LASTS: TimeDelta = TimeDelta::days(365);
/// What tokens begin with: they are as long as LinkedIn's, about 500 characters.
const ACCESS_PREFIX: &str = concat!(
    "AQfakeNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotReal",
    "AQfakeNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotReal",
    "AQfakeNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotReal",
    "AQfakeNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotReal",
    "_",
);
const REFRESH_PREFIX: &str = concat!(
    "AQfakeRefreshNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotReal",
    "AQfakeRefreshNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotReal",
    "AQfakeRefreshNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotReal",
    "AQfakeRefreshNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotRealNotReal",
    "_",
);

/// # Errors
/// `invalid_request` for a code or a refresh token that does not work.
pub(super) fn issue(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Value, OAuthError> {
    match param(params, "grant_type") {
        Some("authorization_code") => redeem(ctx, params),
        Some("refresh_token") => refresh(ctx, params),
        Some(_) | None => Err(OAuthError::new(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "A required parameter \"grant_type\" is missing or not supported",
        )),
    }
}

fn redeem(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Value, OAuthError> {
    let oauth = &ctx.shared.oauth;
    let code = param(params, "code").unwrap_or_default();
    let redirect_uri = param(params, "redirect_uri").unwrap_or_default();
    let proof = CodeProof {
        redirect_uri,
        verifier: None,
    };
    let grant = oauth
        .redeem(Platform::LinkedIn, code, proof, ctx.now)
        .map_err(|_| {
            OAuthError::new(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code. Or \
                 authorization code expired.",
            )
        })?;
    let issue = Issue::new(TokenRole::Access, ACCESS_PREFIX, Some(ACCESS_LASTS));
    let access = oauth.issue(grant, issue, ctx.now).token;
    let holder = oauth
        .look_up(Platform::LinkedIn, &access, ctx.now)
        .map_err(|_| OAuthError::DEAD)?;
    let mut told = told(&access, ACCESS_LASTS, &holder);
    // Not every app is given refresh tokens.
    if holder.grant.allows(REFRESHABLE) {
        let issue = Issue::new(TokenRole::Refresh, REFRESH_PREFIX, Some(REFRESH_LASTS));
        let refresh = oauth.issue(grant, issue, ctx.now).token;
        add_refresh_token(&mut told, &refresh, REFRESH_LASTS);
    }
    Ok(told)
}

fn refresh(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Value, OAuthError> {
    let oauth = &ctx.shared.oauth;
    let refresh = param(params, "refresh_token").unwrap_or_default();
    let holder = oauth
        .look_up(Platform::LinkedIn, refresh, ctx.now)
        .ok()
        .filter(|holder| holder.role == TokenRole::Refresh)
        .ok_or(OAuthError::DEAD)?;
    let left = end_of(&holder) - ctx.now;
    if left <= TimeDelta::zero() {
        return Err(OAuthError::DEAD);
    }
    // Near the end of the year access tokens live shorter too.
    let lasts = left.min(ACCESS_LASTS);
    let issue = Issue::new(TokenRole::Access, ACCESS_PREFIX, Some(lasts));
    let access = oauth.issue(holder.grant_id, issue, ctx.now).token;
    let mut told = told(&access, lasts, &holder);
    add_refresh_token(&mut told, refresh, left);
    Ok(told)
}

/// When a refresh token ends: one that was made known without an end has its year too.
fn end_of(holder: &Holder) -> DateTime<Utc> {
    holder
        .expires_at
        .unwrap_or(holder.issued_at + REFRESH_LASTS)
}

fn told(access: &str, lasts: TimeDelta, holder: &Holder) -> Value {
    json!({
        "access_token": access,
        "expires_in": lasts.num_seconds(),
        "scope": scope_text(&holder.grant),
    })
}

fn add_refresh_token(told: &mut Value, refresh: &str, left: TimeDelta) {
    told["refresh_token"] = json!(refresh);
    told["refresh_token_expires_in"] = json!(left.num_seconds());
}
