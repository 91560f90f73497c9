//! The `fields` parameter: which members of a thing are asked for, and of what stands inside it, as
//! in `id,name,creative{id,name}`.

use serde_json::{Map, Value};

use super::{call::Call, error::GraphError};

/// Deepest nesting that is read.
const DEEPEST: usize = 5;

/// The fields that are asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<Field>);

#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: String,
    inner: Option<Fields>,
}

impl Fields {
    /// Those of a call, or else these.
    ///
    /// # Errors
    /// [`GraphError`] for what cannot be read.
    pub(super) fn of(call: &Call, usual: &[&str]) -> Result<Self, GraphError> {
        let words = call.words("fields");
        let fields = if words.is_empty() {
            usual.join(",")
        } else if let Some(text) = call.text("fields").filter(|text| !text.starts_with('[')) {
            text.to_owned()
        } else {
            words.join(",")
        };
        Self::read(&fields, DEEPEST)
            .ok_or_else(|| GraphError::bad_param("fields", "has a syntax error"))
    }

    fn read(text: &str, depth: usize) -> Option<Self> {
        let parts = split(text)?;
        let fields = parts.into_iter().map(|part| Field::read(part, depth));
        Some(Self(fields.collect::<Option<_>>()?))
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|field| field.name.as_str())
    }

    /// Whether a field is asked for.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|asked| asked == name)
    }

    /// Whether something of what stands inside a field is asked for.
    pub(super) fn looks_into(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|field| field.name == name && field.inner.is_some())
    }

    /// What is asked for of a thing, its id always. What is null in it is left out. Of what stands
    /// inside it only the id is shown, unless more was asked for.
    ///
    /// # Errors
    /// [`GraphError`] for a field that such a thing does not have.
    pub(super) fn select(
        &self,
        node: &str,
        thing: &Map<String, Value>,
    ) -> Result<Value, GraphError> {
        let mut shown = Map::new();
        for field in &self.0 {
            let value = thing
                .get(&field.name)
                .ok_or_else(|| GraphError::no_such_field(&field.name, node))?;
            let value = match (value, &field.inner) {
                (Value::Null, _) => continue,
                (Value::Object(inside), Some(inner)) => inner.select(&field.name, inside)?,
                (Value::Object(inside), None) => match inside.get("id") {
                    Some(id) => Value::Object(Map::from_iter([("id".to_owned(), id.clone())])),
                    None => value.clone(),
                },
                (value, _) => value.clone(),
            };
            shown.insert(field.name.clone(), value);
        }
        if let Some(id) = thing.get("id") {
            shown.entry("id").or_insert_with(|| id.clone());
        }
        Ok(Value::Object(shown))
    }
}

impl Field {
    fn read(text: &str, depth: usize) -> Option<Self> {
        let end = text.find(['{', '.', '(']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let name = name.trim();
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return None;
        }
        let inner = match rest.split_once('{') {
            None => None,
            Some((_, inner)) => {
                let inner = inner.trim_end().strip_suffix('}')?;
                Some(Fields::read(inner, depth.checked_sub(1)?)?)
            }
        };
        Some(Self {
            name: name.to_owned(),
            inner,
        })
    }
}

/// A text at its commas, but for those inside brackets. `None` when the brackets do not match.
fn split(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (depth == 0).then_some(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Option<Fields> {
        Fields::read(text, DEEPEST)
    }

    #[test]
    fn fields_inside_fields_are_read_and_selected() {
        let fields = read("name, creative{id,name},adsets.limit(5){id}").expect("fields");
        let thing = json!({
            "id": "1", "name": "Ad", "status": "ACTIVE", "adsets": null,
            "creative": { "id": "2", "name": "Creative", "title": "T" },
        });

        let shown = fields.select("Ad", thing.as_object().expect("an object"));

        let wanted =
            json!({ "id": "1", "name": "Ad", "creative": { "id": "2", "name": "Creative" } });
        assert_eq!(shown.expect("known fields"), wanted);
        assert!(fields.looks_into("creative") && !fields.looks_into("name"));
    }

    #[test]
    fn a_thing_inside_another_shows_its_id_alone_unless_asked() {
        let fields = read("creative").expect("fields");
        let thing = json!({ "id": "1", "creative": { "id": "2", "name": "C" } });

        let shown = fields.select("Ad", thing.as_object().expect("an object"));

        assert_eq!(
            shown.expect("known"),
            json!({ "id": "1", "creative": { "id": "2" } })
        );
    }

    #[test]
    fn what_is_no_list_of_fields_is_refused() {
        for text in ["a{b", "a}b", "a,,b", "{a}", "a b", "a{b{c{d{e{f{g}}}}}}"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
