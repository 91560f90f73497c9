//! Figures, additive ones alone: ratios are computed where they are read.

use chrono::NaiveDate;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Cursor, Page, Platform};

/// What figures are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The whole account.
    Account,
    /// Each campaign.
    Campaign,
    /// Each ad set.
    AdSet,
    /// Each ad.
    Ad,
}

impl Level {
    /// All of them, from the account down.
    pub const ALL: [Self; 4] = [Self::Account, Self::Campaign, Self::AdSet, Self::Ad];

    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Campaign => "campaign",
            Self::AdSet => "ad_set",
            Self::Ad => "ad",
        }
    }
}

/// How long a time each row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// An hour of the account's day.
    Hour,
    /// A day of the account.
    Day,
}

impl Granularity {
    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// Which figures to read.
#[derive(Debug, Clone, PartialEq)]
pub struct InsightQuery {
    /// The platform's id of the account.
    pub account_id: String,
    /// Of what.
    pub level: Level,
    /// By what time.
    pub granularity: Granularity,
    /// The first day, by the account's clock.
    pub from: NaiveDate,
    /// The last day, by the account's clock; it is read too.
    pub to: NaiveDate,
    /// The account's time zone.
    pub time_zone: Tz,
    /// The account's currency, where it is known.
    pub currency: Option<String>,
    /// Attribution windows in the platform's own words; empty: what the account is set to.
    pub attribution: Vec<String>,
    /// Breakdowns in the platform's own words.
    pub breakdowns: Vec<String>,
    /// The entities that are asked for; empty: all. X's figures can be asked for by entity alone.
    pub entities: Vec<String>,
    /// Which of the platform's figures are conversions and revenue, where there are several.
    pub conversion: ConversionChoice,
    /// Most rows on a page; `None`: the platform's usual.
    pub page_size: Option<u32>,
    /// Whether a platform that can make a report in the background shall.
    pub in_background: bool,
}

/// Which of a platform's overlapping figures counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversionChoice {
    /// The action type (Meta), metric (TikTok) or conversion object (X) of conversions; `None`: the client's first choice.
    pub conversions: Option<String>,
    /// The same of revenue.
    pub revenue: Option<String>,
}

/// Additive figures; what a platform does not count is zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// How often ads were shown.
    pub impressions: i64,
    /// All clicks.
    pub clicks: i64,
    /// Clicks that led to the advertiser's own pages.
    pub link_clicks: i64,
    /// Views of videos.
    pub views: i64,
    /// Likes and other reactions.
    pub likes: i64,
    /// Comments.
    pub comments: i64,
    /// Shares.
    pub shares: i64,
    /// Money, in major units of the account's currency.
    pub spend: Decimal,
    /// Conversions; they may be fractional.
    pub conversions: Decimal,
    /// What conversions were worth, in major units of the account's currency.
    pub revenue: Decimal,
    /// Leads, where the platform counts them apart.
    pub leads: Decimal,
}

/// The figures of one entity in one time.
#[derive(Debug, Clone, PartialEq)]
pub struct InsightRow {
    /// Of which entity; of an account its id.
    pub entity_id: String,
    /// The day by the account's clock.
    pub date: NaiveDate,
    /// The hour by the account's clock, 0 to 23; `None` for a row of a day.
    pub hour: Option<u8>,
    /// By which breakdown, as `key=value` in the order of the query, joined by `&`; empty for none.
    pub breakdown: String,
    /// ISO 4217; `None`: the account's.
    pub currency: Option<String>,
    /// What may be added up.
    pub figures: Figures,
    /// How many people were reached in exactly this time; never added up.
    pub reach: Option<i64>,
}

/// What a query for figures gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Insights {
    /// Rows at once.
    Rows(Page<InsightRow>),
    /// A report is being made. Keep this before asking how far it is.
    Started(ReportRun),
}

/// A report that a platform makes in the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRun {
    /// Whose.
    pub platform: Platform,
    /// Of which account.
    pub account_id: String,
    /// The platform's id of it.
    pub id: String,
}

/// How far a report is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportState {
    /// Look again later.
    NotReady {
        /// Per cent, where the platform says it.
        percent: Option<u8>,
    },
    /// Its rows can be read.
    Ready {
        /// Where they begin, where that is not the beginning (X: the file's address).
        from: Option<Cursor>,
    },
    /// The platform gave it up, for this reason: start another one.
    Failed(String),
}
