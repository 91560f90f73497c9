//! Leads: what people answered in forms.

use chrono::{DateTime, Utc};
use marketing::inbound;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// An answer of a form.
#[derive(Serialize, ToSchema)]
pub(crate) struct LeadAnswer {
    /// What was asked for.
    #[schema(example = "email")]
    pub(crate) name: String,
    /// What was answered; several where several could be chosen.
    pub(crate) values: Vec<String>,
}

/// What a person answered in a form. It is that person's data: keep it as such.
#[derive(Serialize, ToSchema)]
pub(crate) struct Lead {
    pub(crate) id: Uuid,
    /// The platform's id.
    pub(crate) lead_id: String,
    /// The account of the Page.
    pub(crate) account_id: Uuid,
    /// The platform's id of the Page.
    pub(crate) page_id: String,
    /// The platform's id of the form.
    pub(crate) form_id: Option<String>,
    /// The ad that showed the form; null for organic leads and tests.
    pub(crate) ad_id: Option<String>,
    pub(crate) ad_name: Option<String>,
    pub(crate) ad_set_id: Option<String>,
    pub(crate) campaign_id: Option<String>,
    /// The platform's word for where the form was shown: `fb`, `ig`.
    pub(crate) platform: Option<String>,
    /// Nobody paid for it.
    pub(crate) is_organic: Option<bool>,
    /// When the form was sent.
    pub(crate) created_at: DateTime<Utc>,
    /// When the lead became known here.
    pub(crate) received_at: DateTime<Utc>,
    /// How it became known: `webhook`, or `catch_up` where no event told of it.
    #[schema(example = "webhook")]
    pub(crate) source: String,
    /// Null where the key that they are sealed under is not configured here any more.
    pub(crate) answers: Option<Vec<LeadAnswer>>,
    /// What the person agreed to, as the platform tells it.
    #[schema(value_type = Option<Vec<Object>>)]
    pub(crate) disclaimers: Option<Value>,
}

impl From<inbound::StoredLead> for Lead {
    fn from(lead: inbound::StoredLead) -> Self {
        let answer = |answer: inbound::LeadAnswer| LeadAnswer {
            name: answer.name,
            values: answer.values,
        };
        let answers = lead.answers;
        Self {
            id: lead.id.0,
            lead_id: lead.lead_id,
            account_id: lead.account.0,
            page_id: lead.page_id,
            form_id: lead.form_id,
            ad_id: lead.ad_id,
            ad_name: lead.ad_name,
            ad_set_id: lead.ad_set_id,
            campaign_id: lead.campaign_id,
            platform: lead.shown_on,
            is_organic: lead.is_organic,
            created_at: lead.created_at,
            received_at: lead.received_at,
            source: lead.source,
            answers: answers.map(|answers| answers.into_iter().map(answer).collect()),
            disclaimers: lead.disclaimers,
        }
    }
}

/// The names of the columns of [`Lead::row`].
pub(crate) const COLUMNS: [&str; 18] = [
    "id",
    "lead_id",
    "account_id",
    "page_id",
    "form_id",
    "ad_id",
    "ad_name",
    "ad_set_id",
    "campaign_id",
    "platform",
    "is_organic",
    "created_at",
    "received_at",
    "source",
    "full_name",
    "email",
    "phone_number",
    "answers",
];

impl Lead {
    /// A row of a table. Forms differ: what most of them ask for has columns, and all of it is the last one, as JSON.
    pub(crate) fn row(&self) -> [String; COLUMNS.len()] {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let answered = |name: &str| {
            let mut answers = self.answers.iter().flatten();
            let answer = answers.find(|answer| answer.name == name);
            answer.map_or_else(String::new, |answer| answer.values.join(", "))
        };
        [
            self.id.to_string(),
            self.lead_id.clone(),
            self.account_id.to_string(),
            self.page_id.clone(),
            or_empty(&self.form_id),
            or_empty(&self.ad_id),
            or_empty(&self.ad_name),
            or_empty(&self.ad_set_id),
            or_empty(&self.campaign_id),
            or_empty(&self.platform),
            self.is_organic
                .map_or_else(String::new, |it| it.to_string()),
            self.created_at.to_rfc3339(),
            self.received_at.to_rfc3339(),
            self.source.clone(),
            answered("full_name"),
            answered("email"),
            answered("phone_number"),
            self.answers.as_ref().map_or_else(String::new, |answers| {
                serde_json::to_string(answers).unwrap_or_default()
            }),
        ]
    }
}
