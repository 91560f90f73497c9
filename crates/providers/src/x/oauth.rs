//! OAuth 2.0 of X's API v2. Refresh tokens are for one use: the answer holds the next one, and whoever loses the answer loses
//! the grant. Tokens of OAuth 1.0a have no end and nothing to be refreshed with.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{PLATFORM, PROVIDER, X, limits, request::below};
use crate::{
    error::{Detail, Error},
    http::Answer,
    platform::{
        Access, Authorization, AuthorizeRequest, Caller, CodeExchange, Door, Grant, TokenHealth,
        Tokens,
        call::{Call, Reading},
        members,
    },
};

/// What is asked for: ads, whose they are, and a refresh token.
const SCOPES: &str = "ads.read tweet.read users.read offline.access";

/// The wait after a refusal for which X names none.
const PAUSE: Duration = Duration::from_secs(60);

/// Longest life of a token that is believed.
const LONGEST_LIFE: TimeDelta = TimeDelta::days(3_650);

impl X {
    pub(super) fn authorization(&self, request: &AuthorizeRequest) -> Result<Authorization, Error> {
        let client_id = self.client()?;
        let mut url = self.auth_url.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", request.redirect_uri.as_str())
            .append_pair("scope", SCOPES)
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
        let code = exchange.code.expose_secret();
        let verifier = exchange.code_verifier.expose_secret();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", exchange.redirect_uri.as_str()),
            ("code_verifier", verifier),
        ];
        self.tokens(door, &form, &[code, verifier]).await
    }

    pub(super) async fn tokens_for_refresh(
        &self,
        door: &dyn Door,
        grant: &Grant,
    ) -> Result<Tokens, Error> {
        let Some(refresh_token) = &grant.refresh_token else {
            return Err(Error::AuthExpired {
                detail: Detail::new(PROVIDER, "the grant has no refresh token", &[]),
            });
        };
        let refresh_token = refresh_token.expose_secret();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        match self.tokens(door, &form, &[refresh_token]).await {
            // The answer was lost, and maybe the question as well: then the token can be used still.
            Err(error) if is_answer_lost(&error) => {
                self.tokens(door, &form, &[refresh_token]).await
            }
            ended => ended,
        }
    }

    /// Looks with the access token as it is: a refresh would use the refresh token up.
    pub(super) async fn health(
        &self,
        door: &dyn Door,
        grant: &Grant,
    ) -> Result<TokenHealth, Error> {
        let access = Access {
            token: grant.access_token.clone(),
            token_secret: grant.token_secret.clone(),
            manager: None,
        };
        let caller = Caller {
            access: &access,
            door,
        };
        match self.some_accounts(caller, 1, None).await {
            Ok(_) => Ok(TokenHealth {
                is_valid: true,
                ..TokenHealth::default()
            }),
            Err(Error::AuthExpired { detail }) => Ok(TokenHealth {
                reason: Some(detail.message),
                ..TokenHealth::default()
            }),
            Err(error) => Err(error),
        }
    }

    /// `false` for a token of OAuth 1.0a: its owner takes that back in X's settings.
    pub(super) async fn end(&self, door: &dyn Door, grant: &Grant) -> Result<bool, Error> {
        if grant.token_secret.is_some() {
            return Ok(false);
        }
        let token = grant.refresh_token.as_ref().unwrap_or(&grant.access_token);
        let token = token.expose_secret();
        let request = self.oauth_request("revoke", &[("token", token)])?;
        let call = oauth_call("POST oauth2/revoke", door);
        let ended = call.send(&self.http, request, |answer| {
            Reading::of(if answer.status.is_success() {
                Ok(())
            } else {
                Err(refusal(answer, &self.secrets_beside(&[token])))
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
        let request = self.oauth_request("token", form)?;
        let call = oauth_call("POST oauth2/token", door);
        call.send(&self.http, request, |answer| {
            let body = serde_json::from_slice::<Value>(&answer.body).ok();
            let tokens = body
                .filter(|_| answer.status.is_success())
                .and_then(|body| tokens_in(&body, Utc::now()));
            Reading {
                result: tokens.ok_or_else(|| refusal(answer, &self.secrets_beside(secrets))),
                request_id: None,
                usage: limits::usage(&answer.headers, Utc::now()),
            }
        })
        .await
    }

    /// A request of a client with a secret, which X takes in the header alone, or of one without, which names itself.
    fn oauth_request(&self, last: &str, form: &[(&str, &str)]) -> Result<RequestBuilder, Error> {
        let client_id = self.client()?;
        let url = below(&self.api_url, &["oauth2", last])?;
        let request = self.http.request(Method::POST, url);
        Ok(match &self.client_secret {
            Some(secret) => request
                .basic_auth(client_id, Some(secret.expose_secret()))
                .form(form),
            None => {
                let mut form = form.to_vec();
                form.push(("client_id", client_id));
                request.form(&form)
            }
        })
    }

    fn client(&self) -> Result<&str, Error> {
        self.client_id.as_deref().ok_or_else(|| Error::Config {
            detail: Detail::new(
                PROVIDER,
                "the client's id is not set: without it accounts are connected with the tokens of OAuth 1.0a",
                &[],
            ),
        })
    }

    fn secrets_beside<'a>(&'a self, others: &[&'a str]) -> Vec<&'a str> {
        let ours = self.client_secret.as_ref().map(SecretString::expose_secret);
        others.iter().copied().chain(ours).collect()
    }
}

pub(super) fn oauth_call<'a>(endpoint: &'static str, door: &'a dyn Door) -> Call<'a> {
    Call {
        platform: PLATFORM,
        endpoint,
        weight: 1,
        door,
    }
}

/// Whether X may have answered what never came here.
fn is_answer_lost(error: &Error) -> bool {
    error.maybe_received() && error.detail().status.is_none()
}

fn tokens_in(body: &Value, now: DateTime<Utc>) -> Option<Tokens> {
    let seconds = body.get("expires_in").and_then(members::integer);
    let life = seconds.and_then(TimeDelta::try_seconds);
    let scopes = members::text(body, "scope").unwrap_or_default();
    Some(Tokens {
        access_token: members::text(body, "access_token")?.into(),
        token_secret: None,
        refresh_token: members::text(body, "refresh_token").map(Into::into),
        expires_at: life.map(|life| now + life.clamp(TimeDelta::zero(), LONGEST_LIFE)),
        refresh_expires_at: None,
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        subject: None,
    })
}

/// What a refusal of the OAuth server means. Its words are about the grant and about us, never about an ad account.
fn refusal(answer: &Answer, secrets: &[&str]) -> Error {
    let status = answer.status;
    let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let code = members::text(&body, "error");
    let said = members::text(&body, "error_description")
        .or_else(|| members::text(&body, "detail"))
        .or(code)
        .unwrap_or("the answer is none of the OAuth server");
    let detail = Detail::new(PROVIDER, said, secrets).status(status.as_u16());
    let detail = match code {
        Some(code) => detail.code(code),
        None => detail,
    };
    match code.unwrap_or_default() {
        "invalid_grant" | "invalid_token" => Error::AuthExpired { detail },
        // The token or the code is what was wrong: `Value passed for the token was invalid.`
        "invalid_request"
            if said.contains(" token was invalid") || said.contains(" code was invalid") =>
        {
            Error::AuthExpired { detail }
        }
        "invalid_client"
        | "unauthorized_client"
        | "invalid_request"
        | "invalid_scope"
        | "unsupported_grant_type" => Error::Config { detail },
        _ if status == StatusCode::TOO_MANY_REQUESTS => Error::RateLimited {
            retry_after: Some(
                limits::wait(&answer.headers, Utc::now()).map_or(PAUSE, at_least_one),
            ),
            detail,
        },
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

fn at_least_one(wait: Duration) -> Duration {
    wait.max(Duration::from_secs(1))
}
