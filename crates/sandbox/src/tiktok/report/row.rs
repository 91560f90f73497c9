//! A row of a report, as JSON or as fields of a file.

use std::iter;

use serde_json::{Map, Value, json};

use super::{
    audience::{Part, divided},
    metric::{self, About, Metric},
    query::{Dimension, ReportQuery},
};
use crate::{
    tiktok::entities,
    world::{Account, Entity, Key, Kind, Objective, Row, World},
};

/// What rows are told with.
pub(super) struct Teller<'t> {
    pub(super) world: &'t World,
    pub(super) account: &'t Account,
    pub(super) query: &'t ReportQuery,
}

impl Teller<'_> {
    /// The rows that one becomes where people are told apart; else it alone.
    pub(super) fn parts(&self, row: &Row) -> Vec<Part> {
        divided(&self.query.groups, row.figures, self.account.currency)
    }

    pub(super) fn json(&self, row: &Row, part: &Part) -> Value {
        let dimensions: Map<_, _> = self
            .dimensions(row, part)
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        let metrics: Map<_, _> = self
            .metrics(row, part)
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        json!({ "dimensions": dimensions, "metrics": metrics })
    }

    /// The values of a row, dimensions first.
    pub(super) fn fields(&self, row: &Row, part: &Part) -> Vec<String> {
        let pairs = self.dimensions(row, part).chain(self.metrics(row, part));
        pairs.map(|(_, value)| value).collect()
    }

    fn dimensions(&self, row: &Row, part: &Part) -> impl Iterator<Item = (&'static str, String)> {
        let groups = iter::zip(&self.query.groups, &part.values);
        self.query.dimensions.iter().map(move |dimension| {
            let value = match dimension {
                Dimension::Group(group) => {
                    let of_group = groups.clone().find(|(known, _)| *known == group);
                    of_group.map_or_else(String::new, |(_, value)| (*value).to_owned())
                }
                Dimension::Id(_) => self.world.id(row.key),
                Dimension::Day => format!("{} 00:00:00", row.bucket.from),
                Dimension::Hour => {
                    let hour = row.bucket.hour.unwrap_or_default();
                    format!("{} {hour:02}:00:00", row.bucket.from)
                }
            };
            (dimension.as_str(), value)
        })
    }

    fn metrics(&self, row: &Row, part: &Part) -> impl Iterator<Item = (&'static str, String)> {
        let objective = self.entity(row.key).map(|entity| entity.objective);
        let sells = objective != Some(Objective::Leads);
        self.query.metrics.iter().map(move |metric| {
            let value = match metric {
                Metric::Counted(_, count) => {
                    metric::text(*count, &part.figures, self.account.currency, sells)
                }
                Metric::About(_, about) => self.about(*about, row.key),
            };
            (metric.as_str(), value)
        })
    }

    fn about(&self, about: About, key: Key) -> String {
        let above = |kind: Kind| {
            let mut above = iter::successors(Some(key), |key| key.parent());
            above.find(|key| key.kind == kind)
        };
        let told = match about {
            About::Currency => Some(self.account.currency.code().to_owned()),
            About::AdvertiserName => Some(self.account.name.clone()),
            About::ObjectiveType => self
                .entity(key)
                .map(|entity| entities::objective(entity.objective).to_owned()),
            About::Id(kind) => above(kind).map(|key| self.world.id(key)),
            About::Name(kind) => above(kind)
                .and_then(|key| self.entity(key))
                .map(|entity| entity.name),
        };
        told.unwrap_or_else(|| metric::NOTHING.to_owned())
    }

    fn entity(&self, key: Key) -> Option<Entity> {
        self.world.entity(key)
    }
}
