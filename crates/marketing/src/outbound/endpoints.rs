//! Making endpoints, looking at them, and changing what somebody decides about them.

use std::time::Duration;

use providers::{mail::is_address, webhook::ChosenBy};
use queue::{Actor, Deed, Page, PageRequest, Queue};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    EVENTS, Endpoint, EndpointChange, EndpointId, NewEndpoint, Outbound, OutboundError, acting_for,
    secrets::new_secret, shown_tenant,
};
use crate::store::{
    Session,
    outbound_endpoints::{self, ChangeRow, EndpointRow, NewRow},
    within_deadline,
};

/// Most endpoints of one tenant: each event may become a call to each of them.
const MOST_ENDPOINTS: i64 = 50;
/// Longest name of a tenant, in characters, as of jobs.
const LONGEST_TENANT: usize = 255;
/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 200;
/// Begins the cursors of this list.
const LIST: &str = "endpoint";
/// Why an endpoint is switched off by those who may.
const ASKED_FOR: &str = "switched off by request";
/// For how long at most an old secret goes on beside the new one.
pub(super) const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Outbound {
    /// Makes an endpoint; its secret is told here and nowhere else.
    ///
    /// # Errors
    /// [`OutboundError::Invalid`], [`OutboundError::TooMany`], [`OutboundError::NoKeys`].
    pub async fn create(
        &self,
        new: &NewEndpoint,
        actor: &Actor,
    ) -> Result<(Endpoint, SecretString), OutboundError> {
        check_tenant(new.tenant.as_deref())?;
        let url = self.check_url(&new.url)?;
        check_description(&new.description)?;
        check_events(&new.events)?;
        check_address(new.owner_email.as_deref())?;
        let (secret, sealed) = new_secret(self.cipher()?);
        let tenant = new.tenant.as_deref().unwrap_or_default();
        let row = NewRow {
            id: Uuid::now_v7(),
            tenant,
            url: &url,
            description: &new.description,
            events: &new.events,
            owner_email: new.owner_email.as_deref().filter(|email| !email.is_empty()),
        };
        let noted = acting_for(actor, tenant);
        let db = self.db();
        let is_made = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            outbound_endpoints::wait_to_add(&mut *tx, tenant).await?;
            let is_made = outbound_endpoints::insert(&mut *tx, &row, MOST_ENDPOINTS).await?;
            if is_made {
                outbound_endpoints::insert_secret(&mut *tx, row.id, &sealed).await?;
                let detail = json!({ "events": new.events });
                note(&mut tx, ("webhook_endpoint.create", row.id, detail), &noted).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(is_made)
        })
        .await?;
        if !is_made {
            return Err(OutboundError::TooMany(MOST_ENDPOINTS));
        }
        Queue::count_deed("webhook_endpoint.create");
        Ok((self.get(EndpointId(row.id), None).await?, secret))
    }

    /// An endpoint.
    ///
    /// # Errors
    /// [`OutboundError::NotFound`], also for another tenant's.
    pub async fn get(
        &self,
        id: EndpointId,
        tenant: Option<&str>,
    ) -> Result<Endpoint, OutboundError> {
        let db = self.db();
        let found = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let row = outbound_endpoints::get(session.connection(), id.0, tenant).await?;
            session.done();
            row.map(endpoint).transpose()
        })
        .await?;
        found.ok_or(OutboundError::NotFound)
    }

    /// A page of endpoints, in the order in which they were made, of one tenant or of all.
    ///
    /// # Errors
    /// [`OutboundError::Engine`] for a cursor of another list.
    pub async fn list(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Endpoint>, OutboundError> {
        let after = page.id(LIST)?;
        let db = self.db();
        let rows = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let rows = outbound_endpoints::list(conn, tenant, after, page.rows()).await?;
            session.done();
            rows.into_iter()
                .map(endpoint)
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(rows, page, LIST, |endpoint: &Endpoint| {
            endpoint.id.to_string()
        }))
    }

    /// Changes what somebody decides about an endpoint. One that is switched on is told of what happens from then on; what it
    /// missed is sent when somebody asks for it.
    ///
    /// # Errors
    /// [`OutboundError::NotFound`], [`OutboundError::Invalid`].
    pub async fn change(
        &self,
        id: EndpointId,
        new: &EndpointChange,
        actor: &Actor,
    ) -> Result<Endpoint, OutboundError> {
        let tenant = actor.tenant.as_deref();
        let known = self.get(id, tenant).await?;
        let url = new.url.as_deref().map(|url| self.check_url(url));
        let url = url.transpose()?;
        new.description
            .as_deref()
            .map_or(Ok(()), check_description)?;
        new.events.as_deref().map_or(Ok(()), check_events)?;
        check_address(new.owner_email.as_deref())?;
        let row = ChangeRow {
            url: url.as_deref(),
            description: new.description.as_deref(),
            events: new.events.as_deref(),
            owner_email: new.owner_email.as_deref(),
        };
        let detail = json!({
            "url_changed": url.is_some(),
            "events": new.events,
            "owner_changed": new.owner_email.is_some(),
            "enabled": new.is_enabled,
        });
        let noted = acting_for(actor, known.tenant.as_deref().unwrap_or_default());
        let db = self.db();
        let is_there = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let is_there = outbound_endpoints::lock(&mut *tx, id.0).await?;
            if is_there {
                outbound_endpoints::change(&mut *tx, id.0, &row).await?;
                match new.is_enabled {
                    Some(true) => outbound_endpoints::enable(&mut *tx, id.0).await?,
                    Some(false) => {
                        let why = ("request", ASKED_FOR);
                        outbound_endpoints::disable(&mut *tx, id.0, why).await?;
                    }
                    None => {}
                }
                note(&mut tx, ("webhook_endpoint.update", id.0, detail), &noted).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(is_there)
        });
        if !is_there.await? {
            return Err(OutboundError::NotFound);
        }
        Queue::count_deed("webhook_endpoint.update");
        self.get(id, tenant).await
    }

    /// Deletes an endpoint. What waits for it is not sent.
    ///
    /// # Errors
    /// [`OutboundError::NotFound`].
    pub async fn delete(&self, id: EndpointId, actor: &Actor) -> Result<Endpoint, OutboundError> {
        let known = self.get(id, actor.tenant.as_deref()).await?;
        let noted = acting_for(actor, known.tenant.as_deref().unwrap_or_default());
        let db = self.db();
        let is_deleted = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let is_deleted = outbound_endpoints::delete(&mut *tx, id.0).await?;
            if is_deleted {
                let deed = ("webhook_endpoint.delete", id.0, json!({}));
                note(&mut tx, deed, &noted).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(is_deleted)
        })
        .await?;
        if !is_deleted {
            return Err(OutboundError::NotFound);
        }
        Queue::count_deed("webhook_endpoint.delete");
        Ok(known)
    }

    /// Gives an endpoint a new secret, which is told here and nowhere else. Messages are signed with the old one too, for so long,
    /// so that the receiver can change over. Of two changes at a time the later one ends the secret of the other, too.
    ///
    /// # Errors
    /// [`OutboundError::NotFound`], [`OutboundError::NoKeys`], [`OutboundError::Invalid`] for more than 7 days.
    pub async fn rotate_secret(
        &self,
        id: EndpointId,
        overlap: Duration,
        actor: &Actor,
    ) -> Result<(Endpoint, SecretString), OutboundError> {
        if overlap > LONGEST_OVERLAP {
            return Err(OutboundError::invalid("/overlap", "must be at most 7 days"));
        }
        let known = self.get(id, actor.tenant.as_deref()).await?;
        let (secret, sealed) = new_secret(self.cipher()?);
        let noted = acting_for(actor, known.tenant.as_deref().unwrap_or_default());
        let detail = json!({ "overlap_s": overlap.as_secs() });
        let db = self.db();
        let is_there = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            // Whoever did not wait would not see the secret that the other one is just making, which would never end.
            let is_there = outbound_endpoints::lock(&mut *tx, id.0).await?;
            if is_there {
                outbound_endpoints::end_secrets(&mut *tx, id.0, overlap.as_secs_f64()).await?;
                outbound_endpoints::insert_secret(&mut *tx, id.0, &sealed).await?;
                let deed = ("webhook_endpoint.rotate_secret", id.0, detail);
                note(&mut tx, deed, &noted).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(is_there)
        });
        if !is_there.await? {
            return Err(OutboundError::NotFound);
        }
        Queue::count_deed("webhook_endpoint.rotate_secret");
        Ok((known, secret))
    }

    /// The address in its canonical form, if it may be called as far as its text tells; what its name resolves to is looked at
    /// whenever it is called.
    fn check_url(&self, url: &str) -> Result<String, OutboundError> {
        let policy = &self.0.settings().outbound;
        match policy.check(url, ChosenBy::Requester) {
            Ok(url) => Ok(url.into()),
            Err(refusal) => Err(OutboundError::invalid("/url", refusal.to_string())),
        }
    }
}

