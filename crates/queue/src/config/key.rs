//! One key of a section: its name, its doc sentence, and the ways to read it.

use serde_json::Value;
use toml::{
    Spanned,
    de::{DeString, DeValue},
};

use super::{
    problem::{Origin, Refusal},
    section::{Section, join, label},
    shape::{Place, Shape},
};

/// A key and its value as they stand in the document.
pub(super) type Entry<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>);

/// A value and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

impl<T> Given<T> {
    pub(super) fn built_in(value: T) -> Self {
        Self {
            value,
            origin: Origin::BuiltIn,
        }
    }
}

impl<T: Clone + PartialEq> Given<T> {
    /// This one where it says anything else than what is built in, or else a value of Millpond's own.
    pub(super) fn said_or(&self, built_in: &Self, own: T) -> Self {
        if self.value == built_in.value {
            Self::built_in(own)
        } else {
            self.clone()
        }
    }
}

/// A key that is being declared. It is read by the last call of its chain.
pub(super) struct Key<'k, 'a> {
    section: &'k mut Section<'a>,
    name: &'static str,
    doc: &'static str,
    needs_restart: bool,
    comes_later: bool,
}

impl<'k, 'a> Key<'k, 'a> {
    pub(super) fn new(section: &'k mut Section<'a>, name: &'static str, doc: &'static str) -> Self {
        Self {
            section,
            name,
            doc,
            needs_restart: false,
            comes_later: false,
        }
    }

    /// A change takes effect when the process starts anew.
    pub(super) fn restart(mut self) -> Self {
        self.needs_restart = true;
        self
    }

    /// It is checked, but nothing acts on it in this release: giving it is a warning.
    pub(super) fn later(mut self) -> Self {
        self.comes_later = true;
        self
    }

    /// The value in the file, if there is a right one; it is not listed as effective.
    pub(super) fn given<S: Shape>(mut self, shape: &S) -> Option<Given<S::Value>> {
        self.describe(|| shape.schema(), None);
        self.take(shape)
    }

    /// The value in the file; `None` when there is none, which has a meaning of its own.
    pub(super) fn optional<S: Shape>(mut self, shape: S) -> Option<S::Value> {
        self.describe(|| shape.schema(), None);
        let given = self.take(&shape)?;
        self.list(&shape, &given);
        Some(given.value)
    }

    /// The value in the file; a section without one is refused.
    pub(super) fn required<S: Shape>(mut self, shape: S) -> Option<S::Value> {
        self.describe(|| shape.schema(), None);
        self.section.require(self.name);
        if !self.section.has(self.name) {
            let path = &self.section.header.path;
            let refusal = Refusal::new(format!("[{path}] needs the key {:?}", self.name));
            self.section.refuse_whole(refusal);
        }
        let given = self.take(&shape)?;
        self.list(&shape, &given);
        Some(given.value)
    }

    /// The value in the file, or this one.
    pub(super) fn or<S: Shape>(self, shape: S, default: S::Value) -> S::Value {
        self.inherit(shape, &Given::built_in(default)).value
    }

    /// The value in the file, or the one of the layer below with its origin.
    pub(super) fn inherit<S: Shape>(
        mut self,
        shape: S,
        below: &Given<S::Value>,
    ) -> Given<S::Value> {
        self.describe(|| shape.schema(), Some(shape.show(&below.value)));
        let given = self.take(&shape).unwrap_or_else(|| below.clone());
        self.list(&shape, &given);
        given
    }

    /// A section within the section; it is read even where the file does not have it, for its defaults.
    pub(super) fn table<T>(mut self, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let entry = self.find();
        let header = self.section.header_of(self.name, entry);
        if let (Some((key, _)), true) = (entry, self.comes_later) {
            self.warn_of(key, &format!("[{}]", header.path));
        }

        let (value, schema) = Section::open(&mut *self.section.reader, header, read);
        self.describe(|| schema, None);
        value
    }

    /// The value in the document and what it means, if it is right.
    fn take<S: Shape>(&mut self, shape: &S) -> Option<Given<S::Value>> {
        let (key, value) = self.find()?;
        let path = &self.section.header.path;
        let (path, label) = (join(path, self.name), label(path, self.name));
        if self.comes_later {
            self.warn_of(key, &label);
        }

        let mut place = Place::new(&mut *self.section.reader, path, label);
        let value = shape.read(value, &mut place)?;
        let origin = self.section.reader.origin(key.span());
        Some(Given { value, origin })
    }

    fn find(&mut self) -> Option<Entry<'a>> {
        self.section.know(self.name);
        self.section.header.table?.get_key_value(self.name)
    }

    fn warn_of(&mut self, key: &Spanned<DeString<'_>>, label: &str) {
        let message = format!("{label} has no effect yet in this release");
        self.section.reader.warn(key.span(), message);
    }

    fn list<S: Shape>(&mut self, shape: &S, given: &Given<S::Value>) {
        let shown = shape.show(&given.value);
        self.section
            .record(self.name, shown, given.origin.clone(), self.needs_restart);
    }

    fn describe(&mut self, schema: impl FnOnce() -> Value, default: Option<Value>) {
        if !self.section.reader.is_describing() {
            return;
        }
        let mut doc = self.doc.to_owned();
        if self.needs_restart {
            doc.push_str(" A change takes effect after a restart.");
        }
        if self.comes_later {
            doc.push_str(" It has no effect yet in this release.");
        }

        let mut schema = schema();
        schema["description"] = Value::from(doc);
        if let Some(default) = default {
            schema["default"] = default;
        }
        self.section.add_property(self.name, schema);
    }
}
