//! A platform that does as it is told, for the tests of kinds that work for accounts.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use providers::{
    Detail, Error as ProviderError,
    platform::{
        AdAccount, AdPlatform, Authorization, AuthorizeRequest, Caller, CodeExchange, Cursor, Door,
        Edit, EditOrder, Edited, Entity, EntityQuery, EntityStatus, EntityType, Grant, Granularity,
        InsightQuery, InsightRow, Insights, Level, Page, Platform, ReportRun, ReportState,
        TokenHealth, Tokens,
    },
};
use secrecy::SecretString;
use serde_json::Value;

/// The platform's id of the one account.
pub(crate) const EXTERNAL_ID: &str = "101";

type Asked<Q, A> = Box<dyn FnMut(&Q, Option<&Cursor>) -> Result<A, ProviderError> + Send + 'static>;

/// What the platform knows and has seen.
pub(crate) struct Known {
    pub(crate) is_revoked: bool,
    pub(crate) refuses_refresh: bool,
    /// What it tells of how long a token and the right to the data last.
    pub(crate) clocks: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    /// How far reports are, one answer after another; the last one stays.
    pub(crate) report_states: VecDeque<ReportState>,
    pub(crate) restated_days: u32,
    pub(crate) finest: Granularity,
    pub(crate) longest_window: u32,
    /// Of which levels more than a week is better made as a report.
    pub(crate) reports_of: Vec<Level>,
    /// What of an account belongs to whoever gave access.
    pub(crate) of_the_grant: Option<EntityType>,
    pub(crate) reports_looked_at: Vec<String>,
    /// What becomes of edits, one after another; those beyond are done.
    pub(crate) edits: VecDeque<Edited>,
    /// What was edited.
    pub(crate) edited: Vec<Edit>,
    on_entities: Asked<EntityQuery, Page<Entity>>,
    on_insights: Asked<InsightQuery, Insights>,
    on_report_rows: Asked<InsightQuery, Page<InsightRow>>,
    listed: Vec<(EntityQuery, Option<Cursor>)>,
    queries: Vec<InsightQuery>,
    refreshes: usize,
}

/// A platform that does as it is told.
pub(crate) struct Scripted {
    platform: Platform,
    known: Mutex<Known>,
}

impl Scripted {
    pub(super) fn new(platform: Platform) -> Self {
        Self {
            platform,
            known: Mutex::new(Known {
                is_revoked: false,
                refuses_refresh: false,
                clocks: (None, None),
                report_states: VecDeque::new(),
                restated_days: 28,
                finest: Granularity::Hour,
                longest_window: 90,
                reports_of: vec![Level::AdSet, Level::Ad],
                of_the_grant: None,
                reports_looked_at: Vec::new(),
                edits: VecDeque::new(),
                edited: Vec::new(),
                on_entities: Box::new(|_, _| Ok(no_more(Vec::new()))),
                on_insights: Box::new(|_, _| Ok(Insights::Rows(no_more(Vec::new())))),
                on_report_rows: Box::new(|_, _| Ok(no_more(Vec::new()))),
                listed: Vec::new(),
                queries: Vec::new(),
                refreshes: 0,
            }),
        }
    }

    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers lists of what the account holds in this way.
    pub(crate) fn answer_entities(
        &self,
        answer: impl FnMut(&EntityQuery, Option<&Cursor>) -> Result<Page<Entity>, ProviderError>
        + Send
        + 'static,
    ) {
        self.known().on_entities = Box::new(answer);
    }

    /// Answers questions for figures in this way.
    pub(crate) fn answer_insights(
        &self,
        answer: impl FnMut(&InsightQuery, Option<&Cursor>) -> Result<Insights, ProviderError>
        + Send
        + 'static,
    ) {
        self.known().on_insights = Box::new(answer);
    }

    /// Answers questions for the rows of reports in this way.
    pub(crate) fn answer_report_rows(
        &self,
        answer: impl FnMut(&InsightQuery, Option<&Cursor>) -> Result<Page<InsightRow>, ProviderError>
        + Send
        + 'static,
    ) {
        self.known().on_report_rows = Box::new(answer);
    }

    /// The pages of lists that were asked for.
    pub(crate) fn listed(&self) -> Vec<(EntityType, Option<u32>, Option<String>)> {
        let known = self.known();
        let listed = known.listed.iter();
        listed
            .map(|(query, after)| {
                let after = after.as_ref().map(|cursor| cursor.0.clone());
                (query.kind, query.page_size, after)
            })
            .collect()
    }

