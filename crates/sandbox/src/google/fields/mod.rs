//! The fields that queries can name: which there are, what sort each is, and how it is read and written.

mod figures;
mod things;
mod words;

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::scene::Scene;

/// The day by the account's clock.
pub(super) const DATE: &str = "segments.date";
/// When something was last changed.
pub(super) const CHANGED_AT: &str = "change_status.last_change_date_time";

const TABLES: [&[Field]; 13] = [
    things::CUSTOMER,
    things::CUSTOMER_CLIENT,
    things::CAMPAIGN,
    things::CAMPAIGN_BUDGET,
    things::AD_GROUP,
    things::AD_GROUP_AD,
    things::ASSET_GROUP,
    things::USER_LIST,
    things::CONVERSION_ACTION,
    things::CHANGE_STATUS,
    figures::METRICS,
    figures::RATIOS,
    figures::SEGMENTS,
];

/// A field.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) of: FieldType,
    pub(super) read: fn(&Scene) -> Cell,
}

/// What sort of value a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldType {
    /// 64 bits, which JSON has as text.
    Int,
    /// 32 bits, a number in JSON.
    Small,
    Float,
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    Flag,
    /// The name of a resource, `customers/1/campaigns/2`.
    Name,
    /// `2026-11-20`.
    Day,
    /// `2026-11-20 12:00:00`, by the account's clock.
    Time,
}

/// The value of a field in one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Int(i64),
    Float(f64),
    Text(String),
    Flag(bool),
    Nothing,
}

impl Field {
    const fn new(name: &'static str, of: FieldType, read: fn(&Scene) -> Cell) -> Self {
        Self { name, of, read }
    }

    /// The field of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        TABLES
            .into_iter()
            .flatten()
            .find(|field| field.name == name)
    }

    /// What its name begins with.
    pub(super) fn root(&self) -> &'static str {
        self.name
            .split_once('.')
            .map_or(self.name, |(root, _)| root)
    }

    pub(super) fn is_metric(&self) -> bool {
        self.root() == "metrics"
    }

    pub(super) fn is_segment(&self) -> bool {
        self.root() == "segments"
    }

    /// Its value as JSON. What equals the default of its type is left out: zeros, empty texts, false.
    fn json(&self, scene: &Scene) -> Option<Value> {
        match ((self.read)(scene), self.of) {
            (Cell::Int(number), FieldType::Small) => Some(json!(number)),
            (Cell::Int(0) | Cell::Flag(false) | Cell::Nothing, _) => None,
            (Cell::Int(number), _) => Some(json!(number.to_string())),
            (Cell::Float(number), _) => (number != 0.0).then(|| json!(number)),
            (Cell::Text(text), _) => (!text.is_empty()).then(|| json!(text)),
            (Cell::Flag(true), _) => Some(json!(true)),
        }
    }
}

impl Cell {
    /// Where it stands to another one of its sort; nothing comes before everything.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => one.cmp(two),
            (Self::Float(one), Self::Float(two)) => one.total_cmp(two),
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            (Self::Flag(one), Self::Flag(two)) => one.cmp(two),
            (one, two) => (*one != Self::Nothing).cmp(&(*two != Self::Nothing)),
        }
    }
}

/// Fields that are shown, and where in a row of JSON each stands.
pub(super) struct Shown(Vec<(Vec<String>, &'static Field)>);

impl Shown {
    pub(super) fn new(fields: impl IntoIterator<Item = &'static Field>) -> Self {
        let placed = fields.into_iter().map(|field| (path(field.name), field));
        Self(placed.collect())
    }

    /// A row of JSON.
    pub(super) fn row(&self, scene: &Scene) -> Value {
        let mut row = Map::new();
        for (path, field) in &self.0 {
            if let Some(value) = field.json(scene) {
                insert(&mut row, path, value);
            }
        }
        Value::Object(row)
    }

    /// The fields' names as `fieldMask` has them.
    pub(super) fn mask(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(path, _)| path.join(".")).collect();
        names.join(",")
    }
}

fn insert(row: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            row.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = row
                .entry(first.clone())
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// The members that lead to a field in a row of JSON.
fn path(name: &str) -> Vec<String> {
    name.split('.').map(camel_case).collect()
}

/// `cost_micros` as JSON has it: `costMicros`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_in_json_are_in_camel_case() {
        assert_eq!(camel_case("cost_micros"), "costMicros");
        assert_eq!(camel_case("ad_group_ad"), "adGroupAd");
        assert_eq!(camel_case("ctr"), "ctr");
        assert_eq!(camel_case(""), "");
    }

    #[test]
    fn every_field_has_a_name_of_its_own() {
        let mut names = HashSet::new();

        for field in TABLES.into_iter().flatten() {
            assert!(names.insert(field.name), "{}", field.name);
        }
        assert!(Field::named(DATE).is_some() && Field::named(CHANGED_AT).is_some());
    }
}
