//! What an account holds, in one form for all platforms. The platform's own members travel along as they are.

use std::fmt;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What sort of thing an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityType {
    /// A campaign (LinkedIn: a campaign group).
    Campaign,
    /// Google's ad group, LinkedIn's campaign, X's line item.
    AdSet,
    /// An ad.
    Ad,
    /// What an ad shows.
    Creative,
    /// People to show ads to.
    Audience,
    /// A form that collects leads.
    LeadForm,
    /// Where conversions are counted.
    Pixel,
    /// A page (Meta).
    Page,
    /// A business account of Instagram (Meta).
    InstagramAccount,
}

impl EntityType {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Campaign,
        Self::AdSet,
        Self::Ad,
        Self::Creative,
        Self::Audience,
        Self::LeadForm,
        Self::Pixel,
        Self::Page,
        Self::InstagramAccount,
    ];

    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::AdSet => "ad_set",
            Self::Ad => "ad",
            Self::Creative => "creative",
            Self::Audience => "audience",
            Self::LeadForm => "lead_form",
            Self::Pixel => "pixel",
            Self::Page => "page",
            Self::InstagramAccount => "instagram_account",
        }
    }
}

impl fmt::Display for EntityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What state an entity or an account is in: one vocabulary for all platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityStatus {
    /// It delivers, or would.
    Active,
    /// Somebody stopped it, or its parent.
    Paused,
    /// The platform has not approved it yet, or it is being processed.
    Pending,
    /// The platform does not let it deliver: disapproved, with issues, disabled.
    Rejected,
    /// Its time or money is over.
    Ended,
    /// Put away.
    Archived,
    /// Deleted at the platform.
    Deleted,
    /// The platform uses a word that this release does not know.
    Unknown,
}

impl EntityStatus {
    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Ended => "ended",
            Self::Archived => "archived",
            Self::Deleted => "deleted",
            Self::Unknown => "unknown",
        }
    }
}

/// What a platform calls a state, and what that is here.
pub type StatusRule = (&'static str, EntityStatus);

/// An ad account.
#[derive(Debug, Clone, PartialEq)]
pub struct AdAccount {
    /// The platform's id, digits or text, without prefixes (`act_`) and hyphens.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: EntityStatus,
    /// The platform's word for its state.
    pub platform_status: String,
    /// ISO 4217, upper case; `None` where the platform does not say it (X).
    pub currency: Option<String>,
    /// Its IANA time zone; `None` where the platform does not say it.
    pub time_zone: Option<String>,
    /// The manager account through which it is reached (Google Ads).
    pub manager: Option<String>,
    /// The platform's members, as they came; no tokens.
    pub raw: Value,
}

/// What an account holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// What it is.
    pub kind: EntityType,
    /// The platform's id, without URN prefixes.
    pub id: String,
    /// What it belongs to: an ad set's campaign, an ad's ad set.
    pub parent_id: Option<String>,
    /// The campaign that it belongs to in the end; `None` for a campaign itself, and where the platform does not say it.
    pub campaign_id: Option<String>,
    /// Its name; empty where it has none.
    pub name: String,
    /// Its state.
    pub status: EntityStatus,
    /// The platform's word for its state.
    pub platform_status: String,
    /// Budget a day, in major units of the account's currency.
    pub daily_budget: Option<Decimal>,
    /// Budget for its whole life, in major units of the account's currency.
    pub lifetime_budget: Option<Decimal>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed.
    pub updated_at: Option<DateTime<Utc>>,
    /// The platform's members, as they came; no tokens.
    pub raw: Value,
}

/// What to list of an account.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityQuery {
    /// The platform's id of the account.
    pub account_id: String,
    /// Its currency, where it is known: minor units are read with it.
    pub currency: Option<String>,
    /// What sort.
    pub kind: EntityType,
    /// Only what changed since; platforms that cannot be asked that answer with all.
    pub changed_since: Option<DateTime<Utc>>,
    /// Most on a page; `None`: the platform's usual. Halved when it says that it is too much.
    pub page_size: Option<u32>,
}
