//! Disconnecting: secrets are wiped for good, what waits is cancelled. That the platform takes its grant back comes after:
//! what cannot be reached there keeps nobody from being disconnected here.

use std::time::Duration;

use providers::platform::{Access, Caller, Grant, Platform};
use queue::{Actor, Deed, Queue};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    AccountId, AccountStatus, Accounts, AccountsError, ConnectionId,
    connect::access,
    error::too_slow,
    show::acting_for,
    status::{LONGEST_REASON, names},
    token::HeldGrant,
};
use crate::store::{
    Session,
    accounts::{self, NewStatus},
    cache,
    connections::{self, HeldRow},
    within_deadline,
};

/// Longest that a platform may take to take a grant back.
const LONGEST_CALL: Duration = Duration::from_secs(20);
const DEED: &str = "account.disconnect";

/// How much is disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The account alone; with the last account of a grant the grant ends.
    Account,
    /// All accounts of its grant.
    Grant,
}

/// What was disconnected. No `Debug`: it may hold the tokens, for the platform to take back.
pub struct Disconnected {
    /// The accounts.
    pub accounts: Vec<AccountId>,
    /// The waiting jobs of theirs that were cancelled.
    pub cancelled_jobs: u64,
    /// The grant has ended: its secrets are wiped.
    pub is_grant_ended: bool,
    connection: ConnectionId,
    /// Pages that nobody has connected any more.
    pages: Vec<String>,
    ended: Option<(Platform, Grant)>,
    /// What the person gave is used by another grant.
    is_shared: bool,
}

/// What a transaction has disconnected.
struct Ended {
    /// Those that were not disconnected before.
    accounts: Vec<Uuid>,
    /// All that were meant: an earlier call may have left something of theirs.
    meant: Vec<Uuid>,
    /// The grant with its last tokens, where it has ended.
    grant: Option<HeldRow>,
    /// The person has given another grant that is in use, maybe to another tenant.
    is_shared: bool,
    /// Those of them that are Pages which nobody has connected any more.
    pages: Vec<String>,
}

impl Accounts {
    /// Disconnects an account, or all of its grant: what waits for them is cancelled, what runs meets no token any more.
    /// Hand the answer to [`Self::revoke`]. It is safe to repeat: what an earlier call has left is done then.
    ///
    /// # Errors
    /// [`AccountsError::NotFound`], also for another tenant's account; [`AccountsError::Invalid`] for a reason that is too
    /// long to be kept.
    pub async fn disconnect(
        &self,
        account: AccountId,
        extent: Extent,
        reason: &str,
        actor: &Actor,
    ) -> Result<Disconnected, AccountsError> {
        if reason.chars().count() > LONGEST_REASON {
            let message = format!("must have at most {LONGEST_REASON} characters");
            return Err(AccountsError::invalid("?reason", message));
        }
        let known = self.get(account, actor.tenant.as_deref()).await?;
        let connection = known.connection;
        let one = match extent {
            Extent::Account => Some(account.0),
            Extent::Grant => None,
        };
        let noted = acting_for(actor, known.tenant);
        let mut ended = self.end(connection, one, (reason, &noted)).await?;
        if ended.accounts.is_empty() {
            ended.accounts.push(account.0);
        }
        self.clear_up(connection, ended, (reason, actor)).await
    }

    /// Disconnects a grant that has ended at the platform.
    pub(super) async fn disconnect_grant(
        &self,
        connection: ConnectionId,
        reason: &str,
        actor: &Actor,
    ) -> Result<Disconnected, AccountsError> {
        let ended = self.end(connection, None, (reason, actor)).await?;
        self.clear_up(connection, ended, (reason, actor)).await
    }

    /// Asks the platform to send no more events of Pages, and to take a grant back that was disconnected here. `false`: it has
    /// no way to, there is nothing to take back, or what the person gave is used by another grant, which the platform may end
    /// with it.
    ///
    /// # Errors
    /// [`AccountsError::Platform`] with what the platform says: its owner can take it back there.
    pub async fn revoke(&self, disconnected: &Disconnected) -> Result<bool, AccountsError> {
        Box::pin(self.stop_events(disconnected)).await;
        let to_take_back = disconnected.ended.as_ref();
        let to_take_back = to_take_back.filter(|_| !disconnected.is_shared);
        let Some((platform, grant)) = to_take_back else {
            return Ok(false);
        };
        let client = self.client(*platform)?;
        let asked = timeout(LONGEST_CALL, client.revoke(self.door(), grant)).await;
        let revoked = asked.unwrap_or_else(|_| Err(too_slow(*platform, "end of the grant")));
        Ok(revoked?)
    }

