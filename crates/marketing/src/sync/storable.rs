//! Texts of platforms as PostgreSQL can store them: it has no place for the character U+0000, and one name with it must not
//! keep an account from being synced.

use std::borrow::Cow;

use serde_json::Value;

/// The text without U+0000.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text without U+0000, to keep.
pub(crate) fn owned(value: &str) -> String {
    text(value).into_owned()
}

/// The document without U+0000.
pub(crate) fn document(value: &Value) -> Value {
    match value {
        Value::String(word) => Value::String(owned(word)),
        Value::Array(items) => items.iter().map(document).collect(),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, member)| (owned(name), document(member)));
            Value::Object(members.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_stored_is_left_out_and_all_else_stays() {
        let told = json!({"na\u{0}me": ["a\u{0}b", 1.5, null, {"deep": "\u{0}"}]});

        assert_eq!(
            document(&told),
            json!({"name": ["ab", 1.5, null, {"deep": ""}]})
        );
        assert!(matches!(text("as it is"), Cow::Borrowed("as it is")));
    }
}
