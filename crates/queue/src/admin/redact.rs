//! Payloads as people may see them.

use serde_json::Value;

use uuid::Uuid;

use crate::{
    job::payload::field_path,
    sealing::{self, Sealer, Unopened},
};

/// What stands in place of a field that is never shown.
const HIDDEN: &str = "[redacted]";
/// What stands in place of a payload of which nobody here knows what to hide.
const UNKNOWN: &str = "[redacted: this process does not know the kind]";

/// What stands in place of a payload that lies encrypted and does not open here.
const SEALED: &str = "[encrypted: it does not open in this process]";
/// What stands in place of a payload that lay encrypted and is gone.
const GONE: &str = "[wiped: its job is done, or it was about somebody who is forgotten]";

/// The payload of a job as people may see it: opened where it lies encrypted, and then as [`redacted`] has it.
pub(super) fn shown(
    sealer: Option<&Sealer>,
    job: Uuid,
    stored: &str,
    fields: Option<&[String]>,
) -> Value {
    match sealing::opened(sealer, job, stored) {
        Ok(plain) => redacted(&plain, fields),
        Err(Unopened::Wiped) => Value::String(GONE.to_owned()),
        Err(Unopened::NoKeys | Unopened::Cipher(_)) => Value::String(SEALED.to_owned()),
    }
}

/// A stored payload with the named fields hidden. Where it is not known which those are (`None`), because this process
/// does not know the kind, nothing of it is shown, and so with one that cannot be read, because somebody wrote into the table: in its place
/// stands a note that says so.
fn redacted(payload: &str, fields: Option<&[String]>) -> Value {
    let Some(fields) = fields else {
        return Value::String(UNKNOWN.to_owned());
    };
    let Ok(mut value) = serde_json::from_str::<Value>(payload) else {
        return Value::String("[the stored payload is not JSON that can be decoded]".to_owned());
    };
    for field in fields {
        hide(&mut value, &field_path(field));
    }
    value
}

fn hide(value: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    let found = match value {
        Value::Object(members) => members.get_mut(step),
        Value::Array(elements) => step
            .parse()
            .ok()
            .and_then(|index: usize| elements.get_mut(index)),
        _ => None,
    };
    match found {
        Some(found) if rest.is_empty() => *found = Value::String(HIDDEN.to_owned()),
        Some(found) => hide(found, rest),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn named_fields_are_hidden_and_the_rest_is_shown() {
        let payload =
            r#"{"event":{"event_name":"Lead","user_data":{"em":"a@example.com"}},"token":"s"}"#;

        let shown = redacted(
            payload,
            Some(&[
                "/event/user_data".to_owned(),
                "token".to_owned(),
                "/none/x".to_owned(),
            ]),
        );

        assert_eq!(
            shown,
            json!({"event": {"event_name": "Lead", "user_data": HIDDEN}, "token": HIDDEN})
        );
    }

    #[test]
    fn a_payload_of_an_unknown_kind_shows_nothing_of_itself() {
        let shown = redacted(r#"{"em":"a@example.com"}"#, None);

        assert_eq!(shown, json!(UNKNOWN));
    }

    #[test]
    fn what_cannot_be_decoded_shows_nothing_of_itself() {
        let shown = redacted(
            r#"{"em":"a@example.com","deep":1e400}"#,
            Some(&["em".to_owned()]),
        );

        assert!(!shown.to_string().contains("example.com"));
    }
}
