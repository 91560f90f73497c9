//! What X's series add up to. An entity's figures come in several answers, one for each place where it was shown, and the hour
//! that comes twice in autumn is one hour of the clock.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde_json::Value;

use super::wire::{EntityStats, Stats, Told};
use crate::platform::{
    Figures, InsightQuery, InsightRow,
    members::{NotANumber, count, number},
};

/// What a value of a series is added to.
type Add = fn(&mut Figures, Decimal);

const SERIES: [(&str, Add); 8] = [
    ("impressions", |to, it| add_count(&mut to.impressions, it)),
    ("clicks", |to, it| add_count(&mut to.clicks, it)),
    ("url_clicks", |to, it| add_count(&mut to.link_clicks, it)),
    ("video_total_views", |to, it| add_count(&mut to.views, it)),
    ("likes", |to, it| add_count(&mut to.likes, it)),
    ("replies", |to, it| add_count(&mut to.comments, it)),
    ("retweets", |to, it| add_count(&mut to.shares, it)),
    ("billed_charge_local_micro", |to, it| {
        add_micros(&mut to.spend, it)
    }),
];

/// What counts as a conversion where nothing else is chosen.
const PURCHASES: &str = "conversion_purchases";

/// What counts as a lead.
const SIGN_UPS: &str = "conversion_sign_ups";

/// The two ways to a conversion: after an ad was seen, and after something was done with it.
pub(super) const WAYS: [&str; 2] = ["post_view", "post_engagement"];

/// The worth of conversions, in millionths, by the two names that objects have for it.
const WORTHS: [&str; 2] = ["sale_amount", "sale_amount_local_micro"];

/// What an answer says cannot be added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

impl From<NotANumber> for Unreadable {
    fn from(_: NotANumber) -> Self {
        Self
    }
}

impl From<serde_json::Error> for Unreadable {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// The day of a step of a series, and its hour.
type Step = (NaiveDate, Option<u8>);

/// Of what a row is.
type Key = (String, Step, String);

/// The rows of several answers.
pub(super) struct Sums<'q> {
    query: &'q InsightQuery,
    steps: Vec<Step>,
    rows: BTreeMap<Key, Figures>,
}

impl<'q> Sums<'q> {
    /// Nothing yet, of these steps.
    pub(super) fn new(query: &'q InsightQuery, steps: Vec<Step>) -> Self {
        Self {
            query,
            steps,
            rows: BTreeMap::new(),
        }
    }

    /// Adds an answer.
    ///
    /// # Errors
    /// [`Unreadable`] for what is no number, and for series of more steps than were asked for: their dates would be wrong.
    pub(super) fn add(&mut self, stats: Stats) -> Result<(), Unreadable> {
        for EntityStats { id, id_data } in stats.data {
            for told in id_data {
                let Some(breakdown) = self.breakdown(&told) else {
                    continue;
                };
                self.add_told(&id, &breakdown, &told)?;
            }
        }
        Ok(())
    }

    /// The rows that are not zero throughout.
    pub(super) fn rows(self) -> Vec<InsightRow> {
        let told = self
            .rows
            .into_iter()
            .filter(|(_, figures)| *figures != Figures::default());
        told.map(
            |((entity_id, (date, hour), breakdown), figures)| InsightRow {
                entity_id,
                date,
                hour,
                breakdown,
                currency: None,
                figures,
                reach: None,
            },
        )
        .collect()
    }

    /// `None` for what is told without the segment that was asked for.
    fn breakdown(&self, told: &Told) -> Option<String> {
        let Some(asked) = self.query.breakdowns.first() else {
            return Some(String::new());
        };
        let segment = told.segment.as_ref()?;
        let named = segment.segment_name.as_ref();
        let value = named.or(segment.segment_value.as_ref())?;
        Some(format!("{asked}={value}"))
    }

    fn add_told(&mut self, id: &str, breakdown: &str, told: &Told) -> Result<(), Unreadable> {
        let of = (id, breakdown);
        for (name, add) in SERIES {
            self.add_series(of, &metric(told, name)?, add)?;
        }

        let query = self.query;
        let wanted = &query.conversion;
        let chosen = wanted.conversions.as_deref().unwrap_or(PURCHASES);
        let worth = wanted.revenue.as_deref().unwrap_or(chosen);
        let (conversions, leads) = (metric(told, chosen)?, metric(told, SIGN_UPS)?);
        for way in WAYS {
            let is_asked =
                query.attribution.is_empty() || query.attribution.iter().any(|it| it == way);
            if is_asked {
                self.add_series(of, &conversions[way], |to, it| {
                    add_amount(&mut to.conversions, it);
                })?;
                self.add_series(of, &leads[way], |to, it| add_amount(&mut to.leads, it))?;
            }
        }
        let worth = metric(told, worth)?;
        for name in WORTHS {
            self.add_series(of, &worth[name], |to, it| add_micros(&mut to.revenue, it))?;
        }
        Ok(())
    }

    fn add_series(
        &mut self,
        (id, breakdown): (&str, &str),
        series: &Value,
        add: Add,
    ) -> Result<(), Unreadable> {
        let values = match series {
            // Zeros throughout.
            Value::Null => return Ok(()),
            Value::Array(values) if values.len() <= self.steps.len() => values,
            _ => return Err(Unreadable),
        };
        for (step, value) in self.steps.iter().zip(values) {
            let value = number(Some(value))?.unwrap_or_default();
            if !value.is_zero() {
                let key = (id.to_owned(), *step, breakdown.to_owned());
                add(self.rows.entry(key).or_default(), value);
            }
        }
        Ok(())
    }
}

/// A metric; `null` where it is not told.
fn metric(told: &Told, name: &str) -> Result<Value, Unreadable> {
    let text = told.metrics.get(name).map_or("null", |raw| raw.get());
    Ok(serde_json::from_str(text)?)
}

fn add_count(to: &mut i64, value: Decimal) {
    *to = to.saturating_add(count(Some(value)));
}

fn add_amount(to: &mut Decimal, value: Decimal) {
    *to = to.saturating_add(value);
}

/// Adds what is told in millionths, whatever the currency.
fn add_micros(to: &mut Decimal, value: Decimal) {
    add_amount(to, (value * Decimal::new(1, 6)).normalize());
}

#[cfg(test)]
mod tests;
