//! Takes a template's data apart, member by member, so that whatever is wrong is named and nothing of it is quoted.

use serde_json::{Map, Value, json};

use super::{DataProblem, EmailError};

/// Longest line, such as a name or a subject, in characters.
const LONGEST_LINE: usize = 200;
/// Longest text, in characters.
const LONGEST_TEXT: usize = 100_000;
/// What no line has, as [`char::is_control`] says it.
const NO_CONTROL: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// As [`NO_CONTROL`], but for line breaks and tabs.
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
        let is_line = |text: &str| !text.contains(char::is_control) && is_sized(text, LONGEST_LINE);
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
    text_schema_of(&["string"], NO_CONTROL, LONGEST_LINE)
}

/// The schema of what [`Members::optional_line`] takes.
pub(super) fn optional_line_schema() -> Value {
    text_schema_of(&["string", "null"], NO_CONTROL, LONGEST_LINE)
}

/// The schema of what [`Members::text`] takes.
pub(super) fn text_schema() -> Value {
    text_schema_of(&["string"], NO_OTHER_CONTROL, LONGEST_TEXT)
}

fn text_schema_of(types: &[&str], pattern: &str, longest: usize) -> Value {
    json!({
        "type": types,
        "maxLength": longest,
        "pattern": pattern,
        "allOf": [{ "pattern": r"\S" }],
    })
}

fn is_sized(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= most
}
