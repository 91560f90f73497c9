//! Signatures of OAuth 1.0a, HMAC-SHA1: checked as strictly as X does. A query that was encoded in
//! another way than for the signature does not fit, nor does one that was signed a while ago, nor
//! one that came before.

mod base;
mod header;

use axum::http::header::{CONTENT_TYPE, HOST};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha1::{Digest, Sha1};

use super::{Context, error::XError};
use crate::{clock, door::Incoming, world::Platform};

pub(super) use header::Header;

/// How far the caller's clock may be from ours, both ways.
const TOLERANCE_S: i64 = 300;
/// Longest nonce that is taken.
const LONGEST_NONCE: usize = 256;

/// Checks that a call was signed by our app, with the second half of its token; there is none at the
/// first step of the dance.
///
/// # Errors
/// 32 for a signature that does not fit and for a nonce that was used, 135 for a clock that is off.
pub(super) fn check(
    ctx: &Context<'_>,
    incoming: &Incoming,
    header: &Header,
    token_secret: &str,
) -> Result<(), XError> {
    let app = ctx.shared.app(Platform::X);
    let is_ours = header.get("oauth_consumer_key") == Some(app.id.as_str())
        && header.get("oauth_signature_method") == Some("HMAC-SHA1")
        && header.get("oauth_version").is_none_or(|it| it == "1.0")
        && header
            .get("oauth_body_hash")
            .is_none_or(|hash| hash == STANDARD.encode(Sha1::digest(&incoming.body)));
    let signature = header.get("oauth_signature").unwrap_or_default();
    let is_signed = is_ours
        && base_string(incoming, header)
            .is_some_and(|base| fits(&base, (app.secret.as_str(), token_secret), signature));
    if !is_signed {
        return Err(XError::not_authenticated());
    }
    check_freshness(ctx, header)
}

/// Callers sign by their own clocks, which go with the machine's and not with the world's.
fn check_freshness(ctx: &Context<'_>, header: &Header) -> Result<(), XError> {
    let now_s = clock::now().timestamp();
    let signed_s = header.get("oauth_timestamp").and_then(|it| it.parse().ok());
    let signed_s: i64 = signed_s.ok_or_else(XError::bad_time)?;
    if (now_s - signed_s.clamp(0, i64::MAX)).abs() > TOLERANCE_S {
        return Err(XError::bad_time());
    }
    let nonce = header.get("oauth_nonce").unwrap_or_default();
    if !(1..=LONGEST_NONCE).contains(&nonce.len()) {
        return Err(XError::not_authenticated());
    }
    let token = header.get("oauth_token").unwrap_or_default();
    let name = format!("{token} {nonce}");
    if !ctx
        .shared
        .nonces
        .use_up(name, signed_s, now_s - TOLERANCE_S)
    {
        return Err(XError::not_authenticated());
    }
    Ok(())
}

/// What was signed; `None` where that cannot be told from what was sent.
fn base_string(incoming: &Incoming, header: &Header) -> Option<String> {
    let host = incoming.header(HOST.as_str())?.to_ascii_lowercase();
    let host = host.strip_suffix(":80").unwrap_or(&host);
    let url = format!("http://{host}{}", incoming.uri.path());
    let mut params = base::sent_as_signed(incoming.uri.query().unwrap_or_default())?;
    if has_form(incoming) {
        params.extend(incoming.form());
    }
    params.extend(header.signed());
    Some(base::string(incoming.method.as_str(), &url, &params))
}

/// Whether the body is a form: no other body is signed.
pub(super) fn has_form(incoming: &Incoming) -> bool {
    let kind = incoming.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whether a signature is that of a base string with these secrets: the app's and the token's.
fn fits(base: &str, secrets: (&str, &str), signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else {
        return false;
    };
    let key = format!("{}&{}", base::encode(secrets.0), base::encode(secrets.1));
    let mut mac =
        Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(base.as_bytes());
    mac.verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests;
