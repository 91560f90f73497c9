//! X: the Ads API, whose calls are signed by OAuth 1.0a, and the OAuth 2.0 of its API v2. A grant with a second half of its
//! token is one of OAuth 1.0a; others are sent as they are. By a browser people give the former where the app has a key to
//! sign with.

mod conversions;
mod dance;
mod edits;
mod entities;
mod errors;
mod figures;
mod insights;
mod jobs;
mod limits;
mod oauth;
mod own;
mod request;
mod sign;
#[cfg(test)]
mod tests;
mod time;
mod wire;

use std::time::Duration;

use chrono::TimeDelta;
use futures::future::BoxFuture;
use secrecy::SecretString;
use url::Url;

use crate::{
    error::{Detail, Error},
    http::{self, Http},
    platform::{
        AdAccount, AdPlatform, Authorization, AuthorizeRequest, Caller, CodeExchange,
        ConversionApi, Cursor, Door, EditOrder, Edited, Entity, EntityQuery, EntityType, Grant,
        Granularity, InsightQuery, InsightRow, Insights, Level, Page, Platform, ReportRun,
        ReportState, RequestToken, TokenHealth, Tokens, VerifierExchange,
        recent::{Pauses, Recent},
    },
};

/// The Ads API with the version this client was written for.
pub const DEFAULT_ADS_URL: &str = "https://ads-api.x.com/12";

/// The API v2, which has OAuth 2.0.
pub const DEFAULT_API_URL: &str = "https://api.x.com/2";

/// The page where people give access.
pub const DEFAULT_AUTH_URL: &str = "https://x.com/i/oauth2/authorize";

const PLATFORM: Platform = Platform::X;
const PROVIDER: &str = "x";

/// Bytes of an answer that are read.
const ANSWER_LIMIT: usize = 16 << 20;

/// For how many days money for invalid traffic is still given back.
const RESTATED_DAYS: u32 = 14;

/// How to reach X.
pub struct XConfig {
    /// The Ads API with its version; plain `http` for loopback hosts only.
    pub ads_url: Url,
    /// The API v2; plain `http` for loopback hosts only.
    pub api_url: Url,
    /// The page where people give access by OAuth 2.0; plain `http` for loopback hosts only. That of OAuth 1.0a stands
    /// beside the API v2.
    pub auth_url: Url,
    /// The app's key; `None`: no call can be signed by OAuth 1.0a, and people give access by OAuth 2.0.
    pub consumer_key: Option<SecretString>,
    /// The app's secret, as its key.
    pub consumer_secret: Option<SecretString>,
    /// The client's id for OAuth 2.0; `None`: nobody can give access by it, and no token can be refreshed.
    pub client_id: Option<String>,
    /// The client's secret; `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// Longest whole call, the answer included. New tokens may take two of them.
    pub timeout: Duration,
}

