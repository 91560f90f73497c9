//! Figures that were added up, and the normal form made of them: every ratio from sums, and none where its divisor is zero.
//! Pure.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use queue::config::{Figure, Formula};
use rust_decimal::Decimal;

use crate::{
    ratios::{Parts, change_pct, rounded},
    store::performance::SumRow,
};

/// Figures that were added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    /// Of how many rows of figures they are.
    rows: i64,
    counts: [i64; 7],
    conversions: Decimal,
    leads: Decimal,
    reach: Option<i64>,
    own: Own,
    /// In the reporting currency; `None`: a rate is missing.
    reporting: Option<Money>,
}

/// Money in one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Money {
    spend: Decimal,
    revenue: Decimal,
}

impl Money {
    fn is_zero(self) -> bool {
        self.spend.is_zero() && self.revenue.is_zero()
    }

    fn and(self, other: Self) -> Option<Self> {
        Some(Self {
            spend: self.spend.checked_add(other.spend)?,
            revenue: self.revenue.checked_add(other.revenue)?,
        })
    }
}

/// Money as the accounts count it.
#[derive(Debug, Clone, Default, PartialEq)]
enum Own {
    /// There are no figures.
    #[default]
    None,
    /// All of them count in this currency; `None`: nobody says in which.
    In(Option<String>, Money),
    /// They count in different ones, which cannot be added up.
    Mixed,
}

impl Own {
    fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::None, other) => other.clone(),
            (own, Self::None) => own,
            (Self::In(currency, money), Self::In(theirs, more)) => {
                if currency == *theirs {
                    money
                        .and(*more)
                        .map_or(Self::Mixed, |sum| Self::In(currency, sum))
                } else if more.is_zero() {
                    Self::In(currency, money)
                } else if money.is_zero() {
                    Self::In(theirs.clone(), *more)
                } else {
                    Self::Mixed
                }
            }
            (Self::Mixed, _) | (_, Self::Mixed) => Self::Mixed,
        }
    }
}

impl From<&SumRow> for Sums {
    fn from(row: &SumRow) -> Self {
        let money = Money {
            spend: row.spend,
            revenue: row.revenue,
        };
        let currency = (!row.currency.is_empty()).then(|| row.currency.clone());
        let reporting = row.reporting_spend.zip(row.reporting_revenue);
        Self {
            rows: row.rows,
            counts: [
                row.impressions,
                row.clicks,
                row.link_clicks,
                row.views,
                row.likes,
                row.comments,
                row.shares,
            ],
            conversions: row.conversions,
            leads: row.leads,
            reach: row.reach,
            own: Own::In(currency, money),
            reporting: reporting.map(|(spend, revenue)| Money { spend, revenue }),
        }
    }
}

impl Sums {
    /// Adds others to these. People who were reached are not added up: of several rows nobody knows how many there were.
    pub(super) fn add(&mut self, other: &Self) {
        if other.rows == 0 {
            return;
        }
        if self.rows == 0 {
            *self = other.clone();
            return;
        }
        self.rows = self.rows.saturating_add(other.rows);
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.conversions = self.conversions.saturating_add(other.conversions);
        self.leads = self.leads.saturating_add(other.leads);
        self.reach = None;
        self.own = std::mem::take(&mut self.own).and(&other.own);
        let both = self.reporting.zip(other.reporting);
        self.reporting = both.and_then(|(money, more)| money.and(more));
    }

    /// The money that ratios are made of, and its currency: the accounts' own where they have one, else the reporting
    /// currency.
    fn money(&self, reporting: Option<&str>) -> (Option<String>, Option<Money>) {
        match &self.own {
            Own::None => (None, Some(Money::default())),
            Own::In(currency, money) => (currency.clone(), Some(*money)),
            Own::Mixed => match (reporting, self.reporting) {
                (Some(currency), Some(money)) => (Some(currency.to_owned()), Some(money)),
                _ => (None, None),
            },
        }
    }
}

/// One form for all platforms.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// How often ads were shown.
    pub impressions: i64,
    /// People who were reached in exactly this time, of one entity; `None`: nobody says, or there are several, and people
    /// are not added up.
    pub reach: Option<i64>,
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
    /// Conversions; they may be fractional.
    pub conversions: Decimal,
    /// Leads, where the platform counts them apart.
    pub leads: Decimal,
    /// What the money is in: the accounts' currency, or the reporting currency where they have several; `None`: unknown.
    pub currency: Option<String>,
    /// In major units; `None`: of several currencies, and a rate is missing.
    pub spend: Option<Decimal>,
    /// What conversions were worth.
    pub revenue: Option<Decimal>,
    /// The same in the reporting currency; `None`: the rate of a day is missing.
    pub reporting_spend: Option<Decimal>,
    /// The same in the reporting currency.
    pub reporting_revenue: Option<Decimal>,
    /// Clicks a hundred impressions.
    pub ctr_pct: Option<Decimal>,
    /// Spend a click.
    pub cpc: Option<Decimal>,
    /// Spend a thousand impressions.
    pub cpm: Option<Decimal>,
    /// Revenue a unit of spend.
    pub roas: Option<Decimal>,
    /// Conversions a hundred clicks.
    pub conversion_rate_pct: Option<Decimal>,
    /// Spend a conversion.
    pub cost_per_conversion: Option<Decimal>,
    /// Likes, comments and shares a hundred impressions.
    pub engagement_rate_pct: Option<Decimal>,
    /// The metrics of `[kpis]`, by name; `None`: a divisor is zero.
    pub kpis: BTreeMap<String, Option<Decimal>>,
}

