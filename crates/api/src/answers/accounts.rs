//! Connected accounts. No answer has a secret of theirs.

use chrono::{DateTime, Utc};
use marketing::accounts;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A connected account.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    /// What payloads name it by, as `account_id`.
    id: Uuid,
    /// The grant that reaches it; several accounts may share one.
    connection: Uuid,
    /// `meta`, `google_ads`, `linkedin`, `tiktok` or `x`.
    #[schema(value_type = String, example = "meta")]
    platform: &'static str,
    /// The platform's id, without prefixes.
    #[schema(example = "1000000000001")]
    external_id: String,
    /// `ad_account`, `page`, `instagram_account` or `business`.
    #[schema(value_type = String, example = "ad_account")]
    kind: &'static str,
    name: String,
    /// ISO 4217, where the platform says it.
    #[schema(example = "EUR")]
    currency: Option<String>,
    /// IANA time zone, where the platform says it.
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// The manager account through which it is reached (Google Ads).
    manager: Option<String>,
    /// The tenant that it belongs to.
    tenant: Option<String>,
    /// `active`, `expiring`, `needs_reauth` (its jobs wait until it is connected again) or `disconnected`.
    #[schema(value_type = String, example = "active")]
    status: &'static str,
    /// The platform's word for its state.
    platform_status: Option<String>,
    /// Whether it is synced.
    sync_enabled: bool,
    /// Who is told of what concerns it; of all accounts of the grant.
    owner_email: Option<String>,
    /// What the owner wants to hear of; of all accounts of the grant.
    notifications: Notifications,
    /// What was granted.
    scopes: Vec<String>,
    /// How long the grant lasts.
    token: TokenClocks,
    discovered_at: DateTime<Utc>,
    /// Since when the grant does not reach it any more.
    vanished_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
}

/// What an owner wants to hear of.
#[derive(Serialize, ToSchema)]
struct Notifications {
    /// That a grant ends soon, or has ended.
    token_expiry: bool,
    /// That an account could not be synced.
    sync_errors: bool,
    /// That an alert was raised.
    alerts: bool,
    digest: bool,
}

/// How long a grant lasts; null where its platform names no end.
#[derive(Serialize, ToSchema)]
struct TokenClocks {
    /// The end of the access token.
    expires_at: Option<DateTime<Utc>>,
    /// The end of the right to new access tokens.
    refresh_expires_at: Option<DateTime<Utc>>,
    /// The end of the right to the data although the token lives on (Meta).
    data_access_expires_at: Option<DateTime<Utc>>,
    /// When the token was got.
    refreshed_at: DateTime<Utc>,
}

impl From<accounts::Account> for Account {
    fn from(account: accounts::Account) -> Self {
        Self {
            id: account.id.0,
            connection: account.connection.0,
            platform: account.platform.as_str(),
            external_id: account.external_id,
            kind: account.kind.as_str(),
            name: account.name,
            currency: account.currency,
            time_zone: account.time_zone,
            manager: account.manager,
            tenant: account.tenant,
            status: account.status.as_str(),
            platform_status: account.platform_status,
            sync_enabled: account.sync_enabled,
            owner_email: account.owner_email,
            notifications: account.notifications.into(),
            scopes: account.scopes,
            token: account.token.into(),
            discovered_at: account.discovered_at,
            vanished_at: account.vanished_at,
            updated_at: account.updated_at,
        }
    }
}

impl From<accounts::Notifications> for Notifications {
    fn from(wanted: accounts::Notifications) -> Self {
        Self {
            token_expiry: wanted.token_expiry,
            sync_errors: wanted.sync_errors,
            alerts: wanted.alerts,
            digest: wanted.digest,
        }
    }
}

impl From<accounts::TokenClocks> for TokenClocks {
    fn from(clocks: accounts::TokenClocks) -> Self {
        Self {
            expires_at: clocks.expires_at,
            refresh_expires_at: clocks.refresh_expires_at,
            data_access_expires_at: clocks.data_access_expires_at,
            refreshed_at: clocks.refreshed_at,
        }
    }
}

/// An account with how fresh what is stored of it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedAccount {
    #[serde(flatten)]
    account: Account,
    /// Null: it is no ad account, and no objective counts it.
    as_of: Option<StoredAsOf>,
}

/// As of when what is stored of an account is: when its newest reading that was stored whole began.
#[derive(Serialize, ToSchema)]
struct StoredAsOf {
    /// What it holds; null: it was not read whole in 90 days.
    entities: Option<DateTime<Utc>>,
    /// Its newest figures, of the level for which that is longest ago; null: some level was never read.
    figures: Option<DateTime<Utc>>,
    /// The older of both; what was never read counts from when the account was found.
    all: DateTime<Utc>,
    /// How many seconds ago that is.
    behind_s: u64,
}

