//! From events to deliveries, each with its job in one transaction; and endpoints that nothing gets through to.

use std::time::Duration;

use chrono::{DateTime, Utc};
use queue::{Queue, WhereOneWaits};
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    DELIVER, DisabledBy, EndpointId, Outbound, OutboundError, deliveries::job, shown_tenant,
    stored_word,
};
use crate::store::{
    LONG_DEADLINE, Session, outbound_deliveries, outbound_endpoints, within, within_deadline,
};

/// How many events are taken out in one transaction. A tenant's 50 endpoints may all want each of them, and as many jobs must
/// be stored before a statement is cut off.
const PORTION: i64 = 40;
/// Largest data of an event that a message holds, in bytes: receivers count on less than 20 kB.
const LARGEST_DATA: i32 = 16 * 1024;
/// Why an endpoint is switched off for what it does.
const ONLY_FAILS: &str = "a message was given up, and no other got through since it was sent first";

/// What came of a portion of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FannedOut {
    /// How many events were taken out.
    pub events: u64,
    /// How many deliveries they made.
    pub deliveries: u64,
    /// Whether there may be more.
    pub is_full: bool,
}

/// An endpoint that was switched off for what it did, and whose owner was not told yet.
#[derive(Debug, Clone)]
pub struct DisabledEndpoint {
    /// Which one.
    pub id: EndpointId,
    /// Whose it is.
    pub tenant: Option<String>,
    /// Where it is.
    pub url: String,
    /// Who is to be told.
    pub owner_email: String,
    /// When it was switched off.
    pub at: DateTime<Utc>,
    /// Why.
    pub by: DisabledBy,
}

impl Outbound {
    /// Takes a portion of events out, and makes a delivery of each for each endpoint of its tenant that wants it, with a job that
    /// sends it, all in one transaction: an event is told of by exactly those, at least once, or is still there. It may run
    /// beside itself.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn fan_out(&self) -> Result<FannedOut, OutboundError> {
        let db = self.db();
        let taken = within(LONG_DEADLINE, async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let taken = outbound_deliveries::take_events(&mut *tx, PORTION, LARGEST_DATA).await?;
            let due = taken.due.iter().zip(&taken.endpoints).zip(&taken.tenants);
            let jobs = due.map(|((delivery, endpoint), tenant)| job(*delivery, *endpoint, tenant));
            let deliver = (DELIVER, WhereOneWaits::KeepsIt);
            Queue::enqueue_in(&mut tx, deliver, jobs.collect()).await?;
            tx.commit().await?;
            session.done();
            Ok(taken)
        })
        .await?;
        if !taken.due.is_empty() {
            self.ring();
        }
        Ok(FannedOut {
            events: taken.events.unsigned_abs(),
            deliveries: taken.deliveries.unsigned_abs(),
            is_full: taken.events >= PORTION,
        })
    }

    /// Switches off endpoints to which nothing gets through: a delivery was given up, and nothing else succeeded since its first
    /// attempt. Tells how many.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn disable_failing(&self) -> Result<usize, OutboundError> {
        let db = self.db();
        let disabled = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let disabled = outbound_endpoints::disable_failing(conn, ONLY_FAILS).await?;
            session.done();
            Ok(disabled)
        })
        .await?;
        for endpoint in &disabled {
            tracing::info!(endpoint.id = %endpoint, "an endpoint that only failed was switched off");
        }
        Ok(disabled.len())
    }

    /// Up to 100 endpoints that were switched off for what they did and whose owners are to be told, behind one.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn untold(
        &self,
        after: Option<EndpointId>,
    ) -> Result<Vec<DisabledEndpoint>, OutboundError> {
        let after = after.map_or(Uuid::nil(), |after| after.0);
        let db = self.db();
        let untold = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = outbound_endpoints::untold(session.connection(), after).await?;
            session.done();
            let untold = rows.into_iter().map(|row| {
                Ok(DisabledEndpoint {
                    id: EndpointId(row.id),
                    tenant: shown_tenant(row.tenant),
                    url: row.url,
                    owner_email: row.owner_email,
                    at: row.disabled_at,
                    by: stored_word(&row.disabled_by)?,
                })
            });
            untold.collect::<Result<Vec<_>, sqlx::Error>>()
        });
        Ok(untold.await?)
    }

    /// Remembers that an owner was told of this switching off.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn owner_was_told(&self, endpoint: &DisabledEndpoint) -> Result<(), OutboundError> {
        let db = self.db();
        let told = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            outbound_endpoints::was_told(conn, endpoint.id.0, endpoint.at).await?;
            session.done();
            Ok(())
        });
        Ok(told.await?)
    }

    /// Deletes a portion of the deliveries that were made so long ago, and secrets that have ended; tells how many of each.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn prune(&self, keep: Duration) -> Result<(u64, u64), OutboundError> {
        let keep_s = keep.as_secs_f64();
        let db = self.db();
        let pruned = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let deliveries = outbound_deliveries::prune(session.connection(), keep_s).await?;
            let secrets = outbound_endpoints::prune_secrets(session.connection()).await?;
            session.done();
            Ok((deliveries, secrets))
        });
        Ok(pruned.await?)
    }
}
