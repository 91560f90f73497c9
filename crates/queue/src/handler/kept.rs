//! JSON that an attempt hands over to be stored: not too large, and without what PostgreSQL has no place for.

use serde_json::Value;

/// Largest result or progress that is kept, in bytes of JSON.
const LARGEST: usize = 64 * 1_024;

/// The value as it is kept; one that is too large is replaced by a note that says so.
pub(crate) fn as_kept(value: Value, what: &str) -> Value {
    let value = without_nul(value);
    let size = value.to_string().len();
    if size <= LARGEST {
        return value;
    }
    serde_json::json!({"left_out": format!("the {what} has {size} bytes, more than {LARGEST}")})
}

/// PostgreSQL has no place for U+0000 in a text.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(elements) => Value::Array(elements.into_iter().map(without_nul).collect()),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.replace('\0', "\u{fffd}"), without_nul(value)))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_postgresql_cannot_store_is_replaced_wherever_it_stands() {
        let kept = as_kept(json!({"a\0": ["\0", {"b": "c\0"}]}), "progress");

        assert_eq!(kept, json!({"a\u{fffd}": ["\u{fffd}", {"b": "c\u{fffd}"}]}));
    }

    #[test]
    fn what_is_too_large_is_left_out_with_a_note() {
        let kept = as_kept(json!("x".repeat(LARGEST)), "progress");

        let note = kept["left_out"].as_str().expect("a note");
        assert!(note.contains("the progress has"), "{note}");
    }
}
