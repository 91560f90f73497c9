//! Accounts that somebody is looking at: they are synced more often, and that ends by itself.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{SyncError, Syncs, WatchId};
use crate::{
    accounts::{AccountId, AccountStatus},
    store::{Session, accounts, watches, within_deadline},
};

/// For how long an account may be watched at least.
pub const SHORTEST_WATCH: Duration = Duration::from_secs(60);
/// For how long an account may be watched at most.
pub const LONGEST_WATCH: Duration = Duration::from_secs(24 * 60 * 60);

/// An account that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// Which watch it is.
    pub id: WatchId,
    /// Which account.
    pub account: AccountId,
    /// Until when.
    pub until: DateTime<Utc>,
}

impl Syncs {
    /// Watches an account from now on for so long, in the place of what was asked for before.
    ///
    /// # Errors
    /// [`SyncError::NotFound`], also for another tenant's account; [`SyncError::Disconnected`]; [`SyncError::Invalid`] for
    /// a time that is not within [`SHORTEST_WATCH`] and [`LONGEST_WATCH`].
    pub async fn watch(
        &self,
        account: AccountId,
        tenant: Option<&str>,
        wanted: Duration,
    ) -> Result<Watched, SyncError> {
        if !(SHORTEST_WATCH..=LONGEST_WATCH).contains(&wanted) {
            return Err(SyncError::invalid("/for", "must be 1m to 24h"));
        }
        let db = self.db();
        let watched = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let known = accounts::get(session.connection(), account.0, tenant).await?;
            let status = known.map(|known| known.status);
            let watch = match status.as_deref() {
                Some(status) if status != AccountStatus::Disconnected.as_str() => {
                    let seconds = wanted.as_secs_f64();
                    Some(watches::watch(session.connection(), account.0, seconds).await?)
                }
                Some(_) | None => None,
            };
            session.done();
            Ok(status.map(|_| watch))
        })
        .await?;
        let watch = watched.ok_or(SyncError::NotFound)?;
        let watch = watch.ok_or(SyncError::Disconnected)?;
        Ok(Watched {
            id: WatchId(watch.id),
            account,
            until: watch.until,
        })
    }

    /// Whether a watch goes on. One whose time is over has ended with this answer: what is asked for from then on is another
    /// watch, so that who follows this one may stop.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn goes_on(&self, account: AccountId, watch: WatchId) -> Result<bool, SyncError> {
        let db = self.db();
        let goes_on = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let goes_on = watches::goes_on(session.connection(), account.0, watch.0).await?;
            session.done();
            Ok(goes_on)
        })
        .await?;
        Ok(goes_on)
    }
}
