//! Google's OAuth 2.0. Access tokens live for an hour; the refresh token stays the same and comes once, with the consent.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{GoogleAds, PLATFORM, PROVIDER, refused};
use crate::{
    error::{Detail, Error},
    http::{Answer, retry_after},
    platform::{
        Access, Authorization, AuthorizeRequest, Caller, CodeExchange, Door, Grant, TokenHealth,
        Tokens,
        call::{Call, Reading},
        members,
    },
};

/// What is asked for: everything that the API has is behind the first, and conversion events behind the second.
const SCOPE: &str =
    "https://www.googleapis.com/auth/adwords https://www.googleapis.com/auth/datamanager";

/// The wait after a refusal for which Google names none.
const PAUSE: Duration = Duration::from_secs(60);

/// Longest life of a token that is believed.
const LONGEST_LIFE: TimeDelta = TimeDelta::days(3_650);

/// The app's own credentials.
struct Credentials<'a> {
    id: &'a str,
    secret: &'a SecretString,
}

impl GoogleAds {
    pub(super) fn authorization(&self, request: &AuthorizeRequest) -> Result<Authorization, Error> {
        let app = self.credentials()?;
        let mut url = self.auth_url.clone();
        url.query_pairs_mut()
            .append_pair("client_id", app.id)
            .append_pair("redirect_uri", request.redirect_uri.as_str())
            .append_pair("response_type", "code")
            .append_pair("scope", SCOPE)
            // Without these two a second consent comes without a refresh token.
            .append_pair("access_type", "offline")
            .append_pair("prompt", "consent")
            .append_pair("state", &request.state)
            .append_pair("code_challenge", &request.code_challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(Authorization { url })
    }

    pub(super) async fn tokens_for_code(
        &self,
        door: &dyn Door,
        exchange: &CodeExchange,
    ) -> Result<Tokens, Error> {
        let app = self.credentials()?;
        let code = exchange.code.expose_secret();
        let verifier = exchange.code_verifier.expose_secret();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", exchange.redirect_uri.as_str()),
            ("code_verifier", verifier),
            ("client_id", app.id),
            ("client_secret", app.secret.expose_secret()),
        ];
        let secrets = [code, verifier, app.secret.expose_secret()];
        self.tokens(door, &form, &secrets).await
    }

