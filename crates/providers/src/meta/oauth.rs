//! Access that people give: the dialog, a code for a token of an hour or two, that one for one of about 60 days, and that
//! one for a new one as long as it lives. A token that is over cannot be renewed by anybody but its owner.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::{
    Meta, PROVIDER,
    call::{GraphCall, Identity},
    refused, time, unreadable,
};
use crate::{
    error::{Detail, Error},
    platform::{Authorization, AuthorizeRequest, CodeExchange, Door, TokenHealth, Tokens, members},
};

/// What a person is asked for: to read and change ads, Pages, Instagram accounts and leads.
const SCOPES: [&str; 11] = [
    "ads_read",
    "ads_management",
    "business_management",
    "pages_show_list",
    "pages_read_engagement",
    "pages_manage_ads",
    "pages_manage_metadata",
    "read_insights",
    "leads_retrieval",
    "instagram_basic",
    "instagram_manage_insights",
];

const TOKEN_ENDPOINT: &str = "GET oauth/access_token";
const TOKEN_PATH: [&str; 2] = ["oauth", "access_token"];

/// How much earlier a token counts as over than Meta says: clocks differ, and calls take their time.
const EARLIER: TimeDelta = TimeDelta::minutes(5);

/// Longest life of a token that is believed.
const LONGEST_LIFE_S: i64 = 10 * 365 * 24 * 60 * 60;

/// A token that was got.
struct Got {
    token: SecretString,
    expires_at: Option<DateTime<Utc>>,
    /// Whether Meta said how long it lasts; tokens without an end and some others come without.
    says_end: bool,
}

/// What Meta tells of a token.
pub(super) struct LookedAt {
    pub(super) health: TokenHealth,
    /// Whose it is.
    user_id: Option<String>,
}

impl Meta {
    /// Whether it can be asked what a token is worth: that takes the app's id and secret.
    #[must_use]
    pub fn tells_of_tokens(&self) -> bool {
        self.app().is_ok()
    }

    /// The page on which a person gives access. It belongs to the site and not to the API, whose host is another one.
    pub(super) fn dialog(&self, request: &AuthorizeRequest) -> Result<Authorization, Error> {
        let (app_id, _) = self.app()?;
        let mut url = site_of(&self.address(&["dialog", "oauth"])?)?;
        url.query_pairs_mut()
            .append_pair("client_id", app_id)
            .append_pair("redirect_uri", request.redirect_uri.as_str())
            .append_pair("state", &request.state)
            .append_pair("response_type", "code")
            .append_pair("scope", &SCOPES.join(","));
        Ok(Authorization { url })
    }

    /// A token of about 60 days for a code, with what was granted and by whom.
    pub(super) async fn tokens_for_code(
        &self,
        door: &dyn Door,
        exchange: &CodeExchange,
    ) -> Result<Tokens, Error> {
        let call = self
            .token_call()?
            .with("redirect_uri", exchange.redirect_uri.as_str())
            .with_secret("code", &exchange.code);
        let short = self.get_token(door, call).await?;
        let long = self.exchange_token(door, &short.token).await?;
        let looked_at = self.look_at(door, &long.token).await?;
        Ok(Tokens {
            expires_at: end_of(&long, &looked_at.health),
            scopes: looked_at.health.scopes,
            subject: looked_at.user_id,
            ..bare(long.token)
        })
    }

    /// A new token for one that still lives.
    pub(super) async fn renewed_tokens(
        &self,
        door: &dyn Door,
        token: &SecretString,
    ) -> Result<Tokens, Error> {
        let long = self.exchange_token(door, token).await?;
        let expires_at = if long.says_end {
            long.expires_at
        } else {
            self.look_at(door, &long.token).await?.health.expires_at
        };
        Ok(Tokens {
            expires_at,
            ..bare(long.token)
        })
    }

    /// How a token stands, asked in the app's name. One that does not work is no failure of this call.
    pub(super) async fn look_at(
        &self,
        door: &dyn Door,
        token: &SecretString,
    ) -> Result<LookedAt, Error> {
        let call =
            GraphCall::get("GET debug_token", &["debug_token"]).with_secret("input_token", token);
        let body = self.graph_as(Identity::App, door, call).await?;
        self.looked_at(&body, token)
            .ok_or_else(|| unreadable("the answer says not whether the token works"))
    }

