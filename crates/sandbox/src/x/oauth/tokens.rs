//! Tokens of OAuth 2.0. The client says who it is in the header alone; a refresh token is good once;
//! and a person's second consent ends the first.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Context, param};
use crate::{
    door::Incoming,
    oauth::{CodeProof, GrantId, Holder, Issue, TokenRole, TokenState},
    world::Platform,
    x::error::OAuthError,
};

const ACCESS_LASTS: TimeDelta = TimeDelta::seconds(7_200);
/// Without it there is no refresh token.
const OFFLINE: &str = "offline.access";
const BAD_TOKEN: OAuthError =
    OAuthError::invalid_request("Value passed for the token was invalid.");
const BAD_CODE: OAuthError =
    OAuthError::invalid_request("Value passed for the authorization code was invalid.");

/// `POST 2/oauth2/token`.
pub(in crate::x) fn token(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    let params = incoming.form();
    let told =
        check_client(ctx, incoming, &params).and_then(|()| match param(&params, "grant_type") {
            Some("authorization_code") => redeem(ctx, &params),
            Some("refresh_token") => refresh(ctx, &params),
            Some(_) | None => Err(OAuthError::invalid_request(
                "Value passed for the grant type was invalid.",
            )),
        });
    match told {
        Ok(body) => Json(body).into_response(),
        Err(error) => error.into_response(),
    }
}

/// `POST 2/oauth2/revoke`: ends the whole consent, by any of its tokens.
pub(in crate::x) fn revoke(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    let params = incoming.form();
    let revoked = check_client(ctx, incoming, &params).and_then(|()| {
        let token = param(&params, "token").unwrap_or_default();
        let found = ctx.shared.oauth.look_up(Platform::X, token, ctx.now);
        let holder = found.map_err(|_| BAD_TOKEN)?;
        ctx.shared.oauth.revoke(holder.grant_id);
        Ok(())
    });
    match revoked {
        Ok(()) => Json(json!({ "revoked": true })).into_response(),
        Err(error) => error.into_response(),
    }
}

/// The secret is taken in the header and nowhere else.
fn check_client(
    ctx: &Context<'_>,
    incoming: &Incoming,
    params: &[(String, String)],
) -> Result<(), OAuthError> {
    let app = ctx.shared.app(Platform::X);
    let basic = incoming
        .header("authorization")
        .and_then(|text| text.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text).ok());
    let expected = format!("{}:{}", app.id, app.secret);
    if basic.as_deref() != Some(expected.as_bytes()) || param(params, "client_secret").is_some() {
        return Err(OAuthError::unauthorized_client());
    }
    Ok(())
}

fn redeem(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Value, OAuthError> {
    let proof = CodeProof {
        redirect_uri: param(params, "redirect_uri").unwrap_or_default(),
        verifier: param(params, "code_verifier"),
    };
    let code = param(params, "code").unwrap_or_default();
    let redeemed = ctx.shared.oauth.redeem(Platform::X, code, proof, ctx.now);
    let told = pair(ctx, redeemed.map_err(|_| BAD_CODE)?)?;
    let token = told["access_token"].as_str().unwrap_or_default();
    let found = ctx.shared.oauth.look_up(Platform::X, token, ctx.now);
    end_others(ctx, &found.map_err(|_| BAD_CODE)?);
    Ok(told)
}

/// A person has one consent with an app at a time. Which one it is stands in a token that nothing
/// can be done with.
fn end_others(ctx: &Context<'_>, holder: &Holder) {
    let oauth = &ctx.shared.oauth;
    let mark = format!("consent-of-{}", holder.grant.user);
    if let Ok(earlier) = oauth.look_up(Platform::X, &mark, ctx.now) {
        oauth.revoke(earlier.grant_id);
    }
    let issue = Issue {
        text: Some(mark),
        ..Issue::new(TokenRole::Request, "", None)
    };
    oauth.issue(holder.grant_id, issue, ctx.now);
}

fn refresh(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Value, OAuthError> {
    let oauth = &ctx.shared.oauth;
    let token = param(params, "refresh_token").unwrap_or_default();
    match oauth.look_up(Platform::X, token, ctx.now) {
        Ok(holder) if holder.role == TokenRole::Refresh => {
            oauth.spend(Platform::X, token, TokenState::Revoked);
            pair(ctx, holder.grant_id)
        }
        Ok(_) | Err(_) => Err(BAD_TOKEN),
    }
}

fn pair(ctx: &Context<'_>, grant: GrantId) -> Result<Value, OAuthError> {
    let oauth = &ctx.shared.oauth;
    let issue = |role, prefix, lasts| {
        let issue = Issue::new(role, prefix, lasts);
        oauth.issue(grant, issue, ctx.now).token
    };
    let access = issue(TokenRole::Access, "fake-x-access-", Some(ACCESS_LASTS));
    let holder = oauth
        .look_up(Platform::X, &access, ctx.now)
        .map_err(|_| BAD_TOKEN)?;
    let scopes = holder.grant.scopes.as_deref().unwrap_or_default();
    let mut told = json!({
        "token_type": "bearer",
        "expires_in": ACCESS_LASTS.num_seconds(),
        "access_token": access,
        "scope": scopes.join(" "),
    });
    if holder.grant.allows(OFFLINE) {
        let refresh = issue(TokenRole::Refresh, "fake-x-refresh-", None);
        told["refresh_token"] = json!(refresh);
    }
    Ok(told)
}
