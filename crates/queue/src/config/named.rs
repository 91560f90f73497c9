//! Sections whose keys people choose themselves: `[queues.NAME]`, `[kinds."NAME"]`, `[kpis]`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    key::Entry,
    names::NameRule,
    problem::Refusal,
    section::{Section, join, label},
    shape::{Place, Shape},
};

/// The name under which such a section is opened for its schema.
const SAMPLE_NAME: &str = "*";

impl<'a> Section<'a> {
    /// Reads every section in this one, and the built-in ones even where the file does not name them.
    pub(super) fn each<T>(
        &mut self,
        rule: NameRule,
        built_in: &[&str],
        mut read: impl FnMut(&str, &mut Section<'_>) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let given = self.entries(rule);
        let mut names: Vec<&str> = given.keys().copied().collect();
        names.extend(built_in.iter().filter(|name| !given.contains_key(**name)));
        if self.reader.is_describing() {
            names = vec![SAMPLE_NAME];
        }

        let mut schema = Value::Null;
        let mut values = BTreeMap::new();
        for name in names {
            let header = self.header_of(name, given.get(name).copied());
            let read = |section: &mut Section<'_>| read(name, section);
            let (value, described) = Section::open(&mut *self.reader, header, read);
            values.extend(value.map(|value| (name.to_owned(), value)));
            schema = described;
        }
        self.set_free(schema_of(rule, built_in, schema));
        values
    }

    /// Reads every key of this section as a value of one shape.
    pub(super) fn each_value<S: Shape>(
        &mut self,
        rule: NameRule,
        shape: &S,
    ) -> BTreeMap<String, S::Value> {
        let mut values = BTreeMap::new();
        for (name, (key, value)) in self.entries(rule) {
            let (path, label) = (
                join(&self.header.path, name),
                label(&self.header.path, name),
            );
            let mut place = Place::new(&mut *self.reader, path, label);
            let Some(value) = shape.read(value, &mut place) else {
                continue;
            };
            let origin = self.reader.origin(key.span());
            self.record(name, shape.show(&value), origin, false);
            values.insert(name.to_owned(), value);
        }
        self.set_free(schema_of(rule, &[], shape.schema()));
        values
    }

    /// What the file has in this section under names that the rule allows; other names are refused.
    fn entries(&mut self, rule: NameRule) -> BTreeMap<&'a str, Entry<'a>> {
        let mut entries = BTreeMap::new();
        for (key, value) in self.header.table.into_iter().flatten() {
            let name: &'a str = key.get_ref();
            if rule.allows(name) {
                entries.insert(name, (key, value));
                continue;
            }
            let refusal = Refusal::new(format!(
                "{name:?} is no name for an entry of [{}]: {}",
                self.header.path,
                rule.doc()
            ));
            self.reader.refuse(key.span(), refusal);
        }
        entries
    }
}

fn schema_of(rule: NameRule, built_in: &[&str], entry: Value) -> Value {
    let mut schema = json!({
        "type": "object",
        "propertyNames": { "pattern": rule.pattern() },
    });
    let has_needs = entry["required"]
        .as_array()
        .is_some_and(|needed| !needed.is_empty());
    if has_needs {
        // What is built in has all that others must be given.
        let mut complete = entry.clone();
        complete["required"] = json!([]);
        for name in built_in {
            schema["properties"][*name] = complete.clone();
        }
    }
    schema["additionalProperties"] = entry;
    schema
}