    /// Since when changes were asked for.
    pub(crate) fn asked_since(&self) -> Vec<Option<DateTime<Utc>>> {
        let known = self.known();
        known
            .listed
            .iter()
            .map(|(query, _)| query.changed_since)
            .collect()
    }

    /// The questions for figures.
    pub(crate) fn queries(&self) -> Vec<InsightQuery> {
        self.known().queries.clone()
    }

    fn works(&self) -> Result<(), ProviderError> {
        if self.known().is_revoked {
            return Err(spent());
        }
        Ok(())
    }
}

/// The place in a list from where on it may be kept from us.
pub(crate) const WITHHELD: &str = "withheld";

/// The last page of a list.
pub(crate) fn no_more<T>(items: Vec<T>) -> Page<T> {
    Page { items, next: None }
}

/// A page with another one behind it.
pub(crate) fn more<T>(items: Vec<T>, next: &str) -> Page<T> {
    Page {
        items,
        next: Some(Cursor(next.to_owned())),
    }
}

fn detail(message: &str) -> Detail {
    Detail {
        provider: "test",
        message: message.to_owned(),
        ..Detail::default()
    }
}

pub(crate) fn spent() -> ProviderError {
    ProviderError::AuthExpired {
        detail: detail("the session has expired"),
    }
}

pub(crate) fn too_large() -> ProviderError {
    ProviderError::TooLarge {
        detail: detail("reduce the amount of data"),
    }
}

pub(crate) fn forbidden() -> ProviderError {
    ProviderError::Permission {
        detail: detail("no right to this"),
    }
}

pub(crate) fn rejected() -> ProviderError {
    ProviderError::Rejected {
        detail: detail("the cursor is not valid any more"),
    }
}

pub(crate) fn down() -> ProviderError {
    ProviderError::Unavailable {
        detail: detail("internal error"),
        maybe_received: true,
        source: None,
    }
}

pub(crate) fn entity(kind: EntityType, id: &str) -> Entity {
    Entity {
        kind,
        id: id.to_owned(),
        parent_id: None,
        campaign_id: None,
        name: format!("{kind} {id}"),
        status: EntityStatus::Active,
        platform_status: "ACTIVE".to_owned(),
        daily_budget: None,
        lifetime_budget: None,
        created_at: None,
        updated_at: None,
        raw: Value::Null,
    }
}

fn ad_account() -> AdAccount {
    AdAccount {
        id: EXTERNAL_ID.to_owned(),
        name: "Shop".to_owned(),
        status: EntityStatus::Active,
        platform_status: "1".to_owned(),
        currency: Some("EUR".to_owned()),
        time_zone: Some("Europe/Berlin".to_owned()),
        manager: None,
        raw: Value::Null,
    }
}

fn not_here<T: Send + 'static>() -> BoxFuture<'static, Result<T, ProviderError>> {
    Box::pin(async { Err(rejected()) })
}

impl AdPlatform for Scripted {
    fn platform(&self) -> Platform {
        self.platform
    }

