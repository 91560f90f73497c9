//! The members of one JSON object, unread.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Members by name, each as it was sent.
pub(super) struct Members<'a> {
    by_name: BTreeMap<String, &'a RawValue>,
    doubled: Option<String>,
}

impl<'a> Members<'a> {
    /// Reads the text of an object; its values are checked to be JSON and left alone.
    pub(super) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The name of a member that is there twice.
    pub(super) fn doubled(&self) -> Option<&str> {
        self.doubled.as_deref()
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.by_name.remove(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The first names of those that are left.
    pub(super) fn names(&self, most: usize) -> Vec<String> {
        self.by_name.keys().take(most).cloned().collect()
    }

    /// All that are left, by name.
    pub(super) fn into_rest(self) -> BTreeMap<String, &'a RawValue> {
        self.by_name
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members {
            by_name: BTreeMap::new(),
            doubled: None,
        };
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            match members.by_name.entry(name) {
                Entry::Occupied(first) => members.doubled = Some(first.key().clone()),
                Entry::Vacant(free) => {
                    free.insert(value);
                }
            }
        }
        Ok(members)
    }
}
