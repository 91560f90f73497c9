//! Accounts as others see them: without a secret.

use chrono::{DateTime, Utc};
use providers::platform::{AdAccount, Platform};
use serde::{Deserialize, Serialize};

use super::{AccountId, AccountKind, AccountStatus, ConnectionId};

/// A connected account, with what its grant says.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// Ours; what payloads name it by.
    pub id: AccountId,
    /// The grant that reaches it; several accounts may share one.
    pub connection: ConnectionId,
    /// Whose it is; `None`: it belongs to no tenant.
    pub tenant: Option<String>,
    /// Of which platform.
    pub platform: Platform,
    /// The platform's id, without prefixes.
    pub external_id: String,
    /// What sort of account it is.
    pub kind: AccountKind,
    /// Its name at the platform.
    pub name: String,
    /// ISO 4217, where the platform says it.
    pub currency: Option<String>,
    /// IANA time zone, where the platform says it.
    pub time_zone: Option<String>,
    /// The manager account through which it is reached (Google Ads).
    pub manager: Option<String>,
    /// How it stands here.
    pub status: AccountStatus,
    /// The platform's word for its state.
    pub platform_status: Option<String>,
    /// Whether it is synced.
    pub sync_enabled: bool,
    /// Who is told of what concerns it: of all accounts of the grant.
    pub owner_email: Option<String>,
    /// What the owner wants to hear of: of all accounts of the grant.
    pub notifications: Notifications,
    /// What was granted.
    pub scopes: Vec<String>,
    /// How long the grant lasts.
    pub token: TokenClocks,
    /// When it was found first.
    pub discovered_at: DateTime<Utc>,
    /// Since when the grant does not reach it any more; `None`: it does.
    pub vanished_at: Option<DateTime<Utc>>,
    /// When anything here was changed last.
    pub updated_at: DateTime<Utc>,
}

/// How long a grant lasts; `None`: its platform names no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TokenClocks {
    /// The end of the access token.
    pub expires_at: Option<DateTime<Utc>>,
    /// The end of the right to new access tokens.
    pub refresh_expires_at: Option<DateTime<Utc>>,
    /// The end of the right to the data although the token lives on (Meta).
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// When the token was got.
    pub refreshed_at: DateTime<Utc>,
}

/// What an owner wants to hear of. What is not said is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notifications {
    /// That a grant ends soon, or has ended.
    pub token_expiry: bool,
    /// That an account could not be synced.
    pub sync_errors: bool,
    /// That an alert was raised.
    pub alerts: bool,
    /// Digests.
    pub digest: bool,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            token_expiry: true,
            sync_errors: true,
            alerts: true,
            digest: true,
        }
    }
}

/// Which preferences change; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct NotificationChange {
    /// That a grant ends soon, or has ended.
    pub token_expiry: Option<bool>,
    /// That an account could not be synced.
    pub sync_errors: Option<bool>,
    /// That an alert was raised.
    pub alerts: Option<bool>,
    /// Digests.
    pub digest: Option<bool>,
}

/// What happened to an account's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    /// When.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub actor: String,
    /// What it was; `None`: the account was new.
    pub was: Option<AccountStatus>,
    /// What it became.
    pub became: AccountStatus,
    /// Why.
    pub reason: String,
}

/// Which accounts to list.
#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    /// Only this tenant's.
    pub tenant: Option<String>,
    /// Only this platform's.
    pub platform: Option<Platform>,
    /// Only those that stand like this.
    pub status: Option<AccountStatus>,
    /// Only those of this grant.
    pub connection: Option<ConnectionId>,
}

/// What changes about an account; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    /// Whether it is synced.
    pub sync_enabled: Option<bool>,
    /// Who is told of what concerns it; empty: nobody. Of all accounts of the grant.
    pub owner_email: Option<String>,
    /// What the owner wants to hear of. Of all accounts of the grant.
    pub notifications: NotificationChange,
}

/// An account that a grant reaches, as its platform shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAccount {
    /// What sort it is.
    pub kind: AccountKind,
    /// The platform's id.
    pub external_id: String,
    /// Its name.
    pub name: String,
    /// ISO 4217.
    pub currency: Option<String>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// The manager account through which it is reached.
    pub manager: Option<String>,
    /// The platform's word for its state.
    pub platform_status: Option<String>,
}

impl From<AdAccount> for FoundAccount {
    fn from(account: AdAccount) -> Self {
        Self {
            kind: AccountKind::AdAccount,
            external_id: account.id,
            name: account.name,
            currency: account.currency,
            time_zone: account.time_zone,
            manager: account.manager,
            platform_status: Some(account.platform_status),
        }
    }
}
