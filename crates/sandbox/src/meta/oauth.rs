//! `oauth/access_token`: tokens for codes, longer tokens for shorter ones, the app's own.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Context, access, call::Call, error::GraphError};
use crate::{
    oauth::{CodeError, CodeProof, Issue, TokenRole},
    world::Platform,
};

/// What tokens begin with.
pub(super) const PREFIX: &str = "EAAfake";
/// How long a code's token works.
const SHORT: TimeDelta = TimeDelta::minutes(90);
/// How long an exchanged one works: about 60 days.
const LONG: TimeDelta = TimeDelta::seconds(5_183_944);

/// `GET` or `POST /oauth/access_token`.
///
/// # Errors
/// 101 for another app or a wrong secret, 100 for a code that cannot be taken, 190 for a token that
/// cannot be exchanged.
pub(super) fn token(call: &Call, ctx: &Context<'_>) -> Result<Value, GraphError> {
    let is_app = call.text("client_id") == Some(ctx.config.app_id.as_str())
        && call.text("client_secret") == Some(ctx.config.app_secret.as_str());
    if !is_app {
        return Err(GraphError::wrong_app());
    }
    match call.text("grant_type") {
        Some("fb_exchange_token") => exchange(call, ctx),
        Some("client_credentials") => Ok(json!({
            "access_token": ctx.config.app_token(),
            "token_type": "bearer",
        })),
        None | Some("authorization_code") => redeem(call, ctx),
        Some(_) => Err(GraphError::bad_param("grant_type", "is not supported")),
    }
}

fn redeem(call: &Call, ctx: &Context<'_>) -> Result<Value, GraphError> {
    let code = call.text("code").unwrap_or_default();
    let proof = CodeProof {
        redirect_uri: call.text("redirect_uri").unwrap_or_default(),
        verifier: None,
    };
    let grant = ctx
        .shared
        .oauth
        .redeem(Platform::Meta, code, proof, ctx.now)
        .map_err(|error| match error {
            CodeError::Expired => {
                GraphError::bad_code(36_007, "This authorization code has expired.")
            }
            CodeError::WrongRedirect => GraphError::bad_code(
                36_008,
                "Error validating verification code. Please make sure your redirect_uri is identical to the one you used \
                 in the OAuth dialog request",
            ),
            CodeError::Unknown | CodeError::WrongVerifier => {
                GraphError::bad_code(36_009, "This authorization code has been used.")
            }
        })?;
    let issue = Issue::new(TokenRole::Short, PREFIX, Some(SHORT));
    let issued = ctx.shared.oauth.issue(grant, issue, ctx.now);
    Ok(told(&issued.token, SHORT))
}

fn exchange(call: &Call, ctx: &Context<'_>) -> Result<Value, GraphError> {
    let token = call
        .text("fb_exchange_token")
        .ok_or_else(|| GraphError::bad_param("fb_exchange_token", "is required"))?;
    let holder = access::look_up(ctx, token)?;
    // A token without an end stays what it is.
    if holder.expires_at.is_none() {
        return Ok(json!({ "access_token": token, "token_type": "bearer" }));
    }
    let issue = Issue::new(TokenRole::Access, PREFIX, Some(LONG));
    let issued = ctx.shared.oauth.issue(holder.grant_id, issue, ctx.now);
    Ok(told(&issued.token, LONG))
}

fn told(token: &str, lasts: TimeDelta) -> Value {
    json!({
        "access_token": token,
        "token_type": "bearer",
        "expires_in": lasts.num_seconds(),
    })
}
