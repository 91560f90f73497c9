//! Tokens of advertisers: one for a code, without an end and without a refresh, until somebody takes
//! it back.

use axum::response::Response;
use serde_json::{Value, json};

use super::{
    Call, Context, access, advertisers,
    consent::{self, Question, param},
    error::TikTokError,
};
use crate::{
    door::Incoming,
    oauth::{CodeError, CodeProof, GrantId, Issue, TokenRole},
    world::Platform,
};

/// What every app is permitted: accounts, ads, audiences, reports, measurement, leads.
const SCOPES: [&str; 6] = ["1", "2", "3", access::REPORTING, "5", "6"];

/// `portal/auth`: the page on which an advertiser is asked.
pub(super) fn show_consent(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    let params = incoming.query();
    let question = Question {
        app: param(&params, "app_id"),
        back: param(&params, "redirect_uri"),
        state: param(&params, "state"),
        scopes: SCOPES.map(str::to_owned).to_vec(),
        is_bound: false,
        code_names: &["auth_code", "code"],
    };
    consent::show(ctx, question)
}

/// `POST oauth2/access_token/`.
///
/// # Errors
/// 40101 for another app, 40110 and 40115 for a code that cannot be taken.
pub(super) fn access_token(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let params = &call.params;
    access::check_app(ctx, params.text("app_id")?, params.text("secret")?)?;
    let grant = redeem(ctx, params.required("auth_code")?, "")?;
    let issue = Issue::new(TokenRole::Access, "fake-tiktok-", None);
    let token = ctx.shared.oauth.issue(grant, issue, ctx.now).token;
    let holder = ctx
        .shared
        .oauth
        .look_up(Platform::TikTok, &token, ctx.now)
        .map_err(|_| TikTokError::bad_code())?;
    let accounts = advertisers::of(ctx, &holder);
    let ids: Vec<_> = accounts.iter().map(|account| &account.id).collect();
    let scopes = holder.grant.scopes.unwrap_or_default();
    let scopes: Vec<u32> = scopes
        .iter()
        .filter_map(|scope| scope.parse().ok())
        .collect();
    Ok(json!({ "access_token": token, "advertiser_ids": ids, "scope": scopes }))
}

/// `POST oauth2/revoke_token/`: takes the advertiser's consent back.
///
/// # Errors
/// 40101 for another app, 40105 for a token that does not work anyway.
pub(super) fn revoke_token(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let params = &call.params;
    access::check_app(ctx, params.text("app_id")?, params.text("secret")?)?;
    let token = params.required("access_token")?;
    let holder = ctx
        .shared
        .oauth
        .look_up(Platform::TikTok, token, ctx.now)
        .map_err(|_| TikTokError::bad_token())?;
    ctx.shared.oauth.revoke(holder.grant_id);
    Ok(json!({}))
}

/// Takes a code for what it stands for.
///
/// # Errors
/// 40110 for one that is none, or none any more, 40115 for one that is too old.
pub(super) fn redeem(
    ctx: &Context<'_>,
    code: &str,
    redirect_uri: &str,
) -> Result<GrantId, TikTokError> {
    let proof = CodeProof {
        redirect_uri,
        verifier: None,
    };
    let redeemed = ctx
        .shared
        .oauth
        .redeem(Platform::TikTok, code, proof, ctx.now);
    redeemed.map_err(|error| match error {
        CodeError::Expired => TikTokError::late_code(),
        CodeError::Unknown | CodeError::WrongRedirect | CodeError::WrongVerifier => {
            TikTokError::bad_code()
        }
    })
}
