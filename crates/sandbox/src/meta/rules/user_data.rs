//! What an event says of its customer: hashed where Meta wants a hash, and enough to find somebody
//! by.

use serde_json::Value;

use super::{Event, Refusal, subcode};

/// Hashed before they are sent; whatever is not a hash would be personal data in the clear.
const HASHED: [&str; 16] = [
    "em", "ph", "fn", "ln", "db", "doby", "dobm", "dobd", "ge", "ct", "st", "zp", "country",
    "f5first", "f5last", "fi",
];
/// Sent as they are.
const PLAIN: [&str; 16] = [
    "external_id",
    "client_ip_address",
    "client_user_agent",
    "fbc",
    "fbp",
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "anon_id",
    "madid",
    "page_id",
    "page_scoped_user_id",
    "ctwa_clid",
    "ig_account_id",
    "ig_sid",
    "whatsapp_business_account_id",
];
/// An event that says no more than one of these rows fits too many people.
const TOO_WEAK: [&[&str]; 4] = [
    &["ct", "country", "st", "zp", "ge", "client_user_agent"],
    &["db", "client_user_agent"],
    &["fn", "ge"],
    &["ln", "ge"],
];

/// # Errors
/// The first member of `user_data` that is wrong, or that all together are too weak.
pub(super) fn check(event: &Event) -> Result<(), Refusal> {
    let Some(Value::Object(user_data)) = event.get("user_data") else {
        return Err(Refusal::missing("user_data", "is required"));
    };
    let mut present = Vec::new();
    for (name, value) in user_data {
        let is_hashed = HASHED.contains(&name.as_str());
        if !is_hashed && !PLAIN.contains(&name.as_str()) {
            // Meta steps over what it does not know.
            continue;
        }
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            check_value(name, is_hashed, value)?;
        }
        if !values.is_empty() {
            present.push(name.as_str());
        }
    }

    let is_too_weak = TOO_WEAK
        .iter()
        .any(|weak| present.iter().all(|member| weak.contains(member)));
    if is_too_weak { Err(too_weak()) } else { Ok(()) }
}

fn check_value(name: &str, is_hashed: bool, value: &Value) -> Result<(), Refusal> {
    let path = format!("user_data.{name}");
    match value {
        Value::String(text) if is_hashed && !is_hash(text) => Err(not_hashed(path)),
        Value::String(text) if text.is_empty() => Err(Refusal::missing(&path, "must not be empty")),
        Value::String(_) => Ok(()),
        Value::Number(_) if !is_hashed => Ok(()),
        _ => Err(Refusal::wrong_type(&path, "a string or a list of strings")),
    }
}

/// SHA-256, or MD5, which Meta's own SDK passes on, in lower-case hex.
fn is_hash(text: &str) -> bool {
    matches!(text.len(), 64 | 32)
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn not_hashed(path: String) -> Refusal {
    Refusal {
        subcode: Some(subcode::NOT_HASHED),
        title: "Customer Information Is Not Hashed",
        message: format!(
            "{path} must be the SHA-256 hash of the normalised value, in lower-case hex. Events \
             with customer information in clear text are refused."
        ),
        member: path,
    }
}

fn too_weak() -> Refusal {
    Refusal {
        subcode: Some(subcode::TOO_WEAK),
        member: "user_data".to_owned(),
        title: "You Haven't Added Sufficient Customer Information Parameter Data For This Event",
        message: "This event doesn't have any customer information parameters, or it has a \
                  combination of customer information parameters that is so broad that it's \
                  unlikely to be effective for matching."
            .to_owned(),
    }
}
