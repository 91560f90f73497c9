//! LinkedIn: the Marketing API in one of its monthly versions, and its OAuth. It tells figures by days of UTC and never by
//! the hour, lists without asking what changed since, and never says how long a refusal lasts.

mod assets;
mod conversions;
mod edits;
mod entities;
mod errors;
mod insights;
mod oauth;
mod pauses;
mod request;
mod restli;
#[cfg(test)]
mod tests;

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
        Granularity, InsightQuery, Insights, Page, Platform, TokenHealth, Tokens,
        recent::{Pauses, Recent},
        wanted::DeadMetrics,
    },
};

/// The Marketing API.
pub const DEFAULT_BASE_URL: &str = "https://api.linkedin.com/rest";

/// Where people give access and tokens are got.
pub const DEFAULT_OAUTH_URL: &str = "https://www.linkedin.com/oauth/v2";

/// The version this client was written for. Each lives about a year, and all calls fail at once after that.
pub const DEFAULT_VERSION: &str = "202609";

const PLATFORM: Platform = Platform::LinkedIn;
const PROVIDER: &str = "linkedin";

/// Bytes of an answer that are read: twice the largest result that LinkedIn gives.
const ANSWER_LIMIT: usize = 32 << 20;

/// Longest span of figures: that of the number of people reached.
const LONGEST_WINDOW_DAYS: u32 = 92;

/// For how long conversions are still attributed to a day.
const RESTATED_DAYS: u32 = 90;

/// How to reach LinkedIn.
pub struct LinkedInConfig {
    /// The Marketing API; plain `http` for loopback hosts only.
    pub base_url: Url,
    /// OAuth; plain `http` for loopback hosts only.
    pub oauth_url: Url,
    /// The version of the Marketing API, `YYYYMM`.
    pub version: String,
    /// The app's id; `None`: nobody can give access by OAuth, and no token can be refreshed.
    pub client_id: Option<String>,
    /// The app's secret, as its id.
    pub client_secret: Option<SecretString>,
    /// Longest whole call, the answer included.
    pub timeout: Duration,
}

impl Default for LinkedInConfig {
    fn default() -> Self {
        Self {
            base_url: Url::parse(DEFAULT_BASE_URL).expect("the constant is a URL"),
            oauth_url: Url::parse(DEFAULT_OAUTH_URL).expect("the constant is a URL"),
            version: DEFAULT_VERSION.to_owned(),
            client_id: None,
            client_secret: None,
            timeout: Duration::from_secs(60),
        }
    }
}

/// A client for LinkedIn. Cheap to share, keeps connections open.
pub struct LinkedIn {
    http: Http,
    base_url: Url,
    oauth_url: Url,
    version: String,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    memory: Memory,
}

/// What is remembered of earlier calls.
struct Memory {
    /// By endpoint and token.
    pauses: Pauses,
    /// How often LinkedIn did not get ready with the same figures.
    unready: Recent<u32>,
    /// Tokens that were just made.
    fresh: Recent<()>,
    dead: DeadMetrics,
}

impl LinkedIn {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Config`] when an address is neither https nor on a loopback host, or the version is no `YYYYMM`.
    pub fn new(config: LinkedInConfig) -> Result<Self, Error> {
        http::require_safe_base(PROVIDER, &config.base_url)?;
        http::require_safe_base(PROVIDER, &config.oauth_url)?;
        let is_month =
            config.version.len() == 6 && config.version.bytes().all(|byte| byte.is_ascii_digit());
        if !is_month {
            return Err(Error::Config {
                detail: Detail::new(PROVIDER, "the version is no YYYYMM", &[]),
            });
        }
        Ok(Self {
            http: Http::new(PROVIDER, ANSWER_LIMIT, http::client_builder(config.timeout))?,
            base_url: config.base_url,
            oauth_url: config.oauth_url,
            version: config.version,
            client_id: config.client_id,
            client_secret: config.client_secret,
            memory: Memory {
                pauses: Pauses::new(TimeDelta::hours(1)),
                unready: Recent::new(TimeDelta::hours(1)),
                fresh: Recent::new(TimeDelta::minutes(2)),
                dead: DeadMetrics::default(),
            },
        })
    }
}

impl AdPlatform for LinkedIn {
    fn platform(&self) -> Platform {
        PLATFORM
    }

    fn entity_types(&self) -> &'static [EntityType] {
        &entities::TYPES
    }

    fn finest(&self) -> Granularity {
        Granularity::Day
    }

    fn restated_days(&self) -> u32 {
        RESTATED_DAYS
    }

    fn lists_changes(&self, _of: EntityType) -> bool {
        false
    }

    fn longest_window(&self, _granularity: Granularity) -> u32 {
        LONGEST_WINDOW_DAYS
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
        _after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Insights, Error>> {
        Box::pin(async move {
            let items = self.figures(caller, query).await?;
            // Its `paging` means nothing: a result is always whole.
            Ok(Insights::Rows(Page { items, next: None }))
        })
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
}

/// A request that breaks a rule of LinkedIn's, found before it is sent.
fn refused(rule: &str) -> Error {
    Error::Rejected {
        detail: Detail::new(PROVIDER, rule, &[]),
    }
}
