//! The gate that every payload passes before it is stored: sound JSON that every reader can decode. Raw JSON lets
//! through what PostgreSQL then refuses, failing everybody in the same insert, and what no handler can decode.

use std::{collections::BTreeMap, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

/// Deepest nesting.
const MOST_DEPTH: usize = 32;
/// Most members and elements in all.
const MOST_MEMBERS: usize = 10_000;

/// What is wrong with a payload, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{pointer}: {message}")]
pub struct PayloadProblem {
    /// JSON Pointer into the payload; empty for the whole.
    pub pointer: String,
    /// What is wrong, for people.
    pub message: String,
}

/// Reads one JSON value, nested at most 32 deep, with at most 10,000 members, no member twice, no NUL, no lone
/// surrogate, no number beyond what a double can hold.
pub(crate) fn read(text: &str) -> Result<Value, PayloadProblem> {
    let mut walk = Walk::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Step { walk: &mut walk }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| walk.problem(&error))
}

/// How deep the walk is, what it has seen, and where it failed.
#[derive(Default)]
struct Walk {
    depth: usize,
    members: usize,
    /// The steps to where it failed, the last one first: they are told on the way out, since most walks succeed.
    steps: Vec<String>,
    /// Set where the walk itself found fault, since the parser's error adds a line and a column to its text.
    finding: Option<String>,
}

impl Walk {
    fn problem(mut self, error: &serde_json::Error) -> PayloadProblem {
        self.steps.reverse();
        PayloadProblem {
            pointer: field_of(&self.steps),
            message: self.finding.unwrap_or_else(|| error.to_string()),
        }
    }

    fn refuse<E: serde::de::Error>(&mut self, message: &str) -> E {
        self.finding = Some(message.to_owned());
        E::custom(message)
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth >= MOST_DEPTH {
            return Err(self.refuse("the payload is nested more than 32 deep"));
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.members += 1;
        if self.members > MOST_MEMBERS {
            return Err(self.refuse("the payload has more than 10,000 members"));
        }
        Ok(())
    }

    fn text<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            return Err(self.refuse("the text holds the character U+0000, which cannot be stored"));
        }
        Ok(())
    }

    /// The value of an object's next member, which has this name.
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        object: &Map<String, Value>,
        members: &mut A,
    ) -> Result<Value, A::Error> {
        self.text(name)?;
        self.count()?;
        if object.contains_key(name) {
            return Err(self.refuse("the member stands there twice"));
        }
        members.next_value_seed(Step { walk: self })
    }
}

struct Step<'w> {
    walk: &'w mut Walk,
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.walk.text(text).map(|()| text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        self.walk.enter()?;
        let mut array = Vec::new();
        loop {
            match elements.next_element_seed(Step { walk: self.walk }) {
                Ok(Some(value)) => {
                    self.walk.count()?;
                    array.push(value);
                }
                Ok(None) => break,
                Err(error) => {
                    self.walk.steps.push(array.len().to_string());
                    return Err(error);
                }
            }
        }
        self.walk.leave();
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.walk.enter()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = match self.walk.member(&name, &object, &mut members) {
                Ok(value) => value,
                Err(error) => {
                    self.walk.steps.push(name);
                    return Err(error);
                }
            };
            object.insert(name, value);
        }
        self.walk.leave();
        Ok(Value::Object(object))
    }
}

/// Where a field named in the configuration stands in a payload: a plain name at the top level, or a JSON Pointer.
pub(crate) fn field_path(field: &str) -> Vec<String> {
    match field.strip_prefix('/') {
        Some(pointer) => pointer
            .split('/')
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect(),
        None => vec![field.to_owned()],
    }
}

/// The field that a path leads to, as a JSON Pointer.
pub(crate) fn field_of(path: &[String]) -> String {
    path.iter()
        .map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1")))
        .collect()
}

/// Why a field's value makes no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoKey {
    /// An object or an array: PostgreSQL would write it in an order of its own.
    #[error("must be a single value: a text, a number, true or false")]
    NotSingle,
    /// PostgreSQL would write the same number in another way.
    #[error("must be a number without an exponent, and no negative zero")]
    NotAsWritten,
}

/// The text of a field, as PostgreSQL's `#>>` gives it: texts bare, numbers and truth values as written, however many
/// digits they have; `None` where it is missing or null.
pub(crate) fn field_text(payload: &str, field: &str) -> Result<Option<String>, NoKey> {
    let path = field_path(field);
    if !may_have(payload, &path) {
        return Ok(None);
    }
    let Some(found) = find(payload, &path) else {
        return Ok(None);
    };
    let text = found.get();
    match text.as_bytes().first() {
        None | Some(b'n') => Ok(None),
        Some(b'"') => Ok(serde_json::from_str(text).ok()),
        Some(b'{' | b'[') => Err(NoKey::NotSingle),
        Some(b'-' | b'0'..=b'9') if !is_kept_as_written(text) => Err(NoKey::NotAsWritten),
        Some(_) => Ok(Some(text.to_owned())),
    }
}

