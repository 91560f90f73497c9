//! How long events, leads and engagements are kept.

use std::time::Duration;

use serde::Serialize;

use super::Inbound;
use crate::{
    accounts::AccountsError,
    store::{Session, inbound_events, leads, social_engagements, within_deadline},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainedInbound {
    /// Events, by which copies are known: platforms send them again for a day and a half.
    pub events: Duration,
    /// Leads, from when they became known.
    pub leads: Duration,
    /// Ids of leads that were to be forgotten: platforms tell of leads for 90 days.
    pub forgotten_leads: Duration,
    /// What people said and did, from when it became known.
    pub engagements: Duration,
}

impl Default for RetainedInbound {
    fn default() -> Self {
        Self {
            events: DAY * 14,
            leads: DAY * 730,
            forgotten_leads: DAY * 100,
            engagements: DAY * 365,
        }
    }
}

/// What a round deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PrunedInbound {
    /// Events.
    pub events: u64,
    /// Leads.
    pub leads: u64,
    /// Ids of leads that were to be forgotten.
    pub forgotten_leads: u64,
    /// Engagements.
    pub engagements: u64,
}

impl PrunedInbound {
    /// Whether there is nothing left to delete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        *self == Self::default()
    }

    /// This round with one that came after it.
    #[must_use]
    pub fn and_then(self, next: Self) -> Self {
        Self {
            events: self.events + next.events,
            leads: self.leads + next.leads,
            forgotten_leads: self.forgotten_leads + next.forgotten_leads,
            engagements: self.engagements + next.engagements,
        }
    }
}

impl Inbound {
    /// One round of cleaning up: some thousands of each sort. It may run beside itself.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn prune(&self, keep: &RetainedInbound) -> Result<PrunedInbound, AccountsError> {
        let db = self.0.db();
        let pruned = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let pruned = PrunedInbound {
                events: inbound_events::prune(&mut *conn, keep.events.as_secs_f64()).await?,
                leads: leads::prune(&mut *conn, keep.leads.as_secs_f64()).await?,
                forgotten_leads: leads::prune_forgotten(
                    &mut *conn,
                    keep.forgotten_leads.as_secs_f64(),
                )
                .await?,
                engagements: social_engagements::prune(conn, keep.engagements.as_secs_f64())
                    .await?,
            };
            session.done();
            Ok(pruned)
        });
        Ok(pruned.await?)
    }
}
