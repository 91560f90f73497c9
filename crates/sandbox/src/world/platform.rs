//! The five platforms of the world, and what each has.

use serde::{Deserialize, Serialize};

use super::Kind;

/// An ad platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Meta: Facebook and Instagram.
    Meta,
    /// Google Ads.
    GoogleAds,
    /// LinkedIn.
    #[serde(rename = "linkedin")]
    LinkedIn,
    /// TikTok.
    #[serde(rename = "tiktok")]
    TikTok,
    /// X.
    X,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Meta,
        Self::GoogleAds,
        Self::LinkedIn,
        Self::TikTok,
        Self::X,
    ];

    /// Its name in JSON and in queries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::GoogleAds => "google_ads",
            Self::LinkedIn => "linkedin",
            Self::TikTok => "tiktok",
            Self::X => "x",
        }
    }

    /// What its accounts hold, parents first.
    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Meta => &[
                Kind::Campaign,
                Kind::AdSet,
                Kind::Ad,
                Kind::Creative,
                Kind::Audience,
                Kind::LeadForm,
                Kind::Pixel,
                Kind::Page,
                Kind::InstagramAccount,
            ],
            Self::GoogleAds => &[
                Kind::Campaign,
                Kind::AdSet,
                Kind::Ad,
                Kind::Audience,
                Kind::Pixel,
            ],
            Self::LinkedIn | Self::TikTok => &[
                Kind::Campaign,
                Kind::AdSet,
                Kind::Ad,
                Kind::Audience,
                Kind::LeadForm,
                Kind::Pixel,
            ],
            Self::X => &[
                Kind::FundingInstrument,
                Kind::Campaign,
                Kind::AdSet,
                Kind::Ad,
                Kind::Creative,
                Kind::Audience,
                Kind::Pixel,
            ],
        }
    }

    /// For how many days conversions of a past day still arrive.
    pub(crate) fn restated_days(self) -> i64 {
        match self {
            Self::Meta | Self::TikTok => 28,
            Self::GoogleAds | Self::LinkedIn => 90,
            Self::X => 14,
        }
    }

    /// The hours within which spend on invalid traffic is taken back: the earliest and the latest.
    pub(super) fn correction_hours(self) -> (i64, i64) {
        match self {
            Self::Meta => (3, 60),
            Self::GoogleAds => (2, 48),
            Self::LinkedIn => (24, 72),
            Self::TikTok => (2, 11),
            Self::X => (24, 14 * 24),
        }
    }

    /// A number of its own, for dice.
    pub(super) fn number(self) -> u64 {
        self as u64
    }
}