/// Notes what somebody did to an endpoint.
pub(super) async fn note(
    conn: &mut PgConnection,
    (action, endpoint, detail): (&'static str, Uuid, Value),
    actor: &Actor,
) -> Result<(), sqlx::Error> {
    let target = endpoint.to_string();
    let deed = Deed {
        action,
        target: Some(&target),
        reason: None,
        count: 1,
        detail,
    };
    Queue::note_in(conn, deed, actor).await
}

/// Refuses a tenant that no job could belong to.
fn check_tenant(tenant: Option<&str>) -> Result<(), OutboundError> {
    let is_name = |tenant: &str| {
        (1..=LONGEST_TENANT).contains(&tenant.chars().count())
            && !tenant.chars().any(char::is_control)
    };
    if tenant.is_none_or(is_name) {
        return Ok(());
    }
    Err(OutboundError::invalid(
        "/tenant",
        "must have 1 to 255 characters, none of them a control character",
    ))
}

fn check_description(text: &str) -> Result<(), OutboundError> {
    if text.chars().count() > LONGEST_DESCRIPTION || text.chars().any(char::is_control) {
        return Err(OutboundError::invalid(
            "/description",
            "must have at most 200 characters, none of them a control character",
        ));
    }
    Ok(())
}

fn check_events(events: &[String]) -> Result<(), OutboundError> {
    let is_known = |event: &String| EVENTS.contains(&event.as_str());
    if events.len() <= EVENTS.len() && events.iter().all(is_known) {
        return Ok(());
    }
    let known = EVENTS.join(", ");
    Err(OutboundError::invalid(
        "/events",
        format!("must each be one of {known}; none stands for all"),
    ))
}

/// Refuses what mail cannot be sent to; an empty address is none.
fn check_address(address: Option<&str>) -> Result<(), OutboundError> {
    if address.is_none_or(|address| address.is_empty() || is_address(address)) {
        return Ok(());
    }
    Err(OutboundError::invalid(
        "/owner_email",
        "must be an address such as ada@example.com",
    ))
}

fn endpoint(row: EndpointRow) -> Result<Endpoint, sqlx::Error> {
    let by = row.disabled_by.as_deref().map(super::stored_word);
    let disabled = match (row.disabled_at, by.transpose()?, row.disabled_reason) {
        (Some(at), Some(by), Some(reason)) => Some((at, by, reason)),
        _ => None,
    };
    Ok(Endpoint {
        id: EndpointId(row.id),
        tenant: shown_tenant(row.tenant),
        url: row.url,
        description: row.description,
        events: row.events,
        owner_email: row.owner_email,
        is_enabled: row.status == "enabled",
        disabled,
        failures: row.failures,
        failing_since: row.failing_since,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