    pub(super) async fn tokens_for_refresh(
        &self,
        door: &dyn Door,
        grant: &Grant,
    ) -> Result<Tokens, Error> {
        let app = self.credentials()?;
        let Some(refresh_token) = &grant.refresh_token else {
            return Err(Error::AuthExpired {
                detail: Detail::new(PROVIDER, "the grant has no refresh token", &[]),
            });
        };
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
            ("client_id", app.id),
            ("client_secret", app.secret.expose_secret()),
        ];
        let secrets = [refresh_token.expose_secret(), app.secret.expose_secret()];
        self.tokens(door, &form, &secrets).await
    }

    /// A grant works as long as its refresh token gives access tokens, whatever became of the last one of those.
    pub(super) async fn health(
        &self,
        door: &dyn Door,
        grant: &Grant,
    ) -> Result<TokenHealth, Error> {
        let checked = if grant.refresh_token.is_some() {
            self.tokens_for_refresh(door, grant)
                .await
                .map(|tokens| TokenHealth {
                    is_valid: true,
                    expires_at: tokens.refresh_expires_at,
                    scopes: tokens.scopes,
                    ..TokenHealth::default()
                })
        } else {
            let access = Access {
                token: grant.access_token.clone(),
                token_secret: None,
                manager: None,
            };
            let caller = Caller {
                access: &access,
                door,
            };
            self.accessible(caller).await.map(|_| TokenHealth {
                is_valid: true,
                ..TokenHealth::default()
            })
        };
        match checked {
            Err(Error::AuthExpired { detail }) => Ok(TokenHealth {
                reason: Some(detail.message),
                ..TokenHealth::default()
            }),
            checked => checked,
        }
    }

    /// Taking back either token ends the whole grant.
    pub(super) async fn end(&self, door: &dyn Door, grant: &Grant) -> Result<bool, Error> {
        let token = grant.refresh_token.as_ref().unwrap_or(&grant.access_token);
        let token = token.expose_secret();
        let request = self
            .http
            .request(Method::POST, self.oauth_url("revoke")?)
            .form(&[("token", token)]);
        let call = oauth_call("POST oauth/revoke", door);
        let ended = call.send(&self.http, request, |answer| {
            Reading::of(if answer.status.is_success() {
                Ok(())
            } else {
                Err(refusal(answer, &[token]))
            })
        });
        match ended.await {
            // It ended before.
            Ok(()) | Err(Error::AuthExpired { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn tokens(
        &self,
        door: &dyn Door,
        form: &[(&str, &str)],
        secrets: &[&str],
    ) -> Result<Tokens, Error> {
        let request = self
            .http
            .request(Method::POST, self.oauth_url("token")?)
            .form(form);
        let call = oauth_call("POST oauth/token", door);
        call.send(&self.http, request, |answer| {
            let body = serde_json::from_slice::<Value>(&answer.body).ok();
            let tokens = body
                .filter(|_| answer.status.is_success())
                .and_then(|body| tokens_in(&body, Utc::now()));
            Reading::of(tokens.ok_or_else(|| refusal(answer, secrets)))
        })
        .await
    }

    fn credentials(&self) -> Result<Credentials<'_>, Error> {
        match (&self.client_id, &self.client_secret) {
            (Some(id), Some(secret)) => Ok(Credentials { id, secret }),
            _ => Err(Error::Config {
                detail: Detail::new(PROVIDER, "the client's id or secret is not set", &[]),
            }),
        }
    }

    fn oauth_url(&self, last: &str) -> Result<Url, Error> {
        let mut url = self.oauth_url.clone();
        url.path_segments_mut()
            .map_err(|()| refused("the OAuth address cannot have a path"))?
            .pop_if_empty()
            .push(last);
        Ok(url)
    }
}

fn oauth_call<'a>(endpoint: &'static str, door: &'a dyn Door) -> Call<'a> {
    Call {
        platform: PLATFORM,
        endpoint,
        weight: 1,
        door,
    }
}

fn tokens_in(body: &Value, now: DateTime<Utc>) -> Option<Tokens> {
    let after = |name| {
        let seconds = body.get(name).and_then(members::integer)?;
        let life = TimeDelta::try_seconds(seconds)?.clamp(TimeDelta::zero(), LONGEST_LIFE);
        Some(now + life)
    };
    let scopes = members::text(body, "scope").unwrap_or_default();
    Some(Tokens {
        access_token: members::text(body, "access_token")?.into(),
        token_secret: None,
        // Comes with a consent alone: without one the stored token stays.
        refresh_token: members::text(body, "refresh_token").map(Into::into),
        expires_at: after("expires_in"),
        refresh_expires_at: after("refresh_token_expires_in"),
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        subject: None,
    })
}

/// What a refusal of the OAuth server means. Its words are about the grant and about us, never about an ad account.
fn refusal(answer: &Answer, secrets: &[&str]) -> Error {
    let status = answer.status;
    let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let code = members::text(&body, "error");
    let said = members::text(&body, "error_description").or(code);
    let said = said.unwrap_or("the answer is none of the OAuth server");
    let detail = Detail::new(PROVIDER, said, secrets).status(status.as_u16());
    let detail = match (code, members::text(&body, "error_subtype")) {
        (Some(code), Some(subtype)) => detail.code(&format!("{code}/{subtype}")),
        (Some(code), None) => detail.code(code),
        (None, _) => detail,
    };
    match code.unwrap_or_default() {
        "invalid_grant" | "invalid_token" => Error::AuthExpired { detail },
        "invalid_client"
        | "unauthorized_client"
        | "invalid_request"
        | "invalid_scope"
        | "redirect_uri_mismatch"
        | "unsupported_grant_type" => Error::Config { detail },
        "rate_limit_exceeded" => rate_limited(answer, detail),
        _ if status == StatusCode::TOO_MANY_REQUESTS => rate_limited(answer, detail),
        _ if status.is_success() || status.is_server_error() => Error::Unavailable {
            detail,
            maybe_received: true,
            source: None,
        },
        // Nothing but our own credentials is checked by it.
        _ if status == StatusCode::UNAUTHORIZED => Error::Config { detail },
        _ => Error::Rejected { detail },
    }
}

fn rate_limited(answer: &Answer, detail: Detail) -> Error {
    let told = retry_after(&answer.headers, Utc::now()).filter(|pause| !pause.is_zero());
    Error::RateLimited {
        retry_after: told.or(Some(PAUSE)),
        detail,
    }
}
