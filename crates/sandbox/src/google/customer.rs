//! Customers: the ad accounts, and the manager account above them.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::world::{Account, AccountStatus, GOOGLE_MANAGER, Key, Kind, Platform, World};

/// A customer of Google Ads.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) currency: &'static str,
    pub(super) zone: Tz,
    pub(super) created_at: DateTime<Utc>,
    /// `None` for the manager account, which has no campaigns of its own.
    pub(super) key: Option<Key>,
    /// The id of what its conversions are counted with; empty for the manager account.
    pub(super) conversion_action: String,
}

impl Customer {
    /// The customer of that id.
    pub(super) fn find(world: &World, id: &str) -> Option<Self> {
        if id == GOOGLE_MANAGER {
            return Some(Self::manager(world));
        }
        let account = world.account(Platform::GoogleAds, id)?;
        Some(Self::of(world, account))
    }

    /// Those that the manager account manages.
    pub(super) fn managed(world: &World) -> impl Iterator<Item = Self> {
        let accounts = world.accounts(Platform::GoogleAds);
        accounts
            .into_iter()
            .map(move |account| Self::of(world, account))
    }

    pub(super) fn is_manager(&self) -> bool {
        self.key.is_none()
    }

    /// Whether calls can be made for it.
    pub(super) fn is_enabled(&self) -> bool {
        self.status != "CANCELED"
    }

    fn manager(world: &World) -> Self {
        let first = world.account_of(Key::account(Platform::GoogleAds, 0));
        Self {
            id: GOOGLE_MANAGER.to_owned(),
            name: "Sandbox manager".to_owned(),
            status: "ENABLED",
            currency: "USD",
            zone: Tz::America__New_York,
            created_at: first.created_at,
            key: None,
            conversion_action: String::new(),
        }
    }

    fn of(world: &World, account: Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            status: match account.status {
                AccountStatus::Active => "ENABLED",
                AccountStatus::Disabled => "SUSPENDED",
                AccountStatus::Closed => "CANCELED",
            },
            currency: account.currency.code(),
            zone: account.zone,
            created_at: account.created_at,
            key: Some(account.key),
            conversion_action: world.id(account.key.sibling(Kind::Pixel, 0)),
        }
    }
}
