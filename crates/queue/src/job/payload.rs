//! The gate that every payload passes before it is stored: sound JSON that every reader can decode. Raw JSON lets
//! through what PostgreSQL then refuses, failing everybody in the same insert, and what no handler can decode.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

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

/// Checks that the text is one JSON value, nested at most 32 deep, with at most 10,000 members, no member twice, no
/// NUL, no lone surrogate, no number beyond what a double can hold.
pub(crate) fn check(text: &str) -> Result<(), PayloadProblem> {
    let mut walk = Walk::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let checked = Step { walk: &mut walk }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    checked.map_err(|error| PayloadProblem {
        pointer: walk.pointer(),
        message: walk.finding.unwrap_or_else(|| error.to_string()),
    })
}

/// Where the walk is and what it has seen.
#[derive(Default)]
struct Walk {
    path: Vec<String>,
    members: usize,
    /// Set where the walk itself found fault, since the parser's error adds a line and a column to its text.
    finding: Option<String>,
}

impl Walk {
    fn pointer(&self) -> String {
        field_of(&self.path)
    }

    fn refuse<E: serde::de::Error>(&mut self, message: &str) -> E {
        self.finding = Some(message.to_owned());
        E::custom(message)
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.path.len() >= MOST_DEPTH {
            return Err(self.refuse("the payload is nested more than 32 deep"));
        }
        Ok(())
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
}

struct Step<'w> {
    walk: &'w mut Walk,
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.walk.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.walk.enter()?;
        let mut index = 0_usize;
        loop {
            self.walk.path.push(index.to_string());
            if elements
                .next_element_seed(Step { walk: self.walk })?
                .is_none()
            {
                break;
            }
            self.walk.path.pop();
            self.walk.count()?;
            index += 1;
        }
        self.walk.path.pop();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.walk.enter()?;
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            self.walk.path.push(name.clone());
            self.walk.text(&name)?;
            self.walk.count()?;
            if !names.insert(name) {
                return Err(self.walk.refuse("the member stands there twice"));
            }
            members.next_value_seed(Step { walk: self.walk })?;
            self.walk.path.pop();
        }
        Ok(())
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
    let Some(found) = find(payload, &field_path(field)) else {
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
        check(text).expect_err("the payload is unsound")
    }

    #[test]
    fn sound_payloads_pass_whatever_their_numbers_look_like() {
        for text in [
            "{}",
            "[1, 2.5e3, 123456789012345678901234567890]",
            "\"caf\u{e9}\"",
            "{\"a\":{\"b\":[null,true]}}",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
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
        assert_eq!(
            check(&format!("{}{}", "[".repeat(32), "]".repeat(32))),
            Ok(())
        );
    }

    #[test]
    fn fields_are_found_by_name_and_by_pointer() {
        let payload =
            r#" { "account_id": 7, "event": {"a/b": "x \u00e9"}, "list": [true], "none": null }"#;

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
