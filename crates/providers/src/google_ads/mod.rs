//! Google Ads: its API over REST, and its OAuth. Everything is read by queries: `search` page by page for what an account
//! holds, `searchStream` for figures. It tells nothing of its quotas but when one is used up.

mod accounts;
mod changes;
mod conversions;
mod edits;
mod entities;
mod errors;
mod insights;
mod listings;
mod oauth;
mod query;
mod request;
#[cfg(test)]
mod tests;
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
        Granularity, InsightQuery, Insights, Page, Platform, TokenHealth, Tokens, recent::Pauses,
    },
};

/// The API with the version this client was written for. Each lives about a year, and all calls fail at once after that.
pub const DEFAULT_BASE_URL: &str = "https://googleads.googleapis.com/v26";

/// Where tokens are got and taken back.
pub const DEFAULT_OAUTH_URL: &str = "https://oauth2.googleapis.com";

/// The Data Manager API, which takes conversion events, with its version.
pub const DEFAULT_DATA_URL: &str = "https://datamanager.googleapis.com/v1";

/// The page where people give access.
pub const DEFAULT_AUTH_URL: &str = "https://accounts.google.com/o/oauth2/v2/auth";

const PLATFORM: Platform = Platform::GoogleAds;
const PROVIDER: &str = "google_ads";

/// Bytes of an answer that are read; one with more is asked for in smaller parts.
const ANSWER_LIMIT: usize = 16 << 20;

/// For how long conversions are still booked on the day of their click.
const RESTATED_DAYS: u32 = 90;

/// How to reach Google Ads.
pub struct GoogleAdsConfig {
    /// The API with its version; plain `http` for loopback hosts only.
    pub base_url: Url,
    /// Where tokens are got; plain `http` for loopback hosts only.
    pub oauth_url: Url,
    /// The page where people give access; plain `http` for loopback hosts only.
    pub auth_url: Url,
    /// The Data Manager API with its version; plain `http` for loopback hosts only.
    pub data_url: Url,
    /// The client's id; `None`: nobody can give access by OAuth, and no token can be refreshed.
    pub client_id: Option<String>,
    /// The client's secret, as its id.
    pub client_secret: Option<SecretString>,
    /// Sent with every call if set. Google has ignored it since September 2026: the client's project decides.
    pub developer_token: Option<SecretString>,
    /// Longest whole call, the answer included.
    pub timeout: Duration,
}

impl Default for GoogleAdsConfig {
    fn default() -> Self {
        let url = |text| Url::parse(text).expect("the constant is a URL");
        Self {
            base_url: url(DEFAULT_BASE_URL),
            oauth_url: url(DEFAULT_OAUTH_URL),
            auth_url: url(DEFAULT_AUTH_URL),
            data_url: url(DEFAULT_DATA_URL),
            client_id: None,
            client_secret: None,
            developer_token: None,
            timeout: Duration::from_secs(60),
        }
    }
}

/// A client for Google Ads. Cheap to share, keeps connections open.
pub struct GoogleAds {
    http: Http,
    base_url: Url,
    oauth_url: Url,
    auth_url: Url,
    data_url: Url,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    developer_token: Option<SecretString>,
    /// After quotas of the moment for which Google names no wait, by account.
    pauses: Pauses,
}

impl GoogleAds {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Config`] when an address is neither https nor on a loopback host.
    pub fn new(config: GoogleAdsConfig) -> Result<Self, Error> {
        http::require_safe_base(PROVIDER, &config.base_url)?;
        http::require_safe_base(PROVIDER, &config.oauth_url)?;
        http::require_safe_base(PROVIDER, &config.auth_url)?;
        http::require_safe_base(PROVIDER, &config.data_url)?;
        Ok(Self {
            http: Http::new(PROVIDER, ANSWER_LIMIT, http::client_builder(config.timeout))?,
            base_url: config.base_url,
            oauth_url: config.oauth_url,
            auth_url: config.auth_url,
            data_url: config.data_url,
            client_id: config.client_id,
            client_secret: config.client_secret,
            developer_token: config.developer_token,
            pauses: Pauses::new(TimeDelta::hours(1)),
        })
    }
}

impl AdPlatform for GoogleAds {
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

    fn longest_window(&self, granularity: Granularity) -> u32 {
        // Google names no bound; these keep answers well below what it, and we, take for too long.
        match granularity {
            Granularity::Hour => 7,
            Granularity::Day => 90,
        }
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
        Box::pin(async move { self.figures(caller, query, after).await.map(Insights::Rows) })
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

/// A request that breaks a rule of Google's, found before it is sent.
fn refused(rule: &str) -> Error {
    Error::Rejected {
        detail: Detail::new(PROVIDER, rule, &[]),
    }
}
