//! Tokens of people's own TikTok accounts: they work for a day and are refreshed for a year.

use axum::response::Response;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    Call, Context, access,
    consent::{self, Question, param},
    error::TikTokError,
    oauth,
};
use crate::{
    door::Incoming,
    oauth::{GrantId, Issue, Refused, TokenRole, TokenState},
    world::Platform,
};

const ACCESS_LASTS: TimeDelta = TimeDelta::seconds(86_400);
const REFRESH_LASTS: TimeDelta = TimeDelta::seconds(31_536_000);
/// What is permitted where nobody says what.
const USUAL_SCOPE: &str = "user.info.basic";

/// `v2/auth/authorize`: the page on which a person is asked.
pub(super) fn show_consent(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    let params = incoming.query();
    let scopes = param(&params, "scope").unwrap_or(USUAL_SCOPE);
    let question = Question {
        app: param(&params, "client_key"),
        back: param(&params, "redirect_uri"),
        state: param(&params, "state"),
        scopes: scopes.split(',').map(str::to_owned).collect(),
        is_bound: true,
        code_names: &["code"],
    };
    consent::show(ctx, question)
}

/// `POST tt_user/oauth2/token/`.
///
/// # Errors
/// 40101 for another app, 40110 and 40115 for a code that cannot be taken.
pub(super) fn token(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    check(ctx, call, "authorization_code")?;
    let code = call.params.required("auth_code")?;
    let redirect_uri = call.params.required("redirect_uri")?;
    let grant = oauth::redeem(ctx, code, redirect_uri)?;
    pair(ctx, grant)
}

/// `POST tt_user/oauth2/refresh_token/`. The answer has a new refresh token, to be kept in the place
/// of the old one, which works on until its own end.
///
/// # Errors
/// 40101 for another app, 40103 and 40107 for a refresh token that does not work.
pub(super) fn refresh_token(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    check(ctx, call, "refresh_token")?;
    let token = call.params.required("refresh_token")?;
    match ctx.shared.oauth.look_up(Platform::TikTok, token, ctx.now) {
        Ok(holder) if holder.role == TokenRole::Refresh => pair(ctx, holder.grant_id),
        Err(Refused::Spent(TokenState::Expired, _)) => Err(TikTokError::late_refresh_token()),
        Ok(_) | Err(_) => Err(TikTokError::bad_refresh_token()),
    }
}

fn check(ctx: &Context<'_>, call: &Call<'_>, grant_type: &str) -> Result<(), TikTokError> {
    let params = &call.params;
    access::check_app(
        ctx,
        params.text("client_id")?,
        params.text("client_secret")?,
    )?;
    if params.required("grant_type")? != grant_type {
        return Err(TikTokError::parameter(format!(
            "grant_type: Must be {grant_type}."
        )));
    }
    Ok(())
}

fn pair(ctx: &Context<'_>, grant: GrantId) -> Result<Value, TikTokError> {
    let oauth = &ctx.shared.oauth;
    let issue = |role, prefix, lasts| {
        let issue = Issue::new(role, prefix, Some(lasts));
        oauth.issue(grant, issue, ctx.now).token
    };
    let access = issue(TokenRole::Access, "act.fake", ACCESS_LASTS);
    let refresh = issue(TokenRole::Refresh, "rft.fake", REFRESH_LASTS);
    let holder = oauth
        .look_up(Platform::TikTok, &access, ctx.now)
        .map_err(|_| TikTokError::bad_refresh_token())?;
    let scopes = holder.grant.scopes.as_deref().unwrap_or_default();
    Ok(json!({
        "access_token": access,
        "expires_in": ACCESS_LASTS.num_seconds(),
        "refresh_token": refresh,
        "refresh_token_expires_in": REFRESH_LASTS.num_seconds(),
        "open_id": format!("fake-open-id-{}", holder.grant.user),
        "scope": scopes.join(","),
        "token_type": "Bearer",
    }))
}
