//! Leads on their way into the database: what people answered is sealed for the row that it lies in, and whoever wants to
//! hear of a new lead is told once.

use chrono::Utc;
use providers::meta::Lead;
use queue::{Cipher, SealedPlace};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{Inbound, LeadId};
use crate::{
    accounts::{AccountId, AccountsError},
    store::{
        Session,
        leads::{self, LeadRow, StandingRow},
        within_deadline,
    },
    sync::storable,
};

/// Where answers lie sealed.
const TABLE: &str = "marketing.leads";
const ANSWERS: &str = "answers";

/// How a lead became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeadSource {
    /// An event told of it.
    Webhook,
    /// Somebody looked for leads that no event told of.
    CatchUp,
}

impl LeadSource {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::CatchUp => "catch_up",
        }
    }
}

/// A lead that is to be kept. No `Debug`: it is about a person.
pub struct NewLead<'a> {
    /// The Page's.
    pub account: AccountId,
    /// As the platform tells it.
    pub lead: &'a Lead,
    /// How it became known.
    pub source: LeadSource,
}

/// How a lead stands that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeadStanding {
    /// Ours.
    pub id: LeadId,
    /// Its owner was told of it, or is not to be.
    pub is_told: bool,
}

impl Inbound {
    /// How a lead stands, by the platform's id; `None`: it is not kept.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn standing(
        &self,
        account: AccountId,
        lead_id: &str,
    ) -> Result<Option<LeadStanding>, AccountsError> {
        let lead_id: &str = &storable::text(lead_id);
        let db = self.0.db();
        let row = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let row = leads::standing(session.connection(), account.0, lead_id).await?;
            session.done();
            Ok(row)
        });
        Ok(row.await?.map(standing))
    }

    /// Whether a lead is of somebody who wanted to be forgotten, and must not come back.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn is_forgotten(
        &self,
        account: AccountId,
        lead_id: &str,
    ) -> Result<bool, AccountsError> {
        let lead_id: &str = &storable::text(lead_id);
        let db = self.0.db();
        let is_forgotten = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let is_forgotten =
                leads::is_forgotten(session.connection(), account.0, lead_id).await?;
            session.done();
            Ok(is_forgotten)
        });
        Ok(is_forgotten.await?)
    }

    /// Keeps a lead, in the place of what was known of it. One that is new is told as an event, unless it was found by looking
    /// and is older than the account is connected: events are only sent of what has just happened.
    ///
    /// # Errors
    /// [`AccountsError::NoKeys`], [`AccountsError::NotFound`] without the account and for what is forgotten, and when the database did not take part.
    pub async fn keep(&self, new: &NewLead<'_>) -> Result<LeadStanding, AccountsError> {
        let cipher = self.0.cipher()?;
        let db = self.0.db();
        let kept = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let row = keep(&mut tx, cipher, new).await?;
            tx.commit().await?;
            session.done();
            Ok(row)
        });
        kept.await?.map(standing).ok_or(AccountsError::NotFound)
    }

    /// Remembers that the owner was told of a lead.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn lead_was_told(&self, lead: LeadId) -> Result<(), AccountsError> {
        let db = self.0.db();
        let noted = within_deadline(async {
            let mut session = Session::open(&db).await?;
            leads::told(session.connection(), lead.0).await?;
            session.done();
            Ok(())
        });
        Ok(noted.await?)
    }
}

/// `None`: the account is not there.
async fn keep(
    conn: &mut PgConnection,
    cipher: &Cipher,
    new: &NewLead<'_>,
) -> Result<Option<StandingRow>, sqlx::Error> {
    let account = new.account.0;
    let id = Uuid::now_v7();
    let made = row(cipher, id, new);
    if let Some(made) = leads::make(&mut *conn, (account, new.source.as_str()), &made).await? {
        if made.told_at.is_none() {
            leads::tell(conn, made.id).await?;
        }
        return Ok(Some(made));
    }
    let Some(known) = leads::locked(&mut *conn, account, &made.lead_id).await? else {
        return Ok(None);
    };
    // What lies in another row opens there alone.
    leads::change(conn, &row(cipher, known.id, new)).await?;
    Ok(Some(known))
}

fn row(cipher: &Cipher, id: Uuid, new: &NewLead<'_>) -> LeadRow {
    let lead = new.lead;
    let text = |text: &Option<String>| {
        text.as_deref()
            .map(|text| storable::text(text).into_owned())
    };
    LeadRow {
        id,
        lead_id: storable::text(&lead.id).into_owned(),
        form_id: text(&lead.form_id),
        ad_id: text(&lead.ad_id),
        ad_name: text(&lead.ad_name),
        ad_set_id: text(&lead.ad_set_id),
        campaign_id: text(&lead.campaign_id),
        shown_on: text(&lead.shown_on),
        is_organic: lead.is_organic,
        created_at: lead.created_at.unwrap_or_else(Utc::now),
        answers: cipher.seal(lead.raw.to_string().as_bytes(), &place(id)),
    }
}

/// Where a lead's answers lie.
pub(crate) fn place(lead: Uuid) -> SealedPlace {
    SealedPlace::new(TABLE, lead, ANSWERS)
}

/// What the platform tells of a lead.
pub(super) fn opened(cipher: &Cipher, lead: Uuid, sealed: &[u8]) -> Result<Value, AccountsError> {
    let place = place(lead);
    let unopened = |source| AccountsError::Sealed {
        place: place.as_str().to_owned(),
        source,
    };
    let plain = cipher.open(sealed, &place).map_err(unopened)?;
    serde_json::from_slice(&plain).map_err(|_| unopened(queue::CipherError::NotSealed))
}

fn standing(row: StandingRow) -> LeadStanding {
    LeadStanding {
        id: LeadId(row.id),
        is_told: row.told_at.is_some(),
    }
}
