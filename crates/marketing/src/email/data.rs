//! Takes a template's data apart, member by member, so that whatever is wrong is named and nothing of it is quoted.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use providers::mail::is_header_text;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use url::Url;

use super::{DataProblem, EmailError};

/// Longest line, such as a name or a subject, in characters.
const LONGEST_LINE: usize = 200;
/// Most items of a list.
const MOST_ITEMS: usize = 50;
/// Longest text, in characters.
const LONGEST_TEXT: usize = 100_000;
/// Longest address of a page, in characters.
const LONGEST_URL: usize = 2_000;
/// What a line is, as [`is_header_text`] says it: it may become a part of a subject.
const LINE: &str = r"^(?!.*=\?.*\?=)[^\x00-\x1f\x7f-\x9f\u2028-\u202e]*$";
/// What a text has not: control characters other than line breaks and tabs.
const NO_OTHER_CONTROL: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";

/// The members of a template's data. Each is asked for by name; what nobody asked for is refused at the end.
pub(super) struct Members<'a> {
    template: &'static str,
    members: &'a Map<String, Value>,
    asked_for: Vec<&'static str>,
}

impl<'a> Members<'a> {
    pub(super) fn of(template: &'static str, data: &'a Value) -> Result<Self, EmailError> {
        match data {
            Value::Object(members) => Ok(Self {
                template,
                members,
                asked_for: Vec::new(),
            }),
            _ => Err(EmailError::Data {
                template,
                problem: DataProblem::NotAnObject,
            }),
        }
    }

    /// A text of one line that is not blank.
    pub(super) fn line(&mut self, member: &'static str) -> Result<&'a str, EmailError> {
        self.optional_line(member)?
            .ok_or_else(|| self.wrong(DataProblem::Missing(member)))
    }

    /// As [`Self::line`], or `None` where the member is absent or null.
    pub(super) fn optional_line(
        &mut self,
        member: &'static str,
    ) -> Result<Option<&'a str>, EmailError> {
        self.string(member, is_line, "a line of text of at most 200 characters")
    }

    /// A text that is not blank, of any number of lines.
    pub(super) fn text(&mut self, member: &'static str) -> Result<&'a str, EmailError> {
        let is_text = |text: &str| {
            !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
                && is_sized(text, LONGEST_TEXT)
        };
        self.string(member, is_text, "text of at most 100,000 characters")?
            .ok_or_else(|| self.wrong(DataProblem::Missing(member)))
    }

    /// One of these words.
    pub(super) fn word(
        &mut self,
        member: &'static str,
        (words, expected): (&[&str], &'static str),
    ) -> Result<&'a str, EmailError> {
        self.string(member, |text| words.contains(&text), expected)?
            .ok_or_else(|| self.wrong(DataProblem::Missing(member)))
    }

    /// A time, as RFC 3339 writes it.
    pub(super) fn time(&mut self, member: &'static str) -> Result<DateTime<Utc>, EmailError> {
        self.read(member, "a time such as \"2026-11-20T09:00:00Z\"")
    }

    /// A day.
    pub(super) fn day(&mut self, member: &'static str) -> Result<NaiveDate, EmailError> {
        self.read(member, "a day such as \"2026-11-20\"")
    }

    /// A number with a point, as text: it never passes through a binary fraction.
    pub(super) fn decimal(&mut self, member: &'static str) -> Result<Decimal, EmailError> {
        self.read(member, "a number in quotes, such as \"12.50\"")
    }

    /// As [`Self::decimal`], or `None` where the member is absent or null.
    pub(super) fn optional_decimal(
        &mut self,
        member: &'static str,
    ) -> Result<Option<Decimal>, EmailError> {
        match self.members.get(member) {
            None | Some(Value::Null) => {
                self.asked_for.push(member);
                Ok(None)
            }
            Some(_) => self.decimal(member).map(Some),
        }
    }

    /// The address of a page, or `None` where the member is absent or null.
    pub(super) fn optional_url(
        &mut self,
        member: &'static str,
    ) -> Result<Option<&'a str>, EmailError> {
        let is_page = |text: &str| {
            is_sized(text, LONGEST_URL)
                && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
        };
        self.string(member, is_page, "an address that begins with https://")
    }

    /// A number of things; none where the member is absent or null.
    pub(super) fn count(&mut self, member: &'static str) -> Result<u64, EmailError> {
        self.asked_for.push(member);
        match self.members.get(member) {
            None | Some(Value::Null) => Ok(0),
            Some(value) => value.as_u64().ok_or_else(|| {
                let expected = "a whole number that is not negative";
                self.wrong(DataProblem::Form { member, expected })
            }),
        }
    }