impl From<accounts::ListedAccount> for ListedAccount {
    fn from(listed: accounts::ListedAccount) -> Self {
        Self {
            account: listed.account.into(),
            as_of: listed.as_of.map(StoredAsOf::from),
        }
    }
}

impl From<accounts::StoredAsOf> for StoredAsOf {
    fn from(as_of: accounts::StoredAsOf) -> Self {
        Self {
            entities: as_of.entities,
            figures: as_of.figures,
            all: as_of.all,
            behind_s: as_of.behind_s,
        }
    }
}

/// An account with what became of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountDetail {
    #[serde(flatten)]
    account: Account,
    /// The newest first, up to 100.
    history: Vec<StatusChange>,
}

impl AccountDetail {
    pub(crate) fn new(account: accounts::Account, history: Vec<accounts::StatusChange>) -> Self {
        Self {
            account: account.into(),
            history: super::all(history),
        }
    }
}

/// A change of an account's status.
#[derive(Serialize, ToSchema)]
struct StatusChange {
    at: DateTime<Utc>,
    /// Who did it.
    actor: String,
    /// What it was; null: the account was new.
    #[schema(value_type = Option<String>)]
    was: Option<&'static str>,
    /// What it became.
    #[schema(value_type = String, example = "needs_reauth")]
    became: &'static str,
    /// Why.
    reason: String,
}

impl From<accounts::StatusChange> for StatusChange {
    fn from(change: accounts::StatusChange) -> Self {
        Self {
            at: change.at,
            actor: change.actor,
            was: change.was.map(|status| status.as_str()),
            became: change.became.as_str(),
            reason: change.reason,
        }
    }
}

/// What was connected.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectedAccounts {
    /// The grant.
    connection: Uuid,
    /// What it reaches.
    accounts: Vec<Account>,
}

impl From<accounts::Connected> for ConnectedAccounts {
    fn from(connected: accounts::Connected) -> Self {
        Self {
            connection: connected.connection.0,
            accounts: super::all(connected.accounts),
        }
    }
}

/// What was disconnected.
#[derive(Serialize, ToSchema)]
pub(crate) struct DisconnectedAccounts {
    /// The accounts.
    accounts: Vec<Uuid>,
    /// The waiting jobs of theirs that were cancelled.
    cancelled_jobs: u64,
    /// The grant has ended: its secrets are wiped.
    grant_ended: bool,
    /// The platform has taken the grant back.
    revoked: bool,
    /// Why it has not; its owner can take it back there.
    not_revoked: Option<String>,
}

impl DisconnectedAccounts {
    pub(crate) fn new(done: &accounts::Disconnected, revoked: Result<bool, String>) -> Self {
        Self {
            accounts: done.accounts.iter().map(|account| account.0).collect(),
            cancelled_jobs: done.cancelled_jobs,
            grant_ended: done.is_grant_ended,
            revoked: revoked.as_ref().is_ok_and(|revoked| *revoked),
            not_revoked: revoked.err(),
        }
    }
}

/// What a back-fill has come to.
#[derive(Serialize, ToSchema)]
pub(crate) struct Backfill {
    /// Jobs that were made. They bear the tag `backfill` with the account's id.
    created: usize,
    /// Jobs that were there already and are not done.
    deduplicated: usize,
}

impl From<accounts::orders::Backfill> for Backfill {
    fn from(done: accounts::orders::Backfill) -> Self {
        Self {
            created: done.created,
            deduplicated: done.deduplicated,
        }
    }
}

/// Where a browser goes to connect an account.
#[derive(Serialize, ToSchema)]
pub(crate) struct OauthStarted {
    /// The platform's page; for one browser, once.
    url: String,
    /// When it is of no use any more.
    expires_at: DateTime<Utc>,
}

impl From<accounts::OauthStarted> for OauthStarted {
    fn from(started: accounts::OauthStarted) -> Self {
        Self {
            url: started.url.into(),
            expires_at: started.expires_at,
        }
    }
}

/// What Meta shows a person who wanted to be forgotten.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeletionReceipt {
    /// Where that person sees that it was done.
    url: String,
    /// Names the deletion, and nobody.
    confirmation_code: String,
}

impl From<accounts::DeletionReceipt> for DeletionReceipt {
    fn from(receipt: accounts::DeletionReceipt) -> Self {
        Self {
            url: receipt.status_url.into(),
            confirmation_code: receipt.code,
        }
    }
}
