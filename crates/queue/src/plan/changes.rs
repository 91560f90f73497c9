//! Which keys get other values, and from where. Values that a section only inherits are told with the key that they come
//! from: a line in `[defaults]` is one change, not one for every kind.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::Sides;
use crate::config::{Config, Effective, Origin};

/// Most keys that are told.
const MOST: usize = 500;

/// A key that gets another value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Its full name, as TOML writes it.
    pub key: String,
    /// What the text in force says; `None`: nothing, and there is no default.
    pub before: Option<Setting>,
    /// What the new text says.
    pub after: Option<Setting>,
    /// Whether it takes effect only when a process starts anew.
    pub restart: bool,
    /// The override that keeps it from taking effect until it ends.
    pub hidden_by: Option<HiddenBy>,
    /// Keys that have no value of their own and change with it.
    pub inherited_by: Vec<String>,
}

/// A value, and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// In the words of the file.
    pub value: Value,
    /// A position is one in the text of its own side.
    pub origin: Origin,
}

/// An override that stands over a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HiddenBy {
    /// Who set it.
    pub author: String,
    /// When it ends by itself.
    pub until: DateTime<Utc>,
}

/// All that differs between two texts.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) changes: Vec<Change>,
    pub(super) added_sections: Vec<String>,
    pub(super) removed_sections: Vec<String>,
    /// Keys that differ and are not told.
    pub(super) left_out: usize,
}

pub(super) fn between(sides: &Sides) -> Changes {
    let (before, after) = (&sides.before.written, &sides.after.written);
    let (old, new) = (Listing::of(before), Listing::of(after));
    let overrides = Overrides::over(&sides.after.holds);
    let mut found = Changes::default();
    // Where a change stands that others may come from, by the places of both of its values.
    let mut sources: HashMap<(Place, Place), usize> = HashMap::new();

    let gone = old.values.iter().filter(|value| !new.has(&value.key));
    let keys = new.values.iter().chain(gone).map(|value| &value.key);
    for key in keys {
        let (was, is) = (old.get(key), new.get(key));
        if was.map(|value| &value.value) == is.map(|value| &value.value) {
            continue;
        }
        if let (Some(was), Some(is)) = (was, is) {
            let places = (Place::of(&was.origin), Place::of(&is.origin));
            if let Some(source) = sources.get(&places) {
                found.inherit(*source, key, &overrides);
                continue;
            }
            // Defaults that follow from another key's value have no place that would tell which.
            if places != (Place::Nowhere, Place::Nowhere) {
                sources.insert(places, found.changes.len());
            }
        } else if !old.is_own(was) && !new.is_own(is) {
            // It came or went with its section, and holds nothing of its own.
            continue;
        }
        found.add(key, was, is, &overrides);
    }
    found.left_out += found.changes.len().saturating_sub(MOST);
    found.changes.truncate(MOST);

    let (old, new) = (sections(before), sections(after));
    found.added_sections = new.difference(&old).cloned().collect();
    found.removed_sections = old.difference(&new).cloned().collect();
    found
}

impl Changes {
    fn add(
        &mut self,
        key: &str,
        was: Option<&Effective>,
        is: Option<&Effective>,
        overrides: &Overrides,
    ) {
        self.changes.push(Change {
            key: key.to_owned(),
            before: was.map(setting),
            after: is.map(setting),
            restart: was.or(is).is_some_and(|value| value.restart),
            hidden_by: overrides.over_key(key).cloned(),
            inherited_by: Vec::new(),
        });
    }

    fn inherit(&mut self, source: usize, key: &str, overrides: &Overrides) {
        if let Some(change) = self.changes.get_mut(source)
            && overrides.over_key(key).is_none()
        {
            change.inherited_by.push(key.to_owned());
        }
    }
}

fn setting(value: &Effective) -> Setting {
    Setting {
        value: value.value.clone(),
        origin: value.origin.clone(),
    }
}

/// Where a text gives a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Nowhere,
    At { line: usize, column: usize },
}

impl Place {
    fn of(origin: &Origin) -> Self {
        match *origin {
            Origin::File { line, column } => Self::At { line, column },
            Origin::BuiltIn | Origin::Override { .. } => Self::Nowhere,
        }
    }
}

/// The values of a text, in its order.
struct Listing {
    values: Vec<Effective>,
    by_key: HashMap<String, usize>,
    /// The keys whose values are given where they stand, and not inherited.
    own: HashSet<String>,
}

impl Listing {
    fn of(config: &Config) -> Self {
        let values = config.effective();
        let mut places = HashSet::new();
        // What is inherited is listed behind what it comes from, with the same position.
        let own = values
            .iter()
            .filter(|value| match Place::of(&value.origin) {
                Place::Nowhere => false,
                place => places.insert(place),
            })
            .map(|value| value.key.clone())
            .collect();
        let by_key = values.iter().enumerate();
        Self {
            by_key: by_key
                .map(|(place, value)| (value.key.clone(), place))
                .collect(),
            own,
            values,
        }
    }

    fn get(&self, key: &str) -> Option<&Effective> {
        self.values.get(*self.by_key.get(key)?)
    }

    fn has(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    fn is_own(&self, value: Option<&Effective>) -> bool {
        value.is_some_and(|value| self.own.contains(&value.key))
    }
}

/// The keys that have their value from an override.
struct Overrides(HashMap<String, HiddenBy>);

impl Overrides {
    fn over(config: &Config) -> Self {
        let hidden = |value: Effective| match value.origin {
            Origin::Override { until, author } => Some((value.key, HiddenBy { author, until })),
            Origin::BuiltIn | Origin::File { .. } => None,
        };
        Self(config.effective().into_iter().filter_map(hidden).collect())
    }

    fn over_key(&self, key: &str) -> Option<&HiddenBy> {
        self.0.get(key)
    }
}

/// The sections that people name, as TOML writes them.
fn sections(config: &Config) -> BTreeSet<String> {
    let queues = config.queues.keys().map(|name| format!("queues.{name}"));
    let kinds = config.kinds.keys().map(|name| format!("kinds.{name:?}"));
    let budgets = config.budgets.keys().map(|name| format!("budgets.{name}"));
    let schedules = config.schedules.keys();
    let schedules = schedules.map(|name| format!("schedules.{name}"));
    let slos = config.slos.keys().map(|name| format!("slo.{name}"));
    let named = queues.chain(kinds).chain(budgets);
    named.chain(schedules).chain(slos).collect()
}
