//! Which Pages events are asked for, and up to when all of their leads have been read.

use chrono::{DateTime, Utc};

use super::Inbound;
use crate::{
    accounts::{AccountId, AccountsError},
    store::{
        Session,
        page_subscriptions::{self, SubscriptionRow},
        within_deadline,
    },
};

/// How a Page stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageSubscription {
    /// When the platform last said that it sends events; `None`: never.
    pub subscribed_at: Option<DateTime<Utc>>,
    /// Leads that were made before have been read; `None`: none were.
    pub leads_read_to: Option<DateTime<Utc>>,
}

impl Inbound {
    /// How a Page stands.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn subscription(&self, page: AccountId) -> Result<PageSubscription, AccountsError> {
        let db = self.0.db();
        let row = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let row = page_subscriptions::get(session.connection(), page.0).await?;
            session.done();
            Ok(row)
        });
        Ok(row.await?.map(subscription).unwrap_or_default())
    }

    /// Remembers that the platform sends events of a Page.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn subscribed(&self, page: AccountId) -> Result<(), AccountsError> {
        let db = self.0.db();
        let noted = within_deadline(async {
            let mut session = Session::open(&db).await?;
            page_subscriptions::subscribed(session.connection(), page.0).await?;
            session.done();
            Ok(())
        });
        Ok(noted.await?)
    }

    /// Remembers that the leads of a Page that were made before have been read.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn leads_were_read(
        &self,
        page: AccountId,
        up_to: DateTime<Utc>,
    ) -> Result<(), AccountsError> {
        let db = self.0.db();
        let noted = within_deadline(async {
            let mut session = Session::open(&db).await?;
            page_subscriptions::leads_were_read(session.connection(), page.0, up_to).await?;
            session.done();
            Ok(())
        });
        Ok(noted.await?)
    }
}

fn subscription(row: SubscriptionRow) -> PageSubscription {
    PageSubscription {
        subscribed_at: row.subscribed_at,
        leads_read_to: row.leads_read_to,
    }
}
