//! The figures that can be asked for, at most 20 at once, with the two members that are none.

use serde_json::{Map, Value, json};

use crate::{
    linkedin::{call::Call, error::ApiError},
    world::{Currency, Figures, decimal},
};

/// Most entries of `fields`.
const MOST: usize = 20;
/// The one that only short times have, and that cannot be added up.
pub(super) const REACH: &str = "approximateMemberReach";
/// Places behind the point of amounts of money.
const PLACES: usize = 16;

/// How a figure is read.
type Read = fn(&Figures, Currency) -> Value;

const METRICS: [(&str, Read); 16] = [
    ("impressions", |figures, _| json!(figures.impressions)),
    ("clicks", |figures, _| json!(figures.clicks)),
    ("landingPageClicks", |figures, _| json!(figures.link_clicks)),
    ("costInLocalCurrency", |figures, _| {
        json!(decimal(figures.spend_micros, PLACES))
    }),
    ("costInUsd", |figures, currency| {
        json!(decimal(currency.in_usd(figures.spend_micros), PLACES))
    }),
    ("externalWebsiteConversions", |figures, _| {
        json!(figures.purchase_millis() / 1_000)
    }),
    ("conversionValueInLocalCurrency", |figures, _| {
        json!(short(figures.revenue_micros))
    }),
    ("oneClickLeads", |figures, _| {
        json!(figures.lead_millis / 1_000)
    }),
    ("videoViews", |figures, _| json!(figures.video_views)),
    ("likes", |figures, _| json!(figures.likes)),
    ("reactions", |figures, _| json!(figures.likes)),
    ("comments", |figures, _| json!(figures.comments)),
    ("shares", |figures, _| json!(figures.shares)),
    ("totalEngagements", |figures, _| {
        json!(figures.clicks + figures.likes + figures.comments + figures.shares)
    }),
    ("otherEngagements", |_, _| json!(0)),
    (REACH, |figures, _| json!(figures.reach())),
];

/// What an answer shows.
pub(super) struct Fields {
    metrics: Vec<(&'static str, Read)>,
    pub(super) has_date_range: bool,
    pub(super) has_pivot_values: bool,
}

impl Fields {
    /// The `fields` of a call. Without them there are impressions and clicks, and nothing else.
    ///
    /// # Errors
    /// PARAM_INVALID for a field that there is not, and for too many.
    pub(super) fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let mut fields = Self {
            metrics: Vec::new(),
            has_date_range: false,
            has_pivot_values: false,
        };
        let names: Vec<_> = match call.raw("fields") {
            None => vec!["impressions", "clicks"],
            // Commas are of the syntax: encoded ones are part of a name that there is not.
            Some(raw) => raw.split(',').collect(),
        };
        if names.len() > MOST {
            let description = format!("At most {MOST} fields can be requested");
            return Err(ApiError::invalid_param("fields", &description));
        }
        for name in names {
            match name {
                "dateRange" => fields.has_date_range = true,
                "pivotValues" => fields.has_pivot_values = true,
                name => {
                    let metric = METRICS.into_iter().find(|(metric, _)| *metric == name);
                    let metric = metric.ok_or_else(|| {
                        ApiError::invalid_param("fields", "There is no such field")
                    })?;
                    fields.metrics.push(metric);
                }
            }
        }
        Ok(fields)
    }

    /// How many figures a row has.
    pub(super) fn metrics(&self) -> usize {
        self.metrics.len()
    }

    pub(super) fn has_reach(&self) -> bool {
        self.metrics.iter().any(|(name, _)| *name == REACH)
    }

    pub(super) fn write(
        &self,
        row: &mut Map<String, Value>,
        figures: &Figures,
        currency: Currency,
    ) {
        for (name, read) in &self.metrics {
            row.insert((*name).to_owned(), read(figures, currency));
        }
    }
}

/// An amount with as many places as it needs, one at least.
fn short(micros: i64) -> String {
    let long = decimal(micros, 6);
    let end = long.trim_end_matches('0').len();
    let point = long.find('.').unwrap_or(end);
    long.chars().take(end.max(point + 2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_places_that_they_need() {
        assert_eq!(short(180_000_000), "180.0");
        assert_eq!(short(180_250_000), "180.25");
        assert_eq!(short(0), "0.0");
        assert_eq!(short(1_230_000), "1.23");
    }
}
