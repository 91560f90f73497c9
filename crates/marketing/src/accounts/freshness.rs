//! Lists of accounts with how fresh what is stored of them is.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use queue::{AdminError, Page, PageRequest};
use serde::Serialize;
use uuid::Uuid;

use super::{Account, AccountFilter, AccountOrder, Accounts, AccountsError, show::account};
use crate::store::{
    Session, accounts,
    freshness::{self, AsOfRow, BehindQuery},
    within_deadline,
};

/// Begins the cursors of the list of accounts that are behind.
const LIST: &str = "behind";
/// Stands between the parts of a place in it.
const JOINT: char = '_';

/// An account with how fresh what is stored of it is.
#[derive(Debug, Clone, Serialize)]
pub struct ListedAccount {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// `None`: it is no ad account, and no objective counts it.
    pub as_of: Option<StoredAsOf>,
}

/// As of when what is stored of an ad account is: when its newest reading that was stored whole began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StoredAsOf {
    /// What it holds; `None`: it was not read whole within the time for which syncs are kept.
    pub entities: Option<DateTime<Utc>>,
    /// Its newest figures, of the level for which that is longest ago, and of past days no later than their end; `None`:
    /// some level was never read.
    pub figures: Option<DateTime<Utc>>,
    /// The older of both; what was never read counts from when the account was found.
    pub all: DateTime<Utc>,
    /// How long ago that is, in seconds.
    pub behind_s: u64,
}

impl Accounts {
    /// A page of accounts in this order. Of those most behind it has the ones that are synced: while one looks, an account
    /// that is read goes to the end.
    ///
    /// # Errors
    /// [`AccountsError::Engine`] for a cursor of another list.
    pub async fn listed(
        &self,
        filter: &AccountFilter,
        order: AccountOrder,
        page: &PageRequest,
    ) -> Result<Page<ListedAccount>, AccountsError> {
        match order {
            AccountOrder::Found => self.as_found(filter, page).await,
            AccountOrder::Behind => self.most_behind(filter, page).await,
        }
    }

    async fn as_found(
        &self,
        filter: &AccountFilter,
        page: &PageRequest,
    ) -> Result<Page<ListedAccount>, AccountsError> {
        let found = self.list(filter, page).await?;
        let ids: Vec<Uuid> = found.items.iter().map(|account| account.id.0).collect();
        let db = self.db();
        let rows = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = freshness::of(session.connection(), &ids).await?;
            session.done();
            Ok(rows)
        })
        .await?;
        let rows = rows.iter();
        let as_of: HashMap<Uuid, StoredAsOf> = rows.map(|row| (row.account, row.into())).collect();
        let listed = found.items.into_iter().map(|account| ListedAccount {
            as_of: as_of.get(&account.id.0).copied(),
            account,
        });
        Ok(Page {
            items: listed.collect(),
            next: found.next,
        })
    }

    async fn most_behind(
        &self,
        filter: &AccountFilter,
        page: &PageRequest,
    ) -> Result<Page<ListedAccount>, AccountsError> {
        let query = BehindQuery {
            tenant: filter.tenant.as_deref(),
            platform: filter.platform.map(|platform| platform.as_str()),
            status: filter.status.map(|status| status.as_str()),
            connection: filter.connection.map(|connection| connection.0),
            after: after(page)?,
            limit: page.rows(),
        };
        let db = self.db();
        let (behind, mut known) = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let behind = freshness::most_behind(session.connection(), &query).await?;
            let ids: Vec<Uuid> = behind.iter().map(|row| row.account).collect();
            let rows = accounts::these(session.connection(), &ids).await?;
            session.done();
            let mut known: HashMap<Uuid, Account> = HashMap::new();
            for row in rows {
                known.insert(row.id, account(row)?);
            }
            Ok((behind, known))
        })
        .await?;
        let behind = Page::cut(behind, page, LIST, place_of);
        let listed = behind.items.iter().filter_map(|row| {
            Some(ListedAccount {
                account: known.remove(&row.account)?,
                as_of: Some(row.into()),
            })
        });
        Ok(Page {
            items: listed.collect(),
            next: behind.next,
        })
    }
}

impl From<&AsOfRow> for StoredAsOf {
    fn from(row: &AsOfRow) -> Self {
        let behind_s = (row.now - row.all).num_seconds();
        Self {
            entities: row.entities,
            figures: row.figures,
            all: row.all,
            behind_s: behind_s.max(0).unsigned_abs(),
        }
    }
}

fn place_of(row: &AsOfRow) -> String {
    let (as_of, account) = (row.all.timestamp_micros(), row.account);
    format!("{as_of}{JOINT}{account}")
}

/// Where a page begins; `None`: it is the first one.
fn after(page: &PageRequest) -> Result<Option<(DateTime<Utc>, Uuid)>, AdminError> {
    let Some(place) = page.text(LIST)? else {
        return Ok(None);
    };
    let parts = place.split_once(JOINT).and_then(|(as_of, account)| {
        let as_of = DateTime::from_timestamp_micros(as_of.parse().ok()?)?;
        // The database knows no times as old as can be written here.
        let is_storable = as_of >= DateTime::UNIX_EPOCH;
        is_storable.then_some((as_of, Uuid::try_parse(account).ok()?))
    });
    let is_wrong = || AdminError::Invalid {
        pointer: "cursor".to_owned(),
        message: "is not one of this list".to_owned(),
    };
    parts.map(Some).ok_or_else(is_wrong)
}
