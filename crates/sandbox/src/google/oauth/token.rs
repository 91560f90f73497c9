//! `POST /token`: tokens for codes, access tokens for refresh tokens.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Context, OAuthError, param};
use crate::{
    google::SCOPE,
    limits::Allowance,
    oauth::{CodeError, CodeProof, Grant, Holder, Issue, Refused, TokenRole, TokenState},
    world::Platform,
};

/// How long an access token works.
const ACCESS_LASTS: TimeDelta = TimeDelta::seconds(3_599);
/// A refresh token that nobody uses for so many days, six months, is dead.
const IDLE_DAYS: i64 = 183;
/// How often one refresh token may be used in a day; chosen.
const REFRESHES: Allowance = Allowance {
    calls: 10_000,
    per: TimeDelta::days(1),
};
/// What codes begin with, of apps that want to go on when the person is away, and of others.
const OFFLINE: &str = "4/0AfakeOff-";
const ONLINE: &str = "4/0AfakeOn-";

/// A code as it is given to the browser: it remembers whether there will be a refresh token.
pub(super) struct Code {
    pub(super) code: String,
    pub(super) is_offline: bool,
}

impl Code {
    pub(super) fn text(&self) -> String {
        let prefix = if self.is_offline { OFFLINE } else { ONLINE };
        format!("{prefix}{}", self.code)
    }

    fn read(text: &str) -> Option<Self> {
        let offline = text.strip_prefix(OFFLINE).map(|code| (code, true));
        let (code, is_offline) = offline.or_else(|| Some((text.strip_prefix(ONLINE)?, false)))?;
        Some(Self {
            code: code.to_owned(),
            is_offline,
        })
    }
}

