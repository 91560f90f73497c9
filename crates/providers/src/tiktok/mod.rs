//! TikTok: the API for Business, its reports at once and in the background, and access to it. Errors come under status 200,
//! every path ends in a slash, and `-` is no number.

mod assets;
mod conversions;
mod csv;
mod edits;
mod entities;
mod errors;
mod insights;
mod oauth;
mod reports;
mod request;
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
        Granularity, InsightQuery, InsightRow, Insights, Page, Platform, ReportRun, ReportState,
        TokenHealth, Tokens,
        recent::{Pauses, Recent},
        wanted::DeadMetrics,
    },
};

/// The Business API, with the version this client was written for.
pub const DEFAULT_BASE_URL: &str = "https://business-api.tiktok.com/open_api/v1.3/";

/// Where people give access.
pub const DEFAULT_AUTH_URL: &str = "https://business-api.tiktok.com/portal/auth";

const PLATFORM: Platform = Platform::TikTok;
const PROVIDER: &str = "tiktok";

/// Bytes of an answer that are read: a report of some 300,000 rows.
const ANSWER_LIMIT: usize = 64 << 20;

/// Longest span of figures by the day.
const LONGEST_WINDOW_DAYS: u32 = 30;

/// For how long conversions are still attributed to a day, in practice.
const RESTATED_DAYS: u32 = 28;

/// How to reach TikTok.
pub struct TikTokConfig {
    /// The Business API with its version; plain `http` for loopback hosts only.
    pub base_url: Url,
    /// The page on which people give access.
    pub auth_url: Url,
    /// The app's id; `None`: nobody can give access, and what a grant reaches cannot be listed.
    pub app_id: Option<String>,
    /// The app's secret, as its id.
    pub app_secret: Option<SecretString>,
    /// Longest whole call, the answer included.
    pub timeout: Duration,
}

impl Default for TikTokConfig {
    fn default() -> Self {
        Self {
            base_url: Url::parse(DEFAULT_BASE_URL).expect("the constant is a URL"),
            auth_url: Url::parse(DEFAULT_AUTH_URL).expect("the constant is a URL"),
            app_id: None,
            app_secret: None,
            timeout: Duration::from_secs(60),
        }
    }
}

/// A client for TikTok. Cheap to share, keeps connections open.
pub struct TikTok {
    http: Http,
    base_url: Url,
    auth_url: Url,
    app_id: Option<String>,
    app_secret: Option<SecretString>,
    /// By endpoint and token.
    pauses: Pauses,
    /// How often a call had an answer that is worth one more try.
    doubts: Recent<u32>,
    dead: DeadMetrics,
}

impl TikTok {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Config`] when an address is neither https nor on a loopback host.
    pub fn new(config: TikTokConfig) -> Result<Self, Error> {
        http::require_safe_base(PROVIDER, &config.base_url)?;
        http::require_safe_base(PROVIDER, &config.auth_url)?;
        Ok(Self {
            http: Http::new(PROVIDER, ANSWER_LIMIT, http::client_builder(config.timeout))?,
            base_url: config.base_url,
            auth_url: config.auth_url,
            app_id: config.app_id,
            app_secret: config.app_secret,
            pauses: Pauses::new(TimeDelta::minutes(15)),
            doubts: Recent::new(TimeDelta::hours(1)),
            dead: DeadMetrics::default(),
        })
    }
}

impl AdPlatform for TikTok {
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

    fn lists_changes(&self, _of: EntityType) -> bool {
        false
    }

    fn may_be_withheld(&self, at: &Cursor) -> bool {
        entities::is_first_of_smart_plus(at)
    }

    fn longest_window(&self, granularity: Granularity) -> u32 {
        match granularity {
            Granularity::Hour => 1,
            Granularity::Day => LONGEST_WINDOW_DAYS,
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
        Box::pin(async move {
            if query.in_background {
                let run = self.start_report(caller, query).await?;
                Ok(Insights::Started(run))
            } else {
                let page = self.figures(caller, query, after).await?;
                Ok(Insights::Rows(page))
            }
        })
    }

    fn report<'a>(
        &'a self,
        caller: Caller<'a>,
        run: &'a ReportRun,
    ) -> BoxFuture<'a, Result<ReportState, Error>> {
        Box::pin(self.report_state(caller, run))
    }

    fn report_rows<'a>(
        &'a self,
        caller: Caller<'a>,
        run: &'a ReportRun,
        query: &'a InsightQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<InsightRow>, Error>> {
        Box::pin(self.rows_of_report(caller, run, query, after))
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
        Box::pin(self.take_back(door, grant))
    }
}

/// A request that breaks a rule of TikTok's, found before it is sent.
fn refused(rule: &str) -> Error {
    Error::Rejected {
        detail: Detail::new(PROVIDER, rule, &[]),
    }
}
