//! Leads: what people answered in forms of Pages. An event tells a lead's id alone; the answers are fetched with a token that
//! may read leads, the Page's own or its person's. Meta keeps leads for 90 days.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Meta, call::GraphCall, paging, time, unreadable};
use crate::{
    error::Error,
    platform::{Caller, Cursor, Page, members},
};

const FIELDS: &str = "id,created_time,ad_id,ad_name,adset_id,campaign_id,form_id,field_data,is_organic,platform,custom_disclaimer_responses";

/// The usual number of leads or forms at once.
const LIMIT: u32 = 100;

/// For how many days Meta shows a lead.
pub const KEPT_DAYS: i64 = 90;

/// A lead. No `Debug`: it is about a person.
#[derive(Clone)]
pub struct Lead {
    /// Meta's id of it.
    pub id: String,
    /// When the form was sent.
    pub created_at: Option<DateTime<Utc>>,
    /// The form.
    pub form_id: Option<String>,
    /// The ad that showed the form; organic leads and tests have none.
    pub ad_id: Option<String>,
    /// Its name.
    pub ad_name: Option<String>,
    /// The ad's ad set.
    pub ad_set_id: Option<String>,
    /// The ad's campaign.
    pub campaign_id: Option<String>,
    /// Nobody paid for it.
    pub is_organic: Option<bool>,
    /// Where the form was shown: `fb`, `ig`.
    pub shown_on: Option<String>,
    /// All that Meta tells, the answers in `field_data` included.
    pub raw: Value,
}

impl Meta {
    /// One lead by its id. Just after its event it may not be readable for some minutes.
    ///
    /// # Errors
    /// [`Error::Permission`] with code `100/33` for one that is not there (yet) or may not be read.
    pub async fn lead(&self, caller: Caller<'_>, lead_id: &str) -> Result<Lead, Error> {
        let call = GraphCall::get("GET {lead}", &[lead_id]).with("fields", FIELDS);
        let body = self.graph(caller, call).await?;
        lead(&body).ok_or_else(|| unreadable("the lead has no id"))
    }

    /// A page of the leads that a form got after a moment.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn leads_of_form(
        &self,
        caller: Caller<'_>,
        (form_id, since): (&str, DateTime<Utc>),
        after: Option<&Cursor>,
    ) -> Result<Page<Lead>, Error> {
        let filtering = json!([
            {"field": "time_created", "operator": "GREATER_THAN", "value": since.timestamp()}
        ]);
        let call = GraphCall::get("GET {form}/leads", &[form_id, "leads"])
            .with("fields", FIELDS)
            .with("filtering", filtering.to_string());
        let body = self
            .graph(caller, paging::at(call, None, LIMIT, after))
            .await?;
        paging::read(&body, lead)
    }

    /// A page of the ids of a Page's forms. The caller's token is the Page's.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    pub async fn forms_of_page(
        &self,
        caller: Caller<'_>,
        page_id: &str,
        after: Option<&Cursor>,
    ) -> Result<Page<String>, Error> {
        let call = GraphCall::get("GET {page}/leadgen_forms", &[page_id, "leadgen_forms"])
            .with("fields", "id");
        let body = self
            .graph(caller, paging::at(call, None, LIMIT, after))
            .await?;
        paging::read(&body, |form| form.get("id").and_then(members::id))
    }
}

fn lead(raw: &Value) -> Option<Lead> {
    let id = |name: &str| raw.get(name).and_then(members::id);
    let text = |name: &str| members::text(raw, name).map(str::to_owned);
    Some(Lead {
        id: id("id")?,
        created_at: raw.get("created_time").and_then(time::read),
        form_id: id("form_id"),
        ad_id: id("ad_id"),
        ad_name: text("ad_name"),
        ad_set_id: id("adset_id"),
        campaign_id: id("campaign_id"),
        is_organic: raw.get("is_organic").and_then(Value::as_bool),
        shown_on: text("platform"),
        raw: raw.clone(),
    })
}