/// Whether a payload can have a field at all: most have none that names an account, and are not parsed to learn that.
/// Where something is written with a backslash, that may be the field's name.
fn may_have(payload: &str, path: &[String]) -> bool {
    let last = path.last().map_or("", String::as_str);
    payload.contains(last) || payload.contains('\\')
}

fn is_kept_as_written(number: &str) -> bool {
    let is_negative_zero = || {
        number
            .strip_prefix('-')
            .is_some_and(|digits| digits.chars().all(|c| matches!(c, '0' | '.')))
    };
    !number.contains(['e', 'E']) && !is_negative_zero()
}

fn find<'p>(payload: &'p str, path: &[String]) -> Option<&'p RawValue> {
    let mut value: &'p RawValue = serde_json::from_str(payload).ok()?;
    for step in path {
        value = match value.get().as_bytes().first()? {
            b'{' => {
                let members: BTreeMap<String, &'p RawValue> =
                    serde_json::from_str(value.get()).ok()?;
                members.get(step).copied()?
            }
            b'[' => {
                let elements: Vec<&'p RawValue> = serde_json::from_str(value.get()).ok()?;
                elements.get(step.parse::<usize>().ok()?).copied()?
            }
            _ => return None,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> PayloadProblem {
        read(text).expect_err("the payload is unsound")
    }

    #[test]
    fn sound_payloads_are_read_as_they_are_whatever_their_numbers_look_like() {
        for text in [
            "{}",
            "[1, 2.5e3, 123456789012345678901234567890]",
            "\"caf\u{e9}\"",
            "[0, -1, -0, -0.0, 18446744073709551615, -9223372036854775808, 18446744073709551616]",
            " {\"a\" : {\"b\": [null, true], \"\": \"\\ud83d\\udc3b\\/\"}} ",
        ] {
            let same: Value = serde_json::from_str(text).expect("the text is JSON");

            assert_eq!(read(text), Ok(same), "{text}");
        }
    }

    #[test]
    fn what_no_reader_could_use_is_refused_with_its_place() {
        assert_eq!(problem(r#"{"a":{"b":"x\u0000"}}"#).pointer, "/a/b");
        assert_eq!(problem(r#"{"a":1,"b":[{"c":1,"c":2}]}"#).pointer, "/b/0/c");
        assert_eq!(problem(r#"{"a":"\ud800"}"#).pointer, "/a");
        assert!(problem("1e400").message.contains("out of range"));
        assert!(problem("{} x").message.contains("trailing"));
        assert!(problem("").message.contains("EOF"));
        assert!(
            problem(&format!("{}{}", "[".repeat(33), "]".repeat(33)))
                .message
                .contains("32 deep")
        );
        assert!(problem(&"[".repeat(100_000)).message.contains("32 deep"));
        assert!(
            problem(&format!("[{}0]", "0,".repeat(10_000)))
                .message
                .contains("10,000")
        );
    }

    #[test]
    fn the_deepest_allowed_nesting_passes() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let side_by_side = format!("[{0},{0}]", nested(31));

        assert!(read(&nested(32)).is_ok());
        assert!(read(&side_by_side).is_ok());
    }

    #[test]
    fn fields_are_found_by_name_and_by_pointer() {
        let payload = r#" { "account\u005fid": 7, "event": {"a/b": "x \u00e9"}, "list": [true], "none": null }"#;

        for (field, text) in [
            ("account_id", Some("7")),
            ("/event/a~1b", Some("x \u{e9}")),
            ("/list/0", Some("true")),
            ("/list/1", None),
            ("none", None),
            ("other", None),
        ] {
            let pointer = field_of(&field_path(field));

            assert_eq!(field_text(payload, field), Ok(text.map(str::to_owned)));
            assert_eq!(field_text(payload, &pointer), field_text(payload, field));
        }
    }

    #[test]
    fn numbers_of_keys_are_taken_as_written_and_nothing_that_has_two_spellings_is() {
        let text = |value: &str| field_text(&format!("{{\"n\": {value}}}"), "n");

        for number in ["123456789012345678901234567890", "1.50", "-7", "0"] {
            assert_eq!(text(number), Ok(Some(number.to_owned())));
        }
        for number in ["1e2", "1E2", "-0", "-0.0"] {
            assert_eq!(text(number), Err(NoKey::NotAsWritten), "{number}");
        }
        for value in ["{}", "[1]"] {
            assert_eq!(text(value), Err(NoKey::NotSingle), "{value}");
        }
    }
}