    /// Has events of Pages end that nobody has connected any more. Those that are sent all the same meet nobody here, so that
    /// what does not succeed is only told.
    async fn stop_events(&self, disconnected: &Disconnected) {
        let Ok(client) = self.client(Platform::Meta) else {
            return;
        };
        let door = self.door();
        let stopping = async {
            for page in &disconnected.pages {
                let stop = |access: Access| async move {
                    let caller = Caller {
                        access: &access,
                        door,
                    };
                    client.stop_events(caller, page).await
                };
                match &disconnected.ended {
                    Some((_, grant)) => stop(access(grant, None)).await?,
                    None => {
                        let grant = disconnected.connection;
                        Box::pin(self.with_fresh_token_of(grant, door, stop)).await?
                    }
                };
            }
            Ok::<(), AccountsError>(())
        };
        let stopped = timeout(LONGEST_CALL, stopping).await;
        let stopped = stopped
            .unwrap_or_else(|_| Err(too_slow(Platform::Meta, "end of a page's events").into()));
        if let Err(error) = stopped {
            tracing::warn!(connection.id = %disconnected.connection, error = %queue::error_chain(&error),
                "a platform still sends events of a page that is disconnected");
        }
    }

    /// Ends an account, or all of a grant, in one transaction.
    async fn end(
        &self,
        connection: ConnectionId,
        one: Option<Uuid>,
        (reason, actor): (&str, &Actor),
    ) -> Result<Ended, AccountsError> {
        let connection = connection.0;
        let db = self.db();
        let ended = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            connections::lock(&mut *tx, &[connection]).await?;
            let ids = match one {
                Some(account) => vec![account],
                None => accounts::all_of(&mut *tx, connection).await?,
            };
            let status = NewStatus {
                status: AccountStatus::Disconnected.as_str(),
                actor: &actor.name,
                reason,
            };
            let accounts = accounts::set_status(&mut *tx, &ids, status).await?;
            Queue::unassign_budget_in(&mut tx, &names(&accounts)).await?;
            let grant = if accounts::is_left_empty(&mut *tx, connection).await? {
                connections::wipe(&mut tx, connection).await?
            } else {
                None
            };
            let of_grant = grant.as_ref().map(|_| connection);
            let answered: Vec<Uuid> = ids.iter().copied().chain(of_grant).collect();
            cache::forget(&mut *tx, &answered).await?;
            let pages = accounts::pages_left(&mut *tx, &ids).await?;
            let ended = Ended {
                accounts,
                pages,
                meant: ids,
                grant,
                is_shared: connections::is_shared(&mut *tx, connection).await?,
            };
            note(&mut tx, connection, &ended, (reason, actor)).await?;
            tx.commit().await?;
            session.done();
            Ok(ended)
        })
        .await?;
        Queue::count_deed(DEED);
        Ok(ended)
    }

    /// Cancels what waits for accounts, and then lets go what held it: in this order nothing of it starts.
    async fn clear_up(
        &self,
        connection: ConnectionId,
        ended: Ended,
        (reason, actor): (&str, &Actor),
    ) -> Result<Disconnected, AccountsError> {
        let names = names(&ended.meant);
        let cancelled_jobs = self
            .queue()
            .cancel_waiting_of(&names, reason, actor)
            .await?;
        let db = self.db();
        let released = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let released = Queue::release_accounts_in(&mut tx, &names, actor).await?;
            tx.commit().await?;
            session.done();
            Ok(released)
        })
        .await?;
        self.queue().wake(&released);
        let is_grant_ended = ended.grant.is_some();
        Ok(Disconnected {
            connection,
            pages: ended.pages,
            is_shared: ended.is_shared,
            accounts: ended.accounts.into_iter().map(AccountId).collect(),
            cancelled_jobs,
            is_grant_ended,
            ended: ended.grant.and_then(|row| self.last_tokens(row)),
        })
    }

    /// The tokens of a grant that has ended, for the platform; what does not open is only wiped.
    fn last_tokens(&self, row: HeldRow) -> Option<(Platform, Grant)> {
        let held = HeldGrant::of(row).ok()?;
        let connection = held.seen.connection;
        match self.vault().open_tokens(connection.0, &held.tokens) {
            Ok(grant) => Some((held.platform, grant)),
            Err(error) => {
                tracing::warn!(connection.id = %connection, error = %queue::error_chain(&error),
                    "a disconnected grant cannot be taken back at the platform, since its token does not open");
                None
            }
        }
    }
}

async fn note(
    conn: &mut PgConnection,
    connection: Uuid,
    ended: &Ended,
    (reason, actor): (&str, &Actor),
) -> Result<(), sqlx::Error> {
    if ended.accounts.is_empty() && ended.grant.is_none() {
        return Ok(());
    }
    let target = match ended.accounts.as_slice() {
        [account] => account.to_string(),
        _ => connection.to_string(),
    };
    let deed = Deed {
        action: DEED,
        target: Some(&target),
        reason: Some(reason),
        count: i64::try_from(ended.accounts.len()).unwrap_or(i64::MAX),
        detail: json!({"connection": connection, "secrets_wiped": ended.grant.is_some()}),
    };
    Queue::note_in(conn, deed, actor).await
}
