//! The world that all stand-ins show: the ad accounts of five platforms, what they hold, and what
//! came of it hour by hour. It is computed and not stored: everything is a function of the seed, of
//! what somebody changed since, and of the time at which it is looked at. Only the changes are
//! kept.

mod account;
mod calendar;
mod changes;
mod clock;
mod config;
mod dice;
mod edits;
mod entity;
mod figures;
mod ids;
mod life;
mod money;
mod names;
mod plan;
mod platform;
mod rows;
mod social;
mod spans;
mod traffic;

use std::{
    ops::Range,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use chrono::{DateTime, Utc};

use changes::Changes;
use traffic::Traffic;

pub use clock::{TooFar, WorldClock};
pub use config::WorldConfig;
pub use platform::Platform;

pub(crate) use account::{Account, AccountStatus};
pub(crate) use calendar::{
    Bucket, Grain, Hour, MOST_DAYS, day_of, hour_of, hours_of_day, local, parse_day, start_of,
};
pub(crate) use changes::{Change, ChangeError};
pub(crate) use dice::Dice;
pub(crate) use edits::EditRefusal;
pub(crate) use entity::{Effective, Entity, Key, Kind, Objective, Status};
pub(crate) use figures::Figures;
pub(crate) use ids::GOOGLE_MANAGER;
pub(crate) use money::{Currency, MICROS, decimal};
pub(crate) use rows::{Position, Row, RowQuery, Rows};

/// The world of one sandbox.
pub(crate) struct World {
    seed: Dice,
    accounts: u32,
    campaigns: u32,
    clock: Arc<WorldClock>,
    changes: RwLock<Changes>,
}

impl World {
    pub(crate) fn new(config: &WorldConfig) -> Self {
        let config = config.bounded();
        Self {
            seed: Dice::new(config.seed),
            accounts: config.accounts_per_platform,
            campaigns: config.campaigns_per_account,
            clock: Arc::default(),
            changes: RwLock::default(),
        }
    }

    /// The time that everything goes by.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> &Arc<WorldClock> {
        &self.clock
    }

    /// A platform's accounts.
    pub(crate) fn accounts(&self, platform: Platform) -> Vec<Account> {
        (0..self.accounts)
            .map(|number| self.account_of(Key::account(platform, number)))
            .collect()
    }

    /// The account with the platform's id `id`, without prefixes.
    pub(crate) fn account(&self, platform: Platform, id: &str) -> Option<Account> {
        let key = self.find(platform, id)?;
        (key.kind == Kind::Account).then(|| self.account_of(key))
    }

    /// The account that a thing is of.
    pub(crate) fn account_of(&self, key: Key) -> Account {
        let key = key.its_account();
        let mut account = account::original(plan::of(self.seed, key), key, ids::text(key));
        self.changes().apply_to_account(&mut account, self.now());
        account
    }

    /// What the platform knows by this id, the deleted included. `None` for what is not there, or
    /// not yet.
    pub(crate) fn find(&self, platform: Platform, id: &str) -> Option<Key> {
        let key = ids::parse(platform, id)?;
        self.exists(key).then_some(key)
    }

    /// The platform's id of a thing.
    pub(crate) fn id(&self, key: Key) -> String {
        ids::text(key)
    }

    /// Anything but an account, as it is now. `None` for what is not there, or not yet.
    pub(crate) fn entity(&self, key: Key) -> Option<Entity> {
        (key.kind != Kind::Account && self.exists(key)).then(|| self.living(key))
    }

    /// The things of a sort below something, or the thing itself if it is of that sort: in the
    /// order of their numbers, which is also that of their ids, the deleted included.
    pub(crate) fn list(&self, root: Key, kind: Kind) -> impl Iterator<Item = Entity> {
        self.keys(root, kind)
            .into_iter()
            .filter_map(|key| self.entity(key))
    }

    /// The keys of the same things, which cost far less.
    pub(crate) fn keys(&self, root: Key, kind: Kind) -> Vec<Key> {
        if kind == Kind::Account {
            return vec![root.its_account()];
        }
        let all = plan::slots(root.platform, kind, self.campaigns);
        root.slots_below(kind, all)
            .map(|n| root.sibling(kind, n))
            .filter(|key| self.exists(*key))
            .collect()
    }

    /// Rows of figures from a position on; [`Position::default`] is the beginning.
    pub(crate) fn rows(&self, query: &RowQuery, from: Position) -> Rows<'_> {
        Rows::new(self, query, from)
    }

    /// What something did in hours of UTC, as it is seen at a moment. Hours that are not over yet
    /// count as far as they went.
    pub(crate) fn figures(&self, key: Key, hours: &Range<Hour>, seen: DateTime<Utc>) -> Figures {
        let mut sum = Figures::default();
        for ad in self.traffic(key) {
            sum += ad.figures(hours, seen);
        }
        sum
    }

    /// A number that belongs to a thing and a name for ever: for members that only one platform
    /// has.
    pub(crate) fn dice(&self, key: Key, name: &str) -> Dice {
        plan::of(self.seed, key).about(name)
    }

    /// Changes something, from now on.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing is changed then.
    pub(crate) fn change(&self, key: Key, changes: Vec<Change>) -> Result<(), ChangeError> {
        if !self.exists(key) {
            return Err(ChangeError::Unknown);
        }
        if !changes.iter().all(|change| change.fits(key.kind)) {
            return Err(ChangeError::DoesNotFit);
        }
        let now = self.now();
        let mut kept = self.changes.write().unwrap_or_else(PoisonError::into_inner);
        kept.add(key, now, changes)
    }

    /// Takes back every change, and sets the clock right.
    pub(crate) fn reset(&self) {
        *self.changes.write().unwrap_or_else(PoisonError::into_inner) = Changes::default();
        self.clock.reset();
    }

    fn changes(&self) -> RwLockReadGuard<'_, Changes> {
        self.changes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn traffic(&self, key: Key) -> Vec<Traffic> {
        self.keys(key, Kind::Ad)
            .into_iter()
            .map(|ad| self.traffic_of(ad))
            .collect()
    }
}

#[cfg(test)]
mod tests;
