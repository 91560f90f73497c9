//! What is made of sums, for those who show figures and for those who watch them: both see the same. Pure.

use rust_decimal::{Decimal, RoundingStrategy};

/// Digits behind the point of what was divided.
const DIGITS: u32 = 6;

/// Sums that ratios are made of; money is `None` where it cannot be added up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) impressions: Decimal,
    pub(crate) clicks: Decimal,
    /// Likes, comments and shares.
    pub(crate) engagements: Decimal,
    pub(crate) conversions: Decimal,
    pub(crate) spend: Option<Decimal>,
    pub(crate) revenue: Option<Decimal>,
}

impl Parts {
    /// Clicks a hundred impressions.
    pub(crate) fn ctr_pct(&self) -> Option<Decimal> {
        ratio(
            Decimal::ONE_HUNDRED,
            Some(self.clicks),
            Some(self.impressions),
        )
    }

    /// Spend a click.
    pub(crate) fn cpc(&self) -> Option<Decimal> {
        ratio(Decimal::ONE, self.spend, Some(self.clicks))
    }

    /// Spend a thousand impressions.
    pub(crate) fn cpm(&self) -> Option<Decimal> {
        ratio(Decimal::ONE_THOUSAND, self.spend, Some(self.impressions))
    }

    /// Revenue a unit of spend.
    pub(crate) fn roas(&self) -> Option<Decimal> {
        ratio(Decimal::ONE, self.revenue, self.spend)
    }

    /// Conversions a hundred clicks.
    pub(crate) fn conversion_rate_pct(&self) -> Option<Decimal> {
        ratio(
            Decimal::ONE_HUNDRED,
            Some(self.conversions),
            Some(self.clicks),
        )
    }

    /// Spend a conversion.
    pub(crate) fn cost_per_conversion(&self) -> Option<Decimal> {
        ratio(Decimal::ONE, self.spend, Some(self.conversions))
    }

    /// Engagements a hundred impressions.
    pub(crate) fn engagement_rate_pct(&self) -> Option<Decimal> {
        ratio(
            Decimal::ONE_HUNDRED,
            Some(self.engagements),
            Some(self.impressions),
        )
    }
}

/// How much something is more than it was, per cent of that; `None`: one is not known, or it was zero.
pub(crate) fn change_pct(now: Option<Decimal>, before: Option<Decimal>) -> Option<Decimal> {
    let (now, before) = (now?, before?);
    ratio(
        Decimal::ONE_HUNDRED,
        now.checked_sub(before),
        Some(before.abs()),
    )
}

/// So many times the first by the second; `None`: one of them is not known, or the second is zero.
pub(crate) fn ratio(times: Decimal, of: Option<Decimal>, by: Option<Decimal>) -> Option<Decimal> {
    let ratio = of?.checked_mul(times)?.checked_div(by?)?;
    Some(rounded(ratio))
}

/// As figures that were divided are told: to six digits, and halves away from zero.
pub(crate) fn rounded(value: Decimal) -> Decimal {
    value
        .round_dp_with_strategy(DIGITS, RoundingStrategy::MidpointAwayFromZero)
        .normalize()
}
