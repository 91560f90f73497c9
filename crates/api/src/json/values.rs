//! Taking members as the types that requests are made of. What is absent is `None`; what is wrong is noted and `None`.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

use super::Object;

/// PostgreSQL keeps every character but this one.
const NUL: &str = "must not contain the character U+0000";

impl<'a> Object<'a> {
    /// Takes a text that must be there: a missing one is noted, and stands in as empty.
    pub(crate) fn required_text(&mut self, name: &'static str) -> String {
        match self.take(name) {
            Some(raw) => self.read_text(name, raw).unwrap_or_default(),
            None => {
                self.problem(name, "is required");
                String::new()
            }
        }
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        let raw = self.take(name)?;
        self.read_text(name, raw)
    }

    /// Takes a text that can be taken away: null is an empty one.
    pub(crate) fn text_or_null(&mut self, name: &'static str) -> Option<String> {
        match self.raw(name)? {
            raw if raw.get() == "null" => Some(String::new()),
            raw => self.read_text(name, raw),
        }
    }

    fn read_text(&mut self, name: &str, raw: &RawValue) -> Option<String> {
        match text_of(raw) {
            Ok(text) => Some(text),
            Err(message) => {
                self.problem(name, message);
                None
            }
        }
    }

    /// Takes a whole number within bounds.
    pub(crate) fn integer<T>(&mut self, name: &'static str, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: DeserializeOwned + PartialOrd + fmt::Display,
    {
        let raw = self.take(name)?;
        match serde_json::from_str::<T>(raw.get()) {
            Ok(number) if bounds.contains(&number) => Some(number),
            _ => {
                self.problem(
                    name,
                    format!(
                        "must be a whole number from {} to {}",
                        bounds.start(),
                        bounds.end()
                    ),
                );
                None
            }
        }
    }

    /// Takes a yes or no; absent means no.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        self.choice(name).unwrap_or(false)
    }

    /// Takes a yes or no.
    pub(crate) fn choice(&mut self, name: &'static str) -> Option<bool> {
        let raw = self.take(name)?;
        match raw.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.wrong_type(name, "true or false", raw);
                None
            }
        }
    }

    /// Takes a word of a closed vocabulary, or an id: whatever is read from a text.
    pub(crate) fn word<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self.text(name)?;
        match text.parse() {
            Ok(word) => Some(word),
            Err(error) => {
                self.problem(name, error.to_string());
                None
            }
        }
    }

    /// Takes a time.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let text = self.text(name)?;
        match DateTime::parse_from_rfc3339(&text) {
            Ok(time) => Some(time.to_utc()),
            Err(_) => {
                self.problem(
                    name,
                    "must be a time as in RFC 3339, such as \"2030-01-31T08:00:00Z\"",
                );
                None
            }
        }
    }

    /// Takes a length of time in words.
    pub(crate) fn duration(&mut self, name: &'static str) -> Option<Duration> {
        let text = self.text(name)?;
        match humantime::parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(_) => {
                self.problem(
                    name,
                    "must be a length of time in words, such as \"15m\" or \"1h 30m\"",
                );
                None
            }
        }
    }

    /// Takes a list, its items as they were sent.
    pub(crate) fn list(&mut self, name: &'static str) -> Option<Vec<&'a RawValue>> {
        let raw = self.take(name)?;
        match serde_json::from_str(raw.get()) {
            Ok(items) => Some(items),
            Err(_) => {
                self.wrong_type(name, "a list", raw);
                None
            }
        }
    }

    /// Takes a list of words, each read from a text.
    pub(crate) fn words<T>(&mut self, name: &'static str) -> Option<Vec<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let items = self.list(name)?;
        let mut words = Vec::with_capacity(items.len());
        for (index, raw) in items.into_iter().enumerate() {
            let word = text_of(raw)
                .map_err(str::to_owned)
                .and_then(|text| text.parse::<T>().map_err(|error| error.to_string()));
            match word {
                Ok(word) => words.push(word),
                Err(message) => {
                    self.problem_at(format!("{}/{index}", self.pointer_to(name)), message)
                }
            }
        }
        Some(words)
    }

    /// Takes a value of any type.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<Value> {
        let raw = self.take(name)?;
        match serde_json::from_str(raw.get()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, format!("cannot be read: {error}"));
                None
            }
        }
    }

    /// Takes an object whose members are all texts.
    pub(crate) fn texts_by_name(&mut self, name: &'static str) -> Option<BTreeMap<String, String>> {
        let inner = self.object(name)?;
        let mut texts = BTreeMap::new();
        for (key, raw) in inner.members.into_rest() {
            match text_of(raw) {
                Ok(_) if key.contains('\0') => self.problem(name, NUL),
                Ok(text) => {
                    texts.insert(key, text);
                }
                Err(message) => {
                    let pointer = format!("{}/{}", self.pointer_to(name), super::escaped(&key));
                    self.problem_at(pointer, message);
                }
            }
        }
        Some(texts)
    }
}

fn text_of(raw: &RawValue) -> Result<String, &'static str> {
    if !raw.get().starts_with('"') {
        return Err("must be a text");
    }
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) if text.contains('\0') => Err(NUL),
        Ok(text) => Ok(text),
        Err(_) => Err("must be sound text: it has half of a surrogate pair or an unknown escape"),
    }
}

/// What a value is, in words.
pub(super) fn type_of(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'"') => "a text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}
