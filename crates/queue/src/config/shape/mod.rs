//! What a value may be: how it is written, which bounds it has, how it is shown, and its JSON Schema.

mod list;
mod number;
mod text;
mod words;

use std::{fmt, ops::Range};

use serde_json::Value;
use toml::{Spanned, de::DeValue};

use super::{
    problem::Refusal,
    section::{Header, Reader, Section},
};

pub(super) use list::{list, payload};
pub(super) use number::{flag, integer, number};
pub(super) use text::{Text, choice, named};
pub(super) use words::{format_duration, rate, size, time};

/// How a value is written, checked and shown.
pub(super) trait Shape {
    /// What it means.
    type Value: Clone;

    /// Reads a value; `None` after everything wrong with it was reported.
    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Self::Value>;

    /// The value in the words in which a file would say it.
    fn show(&self, value: &Self::Value) -> Value;

    /// The JSON Schema, an object.
    fn schema(&self) -> Value;
}

/// The key whose value is being read, to report what is wrong with it.
pub(super) struct Place<'a> {
    reader: &'a mut Reader,
    path: String,
    label: String,
}

impl<'a> Place<'a> {
    pub(super) fn new(reader: &'a mut Reader, path: String, label: String) -> Self {
        Self {
            reader,
            path,
            label,
        }
    }

    /// Reports a value that is not taken. Always `None`, so that a shape can end with it.
    pub(super) fn refuse<T>(&mut self, at: Range<usize>, refusal: Refusal) -> Option<T> {
        let message = format!("{}: {}", self.label, refusal.message);
        let refusal = Refusal::new(message).suggesting(refusal.suggestion);
        self.reader.refuse(at, refusal);
        None
    }

    /// Reports a value of another type than the expected one.
    pub(super) fn expected<T>(
        &mut self,
        expected: impl fmt::Display,
        found: &Spanned<DeValue<'_>>,
    ) -> Option<T> {
        let message = format!("expected {expected}, found {}", kind_of(found));
        self.refuse(found.span(), Refusal::new(message))
    }

    /// Reads a value that is a table of its own, such as `backoff = { … }`.
    pub(super) fn table<T>(
        &mut self,
        expected: &str,
        found: &Spanned<DeValue<'_>>,
        read: impl FnOnce(&mut Section<'_>) -> Option<T>,
    ) -> Option<T> {
        let Some(table) = found.get_ref().as_table() else {
            return self.expected(expected, found);
        };
        let header = Header {
            path: self.path.clone(),
            at: found.span(),
            table: Some(table),
            listed: false,
        };
        let (value, _) = Section::open(&mut *self.reader, header, read);
        value
    }
}

/// The JSON Schema of a value that is a table, from the very function that reads it.
pub(super) fn schema_of_table<T>(read: impl FnOnce(&mut Section<'_>) -> T) -> Value {
    let header = Header {
        path: String::new(),
        at: 0..0,
        table: None,
        listed: false,
    };
    let (_, schema) = Section::open(&mut Reader::describing(), header, read);
    schema
}

/// The type of a value, with its article.
pub(super) fn kind_of(value: &Spanned<DeValue<'_>>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
