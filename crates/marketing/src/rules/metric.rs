//! What can be watched of figures: those that are added up, and what is made of their sums. A ratio whose divisor is zero is
//! none.

use queue::config::{Figure, Formula};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::ratios::{Parts, rounded};

/// What an entity did in a stretch of days: sums alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// How often it was shown.
    pub impressions: Decimal,
    /// Clicks of any sort.
    pub clicks: Decimal,
    /// Clicks that led away.
    pub link_clicks: Decimal,
    /// Views of videos.
    pub views: Decimal,
    /// Likes.
    pub likes: Decimal,
    /// Comments.
    pub comments: Decimal,
    /// Shares.
    pub shares: Decimal,
    /// In major units of the account's currency.
    pub spend: Decimal,
    /// May be fractional.
    pub conversions: Decimal,
    /// In major units of the account's currency.
    pub revenue: Decimal,
    /// Leads.
    pub leads: Decimal,
}

impl Sums {
    /// What a formula comes to; `None` where a divisor is zero.
    pub(super) fn reckon(&self, formula: &Formula) -> Option<Decimal> {
        let value = formula.evaluate(&|figure| {
            Some(match figure {
                Figure::Impressions => self.impressions,
                Figure::Clicks => self.clicks,
                Figure::LinkClicks => self.link_clicks,
                Figure::Views => self.views,
                Figure::Likes => self.likes,
                Figure::Comments => self.comments,
                Figure::Shares => self.shares,
                Figure::Spend => self.spend,
                Figure::Conversions => self.conversions,
                Figure::Revenue => self.revenue,
                Figure::Leads => self.leads,
            })
        });
        value.map(rounded)
    }

    fn parts(&self) -> Parts {
        Parts {
            impressions: self.impressions,
            clicks: self.clicks,
            engagements: self.likes + self.comments + self.shares,
            conversions: self.conversions,
            spend: Some(self.spend),
            revenue: Some(self.revenue),
        }
    }
}

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// How often something was shown.
    Impressions,
    /// Clicks of any sort.
    Clicks,
    /// Clicks that led away.
    LinkClicks,
    /// Views of videos.
    Views,
    /// Likes.
    Likes,
    /// Comments.
    Comments,
    /// Shares.
    Shares,
    /// In major units of the account's currency.
    Spend,
    /// May be fractional.
    Conversions,
    /// In major units of the account's currency.
    Revenue,
    /// Leads.
    Leads,
    /// Clicks per impression, in per cent.
    CtrPct,
    /// Spend per click.
    Cpc,
    /// Spend per thousand impressions.
    Cpm,
    /// Revenue per spend.
    Roas,
    /// Conversions per click, in per cent.
    ConversionRatePct,
    /// Spend per conversion.
    CostPerConversion,
    /// Likes, comments and shares per impression, in per cent.
    EngagementRatePct,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Impressions,
        Self::Clicks,
        Self::LinkClicks,
        Self::Views,
        Self::Likes,
        Self::Comments,
        Self::Shares,
        Self::Spend,
        Self::Conversions,
        Self::Revenue,
        Self::Leads,
        Self::CtrPct,
        Self::Cpc,
        Self::Cpm,
        Self::Roas,
        Self::ConversionRatePct,
        Self::CostPerConversion,
        Self::EngagementRatePct,
    ];

    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Impressions => "impressions",
            Self::Clicks => "clicks",
            Self::LinkClicks => "link_clicks",
            Self::Views => "views",
            Self::Likes => "likes",
            Self::Comments => "comments",
            Self::Shares => "shares",
            Self::Spend => "spend",
            Self::Conversions => "conversions",
            Self::Revenue => "revenue",
            Self::Leads => "leads",
            Self::CtrPct => "ctr_pct",
            Self::Cpc => "cpc",
            Self::Cpm => "cpm",
            Self::Roas => "roas",
            Self::ConversionRatePct => "conversion_rate_pct",
            Self::CostPerConversion => "cost_per_conversion",
            Self::EngagementRatePct => "engagement_rate_pct",
        }
    }

    /// Its value; `None` where the divisor is zero.
    #[must_use]
    pub fn of(self, sums: &Sums) -> Option<Decimal> {
        match self {
            Self::Impressions => Some(sums.impressions),
            Self::Clicks => Some(sums.clicks),
            Self::LinkClicks => Some(sums.link_clicks),
            Self::Views => Some(sums.views),
            Self::Likes => Some(sums.likes),
            Self::Comments => Some(sums.comments),
            Self::Shares => Some(sums.shares),
            Self::Spend => Some(sums.spend),
            Self::Conversions => Some(sums.conversions),
            Self::Revenue => Some(sums.revenue),
            Self::Leads => Some(sums.leads),
            Self::CtrPct => sums.parts().ctr_pct(),
            Self::Cpc => sums.parts().cpc(),
            Self::Cpm => sums.parts().cpm(),
            Self::Roas => sums.parts().roas(),
            Self::ConversionRatePct => sums.parts().conversion_rate_pct(),
            Self::CostPerConversion => sums.parts().cost_per_conversion(),
            Self::EngagementRatePct => sums.parts().engagement_rate_pct(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::stored_word;

    #[test]
    fn ratios_are_made_of_sums_and_none_where_the_divisor_is_zero() {
        let sums = Sums {
            impressions: Decimal::from(2_000),
            clicks: Decimal::from(30),
            spend: Decimal::new(4_500, 2),
            conversions: Decimal::from(3),
            revenue: Decimal::from(90),
            likes: Decimal::from(4),
            ..Sums::default()
        };
        let value = |metric: Metric| metric.of(&sums).map(|value| value.to_string());

        assert_eq!(value(Metric::CtrPct).as_deref(), Some("1.5"));
        assert_eq!(value(Metric::Cpc).as_deref(), Some("1.5"));
        assert_eq!(value(Metric::Cpm).as_deref(), Some("22.5"));
        assert_eq!(value(Metric::Roas).as_deref(), Some("2"));
        assert_eq!(value(Metric::ConversionRatePct).as_deref(), Some("10"));
        assert_eq!(value(Metric::CostPerConversion).as_deref(), Some("15"));
        assert_eq!(value(Metric::EngagementRatePct).as_deref(), Some("0.2"));
        assert_eq!(Metric::Cpc.of(&Sums::default()), None);
        assert_eq!(Metric::Spend.of(&Sums::default()), Some(Decimal::ZERO));
    }

    // Fails when what is watched is reckoned or rounded in another way than what is shown.
    #[test]
    fn a_half_is_rounded_as_in_the_figures_that_are_shown() {
        let formula = Formula::parse("spend / nullif(clicks, 0)").expect("a formula");
        let sums = Sums {
            clicks: Decimal::from(2_000_000),
            spend: Decimal::from(5),
            ..Sums::default()
        };

        let (metric, kpi) = (Metric::Cpc.of(&sums), sums.reckon(&formula));

        assert_eq!(metric, Some(Decimal::new(3, 6)));
        assert_eq!(kpi, metric);
    }

    #[test]
    fn a_metric_has_one_word() {
        for metric in Metric::ALL {
            assert_eq!(stored_word::<Metric>(metric.as_str()).ok(), Some(metric));
            let told = serde_json::to_value(metric).expect("a word");
            assert_eq!(told, metric.as_str());
        }
        assert!(stored_word::<Metric>("profit").is_err());
    }
}
