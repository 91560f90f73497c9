//! What people change in the world beside us: renamed, paused, given another budget, deleted. Each
//! change has its time, and figures from before it stay as they were.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{
    Key, Kind,
    account::{Account, AccountStatus},
    entity::{Entity, Status},
};

/// Most changes kept.
const MOST_CHANGES: usize = 100_000;

/// A change that somebody makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Name(String),
    /// Of anything but an account.
    Status(Status),
    /// Of an account.
    AccountStatus(AccountStatus),
    /// Of a campaign or an ad set; it takes the place of any other budget there.
    DailyBudget(i64),
    /// The same for its whole life.
    LifetimeBudget(i64),
}

impl Change {
    /// Whether a thing of this sort can be changed so.
    pub(super) fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::Name(_) => true,
            Self::Status(_) => kind != Kind::Account,
            Self::AccountStatus(_) => kind == Kind::Account,
            Self::DailyBudget(micros) | Self::LifetimeBudget(micros) => {
                matches!(kind, Kind::Campaign | Kind::AdSet) && *micros > 0
            }
        }
    }
}

/// Why a change is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("there is no such thing")]
    Unknown,
    #[error("such a thing cannot be changed in this way")]
    DoesNotFit,
    #[error("at most {MOST_CHANGES} changes are kept")]
    TooMany,
}

/// All changes, each thing's in the order in which they were made.
#[derive(Default)]
pub(super) struct Changes {
    of: HashMap<Key, Vec<(DateTime<Utc>, Change)>>,
    count: usize,
}

impl Changes {
    pub(super) fn add(
        &mut self,
        key: Key,
        at: DateTime<Utc>,
        changes: Vec<Change>,
    ) -> Result<(), ChangeError> {
        if self.count + changes.len() > MOST_CHANGES {
            return Err(ChangeError::TooMany);
        }
        self.count += changes.len();
        let dated = changes.into_iter().map(|change| (at, change));
        self.of.entry(key).or_default().extend(dated);
        Ok(())
    }

    /// Those of a thing.
    fn of(&self, key: Key) -> &[(DateTime<Utc>, Change)] {
        self.of.get(&key).map_or(&[], Vec::as_slice)
    }

    /// What a thing was set to, and when.
    pub(super) fn statuses(&self, key: Key) -> impl Iterator<Item = (DateTime<Utc>, Status)> {
        self.of(key).iter().filter_map(|(at, change)| match change {
            Change::Status(status) => Some((*at, *status)),
            Change::Name(_)
            | Change::AccountStatus(_)
            | Change::DailyBudget(_)
            | Change::LifetimeBudget(_) => None,
        })
    }

    /// What a thing's plan has in store for it: nothing more once somebody set its status.
    pub(super) fn still_planned(
        &self,
        key: Key,
        planned: Option<(DateTime<Utc>, Status)>,
    ) -> Option<(DateTime<Utc>, Status)> {
        let changed = self.statuses(key).next();
        planned.filter(|(at, _)| changed.is_none_or(|(first, _)| *at < first))
    }

    /// Makes an account what it has become by `now`.
    pub(super) fn apply_to_account(&self, account: &mut Account, now: DateTime<Utc>) {
        for (at, change) in self.of(account.key) {
            if *at > now {
                continue;
            }
            match change {
                Change::Name(name) => account.name.clone_from(name),
                Change::AccountStatus(status) => account.status = *status,
                Change::Status(_) | Change::DailyBudget(_) | Change::LifetimeBudget(_) => continue,
            }
            account.updated_at = account.updated_at.max(*at);
        }
    }

    /// Makes anything else what it has become by `now`.
    pub(super) fn apply(&self, entity: &mut Entity, now: DateTime<Utc>) {
        for (at, change) in self.of(entity.key) {
            if *at > now {
                continue;
            }
            match change {
                Change::Name(name) => entity.name.clone_from(name),
                Change::Status(status) => entity.status = *status,
                Change::DailyBudget(micros) => {
                    entity.daily_budget_micros = Some(*micros);
                    entity.lifetime_budget_micros = None;
                }
                Change::LifetimeBudget(micros) => {
                    entity.lifetime_budget_micros = Some(*micros);
                    entity.daily_budget_micros = None;
                }
                Change::AccountStatus(_) => continue,
            }
            entity.updated_at = entity.updated_at.max(*at);
        }
    }
}
