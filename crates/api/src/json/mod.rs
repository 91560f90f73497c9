//! Reading JSON objects so that everything wrong is told at once, each with its pointer: unknown members with a
//! suggestion, doubled ones, wrong types, values out of bounds. Members that nobody reads, such as payloads, stay the
//! text they were sent as.

mod members;
mod suggest;
mod values;

use serde_json::value::RawValue;

pub(crate) use suggest::suggestion;

use crate::{
    error::ApiError,
    problem::{FieldProblem, MOST_ERRORS},
};
use members::Members;

/// Most characters of an unknown member's name that an answer repeats.
const LONGEST_NAME: usize = 64;

/// The members of a JSON object, each to be taken once by its name; `null` counts as absent unless it is asked for.
/// What is wrong is collected until [`Object::finish`].
pub(crate) struct Object<'a> {
    members: Members<'a>,
    asked: Vec<&'static str>,
    pointer: String,
    problems: Vec<FieldProblem>,
}

impl<'a> Object<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ApiError::MalformedBody`] when it is no sound JSON, [`ApiError::Invalid`] when it is no object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, ApiError> {
        let members = Members::read(text).map_err(unreadable)?;
        match members.doubled() {
            None => Ok(Self::of(members, String::new())),
            Some(name) => Err(ApiError::MalformedBody {
                detail: "a member is given twice".to_owned(),
                errors: vec![FieldProblem::new(
                    format!("/{}", escaped(name)),
                    "is given twice",
                )],
            }),
        }
    }

    fn of(members: Members<'a>, pointer: String) -> Self {
        Self {
            members,
            asked: Vec::new(),
            pointer,
            problems: Vec::new(),
        }
    }

    /// Takes a member as it was sent, `null` included.
    pub(crate) fn raw(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.asked.push(name);
        self.members.take(name)
    }

    /// Takes a member that is an object; hand it back to [`Object::close`] when its members are taken.
    pub(crate) fn object(&mut self, name: &'static str) -> Option<Object<'a>> {
        let raw = self.take(name)?;
        match Members::read(raw.get()) {
            Ok(members) => match members.doubled().map(escaped) {
                None => return Some(Object::of(members, self.pointer_to(name))),
                Some(doubled) => self.problem_at(
                    format!("{}/{doubled}", self.pointer_to(name)),
                    "is given twice",
                ),
            },
            Err(_) => self.wrong_type(name, "an object", raw),
        }
        None
    }

    /// Takes over what was found wrong in an inner object.
    pub(crate) fn close(&mut self, mut inner: Object<'_>) {
        inner.refuse_unknown();
        for problem in inner.problems {
            self.keep(problem);
        }
    }

    /// Whether the object has no member left.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Notes that a member is wrong.
    pub(crate) fn problem(&mut self, name: &str, message: impl Into<String>) {
        self.problem_at(self.pointer_to(name), message);
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with everything that was found wrong, unknown members included.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        self.refuse_unknown();
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Invalid(self.problems))
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.raw(name).filter(|raw| raw.get() != "null")
    }

    fn wrong_type(&mut self, name: &str, expected: &str, found: &RawValue) {
        self.problem(
            name,
            format!("must be {expected}, not {}", values::type_of(found)),
        );
    }

    fn problem_at(&mut self, pointer: String, message: impl Into<String>) {
        self.keep(FieldProblem::new(pointer, message));
    }

    fn keep(&mut self, problem: FieldProblem) {
        if self.problems.len() < MOST_ERRORS {
            self.problems.push(problem);
        }
    }

    fn pointer_to(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, escaped(name))
    }

    fn refuse_unknown(&mut self) {
        let room = MOST_ERRORS - self.problems.len();
        for name in self.members.names(room) {
            let message = format!("unknown member{}", suggestion(&name, &self.asked));
            self.problem(&name, message);
        }
    }
}

fn unreadable(error: serde_json::Error) -> ApiError {
    if error.is_data() {
        return ApiError::Invalid(vec![FieldProblem::new("", "must be a JSON object")]);
    }
    ApiError::MalformedBody {
        detail: format!("the body is not sound JSON: {error}"),
        errors: Vec::new(),
    }
}

/// A name as JSON Pointer writes it, cut to a bearable length.
fn escaped(name: &str) -> String {
    let name: String = name.chars().take(LONGEST_NAME).collect();
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
