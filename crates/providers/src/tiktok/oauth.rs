//! Access. A token for advertisers never ends and cannot be refreshed; it works until somebody takes it back. Tokens of
//! TikTok's own accounts end within a day and come with one to refresh them.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{PROVIDER, TikTok, entities::list, errors, request::Question};
use crate::{
    error::{Detail, Error},
    platform::{
        Authorization, AuthorizeRequest, CodeExchange, Door, Grant, TokenHealth, Tokens, members,
    },
};

impl TikTok {
    pub(super) fn authorization(&self, request: &AuthorizeRequest) -> Result<Authorization, Error> {
        let (app_id, _) = self.app()?;
        let mut url = self.auth_url.clone();
        url.query_pairs_mut()
            .append_pair("app_id", app_id)
            .append_pair("state", &request.state)
            .append_pair("redirect_uri", request.redirect_uri.as_str());
        Ok(Authorization { url })
    }

    pub(super) async fn tokens_for_code(
        &self,
        door: &dyn Door,
        exchange: &CodeExchange,
    ) -> Result<Tokens, Error> {
        let (app_id, secret) = self.app()?;
        let question = Question {
            endpoint: "POST oauth2/access_token/",
            parameters: parameters([
                ("app_id", app_id),
                ("secret", secret.expose_secret()),
                ("auth_code", exchange.code.expose_secret()),
            ]),
            token: None,
            accepts: &[],
        };
        self.ask(door, &question, |envelope| {
            tokens(&envelope.data, Utc::now())
        })
        .await
    }

    pub(super) async fn tokens_for_refresh(
        &self,
        door: &dyn Door,
        grant: &Grant,
    ) -> Result<Tokens, Error> {
        let (app_id, secret) = self.app()?;
        let Some(refresh_token) = &grant.refresh_token else {
            return Err(Error::AuthExpired {
                detail: Detail::new(PROVIDER, "a token for advertisers has no refresh", &[]),
            });
        };
        let question = Question {
            endpoint: "POST tt_user/oauth2/refresh_token/",
            parameters: parameters([
                ("client_id", app_id),
                ("client_secret", secret.expose_secret()),
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh_token.expose_secret()),
            ]),
            token: None,
            accepts: &[],
        };
        let asked_at = Utc::now();
        self.ask(door, &question, |envelope| tokens(&envelope.data, asked_at))
            .await
    }

    /// Whether a token works shows in what it reaches: nothing else can be asked of it.
    pub(super) async fn health(
        &self,
        door: &dyn Door,
        grant: &Grant,
    ) -> Result<TokenHealth, Error> {
        match self.advertisers(door, &grant.access_token).await {
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

    /// The ids of all advertisers that a token reaches.
    pub(super) async fn advertisers(
        &self,
        door: &dyn Door,
        token: &SecretString,
    ) -> Result<Vec<String>, Error> {
        let (app_id, secret) = self.app()?;
        let question = Question {
            endpoint: "GET oauth2/advertiser/get/",
            parameters: parameters([("app_id", app_id), ("secret", secret.expose_secret())]),
            token: Some(token),
            accepts: &[],
        };
        self.ask(door, &question, |envelope| {
            list(envelope.data)?
                .iter()
                .map(|advertiser| members::id(advertiser.get("advertiser_id")?))
                .collect()
        })
        .await
    }

    pub(super) async fn take_back(&self, door: &dyn Door, grant: &Grant) -> Result<bool, Error> {
        let (app_id, secret) = self.app()?;
        let question = Question {
            endpoint: "POST oauth2/revoke_token/",
            parameters: parameters([
                ("app_id", app_id),
                ("secret", secret.expose_secret()),
                ("access_token", grant.access_token.expose_secret()),
            ]),
            token: Some(&grant.access_token),
            // An earlier copy of this call is at work.
            accepts: &[errors::DUPLICATE],
        };
        match self.ask(door, &question, |_| Some(())).await {
            // Somebody else has taken it back.
            Ok(()) | Err(Error::AuthExpired { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The app's id and secret.
    fn app(&self) -> Result<(&str, &SecretString), Error> {
        match (&self.app_id, &self.app_secret) {
            (Some(id), Some(secret)) => Ok((id.as_str(), secret)),
            _ => Err(Error::Config {
                detail: Detail::new(PROVIDER, "the app's id and secret are not set", &[]),
            }),
        }
    }
}

fn parameters<const N: usize>(pairs: [(&str, &str); N]) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

fn tokens(data: &Value, asked_at: DateTime<Utc>) -> Option<Tokens> {
    let end = |name: &str| {
        let seconds = data.get(name).and_then(members::integer)?;
        asked_at.checked_add_signed(TimeDelta::try_seconds(seconds)?)
    };
    Some(Tokens {
        access_token: members::text(data, "access_token")?.into(),
        token_secret: None,
        refresh_token: members::text(data, "refresh_token").map(SecretString::from),
        expires_at: end("expires_in"),
        refresh_expires_at: end("refresh_token_expires_in"),
        scopes: scopes(data.get("scope")),
        subject: members::text(data, "open_id").map(str::to_owned),
    })
}

/// A list of numbers and words for advertisers, words with commas for accounts of TikTok's own.
fn scopes(scope: Option<&Value>) -> Vec<String> {
    match scope {
        Some(Value::Array(scopes)) => scopes.iter().filter_map(members::id).collect(),
        Some(Value::String(scopes)) => scopes
            .split(',')
            .map(|scope| scope.trim().to_owned())
            .filter(|scope| !scope.is_empty())
            .collect(),
        _ => Vec::new(),
    }
}
