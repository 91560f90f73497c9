//! The dance of OAuth 1.0a: a token for the request, a page for the person, and a token with its
//! second half for good.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use url::{Url, form_urlencoded::Serializer};

use super::{
    Context, handle,
    pages::{page, send_to},
    param,
};
use crate::{
    door::Incoming,
    oauth::{CodeProof, Consent, Denied, Grant, Issue, TokenRole, TokenState},
    world::Platform,
    x::{
        error::XError,
        signature::{self, Header},
    },
};

/// How long a request's token, and a verifier, are good for.
const REQUEST_LASTS: TimeDelta = TimeDelta::minutes(15);
/// Where a person is sent back to who shall type the verifier in.
const OUT_OF_BAND: &str = "oob";

/// `POST oauth/request_token`.
pub(in crate::x) fn request_token(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    let begun = header(incoming).and_then(|header| {
        signature::check(ctx, incoming, &header, "")?;
        let back = header.get("oauth_callback").unwrap_or(OUT_OF_BAND);
        if back != OUT_OF_BAND && Url::parse(back).is_err() {
            let message = "Callback URL not approved for this client application.";
            return Err(XError::number(StatusCode::FORBIDDEN, 415, message));
        }
        Ok(back.to_owned())
    });
    let back = match begun {
        Ok(back) => back,
        Err(error) => return error.into_response(),
    };
    // Nobody has given access to anything yet: all that it stands for is where to go back to.
    let grant = ctx.shared.oauth.open(Grant {
        platform: Platform::X,
        user: String::new(),
        scopes: Some(vec![back]),
        accounts: None,
        since: ctx.now,
    });
    let issue = Issue {
        has_secret: true,
        ..Issue::new(TokenRole::Request, "fake-request-", Some(REQUEST_LASTS))
    };
    let issued = ctx.shared.oauth.issue(grant, issue, ctx.now);
    form(&[
        ("oauth_token", issued.token.as_str()),
        (
            "oauth_token_secret",
            issued.secret.as_deref().unwrap_or_default(),
        ),
        ("oauth_callback_confirmed", "true"),
    ])
}

/// `GET oauth/authorize`: the page on which the person is asked.
pub(in crate::x) fn authorize(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    let params = incoming.query();
    let token = param(&params, "oauth_token").unwrap_or_default();
    let Some(back) = address_of(ctx, token) else {
        return page(StatusCode::FORBIDDEN, "The request token is invalid");
    };
    let consent = Consent {
        redirect_uri: token.to_owned(),
        scopes: Vec::new(),
        challenge: None,
        lasts: REQUEST_LASTS,
    };
    let told = ctx.shared.oauth.consent(Platform::X, consent, ctx.now);
    match (Url::parse(&back), told) {
        (Ok(mut back), Ok(verifier)) => {
            back.query_pairs_mut()
                .append_pair("oauth_token", token)
                .append_pair("oauth_verifier", &verifier);
            send_to(&back)
        }
        (Ok(mut back), Err(Denied)) => {
            back.query_pairs_mut().append_pair("denied", token);
            send_to(&back)
        }
        (Err(_), Ok(verifier)) => page(StatusCode::OK, &verifier),
        (Err(_), Err(Denied)) => page(StatusCode::OK, "denied"),
    }
}

/// `POST oauth/access_token`. The token has no end.
pub(in crate::x) fn access_token(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    match exchange(ctx, incoming) {
        Ok(answer) => answer,
        Err(error) => error.into_response(),
    }
}

fn exchange(ctx: &Context<'_>, incoming: &Incoming) -> Result<Response, XError> {
    let oauth = &ctx.shared.oauth;
    let header = header(incoming)?;
    let request = header.get("oauth_token").unwrap_or_default();
    let holder = oauth
        .look_up(Platform::X, request, ctx.now)
        .map_err(|_| XError::bad_token())?;
    let secret = holder.secret.filter(|_| holder.role == TokenRole::Request);
    let secret = secret.ok_or_else(XError::bad_token)?;
    signature::check(ctx, incoming, &header, &secret)?;
    let mut params = incoming.query();
    params.extend(incoming.form());
    let verifier = header
        .get("oauth_verifier")
        .or_else(|| param(&params, "oauth_verifier"))
        .unwrap_or_default();
    let proof = CodeProof {
        redirect_uri: request,
        verifier: None,
    };
    let grant = oauth
        .redeem(Platform::X, verifier, proof, ctx.now)
        .map_err(|_| XError::not_authenticated())?;
    oauth.spend(Platform::X, request, TokenState::Revoked);
    let issue = Issue {
        has_secret: true,
        ..Issue::new(TokenRole::Access, "1-fake", None)
    };
    let issued = oauth.issue(grant, issue, ctx.now);
    let user = oauth
        .look_up(Platform::X, &issued.token, ctx.now)
        .map(|holder| holder.grant.user)
        .unwrap_or_default();
    Ok(form(&[
        ("oauth_token", issued.token.as_str()),
        (
            "oauth_token_secret",
            issued.secret.as_deref().unwrap_or_default(),
        ),
        ("user_id", user.as_str()),
        ("screen_name", handle(&user).as_str()),
    ]))
}

fn header(incoming: &Incoming) -> Result<Header, XError> {
    let text = incoming.header("authorization");
    text.and_then(Header::read)
        .ok_or_else(XError::not_authenticated)
}

/// Where the person of a request's token goes back to.
fn address_of(ctx: &Context<'_>, token: &str) -> Option<String> {
    let found = ctx.shared.oauth.look_up(Platform::X, token, ctx.now);
    let holder = found
        .ok()
        .filter(|holder| holder.role == TokenRole::Request && holder.secret.is_some())?;
    holder.grant.scopes?.into_iter().next()
}

fn form(pairs: &[(&str, &str)]) -> Response {
    let body = Serializer::new(String::new()).extend_pairs(pairs).finish();
    let kind = [(CONTENT_TYPE, "application/x-www-form-urlencoded")];
    (kind, body).into_response()
}
