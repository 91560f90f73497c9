//! Access: asked for, exchanged, refreshed and looked at. A refresh token lives a year from the first consent, which no use
//! of it makes longer; most apps get none, and their people give access anew every 60 days.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{
    LinkedIn, PLATFORM, PROVIDER, errors::Throttle, refused, request::Question, restli::Query,
};
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

/// What is asked for: to read accounts, what they hold, and figures.
const SCOPES: &str = "r_ads r_ads_reporting rw_ads";

const TOKEN: &str = "POST oauth/v2/accessToken";
const INTROSPECTION: &str = "POST oauth/v2/introspectToken";

/// A form to be posted to an address below that of OAuth, and what of it must never be shown.
struct Form<'a> {
    endpoint: &'static str,
    fields: &'a [(&'static str, &'a str)],
    secrets: &'a [&'a str],
}

impl LinkedIn {
    pub(super) fn authorization(&self, request: &AuthorizeRequest) -> Result<Authorization, Error> {
        let (client_id, _) = self.app()?;
        let mut url = self.oauth_address("authorization")?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", request.redirect_uri.as_str())
            .append_pair("state", &request.state)
            .append_pair("scope", SCOPES);
        Ok(Authorization { url })
    }

    pub(super) async fn tokens_for_code(
        &self,
        door: &dyn Door,
        exchange: &CodeExchange,
    ) -> Result<Tokens, Error> {
        let code = exchange.code.expose_secret();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", exchange.redirect_uri.as_str()),
        ];
        self.tokens(door, &fields, code).await
    }

    pub(super) async fn tokens_for_refresh(
        &self,
        door: &dyn Door,
        grant: &Grant,
    ) -> Result<Tokens, Error> {
        let Some(refresh_token) = &grant.refresh_token else {
            return Err(Error::AuthExpired {
                detail: Detail::new(PROVIDER, "there is no refresh token", &[]),
            });
        };
        let refresh_token = refresh_token.expose_secret();
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        self.tokens(door, &fields, refresh_token).await
    }

    async fn tokens(
        &self,
        door: &dyn Door,
        fields: &[(&'static str, &str)],
        secret: &str,
    ) -> Result<Tokens, Error> {
        let (client_id, client_secret) = self.app()?;
        let mut fields = fields.to_vec();
        fields.push(("client_id", client_id));
        fields.push(("client_secret", client_secret.expose_secret()));
        let form = Form {
            endpoint: TOKEN,
            fields: &fields,
            secrets: &[secret, client_secret.expose_secret()],
        };
        let asked_at = Utc::now();
        let tokens = self.post(door, form, |body| tokens(body, asked_at)).await?;
        let token = tokens.access_token.expose_secret();
        self.memory.fresh.update(token, Utc::now(), |_| ());
        Ok(tokens)
    }

    pub(super) async fn health(
        &self,
        door: &dyn Door,
        grant: &Grant,
    ) -> Result<TokenHealth, Error> {
        match self.app() {
            Ok((client_id, client_secret)) => {
                let token = grant.access_token.expose_secret();
                let client_secret = client_secret.expose_secret();
                let form = Form {
                    endpoint: INTROSPECTION,
                    fields: &[
                        ("client_id", client_id),
                        ("client_secret", client_secret),
                        ("token", token),
                    ],
                    secrets: &[token, client_secret],
                };
                self.post(door, form, health).await
            }
            Err(_) => self.health_in_use(door, grant).await,
        }
    }

    /// A token that was handed to us without an app can only be tried.
    async fn health_in_use(&self, door: &dyn Door, grant: &Grant) -> Result<TokenHealth, Error> {
        let access = Access {
            token: grant.access_token.clone(),
            token_secret: None,
            manager: None,
        };
        let question = Question {
            endpoint: "GET adAccountUsers",
            account: None,
            query: Query::finder("authenticatedUser")
                .with("start", "0")
                .with("count", "1"),
            names_finder: false,
        };
        let caller = Caller {
            access: &access,
            door,
        };
        match self.ask(caller, &question, Some).await {
            Ok(_) => Ok(TokenHealth {
                is_valid: true,
                ..TokenHealth::default()
            }),
            Err(Error::AuthExpired { detail }) => Ok(TokenHealth {
                reason: Some(detail.to_string()),
                ..TokenHealth::default()
            }),
            Err(error) => Err(error),
        }
    }

    async fn post<T>(
        &self,
        door: &dyn Door,
        form: Form<'_>,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, Error> {
        let name = form.endpoint.rsplit('/').next().unwrap_or_default();
        let request = self
            .http
            .request(Method::POST, self.oauth_address(name)?)
            .form(form.fields);
        let call = Call {
            platform: PLATFORM,
            endpoint: form.endpoint,
            weight: 1,
            door,
        };
        call.send(&self.http, request, |answer| {
            Reading::of(self.judge_oauth(answer, &form, read))
        })
        .await
    }

    fn judge_oauth<T>(
        &self,
        answer: &Answer,
        form: &Form<'_>,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, Error> {
        let status = answer.status;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if status.is_success()
            && let Some(read) = read(&body)
        {
            return Ok(read);
        }
        let code = members::text(&body, "error").unwrap_or_default();
        let description = members::text(&body, "error_description")
            .unwrap_or("the answer is none to the question");
        let mut detail = Detail::new(PROVIDER, description, form.secrets).status(status.as_u16());
        if !code.is_empty() {
            detail = detail.code(code);
        }
        Err(match refusal(code, description, status) {
            Refusal::Spent => Error::AuthExpired { detail },
            Refusal::OwnSetUp => Error::Config { detail },
            Refusal::Later => Error::RateLimited {
                retry_after: Some(self.pause(Throttle::Unnamed, form.endpoint, PROVIDER)),
                detail,
            },
            Refusal::TryAgain => Error::Unavailable {
                detail,
                maybe_received: true,
                source: None,
            },
            Refusal::Wrong => Error::Rejected { detail },
        })
    }

    /// The app's id and secret.
    fn app(&self) -> Result<(&str, &SecretString), Error> {
        match (&self.client_id, &self.client_secret) {
            (Some(id), Some(secret)) => Ok((id.as_str(), secret)),
            _ => Err(Error::Config {
                detail: Detail::new(PROVIDER, "the app's id and secret are not set", &[]),
            }),
        }
    }

    fn oauth_address(&self, name: &str) -> Result<Url, Error> {
        let mut url = self.oauth_url.clone();
        url.path_segments_mut()
            .map_err(|()| refused("the address of oauth cannot have a path"))?
            .pop_if_empty()
            .push(name);
        Ok(url)
    }
}

/// What a refusal of OAuth is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Spent,
    OwnSetUp,
    Later,
    TryAgain,
    Wrong,
}