/// The formulas of `[kpis]`, and what they are reckoned with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NormalForm {
    formulas: BTreeMap<String, Formula>,
    reporting_currency: Option<String>,
}

impl NormalForm {
    /// With these formulas, checked before; one that is none is left out.
    #[must_use]
    pub fn new(kpis: &BTreeMap<String, String>, reporting_currency: Option<String>) -> Self {
        let formulas = kpis.iter().filter_map(|(name, text)| {
            let formula = Formula::parse(text).ok()?;
            Some((name.clone(), formula))
        });
        Self {
            formulas: formulas.collect(),
            reporting_currency,
        }
    }

    /// The names of the formulas, in order.
    pub fn kpis(&self) -> impl Iterator<Item = &str> {
        self.formulas.keys().map(String::as_str)
    }

    /// The currency that rates lead to.
    #[must_use]
    pub fn reporting_currency(&self) -> Option<&str> {
        self.reporting_currency.as_deref()
    }

    /// What sums are in the normal form.
    #[must_use]
    pub fn of(&self, sums: &Sums) -> Metrics {
        let [
            impressions,
            clicks,
            link_clicks,
            views,
            likes,
            comments,
            shares,
        ] = sums.counts;
        let (currency, money) = sums.money(self.reporting_currency());
        let spend = money.map(|money| money.spend);
        let revenue = money.map(|money| money.revenue);
        let reporting = match sums.own {
            Own::None => None,
            Own::In(..) | Own::Mixed => {
                sums.reporting.filter(|_| self.reporting_currency.is_some())
            }
        };
        let (shown, clicked) = (Decimal::from(impressions), Decimal::from(clicks));
        let parts = Parts {
            impressions: shown,
            clicks: clicked,
            engagements: Decimal::from(likes) + Decimal::from(comments) + Decimal::from(shares),
            conversions: sums.conversions,
            spend,
            revenue,
        };
        let figure = |figure: Figure| match figure {
            Figure::Impressions => Some(shown),
            Figure::Clicks => Some(clicked),
            Figure::LinkClicks => Some(Decimal::from(link_clicks)),
            Figure::Views => Some(Decimal::from(views)),
            Figure::Likes => Some(Decimal::from(likes)),
            Figure::Comments => Some(Decimal::from(comments)),
            Figure::Shares => Some(Decimal::from(shares)),
            Figure::Spend => spend,
            Figure::Conversions => Some(sums.conversions),
            Figure::Revenue => revenue,
            Figure::Leads => Some(sums.leads),
        };
        let kpis = self.formulas.iter().map(|(name, formula)| {
            let value = formula.evaluate(&figure).map(rounded);
            (name.clone(), value)
        });
        Metrics {
            impressions,
            reach: sums.reach,
            clicks,
            link_clicks,
            views,
            likes,
            comments,
            shares,
            conversions: sums.conversions.normalize(),
            leads: sums.leads.normalize(),
            currency,
            spend: spend.map(|spend| spend.normalize()),
            revenue: revenue.map(|revenue| revenue.normalize()),
            reporting_spend: reporting.map(|money| money.spend.normalize()),
            reporting_revenue: reporting.map(|money| money.revenue.normalize()),
            ctr_pct: parts.ctr_pct(),
            cpc: parts.cpc(),
            cpm: parts.cpm(),
            roas: parts.roas(),
            conversion_rate_pct: parts.conversion_rate_pct(),
            cost_per_conversion: parts.cost_per_conversion(),
            engagement_rate_pct: parts.engagement_rate_pct(),
            kpis: kpis.collect(),
        }
    }
}

impl Metrics {
    /// How much these are more than those, per cent of those, by the names of the metrics; `None`: those are zero or
    /// unknown, or in another currency.
    #[must_use]
    pub fn change_since(&self, before: &Self) -> BTreeMap<String, Option<Decimal>> {
        let is_comparable = self.currency == before.currency;
        let count = |count: i64| Some(Decimal::from(count));
        let money = |money: Option<Decimal>| money.filter(|_| is_comparable);
        let named = [
            (
                "impressions",
                count(self.impressions),
                count(before.impressions),
            ),
            ("clicks", count(self.clicks), count(before.clicks)),
            (
                "link_clicks",
                count(self.link_clicks),
                count(before.link_clicks),
            ),
            ("views", count(self.views), count(before.views)),
            ("likes", count(self.likes), count(before.likes)),
            ("comments", count(self.comments), count(before.comments)),
            ("shares", count(self.shares), count(before.shares)),
            (
                "conversions",
                Some(self.conversions),
                Some(before.conversions),
            ),
            ("leads", Some(self.leads), Some(before.leads)),
            ("spend", money(self.spend), before.spend),
            ("revenue", money(self.revenue), before.revenue),
            ("ctr_pct", self.ctr_pct, before.ctr_pct),
            ("cpc", money(self.cpc), before.cpc),
            ("cpm", money(self.cpm), before.cpm),
            ("roas", self.roas, before.roas),
            (
                "conversion_rate_pct",
                self.conversion_rate_pct,
                before.conversion_rate_pct,
            ),
            (
                "cost_per_conversion",
                money(self.cost_per_conversion),
                before.cost_per_conversion,
            ),
            (
                "engagement_rate_pct",
                self.engagement_rate_pct,
                before.engagement_rate_pct,
            ),
        ];
        let named = named.map(|(name, now, before)| (name.to_owned(), change_pct(now, before)));
        let kpis = self.kpis.iter().map(|(name, now)| {
            let before = before.kpis.get(name).copied().flatten();
            (name.clone(), change_pct(*now, before))
        });
        kpis.chain(named).collect()
    }
}
