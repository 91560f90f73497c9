//! The two members of `custom_data` that Meta checks: `value` is a number, `currency` a code. All others pass as they
//! are.

use serde_json::{Number, Value};

use super::{
    event::{Event, Members},
    normalise,
};

/// The event that cannot do without a value and a currency.
const PURCHASE: &str = "Purchase";

/// A member, how its value is read, and what it must be.
type Check = (&'static str, fn(&Value) -> Option<Value>, &'static str);

/// The members as they are sent. What cannot be used is told in `left_out`, or in `reasons` where the event is nothing
/// without it.
pub(super) fn to_send(
    event: &Event,
    reasons: &mut Vec<(String, String)>,
    left_out: &mut Vec<String>,
) -> Option<Members> {
    let mut sent = event.custom_data.clone().unwrap_or_default();
    sent.retain(|_, value| !value.is_null());

    let checks: [Check; 2] = [
        ("value", number, "must be a number"),
        (
            "currency",
            currency,
            "must be a currency's code of three letters",
        ),
    ];
    for (name, read, must_be) in checks {
        let pointer = format!("/custom_data/{name}");
        let given = sent.remove(name);
        let is_given = given.is_some();
        match given.as_ref().and_then(read) {
            Some(value) => {
                sent.insert(name.to_owned(), value);
            }
            None if event.event_name == PURCHASE => {
                let message = if is_given {
                    must_be
                } else {
                    "is required for a purchase"
                };
                reasons.push((pointer, message.to_owned()));
            }
            None if is_given => left_out.push(format!("{pointer}: {must_be}")),
            None => {}
        }
    }
    (!sent.is_empty()).then_some(sent)
}

/// Numbers come as text from systems that keep money as decimals.
fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => serde_json::from_str::<Number>(text.trim())
            .ok()
            .map(Value::Number),
        _ => None,
    }
}

fn currency(value: &Value) -> Option<Value> {
    normalise::currency(value.as_str()?).map(Value::String)
}
