//! Lists of leads, with what people answered opened.

use chrono::{DateTime, Utc};
use queue::{Page, PageRequest};
use serde_json::Value;

use super::{Inbound, LeadId, leads::opened};
use crate::{
    accounts::{AccountId, AccountsError},
    store::{
        Session,
        leads::{self, LeadQuery, ListedRow},
        within_deadline,
    },
};

/// Begins the cursors of this list.
const LIST: &str = "lead";

/// Which leads to list; `None` is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeadFilter {
    /// Only this tenant's.
    pub tenant: Option<String>,
    /// Only this Page's, by our id of it.
    pub account: Option<AccountId>,
    /// Only this form's, by the platform's id.
    pub form: Option<String>,
    /// Only those that were made then or later.
    pub since: Option<DateTime<Utc>>,
    /// Only those that were made before.
    pub until: Option<DateTime<Utc>>,
}

/// An answer of a form. No `Debug`: it is a person's.
#[derive(Clone, PartialEq, Eq)]
pub struct LeadAnswer {
    /// What was asked for: `email`.
    pub name: String,
    /// What was answered; several where several could be chosen.
    pub values: Vec<String>,
}

/// A lead. No `Debug`: it is about a person.
#[derive(Clone, PartialEq)]
pub struct StoredLead {
    /// Ours.
    pub id: LeadId,
    /// The Page's.
    pub account: AccountId,
    /// The platform's id.
    pub lead_id: String,
    /// The platform's id of the Page.
    pub page_id: String,
    /// The form.
    pub form_id: Option<String>,
    /// The ad that showed it.
    pub ad_id: Option<String>,
    /// The ad's name.
    pub ad_name: Option<String>,
    /// The ad's ad set.
    pub ad_set_id: Option<String>,
    /// The ad's campaign.
    pub campaign_id: Option<String>,
    /// The platform's word for where the form was shown: `fb`, `ig`.
    pub shown_on: Option<String>,
    /// Nobody paid for it.
    pub is_organic: Option<bool>,
    /// When the form was sent.
    pub created_at: DateTime<Utc>,
    /// When it became known here.
    pub received_at: DateTime<Utc>,
    /// How: `webhook` or `catch_up`.
    pub source: String,
    /// What the person answered; `None`: it does not open here.
    pub answers: Option<Vec<LeadAnswer>>,
    /// What the person agreed to, as the platform tells it.
    pub disclaimers: Option<Value>,
}

impl Inbound {
    /// A page of leads, those first that became known last. One whose answers do not open is listed without them.
    ///
    /// # Errors
    /// [`AccountsError::Engine`] for a cursor of another list, [`AccountsError::NoKeys`] without any key.
    pub async fn leads(
        &self,
        filter: &LeadFilter,
        page: &PageRequest,
    ) -> Result<Page<StoredLead>, AccountsError> {
        let query = LeadQuery {
            account: filter.account.map(|account| account.0),
            form: filter.form.as_deref(),
            tenant: filter.tenant.as_deref(),
            since: filter.since,
            until: filter.until,
            before: page.id(LIST)?,
            limit: page.rows(),
        };
        let db = self.0.db();
        let rows = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = leads::list(session.connection(), &query).await?;
            session.done();
            Ok(rows)
        })
        .await?;
        let listed: Result<Vec<StoredLead>, AccountsError> =
            rows.into_iter().map(|row| self.stored(row)).collect();
        Ok(Page::cut(listed?, page, LIST, |lead: &StoredLead| {
            lead.id.to_string()
        }))
    }

    /// One lead.
    ///
    /// # Errors
    /// [`AccountsError::NotFound`], also for another tenant's; else as [`Self::leads`].
    pub async fn lead(
        &self,
        id: LeadId,
        tenant: Option<&str>,
    ) -> Result<StoredLead, AccountsError> {
        let db = self.0.db();
        let row = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let row = leads::get(session.connection(), id.0, tenant).await?;
            session.done();
            Ok(row)
        });
        let row = row.await?.ok_or(AccountsError::NotFound)?;
        self.stored(row)
    }

    fn stored(&self, row: ListedRow) -> Result<StoredLead, AccountsError> {
        let told = match opened(self.0.cipher()?, row.id, &row.answers) {
            Ok(told) => Some(told),
            // It harms no other lead, nor what is known of this one without it.
            Err(AccountsError::Sealed { place, source }) => {
                tracing::error!(sealed.place = %place, error = %source, "what a lead has answered does not open");
                None
            }
            Err(error) => return Err(error),
        };
        let told = told.as_ref();
        Ok(StoredLead {
            id: LeadId(row.id),
            account: AccountId(row.account),
            lead_id: row.lead_id,
            page_id: row.page_id,
            form_id: row.form_id,
            ad_id: row.ad_id,
            ad_name: row.ad_name,
            ad_set_id: row.ad_set_id,
            campaign_id: row.campaign_id,
            shown_on: row.shown_on,
            is_organic: row.is_organic,
            created_at: row.created_at,
            received_at: row.received_at,
            source: row.source,
            answers: told.map(answers),
            disclaimers: told
                .and_then(|told| told.get("custom_disclaimer_responses"))
                .cloned(),
        })
    }
}

fn answers(told: &Value) -> Vec<LeadAnswer> {
    let fields = told.get("field_data").and_then(Value::as_array);
    let answer = |field: &Value| {
        let values = field.get("values").and_then(Value::as_array);
        let values = values.into_iter().flatten().map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        Some(LeadAnswer {
            name: field.get("name")?.as_str()?.to_owned(),
            values: values.collect(),
        })
    };
    fields.into_iter().flatten().filter_map(answer).collect()
}