/// # Errors
/// `invalid_client` for another app or a wrong secret, `invalid_grant` for a code or a refresh token that does not work.
pub(super) fn issue(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Value, OAuthError> {
    let app = ctx.shared.app(Platform::GoogleAds);
    let client_id = param(params, "client_id").ok_or(OAuthError::new(
        "invalid_request",
        "Could not determine client ID from request.",
    ))?;
    let refuse = |description| OAuthError {
        status: StatusCode::UNAUTHORIZED,
        ..OAuthError::new("invalid_client", description)
    };
    if client_id != app.id {
        return Err(refuse("The OAuth client was not found."));
    }
    if param(params, "client_secret") != Some(app.secret.as_str()) {
        return Err(refuse("The provided client secret is invalid."));
    }
    match param(params, "grant_type") {
        Some("authorization_code") => redeem(ctx, params),
        Some("refresh_token") => refresh(ctx, params),
        Some(_) => Err(OAuthError::new(
            "unsupported_grant_type",
            "Invalid grant_type.",
        )),
        None => Err(OAuthError::new(
            "invalid_request",
            "Required parameter is missing: grant_type",
        )),
    }
}

fn redeem(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Value, OAuthError> {
    let oauth = &ctx.shared.oauth;
    let code = param(params, "code").and_then(Code::read);
    let code = code.ok_or(OAuthError::invalid_grant("Malformed auth code."))?;
    let redirect_uri = param(params, "redirect_uri").unwrap_or_default();
    let verifier = param(params, "code_verifier");
    let grant = oauth
        .redeem(
            Platform::GoogleAds,
            &code.code,
            CodeProof {
                redirect_uri,
                verifier,
            },
            ctx.now,
        )
        .map_err(|error| match error {
            CodeError::Unknown | CodeError::Expired => OAuthError::invalid_grant("Bad Request"),
            CodeError::WrongRedirect => OAuthError::new("redirect_uri_mismatch", "Bad Request"),
            CodeError::WrongVerifier if verifier.is_none() => {
                OAuthError::invalid_grant("Missing code verifier.")
            }
            CodeError::WrongVerifier => OAuthError::invalid_grant("Invalid code verifier."),
        })?;
    let refresh = code.is_offline.then(|| {
        let issue = Issue::new(TokenRole::Refresh, "1//fake", None);
        oauth.issue(grant, issue, ctx.now).token
    });
    let access = Issue::new(TokenRole::Access, "ya29.fake", Some(ACCESS_LASTS));
    let access = oauth.issue(grant, access, ctx.now).token;
    let scopes = oauth
        .look_up(Platform::GoogleAds, &access, ctx.now)
        .map(|holder| scope_text(&holder.grant))
        .unwrap_or_default();
    let mut told = told(&access, &scopes);
    if let Some(refresh) = refresh {
        told["refresh_token"] = json!(refresh);
    }
    Ok(told)
}

/// The answer has no refresh token: the old one goes on.
fn refresh(ctx: &Context<'_>, params: &[(String, String)]) -> Result<Value, OAuthError> {
    let token = param(params, "refresh_token").ok_or(OAuthError::new(
        "invalid_request",
        "Missing required parameter: refresh_token",
    ))?;
    let holder = living(ctx, token)?;
    let issue = Issue::new(TokenRole::Access, "ya29.fake", Some(ACCESS_LASTS));
    let access = ctx.shared.oauth.issue(holder.grant_id, issue, ctx.now);
    let mut told = told(&access.token, &scope_text(&holder.grant));
    // Only consents that were given for a time have an end.
    if let Some(end) = holder.expires_at {
        told["refresh_token_expires_in"] = json!((end - ctx.now).num_seconds());
    }
    Ok(told)
}

/// Whom a refresh token belongs to, which is thereby used.
fn living(ctx: &Context<'_>, token: &str) -> Result<Holder, OAuthError> {
    let dead = || OAuthError::invalid_grant("Token has been expired or revoked.");
    let holder = match ctx
        .shared
        .oauth
        .look_up(Platform::GoogleAds, token, ctx.now)
    {
        Ok(holder) if holder.role == TokenRole::Refresh => holder,
        // The policy of the person's organisation wants them to sign in again.
        Err(Refused::Spent(TokenState::Invalid, _)) => {
            return Err(OAuthError {
                subtype: Some("invalid_rapt"),
                ..OAuthError::invalid_grant("reauth related error (invalid_rapt)")
            });
        }
        Ok(_) | Err(_) => return Err(dead()),
    };
    let scope = usage_scope(token);
    if ctx.now - holder.issued_at > TimeDelta::days(IDLE_DAYS) && is_idle(ctx, &scope) {
        return Err(dead());
    }
    let limits = &ctx.shared.limits;
    let reading = limits.count(Platform::GoogleAds, &scope, REFRESHES, ctx.now);
    if reading.is_over {
        return Err(OAuthError {
            status: StatusCode::FORBIDDEN,
            ..OAuthError::new("rate_limit_exceeded", "Rate limit exceeded.")
        });
    }
    Ok(holder)
}

/// Whether a refresh token was not used on any of the last days.
fn is_idle(ctx: &Context<'_>, scope: &str) -> bool {
    // With an allowance of nothing a reading is what was counted, whatever the control says.
    let nothing = Allowance {
        calls: 0,
        ..REFRESHES
    };
    (0..=IDLE_DAYS).all(|days| {
        let day = ctx.now - TimeDelta::days(days);
        let reading = ctx
            .shared
            .limits
            .read(Platform::GoogleAds, scope, nothing, day);
        reading.used == 0
    })
}

/// What the uses of a refresh token are counted under: not the token itself.
fn usage_scope(token: &str) -> String {
    let digest = Sha256::digest(token);
    format!("token/{}", hex::encode(&digest[..12]))
}

fn scope_text(grant: &Grant) -> String {
    match &grant.scopes {
        Some(scopes) => scopes.join(" "),
        None => SCOPE.to_owned(),
    }
}

fn told(access_token: &str, scope: &str) -> Value {
    json!({
        "access_token": access_token,
        "expires_in": ACCESS_LASTS.num_seconds(),
        "scope": scope,
        "token_type": "Bearer",
    })
}
