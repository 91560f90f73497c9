//! Figures that may be added up.

use std::ops::{Add, AddAssign, Sub};

use serde::Serialize;

use super::Currency;

/// What ads did in some time. Whole numbers only, so that parents are exactly the sum of their
/// children.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Figures {
    pub(crate) impressions: i64,
    /// All clicks.
    pub(crate) clicks: i64,
    /// Those of the clicks that led to the advertiser's pages.
    pub(crate) link_clicks: i64,
    pub(crate) video_views: i64,
    pub(crate) likes: i64,
    pub(crate) comments: i64,
    pub(crate) shares: i64,
    /// In the account's currency, whole minor units.
    pub(crate) spend_micros: i64,
    /// Thousandths of conversions: whole ones everywhere but at Google, which splits them between
    /// clicks.
    pub(crate) conversion_millis: i64,
    /// Those of the conversions that followed a view and no click.
    pub(crate) view_conversion_millis: i64,
    /// Those of the conversions that are leads; the others are purchases.
    pub(crate) lead_millis: i64,
    /// What the purchases were worth, in the account's currency, whole minor units.
    pub(crate) revenue_micros: i64,
}

impl Figures {
    /// Those of the conversions that are purchases, in thousandths.
    pub(crate) fn purchase_millis(&self) -> i64 {
        self.conversion_millis - self.lead_millis
    }

    /// Whether nothing happened. Providers have no row for that.
    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// How many people were reached: not additive, and so not one of the figures.
    pub(crate) fn reach(&self) -> i64 {
        (self.impressions * 7).div_euclid(9)
    }

    /// So many of so many parts of them, rounded down: money stays whole minor units, and conversions
    /// whole ones. What is left over belongs to the rest, so that all parts are exactly the whole.
    pub(crate) fn part(&self, (share, of_shares): (i64, i64), currency: Currency) -> Self {
        let of = |number: i64, unit: i64| number / unit * share / of_shares * unit;
        let minor = currency.minor_micros();
        Self {
            impressions: of(self.impressions, 1),
            clicks: of(self.clicks, 1),
            link_clicks: of(self.link_clicks, 1),
            video_views: of(self.video_views, 1),
            likes: of(self.likes, 1),
            comments: of(self.comments, 1),
            shares: of(self.shares, 1),
            spend_micros: of(self.spend_micros, minor),
            conversion_millis: of(self.conversion_millis, 1_000),
            view_conversion_millis: of(self.view_conversion_millis, 1_000),
            lead_millis: of(self.lead_millis, 1_000),
            revenue_micros: of(self.revenue_micros, minor),
        }
    }
}

impl Add for Figures {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            impressions: self.impressions + other.impressions,
            clicks: self.clicks + other.clicks,
            link_clicks: self.link_clicks + other.link_clicks,
            video_views: self.video_views + other.video_views,
            likes: self.likes + other.likes,
            comments: self.comments + other.comments,
            shares: self.shares + other.shares,
            spend_micros: self.spend_micros + other.spend_micros,
            conversion_millis: self.conversion_millis + other.conversion_millis,
            view_conversion_millis: self.view_conversion_millis + other.view_conversion_millis,
            lead_millis: self.lead_millis + other.lead_millis,
            revenue_micros: self.revenue_micros + other.revenue_micros,
        }
    }
}

impl Sub for Figures {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            impressions: self.impressions - other.impressions,
            clicks: self.clicks - other.clicks,
            link_clicks: self.link_clicks - other.link_clicks,
            video_views: self.video_views - other.video_views,
            likes: self.likes - other.likes,
            comments: self.comments - other.comments,
            shares: self.shares - other.shares,
            spend_micros: self.spend_micros - other.spend_micros,
            conversion_millis: self.conversion_millis - other.conversion_millis,
            view_conversion_millis: self.view_conversion_millis - other.view_conversion_millis,
            lead_millis: self.lead_millis - other.lead_millis,
            revenue_micros: self.revenue_micros - other.revenue_micros,
        }
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