    /// Takes back everything that a person has granted, which ends all of their tokens.
    pub(super) async fn take_back(
        &self,
        door: &dyn Door,
        token: &SecretString,
    ) -> Result<bool, Error> {
        let call = GraphCall::delete("DELETE me/permissions", &["me", "permissions"]);
        let body = self.graph_as(Identity::Holder(token), door, call).await?;
        let is_done = match &body {
            Value::Bool(is_done) => Some(*is_done),
            body => body.get("success").and_then(Value::as_bool),
        };
        match is_done {
            Some(true) => Ok(true),
            Some(false) | None => Err(unreadable("meta says not that it took the grant back")),
        }
    }

    async fn exchange_token(&self, door: &dyn Door, token: &SecretString) -> Result<Got, Error> {
        let call = self
            .token_call()?
            .with("grant_type", "fb_exchange_token")
            .with_secret("fb_exchange_token", token);
        self.get_token(door, call).await
    }

    fn token_call(&self) -> Result<GraphCall, Error> {
        let (id, secret) = self.app()?;
        Ok(GraphCall::get(TOKEN_ENDPOINT, &TOKEN_PATH)
            .with("client_id", id)
            .with_secret("client_secret", secret))
    }

    async fn get_token(&self, door: &dyn Door, call: GraphCall) -> Result<Got, Error> {
        let asked_at = Utc::now();
        let body = self.graph_as(Identity::Nobody, door, call).await?;
        let token = members::text(&body, "access_token")
            .ok_or_else(|| unreadable("the answer holds no token"))?;
        let lasts_s = body.get("expires_in").and_then(members::integer);
        let lasts_s = lasts_s.filter(|seconds| (1..=LONGEST_LIFE_S).contains(seconds));
        Ok(Got {
            token: token.into(),
            expires_at: lasts_s.map(|seconds| asked_at + TimeDelta::seconds(seconds) - EARLIER),
            says_end: lasts_s.is_some(),
        })
    }

    fn looked_at(&self, body: &Value, token: &SecretString) -> Option<LookedAt> {
        let data = body.get("data")?;
        let clock = |name| data.get(name).and_then(time::of_seconds);
        let scopes = data.get("scopes").and_then(Value::as_array);
        let scopes = scopes.into_iter().flatten().filter_map(Value::as_str);
        Some(LookedAt {
            health: TokenHealth {
                is_valid: data.get("is_valid")?.as_bool()?,
                // 0 is never, which is not 1970.
                expires_at: clock("expires_at"),
                data_access_expires_at: clock("data_access_expires_at"),
                scopes: scopes.map(str::to_owned).collect(),
                reason: data
                    .get("error")
                    .and_then(|error| members::text(error, "message"))
                    .map(|message| Detail::new(PROVIDER, message, &self.secrets(token)).message),
            },
            user_id: data.get("user_id").and_then(members::id),
        })
    }
}

/// When a token ends by what was said with it, or else by what Meta says when asked.
fn end_of(got: &Got, health: &TokenHealth) -> Option<DateTime<Utc>> {
    if got.says_end {
        got.expires_at
    } else {
        health.expires_at
    }
}

/// A token of which nothing is known.
fn bare(token: SecretString) -> Tokens {
    Tokens {
        access_token: token,
        token_secret: None,
        refresh_token: None,
        expires_at: None,
        refresh_expires_at: None,
        scopes: Vec::new(),
        subject: None,
    }
}

/// The site's address for one of the API: `www.facebook.com` for `graph.facebook.com`. A host that stands in for both keeps
/// its name.
fn site_of(api: &Url) -> Result<Url, Error> {
    let mut site = api.clone();
    let domain = api.host_str().and_then(|host| host.strip_prefix("graph."));
    if let Some(domain) = domain {
        site.set_host(Some(&format!("www.{domain}")))
            .map_err(|_| refused("the base address has no site beside it"))?;
    }
    Ok(site)
}
