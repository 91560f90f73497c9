//! Answers of platforms that may be used again, in a table that is not logged: losing them costs a call. Who asks for the
//! same at the same time in one process shares one call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use providers::Error as ProviderError;
use queue::error_chain;
use serde_json::Value;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{SyncError, Syncs, storable};
use crate::{
    accounts::{AccountId, ConnectionId},
    metrics,
    store::{Session, cache, within_deadline},
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// What sort of answer is kept, which says for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cached {
    /// Lists of campaigns: one hour.
    Campaigns,
    /// Accounts: 24 hours.
    Accounts,
    /// Figures as they are shown: 5 minutes.
    Metrics,
    /// Who a person or page is: 30 minutes.
    UserData,
    /// Figures as platforms tell them: 10 minutes.
    Insights,
}

impl Cached {
    /// For how long an answer is good.
    #[must_use]
    pub fn ttl(self) -> Duration {
        match self {
            Self::Campaigns => HOUR,
            Self::Accounts => HOUR * 24,
            Self::Metrics => MINUTE * 5,
            Self::UserData => MINUTE * 30,
            Self::Insights => MINUTE * 10,
        }
    }

    /// The word that keys begin with.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Campaigns => "campaigns",
            Self::Accounts => "accounts",
            Self::Metrics => "metrics",
            Self::UserData => "user_data",
            Self::Insights => "insights",
        }
    }
}

/// Whose an answer is: it is forgotten where the account, or the grant, is connected anew or disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheOf {
    /// An account's.
    Account(AccountId),
    /// The same for all accounts of a grant.
    Grant(ConnectionId),
}

impl CacheOf {
    fn id(self) -> Uuid {
        match self {
            Self::Account(account) => account.0,
            Self::Grant(connection) => connection.0,
        }
    }
}

/// What an answer is kept by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// Whose answer it is.
    pub of: CacheOf,
    /// What sort.
    pub sort: Cached,
    /// Which of them: whatever the answer depends on, up to 1,000 bytes, no secret.
    pub name: String,
}

impl CacheKey {
    fn text(&self) -> String {
        format!("{}:{}", self.sort.as_str(), storable::text(&self.name))
    }
}

/// A question that somebody is asking a platform.
type Flight = OnceCell<Result<Value, ProviderError>>;

/// What this process is asking right now.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<CacheKey, Weak<Flight>>>);

impl Flights {
    /// The question that is being asked, or a new one.
    fn join(&self, key: &CacheKey) -> Arc<Flight> {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(key).and_then(Weak::upgrade) {
            return flight;
        }
        // Those that were given up halfway are gone by this.
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(Flight::new());
        flights.insert(key.clone(), Arc::downgrade(&flight));
        flight
    }

    /// The question was answered: who comes now finds the answer in the table, or asks anew.
    fn leave(&self, key: &CacheKey, answered: &Arc<Flight>) {
        let mut flights = self.lock();
        let is_it = |flight: &Weak<Flight>| Weak::ptr_eq(flight, &Arc::downgrade(answered));
        if flights.get(key).is_some_and(is_it) {
            flights.remove(key);
        }
    }

    /// How many wait for this answer.
    #[cfg(test)]
    pub(super) fn aboard(&self, key: &CacheKey) -> usize {
        self.lock().get(key).map_or(0, Weak::strong_count)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CacheKey, Weak<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Syncs {
    /// The answer that is kept, or the one that `fetch` gives, which is then kept. Where the same is being asked for in
    /// this process, `fetch` is not called and the answer shared, also if it is a failure. A table that cannot be used
    /// keeps nobody from asking.
    ///
    /// # Errors
    /// Those of `fetch`.
    pub async fn cached<F>(&self, key: &CacheKey, fetch: F) -> Result<Value, ProviderError>
    where
        F: Future<Output = Result<Value, ProviderError>> + Send,
    {
        let kept = self.kept(key).await.unwrap_or_else(|error| {
            warn(key, &error, "a kept answer could not be read");
            None
        });
        if let Some(value) = kept {
            metrics::cache_request("hit");
            return Ok(value);
        }
        let flight = self.flights().join(key);
        let mut is_asker = false;
        let asking = || {
            is_asker = true;
            self.fetch_and_keep(key, fetch)
        };
        let answer = flight.get_or_init(asking).await.clone();
        self.flights().leave(key, &flight);
        metrics::cache_request(if is_asker { "miss" } else { "coalesced" });
        answer
    }

    async fn fetch_and_keep<F>(&self, key: &CacheKey, fetch: F) -> Result<Value, ProviderError>
    where
        F: Future<Output = Result<Value, ProviderError>> + Send,
    {
        let answer = fetch.await;
        if let Ok(value) = &answer
            && let Err(error) = self.cache_put(key, value).await
        {
            warn(key, &error, "an answer could not be kept");
        }
        answer
    }

    /// The answer that is kept and still good, for those who ask for it in a way of their own where there is none.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn cache_get(&self, key: &CacheKey) -> Result<Option<Value>, SyncError> {
        let kept = self.kept(key).await?;
        metrics::cache_request(if kept.is_some() { "hit" } else { "miss" });
        Ok(kept)
    }

    async fn kept(&self, key: &CacheKey) -> Result<Option<Value>, SyncError> {
        let text = key.text();
        let db = self.db();
        let value = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let value = cache::get(session.connection(), key.of.id(), &text).await?;
            session.done();
            Ok(value)
        })
        .await?;
        Ok(value)
    }

    /// Keeps an answer for as long as its sort is good.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn cache_put(&self, key: &CacheKey, value: &Value) -> Result<(), SyncError> {
        let text = key.text();
        let value = storable::document(value);
        let ttl_s = key.sort.ttl().as_secs_f64();
        let db = self.db();
        within_deadline(async {
            let mut session = Session::open(&db).await?;
            let place = (key.of.id(), text.as_str());
            cache::put(session.connection(), place, &value, ttl_s).await?;
            session.done();
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Forgets the answers whose keys (`campaigns:NAME`) are like this pattern, in which `*` stands for any text, of one
    /// account or grant, or of all; tells how many. What is being asked for at this moment may still be kept.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn cache_invalidate(
        &self,
        of: Option<CacheOf>,
        pattern: &str,
    ) -> Result<u64, SyncError> {
        let pattern = like(pattern);
        let of = of.map(CacheOf::id);
        let db = self.db();
        let forgotten = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let forgotten = cache::invalidate(session.connection(), of, &pattern).await?;
            session.done();
            Ok(forgotten)
        })
        .await?;
        Ok(forgotten)
    }
}

fn warn(key: &CacheKey, error: &SyncError, message: &'static str) {
    tracing::warn!(cache.of = %key.of.id(), cache.sort = key.sort.as_str(), error = %error_chain(error), "{message}");
}

/// The pattern as LIKE has it.
fn like(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len() + 8);
    for c in storable::text(pattern).chars() {
        match c {
            '*' => like.push('%'),
            '%' | '_' | '\\' => like.extend(['\\', c]),
            _ => like.push(c),
        }
    }
    like
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_star_stands_for_any_text() {
        assert_eq!(like("campaigns:*"), "campaigns:%");
        assert_eq!(like("user_data:50%\\*"), "user\\_data:50\\%\\\\%");
    }
}