fn refusal(code: &str, description: &str, status: StatusCode) -> Refusal {
    let description = description.to_ascii_lowercase();
    let is_of_grant = description.contains("refresh token") || description.contains("grant");
    match (code, status.as_u16()) {
        ("invalid_grant", _) => Refusal::Spent,
        // The same code is used for members that are missing.
        ("invalid_request", 400) if is_of_grant => Refusal::Spent,
        ("invalid_client" | "unauthorized_client", _) => Refusal::OwnSetUp,
        (_, 401) => Refusal::OwnSetUp,
        (_, 429) => Refusal::Later,
        (_, 200..=299 | 500..=599) => Refusal::TryAgain,
        _ => Refusal::Wrong,
    }
}

fn tokens(body: &Value, asked_at: DateTime<Utc>) -> Option<Tokens> {
    let end = |name: &str| after_seconds(asked_at, body.get(name).and_then(members::integer)?);
    Some(Tokens {
        access_token: members::text(body, "access_token")?.into(),
        token_secret: None,
        refresh_token: members::text(body, "refresh_token").map(SecretString::from),
        expires_at: end("expires_in"),
        refresh_expires_at: end("refresh_token_expires_in"),
        scopes: scopes(body),
        subject: None,
    })
}

fn after_seconds(moment: DateTime<Utc>, seconds: i64) -> Option<DateTime<Utc>> {
    moment.checked_add_signed(TimeDelta::try_seconds(seconds)?)
}

fn health(body: &Value) -> Option<TokenHealth> {
    let is_active = body.get("active")?.as_bool()?;
    let status = members::text(body, "status").unwrap_or("active");
    let is_valid = is_active && status == "active";
    let reason = (!is_valid).then(|| {
        let told = format!("the platform calls the token {status}");
        Detail::new(PROVIDER, &told, &[]).message
    });
    Some(TokenHealth {
        is_valid,
        // In seconds here, and in milliseconds everywhere else at LinkedIn.
        expires_at: body
            .get("expires_at")
            .and_then(members::integer)
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        data_access_expires_at: None,
        scopes: scopes(body),
        reason,
    })
}

/// Separated by commas or by blanks, as the endpoint likes.
fn scopes(body: &Value) -> Vec<String> {
    members::text(body, "scope")
        .unwrap_or_default()
        .split([',', ' '])
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
}
