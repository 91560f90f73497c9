//! Which members an event must have, and of which type each is.

use serde_json::Value;

use super::{Event, Refusal};

#[derive(Clone, Copy)]
enum Type {
    Text,
    Integer,
    /// A number, or text of one.
    Amount,
    Bool,
    Object,
    List,
    /// Three letters.
    Currency,
}

/// An event cannot do without these.
const REQUIRED: [(&str, Type); 4] = [
    ("event_name", Type::Text),
    ("event_time", Type::Integer),
    ("action_source", Type::Text),
    ("user_data", Type::Object),
];
/// These may be there.
const OPTIONAL: [(&str, Type); 13] = [
    ("event_id", Type::Text),
    ("event_source_url", Type::Text),
    ("referrer_url", Type::Text),
    ("messaging_channel", Type::Text),
    ("advanced_measurement_table", Type::Text),
    ("opt_out", Type::Bool),
    ("data_processing_options", Type::List),
    ("data_processing_options_country", Type::Integer),
    ("data_processing_options_state", Type::Integer),
    ("custom_data", Type::Object),
    ("app_data", Type::Object),
    ("original_event_data", Type::Object),
    ("attribution_data", Type::Object),
];
/// These may be in `custom_data`, beside properties of the sender's own.
const CUSTOM: [(&str, Type); 9] = [
    ("custom_data.value", Type::Amount),
    ("custom_data.predicted_ltv", Type::Amount),
    ("custom_data.currency", Type::Currency),
    ("custom_data.num_items", Type::Integer),
    ("custom_data.order_id", Type::Text),
    ("custom_data.content_name", Type::Text),
    ("custom_data.content_type", Type::Text),
    ("custom_data.content_ids", Type::List),
    ("custom_data.contents", Type::List),
];

impl Type {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Integer => value.is_i64(),
            Self::Amount => match value {
                Value::String(text) => text.parse::<f64>().is_ok_and(f64::is_finite),
                value => value.is_number(),
            },
            Self::Bool => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
            Self::Currency => value.as_str().is_some_and(|text| {
                text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic())
            }),
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Integer => "an integer",
            Self::Amount => "a number",
            Self::Bool => "a boolean",
            Self::Object => "an object",
            Self::List => "a list",
            Self::Currency => "an ISO 4217 currency code",
        }
    }
}

/// # Errors
/// The first member that is missing or of the wrong type.
pub(super) fn check(event: &Event) -> Result<(), Refusal> {
    for (name, wanted) in REQUIRED {
        match event.get(name) {
            None | Some(Value::Null) => return Err(Refusal::missing(name, "is required")),
            Some(Value::String(text)) if text.is_empty() => {
                return Err(Refusal::missing(name, "must not be empty"));
            }
            Some(value) => fits(name, wanted, value)?,
        }
    }
    check_optional(event, &OPTIONAL)?;
    match event.get("custom_data") {
        Some(Value::Object(custom_data)) => check_optional(custom_data, &CUSTOM),
        _ => Ok(()),
    }
}

/// `members` are named by their path inside the event; the last part is the name here.
fn check_optional(object: &Event, members: &[(&str, Type)]) -> Result<(), Refusal> {
    for (path, wanted) in members {
        let name = path.rsplit('.').next().unwrap_or(path);
        match object.get(name) {
            None | Some(Value::Null) => {}
            Some(value) => fits(path, *wanted, value)?,
        }
    }
    Ok(())
}

fn fits(path: &str, wanted: Type, value: &Value) -> Result<(), Refusal> {
    if wanted.fits(value) {
        Ok(())
    } else {
        Err(Refusal::wrong_type(path, wanted.in_words()))
    }
}