    /// Lines of text, at most 50.
    pub(super) fn lines(&mut self, member: &'static str) -> Result<Vec<&'a str>, EmailError> {
        let expected = "a list of lines of text of at most 200 characters";
        let items = self.items(member, expected)?;
        let lines = items.iter().map(|item| match item {
            Value::String(text) if is_line(text) => Ok(text.trim()),
            _ => Err(self.wrong(DataProblem::Form { member, expected })),
        });
        lines.collect()
    }

    /// Objects, at most 50; who reads one finishes it.
    pub(super) fn objects(&mut self, member: &'static str) -> Result<Vec<Self>, EmailError> {
        let expected = "a list of objects";
        let items = self.items(member, expected)?;
        let objects = items.iter().map(|item| match item {
            Value::Object(members) => Ok(Self {
                template: self.template,
                members,
                asked_for: Vec::new(),
            }),
            _ => Err(self.wrong(DataProblem::Form { member, expected })),
        });
        objects.collect()
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(self) -> Result<(), EmailError> {
        match self
            .members
            .keys()
            .find(|name| !self.asked_for.contains(&name.as_str()))
        {
            Some(name) => Err(self.wrong(DataProblem::Unknown(name.chars().take(64).collect()))),
            None => Ok(()),
        }
    }

    /// The items of a list of at most 50; none where the member is absent or null.
    fn items(
        &mut self,
        member: &'static str,
        expected: &'static str,
    ) -> Result<&'a [Value], EmailError> {
        self.asked_for.push(member);
        match self.members.get(member) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(items)) if items.len() <= MOST_ITEMS => Ok(items),
            Some(_) => Err(self.wrong(DataProblem::Form { member, expected })),
        }
    }

    /// What a text stands for.
    fn read<T: FromStr>(
        &mut self,
        member: &'static str,
        expected: &'static str,
    ) -> Result<T, EmailError> {
        let text = self.string(member, |text| text.parse::<T>().is_ok(), expected)?;
        let text = text.ok_or_else(|| self.wrong(DataProblem::Missing(member)))?;
        text.parse()
            .map_err(|_| self.wrong(DataProblem::Form { member, expected }))
    }

    fn string(
        &mut self,
        member: &'static str,
        is_right: impl Fn(&str) -> bool,
        expected: &'static str,
    ) -> Result<Option<&'a str>, EmailError> {
        self.asked_for.push(member);
        match self.members.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if is_right(text) => Ok(Some(text.trim())),
            Some(_) => Err(self.wrong(DataProblem::Form { member, expected })),
        }
    }

    fn wrong(&self, problem: DataProblem) -> EmailError {
        EmailError::Data {
            template: self.template,
            problem,
        }
    }
}

/// The schema of what [`Members::line`] takes.
pub(super) fn line_schema() -> Value {
    text_schema_of(&["string"], LINE, LONGEST_LINE)
}

/// The schema of what [`Members::optional_line`] takes.
pub(super) fn optional_line_schema() -> Value {
    text_schema_of(&["string", "null"], LINE, LONGEST_LINE)
}

/// The schema of what [`Members::text`] takes.
pub(super) fn text_schema() -> Value {
    text_schema_of(&["string"], NO_OTHER_CONTROL, LONGEST_TEXT)
}

/// The schema of what [`Members::time`] takes.
pub(super) fn time_schema() -> Value {
    json!({ "type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T" })
}

/// The schema of what [`Members::day`] takes.
pub(super) fn day_schema() -> Value {
    json!({ "type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" })
}

/// The schema of what [`Members::decimal`] takes, and with `null` of what [`Members::optional_decimal`] takes: shares of
/// conversions have as many digits as a [`Decimal`] can.
pub(super) fn decimal_schema(types: &[&str]) -> Value {
    json!({ "type": types, "pattern": r"^-?[0-9]{1,20}(\.[0-9]{1,28})?$" })
}

/// The schema of what [`Members::optional_url`] takes.
pub(super) fn optional_url_schema() -> Value {
    json!({ "type": ["string", "null"], "maxLength": LONGEST_URL, "pattern": "^https?://[^ ]+$" })
}

/// The schema of what [`Members::count`] takes.
pub(super) fn count_schema() -> Value {
    json!({ "type": ["integer", "null"], "minimum": 0 })
}

/// The schema of a list, as [`Members::lines`] and [`Members::objects`] take it.
pub(super) fn list_schema(of: &Value) -> Value {
    json!({ "type": ["array", "null"], "maxItems": MOST_ITEMS, "items": of })
}

fn text_schema_of(types: &[&str], pattern: &str, longest: usize) -> Value {
    json!({
        "type": types,
        "maxLength": longest,
        "pattern": pattern,
        "allOf": [{ "pattern": r"\S" }],
    })
}

fn is_line(text: &str) -> bool {
    is_header_text(text) && is_sized(text, LONGEST_LINE)
}

fn is_sized(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= most
}
