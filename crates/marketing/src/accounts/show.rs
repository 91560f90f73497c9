//! Looking at accounts and changing what their owners decide.

use providers::mail::is_address;
use queue::{Actor, Deed, Page, PageRequest, Queue};
use serde_json::json;
use sqlx::Connection as _;

use super::{
    Account, AccountChange, AccountFilter, AccountId, Accounts, AccountsError, ConnectionId,
    Notifications, StatusChange, TokenClocks, connect::said, mailing::turned_on, shown_tenant,
    stored_word,
};
use crate::store::{
    Session,
    accounts::{self, AccountRow, HistoryRow, ListQuery},
    connections, mail_optouts, within_deadline,
};

/// Begins the cursors of this list.
const LIST: &str = "account";
/// Where a body says whom to tell.
pub(super) const OWNER_EMAIL: &str = "/owner_email";

impl Accounts {
    /// A page of accounts, in the order in which they were found.
    ///
    /// # Errors
    /// [`AccountsError::Engine`] for a cursor of another list.
    pub async fn list(
        &self,
        filter: &AccountFilter,
        page: &PageRequest,
    ) -> Result<Page<Account>, AccountsError> {
        let query = ListQuery {
            tenant: filter.tenant.as_deref(),
            platform: filter.platform.map(|platform| platform.as_str()),
            status: filter.status.map(|status| status.as_str()),
            connection: filter.connection.map(|connection| connection.0),
            after: page.id(LIST)?,
            limit: page.rows(),
        };
        let db = self.db();
        let rows = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = accounts::list(session.connection(), &query).await?;
            session.done();
            rows.into_iter().map(account).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(rows, page, LIST, |account: &Account| {
            account.id.to_string()
        }))
    }

    /// An account.
    ///
    /// # Errors
    /// [`AccountsError::NotFound`], also for another tenant's.
    pub async fn get(&self, id: AccountId, tenant: Option<&str>) -> Result<Account, AccountsError> {
        let db = self.db();
        let found = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let row = accounts::get(session.connection(), id.0, tenant).await?;
            session.done();
            row.map(account).transpose()
        })
        .await?;
        found.ok_or(AccountsError::NotFound)
    }

    /// What became of an account, the newest first, up to 100 changes.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn history(&self, id: AccountId) -> Result<Vec<StatusChange>, AccountsError> {
        let db = self.db();
        let changes = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = accounts::history(session.connection(), id.0).await?;
            session.done();
            rows.into_iter().map(change).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(changes)
    }

    /// Changes what the owner of an account decides.
    ///
    /// # Errors
    /// [`AccountsError::NotFound`], [`AccountsError::Invalid`] for what is no address.
    pub async fn change(
        &self,
        id: AccountId,
        new: &AccountChange,
        actor: &Actor,
    ) -> Result<Account, AccountsError> {
        check_address(OWNER_EMAIL, new.owner_email.as_deref())?;
        let tenant = actor.tenant.as_deref();
        let noted = acting_for(actor, self.get(id, tenant).await?.tenant);
        let notifications = said(new.notifications);
        let target = id.to_string();
        let db = self.db();
        let done = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            if let Some(is_enabled) = new.sync_enabled {
                accounts::set_sync(&mut *tx, id.0, is_enabled).await?;
            }
            connections::change_owner(&mut *tx, id.0, new.owner_email.as_deref(), &notifications)
                .await?;
            mail_optouts::opt_in(&mut *tx, id.0, &turned_on(new.notifications)).await?;
            let deed = Deed {
                action: "account.update",
                target: Some(&target),
                reason: None,
                count: 1,
                detail: json!({
                    "sync_enabled": new.sync_enabled,
                    "owner_changed": new.owner_email.is_some(),
                    "notifications": notifications,
                }),
            };
            Queue::note_in(&mut tx, deed, &noted).await?;
            tx.commit().await?;
            session.done();
            Ok(())
        });
        done.await?;
        Queue::count_deed("account.update");
        self.get(id, tenant).await
    }
}

/// Who acts, as the audit of a tenant tells it: what is done to its accounts is its own to see, whoever does it.
pub(super) fn acting_for(actor: &Actor, tenant: Option<String>) -> Actor {
    Actor {
        name: actor.name.clone(),
        tenant,
    }
}

/// Refuses what mail cannot be sent to; an empty address is none.
pub(super) fn check_address(
    pointer: &'static str,
    address: Option<&str>,
) -> Result<(), AccountsError> {
    if address.is_none_or(|address| address.is_empty() || is_address(address)) {
        return Ok(());
    }
    Err(AccountsError::invalid(
        pointer,
        "must be an address such as ada@example.com",
    ))
}

/// An account as others see it.
pub(super) fn account(row: AccountRow) -> Result<Account, sqlx::Error> {
    Ok(Account {
        id: AccountId(row.id),
        connection: ConnectionId(row.connection),
        tenant: shown_tenant(row.tenant),
        platform: stored_word(&row.platform)?,
        external_id: row.external_id,
        kind: stored_word(&row.kind)?,
        name: row.name,
        currency: row.currency,
        time_zone: row.time_zone,
        manager: row.manager,
        status: stored_word(&row.status)?,
        platform_status: row.platform_status,
        sync_enabled: row.sync_enabled,
        owner_email: row.owner_email,
        notifications: notifications(row.notifications),
        scopes: row.scopes,
        token: TokenClocks {
            expires_at: row.expires_at,
            refresh_expires_at: row.refresh_expires_at,
            data_access_expires_at: row.data_access_expires_at,
            refreshed_at: row.refreshed_at,
        },
        discovered_at: row.discovered_at,
        vanished_at: row.vanished_at,
        updated_at: row.updated_at,
    })
}

/// What a release does not know of preferences is wanted.
fn notifications(stored: serde_json::Value) -> Notifications {
    serde_json::from_value(stored).unwrap_or_default()
}

fn change(row: HistoryRow) -> Result<StatusChange, sqlx::Error> {
    Ok(StatusChange {
        at: row.at,
        actor: row.actor,
        was: row.was.as_deref().map(stored_word).transpose()?,
        became: stored_word(&row.became)?,
        reason: row.reason,
    })
}
