//! What a call says: in the query, where lists and objects are JSON text, or in a body of JSON.

use std::ops::RangeInclusive;

use axum::http::Method;
use serde_json::{Map, Value};

use super::error::TikTokError;
use crate::door::Incoming;

/// The parameters of a call. Empty ones count as missing.
pub(super) struct Params {
    members: Map<String, Value>,
    /// Whether everything is text.
    is_query: bool,
}

impl Params {
    /// # Errors
    /// [`TikTokError`] for a body that is no JSON object.
    pub(super) fn read(incoming: &Incoming) -> Result<Self, TikTokError> {
        if incoming.method == Method::GET {
            let texts = incoming.query().into_iter();
            return Ok(Self {
                members: texts
                    .map(|(name, text)| (name, Value::String(text)))
                    .collect(),
                is_query: true,
            });
        }
        match serde_json::from_slice(&incoming.body) {
            Ok(Value::Object(members)) => Ok(Self::of(members)),
            Ok(_) | Err(_) => Err(TikTokError::parameter(
                "The body of the request is not a JSON object.",
            )),
        }
    }

    /// Those of a body.
    pub(super) fn of(members: Map<String, Value>) -> Self {
        Self {
            members,
            is_query: false,
        }
    }

    /// All of them, as they came.
    pub(super) fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// # Errors
    /// [`TikTokError`] for something else than text, a number for one: ids are text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, TikTokError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(invalid(name, "string")),
        }
    }

    /// # Errors
    /// [`TikTokError`] where it is missing or no text.
    pub(super) fn required(&self, name: &str) -> Result<&str, TikTokError> {
        self.text(name)?.ok_or_else(|| TikTokError::missing(name))
    }

    /// A list of texts.
    ///
    /// # Errors
    /// [`TikTokError`] for anything else, such as texts with commas between them.
    pub(super) fn words(&self, name: &str) -> Result<Option<Vec<String>>, TikTokError> {
        let list = self.json(name)?;
        list.map(|list| words(name, &list)).transpose()
    }

    /// An object; nothing is an empty one.
    ///
    /// # Errors
    /// [`TikTokError`] for anything else.
    pub(super) fn object(&self, name: &str) -> Result<Map<String, Value>, TikTokError> {
        match self.json(name)? {
            None => Ok(Map::new()),
            Some(Value::Object(members)) => Ok(members),
            Some(_) => Err(invalid(name, "object")),
        }
    }

    /// A list of objects; nothing is an empty one.
    ///
    /// # Errors
    /// [`TikTokError`] for anything else.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Map<String, Value>>, TikTokError> {
        let list = match self.json(name)? {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(invalid(name, "list")),
        };
        list.into_iter()
            .map(|item| match item {
                Value::Object(members) => Ok(members),
                _ => Err(invalid(name, "list of objects")),
            })
            .collect()
    }

    /// # Errors
    /// [`TikTokError`] for what is no whole number or out of bounds.
    pub(super) fn number(
        &self,
        name: &str,
        usual: u32,
        bounds: RangeInclusive<u32>,
    ) -> Result<u32, TikTokError> {
        let number = match self.members.get(name) {
            None | Some(Value::Null) => return Ok(usual),
            Some(Value::String(text)) if text.is_empty() => return Ok(usual),
            Some(Value::String(text)) if self.is_query => text.parse().ok(),
            Some(value) => value.as_u64(),
        };
        let number: u64 = number.ok_or_else(|| invalid(name, "integer"))?;
        let (low, high) = (bounds.start(), bounds.end());
        u32::try_from(number)
            .ok()
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| {
                TikTokError::parameter(format!("{name}: Must be between {low} and {high}."))
            })
    }

    /// Whether it says `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        match self.members.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => self.is_query && text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    fn json(&self, name: &str) -> Result<Option<Value>, TikTokError> {
        match self.members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if self.is_query => {
                let json = serde_json::from_str(text);
                json.map(Some).map_err(|_| invalid(name, "JSON text"))
            }
            Some(value) => Ok(Some(value.clone())),
        }
    }
}

/// The texts of a list.
///
/// # Errors
/// [`TikTokError`] for what is no list of texts.
pub(super) fn words(name: &str, list: &Value) -> Result<Vec<String>, TikTokError> {
    let words = list.as_array().and_then(|list| {
        let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>()
    });
    words.ok_or_else(|| invalid(name, "list"))
}

fn invalid(name: &str, what: &str) -> TikTokError {
    TikTokError::parameter(format!("{name}: Not a valid {what}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(name: &str, text: &str) -> Params {
        Params {
            members: Map::from_iter([(name.to_owned(), json!(text))]),
            is_query: true,
        }
    }

    fn body(members: Value) -> Params {
        match members {
            Value::Object(members) => Params::of(members),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn lists_of_a_query_are_json_text() {
        let words = |text| query("ids", text).words("ids").ok().flatten();

        assert_eq!(
            words(r#"["1","2"]"#),
            Some(vec!["1".to_owned(), "2".to_owned()])
        );
        for wrong in ["1,2", "[1,2]", r#"{"1":"2"}"#, r#""1""#] {
            assert_eq!(words(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_body_has_its_own_types() {
        let params = body(json!({ "ids": ["1"], "as_text": "[\"1\"]", "page": 2, "id": 7 }));

        assert_eq!(params.words("ids"), Ok(Some(vec!["1".to_owned()])));
        assert!(params.words("as_text").is_err());
        assert_eq!(params.number("page", 1, 1..=10), Ok(2));
        assert!(params.text("id").is_err(), "ids are text");
        assert_eq!(params.text("missing"), Ok(None));
    }

    #[test]
    fn numbers_have_bounds() {
        let size = |text| query("size", text).number("size", 10, 1..=1_000);

        assert_eq!((size(""), size("1000")), (Ok(10), Ok(1_000)));
        for wrong in ["0", "1001", "-1", "ten", "99999999999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
