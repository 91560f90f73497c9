//! What a grant reaches: asked of the platform, page by page, and kept.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use providers::{
    Error as ProviderError,
    platform::{Access, AdPlatform, Caller, Cursor, Door, Platform},
};
use queue::{Actor, Queue, Released};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    AccountKind, AccountStatus, Accounts, AccountsError, ConnectionId, FoundAccount,
    connect::end_left_empty,
    status::{follow, names},
    token::Whose,
};
use crate::store::{
    Session,
    accounts::{self, FoundRows, NewStatus},
    cache,
    connections::{self, HeldRow},
    within_deadline,
};

/// Most pages of a list, and longest time for all of them: what is left is found the next day.
const MOST_PAGES: usize = 100;
const LONGEST_LIST: Duration = Duration::from_secs(60);
/// Most characters of a text of the platform's that are kept.
const LONGEST_TEXT: usize = 500;

/// What a platform lists of a grant; nothing, and not to its end, where it does not tell.
#[derive(Default)]
pub(super) struct Found {
    pub(super) accounts: Vec<FoundAccount>,
    /// The list was read to its end.
    pub(super) is_whole: bool,
}

impl Accounts {
    /// Looks again what a grant reaches: what is new is kept, switched on unless the grant was given for accounts that were
    /// named; what it does not reach any more is marked.
    /// Accounts that somebody disconnected stay that. Tells how many are new.
    ///
    /// # Errors
    /// As [`Self::with_fresh_token`].
    pub async fn discover(
        &self,
        connection: ConnectionId,
        door: &dyn Door,
        actor: &Actor,
    ) -> Result<usize, AccountsError> {
        let whose = Whose::Grant(connection);
        let platform = self.grant(whose).await?.platform;
        let client = self.client(platform)?;
        let look = |access: Access| async move { list(client, &access, door).await };
        let found = self.with_token_of(whose, door, look).await?;
        let whole = found.is_whole.then_some(AccountKind::AdAccount);
        self.keep_found(connection, found.accounts, whole, actor)
            .await
    }

    /// Keeps accounts that a grant was found to reach; where they are all that there are of a sort, others of that sort are
    /// marked as vanished. An empty list is not believed, since it may be a fault of the platform's. Accounts of another grant
    /// stay with it, unless this one was given in its place and is listed for the first time: then it is as if they had been
    /// found when it was connected. A grant that was disconnected meanwhile gets none, and one whose accounts all belong to
    /// others loses its secrets. Tells how many are new.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn keep_found(
        &self,
        connection: ConnectionId,
        found: Vec<FoundAccount>,
        all_of: Option<AccountKind>,
        actor: &Actor,
    ) -> Result<usize, AccountsError> {
        let rows = found_rows(found);
        let connection = connection.0;
        let db = self.db();
        let (new, released) = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            if all_of == Some(AccountKind::AdAccount) {
                connections::wait_to_connect_for(&mut *tx, connection).await?;
            }
            connections::lock(&mut *tx, &[connection]).await?;
            let grant = connections::held(&mut *tx, connection, 0.0).await?;
            let is_in_use = |grant: &HeldRow| grant.status != AccountStatus::Disconnected.as_str();
            let Some(grant) = grant.filter(is_in_use) else {
                tx.rollback().await?;
                session.done();
                return Ok((0, Released::default()));
            };
            let kept = keep(&mut tx, &grant, (&rows, all_of), actor).await?;
            tx.commit().await?;
            session.done();
            Ok(kept)
        })
        .await?;
        self.queue().wake(&released);
        Ok(new)
    }
}

/// Keeps what a grant was found to reach, in a transaction that has it locked; tells how many of it are new.
async fn keep(
    conn: &mut PgConnection,
    grant: &HeldRow,
    (rows, all_of): (&FoundRows, Option<AccountKind>),
    actor: &Actor,
) -> Result<(usize, Released), sqlx::Error> {
    let connection = grant.id;
    let is_first = all_of == Some(AccountKind::AdAccount)
        && connections::is_looked_at_first(&mut *conn, connection).await?;
    let before = if is_first {
        take_the_place(conn, connection, rows).await?
    } else {
        Vec::new()
    };
    let noted = (false, actor.name.as_str());
    accounts::note_platform_statuses(&mut *conn, connection, rows, noted).await?;
    let own = accounts::found(&mut *conn, connection, rows, false).await?;
    // Those that have the ids made for them were not known.
    let new = own.iter().copied().filter(|id| rows.ids.contains(id));
    let new: Vec<Uuid> = new.collect();
    let standing = match is_first {
        true => accounts::not_left_since(&mut *conn, &own).await?,
        false => new.clone(),
    };
    let status = NewStatus {
        status: &grant.status,
        actor: &actor.name,
        reason: "found",
    };
    accounts::set_status(&mut *conn, &standing, status).await?;
    Queue::assign_budget_in(conn, &names(&standing), &grant.platform).await?;
    if let Some(kind) = all_of.filter(|_| !rows.ids.is_empty()) {
        accounts::vanish(&mut *conn, connection, kind.as_str(), &own).await?;
        connections::listed(&mut *conn, connection).await?;
        if kind == AccountKind::AdAccount && own.is_empty() {
            end_if_useless(conn, grant).await?;
        }
    }
    let mut released = Released::default();
    if is_first {
        end_left_empty(conn, &before).await?;
        let because = ("found", actor);
        released = follow(conn, connection, AccountStatus::Active, because).await?;
    }
    Ok((new.len(), released))
}

