//! What an account holds, in words that are nobody's: each server says it in its own.

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::Platform;

/// What sort of thing something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// An ad account.
    Account,
    /// A campaign; LinkedIn's campaign group.
    Campaign,
    /// An ad set; Google's ad group, LinkedIn's campaign, X's line item.
    AdSet,
    /// An ad; LinkedIn's creative, X's promoted tweet.
    Ad,
    /// What the ad of the same number shows.
    Creative,
    /// People to show ads to.
    Audience,
    /// A form that collects leads.
    LeadForm,
    /// Where conversions are counted.
    Pixel,
    /// A page.
    Page,
    /// An Instagram account, which belongs to the page of the same number.
    InstagramAccount,
    /// Who pays, at X.
    FundingInstrument,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::Account,
        Self::Campaign,
        Self::AdSet,
        Self::Ad,
        Self::Creative,
        Self::Audience,
        Self::LeadForm,
        Self::Pixel,
        Self::Page,
        Self::InstagramAccount,
        Self::FundingInstrument,
    ];

    /// Its name in the control's queries.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Campaign => "campaign",
            Self::AdSet => "ad_set",
            Self::Ad => "ad",
            Self::Creative => "creative",
            Self::Audience => "audience",
            Self::LeadForm => "lead_form",
            Self::Pixel => "pixel",
            Self::Page => "page",
            Self::InstagramAccount => "instagram_account",
            Self::FundingInstrument => "funding_instrument",
        }
    }

    /// Whether figures are told of it.
    pub(crate) fn has_figures(self) -> bool {
        matches!(
            self,
            Self::Account | Self::Campaign | Self::AdSet | Self::Ad
        )
    }
}

/// A thing of the world. Things of one sort are numbered within their account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) platform: Platform,
    pub(crate) kind: Kind,
    /// The number of its account.
    pub(crate) account: u32,
    /// Its number there; 0 for the account.
    pub(crate) n: u32,
}

/// Ad sets that a campaign has room for, and ads that an ad set has: their numbers follow from
/// their parent's.
pub(super) const SLOTS: u32 = 3;

impl Key {
    /// An account.
    pub(crate) fn account(platform: Platform, account: u32) -> Self {
        Self {
            platform,
            kind: Kind::Account,
            account,
            n: 0,
        }
    }

    /// Something else of the same account.
    pub(crate) fn sibling(self, kind: Kind, n: u32) -> Self {
        Self { kind, n, ..self }
    }

    /// The account that it is of.
    pub(crate) fn its_account(self) -> Self {
        self.sibling(Kind::Account, 0)
    }

    /// What it stands below: a campaign's parent is its account, a creative's the ad that shows it.
    pub(crate) fn parent(self) -> Option<Self> {
        match self.kind {
            Kind::Account => None,
            Kind::AdSet => Some(self.sibling(Kind::Campaign, self.n / SLOTS)),
            Kind::Ad => Some(self.sibling(Kind::AdSet, self.n / SLOTS)),
            Kind::Creative => Some(self.sibling(Kind::Ad, self.n)),
            Kind::LeadForm if self.platform == Platform::Meta => Some(self.sibling(Kind::Page, 0)),
            Kind::InstagramAccount => Some(self.sibling(Kind::Page, self.n)),
            Kind::Campaign
            | Kind::Audience
            | Kind::LeadForm
            | Kind::Pixel
            | Kind::Page
            | Kind::FundingInstrument => Some(self.its_account()),
        }
    }

    /// The campaign that it is of, itself if it is one.
    pub(crate) fn campaign(self) -> Option<Self> {
        match self.kind {
            Kind::Campaign => Some(self),
            Kind::AdSet | Kind::Ad | Kind::Creative => self.parent().and_then(Self::campaign),
            _ => None,
        }
    }

    /// The numbers that things of a sort below it may have.
    pub(super) fn slots_below(self, kind: Kind, all: u32) -> Range<u32> {
        let depth = |kind| match kind {
            Kind::Campaign => Some(0),
            Kind::AdSet => Some(1),
            Kind::Ad | Kind::Creative => Some(2),
            _ => None,
        };
        match (depth(self.kind), depth(kind)) {
            (Some(above), Some(below)) if above <= below => {
                let width = SLOTS.pow(below - above);
                self.n * width..(self.n + 1) * width
            }
            (Some(_), Some(_)) => 0..0,
            _ => 0..all,
        }
    }
}

/// What somebody, or the platform's review, set a thing to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It may deliver.
    Active,
    /// It shall not deliver.
    Paused,
    /// Put away.
    Archived,
    /// Deleted; the platforms still know it, and its figures.
    Deleted,
    /// Review refused it. Ads only.
    Disapproved,
    /// Review has not looked at it yet. Ads only.
    InReview,
    /// Something keeps it from delivering. Campaigns only.
    WithIssues,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Archived => "archived",
            Self::Deleted => "deleted",
            Self::Disapproved => "disapproved",
            Self::InReview => "in_review",
            Self::WithIssues => "with_issues",
        }
    }
}

/// What becomes of a thing by its own status, its parents' and the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effective {
    Active,
    Paused,
    /// Its campaign is paused.
    CampaignPaused,
    /// Its ad set is paused.
    AdSetPaused,
    /// It is put away, or what it stands below is.
    Archived,
    /// It is deleted, or what it stands below is.
    Deleted,
    Disapproved,
    InReview,
    /// Something keeps it from delivering, or what it stands below.
    WithIssues,
    /// Its time is over, or that of what it stands below.
    Ended,
}

impl Effective {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::CampaignPaused => "campaign_paused",
            Self::AdSetPaused => "ad_set_paused",
            Self::Archived => "archived",
            Self::Deleted => "deleted",
            Self::Disapproved => "disapproved",
            Self::InReview => "in_review",
            Self::WithIssues => "with_issues",
            Self::Ended => "ended",
        }
    }
}

/// What a campaign is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Objective {
    Awareness,
    Traffic,
    Engagement,
    /// Its conversions are leads and have no value.
    Leads,
    /// Its conversions are purchases, as those of every objective but leads.
    Sales,
}

impl Objective {
    pub(super) const ALL: [Self; 5] = [
        Self::Awareness,
        Self::Traffic,
        Self::Engagement,
        Self::Leads,
        Self::Sales,
    ];
}

/// Something that an account holds, as it is at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entity {
    pub(crate) key: Key,
    /// The platform's id of it.
    pub(crate) id: String,
    /// Any text: umlauts, quotes and emoji are among them.
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) effective: Effective,
    /// Its campaign's; of what has no campaign any.
    pub(crate) objective: Objective,
    /// A campaign has a budget, or else each of its ad sets: one a day or one for its whole life.
    pub(crate) daily_budget_micros: Option<i64>,
    pub(crate) lifetime_budget_micros: Option<i64>,
    pub(crate) starts_at: DateTime<Utc>,
    /// `None`: it has no end.
    pub(crate) ends_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    /// When it itself was last changed. What happens to its parents does not touch this.
    pub(crate) updated_at: DateTime<Utc>,
}