impl Default for XConfig {
    fn default() -> Self {
        let url = |text| Url::parse(text).expect("the constant is a URL");
        Self {
            ads_url: url(DEFAULT_ADS_URL),
            api_url: url(DEFAULT_API_URL),
            auth_url: url(DEFAULT_AUTH_URL),
            consumer_key: None,
            consumer_secret: None,
            client_id: None,
            client_secret: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// A client for X. Cheap to share, keeps connections open.
pub struct X {
    http: Http,
    ads_url: Url,
    api_url: Url,
    auth_url: Url,
    consumer_key: Option<SecretString>,
    consumer_secret: Option<SecretString>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    memory: Memory,
}

/// What is remembered of earlier calls.
struct Memory {
    /// After refusals that name no time, by endpoint and token.
    pauses: Pauses,
    /// How often X has warned with the same words.
    warnings: Recent<u32>,
}

impl X {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Config`] when an address is neither https nor on a loopback host.
    pub fn new(config: XConfig) -> Result<Self, Error> {
        http::require_safe_base(PROVIDER, &config.ads_url)?;
        http::require_safe_base(PROVIDER, &config.api_url)?;
        http::require_safe_base(PROVIDER, &config.auth_url)?;
        Ok(Self {
            http: Http::new(PROVIDER, ANSWER_LIMIT, http::client_builder(config.timeout))?,
            ads_url: config.ads_url,
            api_url: config.api_url,
            auth_url: config.auth_url,
            consumer_key: config.consumer_key,
            consumer_secret: config.consumer_secret,
            client_id: config.client_id,
            client_secret: config.client_secret,
            memory: Memory {
                pauses: Pauses::new(TimeDelta::hours(1)),
                warnings: Recent::new(TimeDelta::days(1)),
            },
        })
    }
}

impl AdPlatform for X {
    fn platform(&self) -> Platform {
        PLATFORM
    }

    fn entity_types(&self) -> &'static [EntityType] {
        &entities::TYPES
    }

    fn finest(&self) -> Granularity {
        Granularity::Hour
    }

    fn restated_days(&self) -> u32 {
        RESTATED_DAYS
    }

    fn lists_changes(&self, of: EntityType) -> bool {
        entities::lists_changes(of)
    }

    fn longest_window(&self, _granularity: Granularity) -> u32 {
        insights::LONGEST_WINDOW_DAYS
    }

    /// At every level: questions that are answered at once are few in a quarter of an hour, and each is about a week at most.
    fn report_from_days(&self, _level: Level) -> Option<u32> {
        Some(insights::REPORT_FROM_DAYS)
    }

    fn conversions(&self) -> Option<&dyn ConversionApi> {
        Some(self)
    }

    fn accounts<'a>(
        &'a self,
        caller: Caller<'a>,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<AdAccount>, Error>> {
        Box::pin(self.list_accounts(caller, after))
    }

    fn account<'a>(
        &'a self,
        caller: Caller<'a>,
        account_id: &'a str,
    ) -> BoxFuture<'a, Result<AdAccount, Error>> {
        Box::pin(self.one_account(caller, account_id))
    }

    fn entities<'a>(
        &'a self,
        caller: Caller<'a>,
        query: &'a EntityQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<Entity>, Error>> {
        Box::pin(self.list_entities(caller, query, after))
    }

    fn insights<'a>(
        &'a self,
        caller: Caller<'a>,
        query: &'a InsightQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Insights, Error>> {
        Box::pin(self.figures(caller, query, after))
    }

    fn report<'a>(
        &'a self,
        caller: Caller<'a>,
        run: &'a ReportRun,
    ) -> BoxFuture<'a, Result<ReportState, Error>> {
        Box::pin(self.state(caller, run))
    }

    fn report_rows<'a>(
        &'a self,
        caller: Caller<'a>,
        run: &'a ReportRun,
        query: &'a InsightQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<InsightRow>, Error>> {
        Box::pin(self.rows(caller, run, query, after))
    }

    fn present<'a>(
        &'a self,
        caller: Caller<'a>,
        query: &'a EntityQuery,
        ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Entity>, Error>> {
        Box::pin(self.list_present(caller, query, ids))
    }

    fn edit<'a>(
        &'a self,
        caller: Caller<'a>,
        order: &'a EditOrder,
    ) -> BoxFuture<'a, Result<Vec<Edited>, Error>> {
        Box::pin(self.make_edits(caller, order))
    }

    fn authorize_url(&self, request: &AuthorizeRequest) -> Result<Authorization, Error> {
        self.authorization(request)
    }

    fn request_token<'a>(
        &'a self,
        door: &'a dyn Door,
        redirect_uri: &'a Url,
    ) -> BoxFuture<'a, Result<Option<RequestToken>, Error>> {
        Box::pin(self.token_of_request(door, redirect_uri))
    }

    fn exchange_verifier<'a>(
        &'a self,
        door: &'a dyn Door,
        exchange: &'a VerifierExchange,
    ) -> BoxFuture<'a, Result<Tokens, Error>> {
        Box::pin(self.tokens_for_verifier(door, exchange))
    }

    fn exchange<'a>(
        &'a self,
        door: &'a dyn Door,
        exchange: &'a CodeExchange,
    ) -> BoxFuture<'a, Result<Tokens, Error>> {
        Box::pin(self.tokens_for_code(door, exchange))
    }

    fn refresh<'a>(
        &'a self,
        door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<Tokens, Error>> {
        Box::pin(self.tokens_for_refresh(door, grant))
    }

    fn check<'a>(
        &'a self,
        door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<TokenHealth, Error>> {
        Box::pin(self.health(door, grant))
    }

    fn revoke<'a>(
        &'a self,
        door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.end(door, grant))
    }
}

/// A request that breaks a rule of X's, found before it is sent.
fn refused(rule: &str) -> Error {
    Error::Rejected {
        detail: Detail::new(PROVIDER, rule, &[]),
    }
}