/// Takes over what somebody has connected again whose platform did not tell then what the grant reaches. Tells by which grants
/// that was reached.
async fn take_the_place(
    conn: &mut PgConnection,
    connection: Uuid,
    rows: &FoundRows,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let others = accounts::other_connections(&mut *conn, connection, rows).await?;
    connections::lock(&mut *conn, &others).await?;
    let before = accounts::hand_over(&mut *conn, connection, rows).await?;
    connections::inherit_owner(&mut *conn, connection, &before).await?;
    let own = accounts::all_of(&mut *conn, connection).await?;
    let answered: Vec<Uuid> = own.iter().chain(&before).copied().collect();
    cache::forget(&mut *conn, &answered).await?;
    Ok(before)
}

/// Takes the secrets of a grant that has no account and whose accounts all are those of others: it is what is left of somebody's
/// first try. Not at Meta, where it may reach Pages beside.
async fn end_if_useless(conn: &mut PgConnection, grant: &HeldRow) -> Result<(), sqlx::Error> {
    if grant.platform == Platform::Meta.as_str() {
        return Ok(());
    }
    end_left_empty(conn, &[grant.id]).await
}

/// The ad accounts that a grant reaches.
pub(super) async fn list(
    client: &dyn AdPlatform,
    access: &Access,
    door: &dyn Door,
) -> Result<Found, ProviderError> {
    let caller = Caller { access, door };
    let began = Instant::now();
    let mut found = Found {
        accounts: Vec::new(),
        is_whole: false,
    };
    let mut after: Option<Cursor> = None;
    for _ in 0..MOST_PAGES {
        let page = client.accounts(caller, after.as_ref()).await?;
        found
            .accounts
            .extend(page.items.into_iter().map(FoundAccount::from));
        after = page.next;
        if after.is_none() {
            found.is_whole = true;
            break;
        }
        if began.elapsed() > LONGEST_LIST {
            break;
        }
    }
    Ok(found)
}

/// Ad accounts of a grant, by their ids. Which manager an account is reached through only the list tells: one that cannot be
/// asked about by its id alone is looked for there.
pub(super) async fn these(
    client: &dyn AdPlatform,
    (access, door): (&Access, &dyn Door),
    ids: &[String],
) -> Result<Found, ProviderError> {
    let caller = Caller { access, door };
    let mut found = Found {
        accounts: Vec::with_capacity(ids.len()),
        is_whole: false,
    };
    let mut listed: Option<Vec<FoundAccount>> = None;
    for id in ids {
        let refusal = match client.account(caller, id).await {
            Ok(account) => {
                found.accounts.push(account.into());
                continue;
            }
            Err(error @ ProviderError::Permission { .. }) => error,
            Err(error) => return Err(error),
        };
        let all = match &mut listed {
            Some(all) => all,
            None => listed.insert(list(client, access, door).await?.accounts),
        };
        let plain = id.replace('-', "");
        let reached = all.iter().position(|it| it.external_id == plain);
        let reached = reached.ok_or(refusal)?;
        found.accounts.push(all.swap_remove(reached));
    }
    Ok(found)
}

/// Accounts as they are stored, each once, with ids for those that are new.
pub(super) fn found_rows(found: Vec<FoundAccount>) -> FoundRows {
    let each: BTreeMap<(AccountKind, String), FoundAccount> = found
        .into_iter()
        .map(|account| ((account.kind, account.external_id.clone()), account))
        .collect();
    let mut rows = FoundRows::default();
    for account in each.into_values() {
        rows.ids.push(Uuid::now_v7());
        rows.external_ids.push(storable(&account.external_id));
        rows.kinds.push(account.kind.as_str().to_owned());
        rows.names.push(storable(&account.name));
        rows.currencies
            .push(account.currency.as_deref().map(storable));
        rows.time_zones
            .push(account.time_zone.as_deref().map(storable));
        rows.managers.push(account.manager.as_deref().map(storable));
        let status = account.platform_status.as_deref();
        rows.platform_statuses.push(status.map(storable));
    }
    rows
}

fn storable(text: &str) -> String {
    let kept = text.chars().filter(|c| *c != '\0');
    kept.take(LONGEST_TEXT).collect()
}
