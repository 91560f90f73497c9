//! The gate that every payload passes before it is stored: sound JSON that every reader can decode. Raw JSON lets
//! through what PostgreSQL then refuses, failing everybody in the same insert, and what no handler can decode.

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

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
        self.path
            .iter()
            .map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1")))
            .collect()
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

/// The text of a field, as PostgreSQL's `#>>` gives it: texts bare, numbers and truth values as written; `None` where
/// it is missing, null, or no single value.
pub(crate) fn field_text(payload: &serde_json::Value, field: &str) -> Option<String> {
    let found = field_path(field)
        .iter()
        .try_fold(payload, |value, step| match value {
            serde_json::Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
            serde_json::Value::Object(members) => members.get(step),
            _ => None,
        })?;
    match found {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
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
        let payload = serde_json::json!({"account_id": 7, "event": {"a/b": "x"}, "list": [true]});

        assert_eq!(field_text(&payload, "account_id").as_deref(), Some("7"));
        assert_eq!(field_text(&payload, "/event/a~1b").as_deref(), Some("x"));
        assert_eq!(field_text(&payload, "/list/0").as_deref(), Some("true"));
        assert_eq!(field_text(&payload, "event"), None);
    }
}
