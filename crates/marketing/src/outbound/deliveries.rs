//! What endpoints were told and how that went; trying one out; sending again what did not get through.

use chrono::{DateTime, SecondsFormat, Utc};
use queue::{Actor, JoinedJob, Page, PageRequest, Queue, WhereOneWaits};
use serde_json::{Value, json};
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    DELIVER, Delivery, DeliveryId, DeliveryState, EndpointId, Outbound, OutboundError, SentAgain,
    TEST_EVENT, acting_for, endpoints::note, shown_tenant, stored_word,
};
use crate::store::{
    Session,
    outbound_deliveries::{self, DeliveryRow},
    within_deadline,
};

/// Begins the cursors of this list.
const LIST: &str = "delivery";
/// How many deliveries are put on their way in one transaction.
const PORTION: i64 = 500;
/// Most deliveries that one request sends again.
const MOST_AGAIN: u64 = 10_000;

impl Outbound {
    /// A page of an endpoint's deliveries, the newest first.
    ///
    /// # Errors
    /// [`OutboundError::NotFound`], [`OutboundError::Engine`] for a cursor of another list.
    pub async fn deliveries(
        &self,
        endpoint: EndpointId,
        tenant: Option<&str>,
        (state, page): (Option<DeliveryState>, &PageRequest),
    ) -> Result<Page<Delivery>, OutboundError> {
        let endpoint = self.get(endpoint, tenant).await?.id.0;
        let state = state.map(DeliveryState::as_str);
        let which = (page.number(LIST)?, page.rows());
        let db = self.db();
        let rows = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let rows = outbound_deliveries::list(conn, endpoint, state, which).await?;
            session.done();
            rows.into_iter()
                .map(delivery)
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(rows, page, LIST, |delivery: &Delivery| {
            delivery.seq.to_string()
        }))
    }

    /// Sends an endpoint a message that tells of nothing, also where it is switched off.
    ///
    /// # Errors
    /// [`OutboundError::NotFound`].
    pub async fn test(
        &self,
        id: EndpointId,
        now: DateTime<Utc>,
        actor: &Actor,
    ) -> Result<Delivery, OutboundError> {
        let endpoint = self.get(id, actor.tenant.as_deref()).await?;
        let tenant = endpoint.tenant.as_deref().unwrap_or_default();
        let body = json!({
            "type": TEST_EVENT,
            "timestamp": now.to_rfc3339_opts(SecondsFormat::Millis, true),
            "data": { "endpoint_id": id.0 },
        });
        let body = body.to_string();
        let noted = acting_for(actor, tenant);
        let db = self.db();
        let made = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let message = (TEST_EVENT, body.as_str());
            let made = outbound_deliveries::insert_test(&mut *tx, (id.0, tenant), message).await?;
            let job = job(made, id.0, tenant);
            let deliver = (DELIVER, WhereOneWaits::KeepsIt);
            Queue::enqueue_in(&mut tx, deliver, vec![job]).await?;
            note(&mut tx, ("webhook_endpoint.test", id.0, json!({})), &noted).await?;
            let row = outbound_deliveries::get(&mut *tx, made).await?;
            tx.commit().await?;
            session.done();
            row.map(delivery).transpose()
        })
        .await?;
        Queue::count_deed("webhook_endpoint.test");
        self.ring();
        made.ok_or(OutboundError::NotFound)
    }

    /// Sends again what did not get through of the events that were taken up since a time and before another one: what was given
    /// up, what the endpoint missed while it was switched off, and what waits. The messages bear the ids that they had.
    ///
    /// # Errors
    /// [`OutboundError::NotFound`], [`OutboundError::Disabled`], [`OutboundError::Invalid`] for a span that ends before it begins.
    pub async fn send_again(
        &self,
        id: EndpointId,
        (since, until): (DateTime<Utc>, DateTime<Utc>),
        actor: &Actor,
    ) -> Result<SentAgain, OutboundError> {
        if until <= since {
            return Err(OutboundError::invalid("/until", "must be after since"));
        }
        let endpoint = self.get(id, actor.tenant.as_deref()).await?;
        if !endpoint.is_enabled {
            return Err(OutboundError::Disabled);
        }
        let tenant = endpoint.tenant.as_deref().unwrap_or_default();
        let noted = acting_for(actor, tenant);
        let (mut count, mut after) = (0, 0);
        let is_all = loop {
            let portion = self.send_portion(id, (since, until), (tenant, after));
            let (sent, last) = portion.await?;
            count += sent;
            after = last;
            if sent < PORTION.unsigned_abs() {
                break true;
            }
            if count >= MOST_AGAIN {
                break false;
            }
        };
        let detail = json!({ "since": since, "until": until, "deliveries": count });
        let db = self.db();
        let done = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            note(&mut tx, ("webhook_endpoint.replay", id.0, detail), &noted).await?;
            tx.commit().await?;
            session.done();
            Ok(())
        });
        done.await?;
        Queue::count_deed("webhook_endpoint.replay");
        self.ring();
        Ok(SentAgain { count, is_all })
    }

    /// Puts a portion of deliveries on their way again, behind a place in their order; tells how many, and the last place.
    async fn send_portion(
        &self,
        id: EndpointId,
        span: (DateTime<Utc>, DateTime<Utc>),
        (tenant, after): (&str, i64),
    ) -> Result<(u64, i64), OutboundError> {
        let db = self.db();
        let sent = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let which = (after, PORTION);
            let mut rows = outbound_deliveries::send_again(&mut *tx, id.0, span, which).await?;
            rows.sort_by_key(|row| row.seq);
            let last = rows.last().map_or(after, |row| row.seq);
            let jobs: Vec<JoinedJob> = rows.iter().map(|row| job(row.id, id.0, tenant)).collect();
            let sent = jobs.len() as u64;
            // What waits for its next attempt, up to a day, is wanted now.
            let deliver = (DELIVER, WhereOneWaits::TakesItsPlace);
            Queue::enqueue_in(&mut tx, deliver, jobs).await?;
            tx.commit().await?;
            session.done();
            Ok((sent, last))
        });
        Ok(sent.await?)
    }

    pub(super) fn ring(&self) {
        self.0.queue().ring_for(DELIVER);
    }
}

/// The job that sends a delivery. Its key is the endpoint, so that jobs.toml can limit how many go to one at a time.
pub(super) fn job(delivery: Uuid, endpoint: Uuid, tenant: &str) -> JoinedJob {
    JoinedJob {
        payload: json!({ "delivery_id": delivery }),
        tenant: shown_tenant(tenant.to_owned()),
        key: Some(endpoint.to_string()),
    }
}

fn delivery(row: DeliveryRow) -> Result<Delivery, sqlx::Error> {
    Ok(Delivery {
        id: DeliveryId(row.id),
        seq: row.seq,
        event: row.event,
        state: stored_word(&row.state)?,
        attempts: row.attempts,
        log: attempts(row.log),
        created_at: row.created_at,
        ended_at: row.ended_at,
    })
}

/// What another release has written in another form is left out.
fn attempts(log: Value) -> Vec<super::DeliveryAttempt> {
    serde_json::from_value(log).unwrap_or_default()
}