    fn entity_types(&self) -> &'static [EntityType] {
        &[
            EntityType::Campaign,
            EntityType::AdSet,
            EntityType::Ad,
            EntityType::Audience,
        ]
    }

    fn finest(&self) -> Granularity {
        self.known().finest
    }

    fn restated_days(&self) -> u32 {
        self.known().restated_days
    }

    fn lists_changes(&self, of: EntityType) -> bool {
        of == EntityType::Campaign
    }

    fn is_of_the_grant(&self, of: EntityType) -> bool {
        self.known().of_the_grant == Some(of)
    }

    fn may_be_withheld(&self, at: &Cursor) -> bool {
        at.0 == WITHHELD
    }

    fn longest_window(&self, _granularity: Granularity) -> u32 {
        self.known().longest_window
    }

    fn report_from_days(&self, level: Level) -> Option<u32> {
        self.known().reports_of.contains(&level).then_some(8)
    }

    fn accounts<'a>(
        &'a self,
        _caller: Caller<'a>,
        _after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<AdAccount>, ProviderError>> {
        Box::pin(async move { self.works().map(|()| no_more(vec![ad_account()])) })
    }

    fn account<'a>(
        &'a self,
        _caller: Caller<'a>,
        _account_id: &'a str,
    ) -> BoxFuture<'a, Result<AdAccount, ProviderError>> {
        Box::pin(async move { self.works().map(|()| ad_account()) })
    }

    fn entities<'a>(
        &'a self,
        _caller: Caller<'a>,
        query: &'a EntityQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<Entity>, ProviderError>> {
        Box::pin(async move {
            self.works()?;
            let mut known = self.known();
            known.listed.push((query.clone(), after.cloned()));
            (known.on_entities)(query, after)
        })
    }

    fn insights<'a>(
        &'a self,
        _caller: Caller<'a>,
        query: &'a InsightQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Insights, ProviderError>> {
        Box::pin(async move {
            self.works()?;
            let mut known = self.known();
            known.queries.push(query.clone());
            (known.on_insights)(query, after)
        })
    }

    fn report<'a>(
        &'a self,
        _caller: Caller<'a>,
        run: &'a ReportRun,
    ) -> BoxFuture<'a, Result<ReportState, ProviderError>> {
        Box::pin(async move {
            self.works()?;
            let mut known = self.known();
            known.reports_looked_at.push(run.id.clone());
            let state = known.report_states.front().cloned();
            if known.report_states.len() > 1 {
                known.report_states.pop_front();
            }
            state.ok_or_else(rejected)
        })
    }

    fn report_rows<'a>(
        &'a self,
        _caller: Caller<'a>,
        _run: &'a ReportRun,
        query: &'a InsightQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<InsightRow>, ProviderError>> {
        Box::pin(async move {
            self.works()?;
            (self.known().on_report_rows)(query, after)
        })
    }

    fn present<'a>(
        &'a self,
        _caller: Caller<'a>,
        query: &'a EntityQuery,
        ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Entity>, ProviderError>> {
        Box::pin(async move {
            self.works()?;
            let mut listed = (self.known().on_entities)(query, None)?.items;
            listed.retain(|entity| ids.contains(&entity.id));
            Ok(listed)
        })
    }

    fn edit<'a>(
        &'a self,
        _caller: Caller<'a>,
        order: &'a EditOrder,
    ) -> BoxFuture<'a, Result<Vec<Edited>, ProviderError>> {
        Box::pin(async move {
            self.works()?;
            let mut known = self.known();
            known.edited.extend(order.edits.iter().cloned());
            let told = order.edits.iter();
            Ok(told
                .map(|_| known.edits.pop_front().unwrap_or(Edited::Done))
                .collect())
        })
    }

    fn authorize_url(&self, _request: &AuthorizeRequest) -> Result<Authorization, ProviderError> {
        Err(rejected())
    }

    fn exchange<'a>(
        &'a self,
        _door: &'a dyn Door,
        _exchange: &'a CodeExchange,
    ) -> BoxFuture<'a, Result<Tokens, ProviderError>> {
        not_here()
    }

    fn refresh<'a>(
        &'a self,
        _door: &'a dyn Door,
        _grant: &'a Grant,
    ) -> BoxFuture<'a, Result<Tokens, ProviderError>> {
        Box::pin(async move {
            let mut known = self.known();
            if known.refuses_refresh {
                return Err(spent());
            }
            known.refreshes += 1;
            Ok(Tokens {
                access_token: SecretString::from(format!("fake-fresh-{}", known.refreshes)),
                token_secret: None,
                refresh_token: None,
                expires_at: None,
                refresh_expires_at: None,
                scopes: Vec::new(),
                subject: None,
            })
        })
    }

    fn check<'a>(
        &'a self,
        _door: &'a dyn Door,
        _grant: &'a Grant,
    ) -> BoxFuture<'a, Result<TokenHealth, ProviderError>> {
        Box::pin(async move {
            let known = self.known();
            let (expires_at, data_access_expires_at) = known.clocks;
            Ok(TokenHealth {
                is_valid: !known.is_revoked,
                expires_at,
                data_access_expires_at,
                ..TokenHealth::default()
            })
        })
    }

    fn revoke<'a>(
        &'a self,
        _door: &'a dyn Door,
        _grant: &'a Grant,
    ) -> BoxFuture<'a, Result<bool, ProviderError>> {
        Box::pin(async { Ok(true) })
    }
}
