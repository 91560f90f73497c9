//! Lists of values of one shape, and payloads, which are free.

use std::ops::RangeInclusive;

use serde_json::{Map, Number, Value, json};
use toml::{Spanned, de::DeValue};

use super::{Place, Shape, number::to_i64};
use crate::config::problem::Refusal;

/// Deepest nesting of a payload, as for one that is enqueued.
const MAX_PAYLOAD_DEPTH: usize = 32;

/// Several values of one shape.
pub(in crate::config) struct List<S> {
    of: S,
    len: RangeInclusive<usize>,
}

pub(in crate::config) fn list<S: Shape>(of: S, len: RangeInclusive<usize>) -> List<S> {
    List { of, len }
}

impl<S: Shape> Shape for List<S> {
    type Value = Vec<S::Value>;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Self::Value> {
        let DeValue::Array(items) = found.get_ref() else {
            return place.expected("a list in [ ]", found);
        };
        if !self.len.contains(&items.len()) {
            let message = format!(
                "must have {} to {} entries",
                self.len.start(),
                self.len.end()
            );
            return place.refuse(found.span(), Refusal::new(message));
        }
        // Every entry is read before one that is wrong spoils the list, so that all are reported.
        let values: Vec<Option<S::Value>> =
            items.iter().map(|item| self.of.read(item, place)).collect();
        values.into_iter().collect()
    }

    fn show(&self, value: &Self::Value) -> Value {
        value.iter().map(|value| self.of.show(value)).collect()
    }

    fn schema(&self) -> Value {
        json!({
            "type": "array",
            "items": self.of.schema(),
            "minItems": self.len.start(),
            "maxItems": self.len.end(),
        })
    }
}

/// A job's payload, as JSON.
pub(in crate::config) struct Payload;

pub(in crate::config) fn payload() -> Payload {
    Payload
}

impl Shape for Payload {
    type Value = Value;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Value> {
        match found.get_ref() {
            DeValue::Table(_) => to_json(found, MAX_PAYLOAD_DEPTH, place),
            _ => place.expected("a table such as { warn_within = \"7d\" }", found),
        }
    }

    fn show(&self, value: &Value) -> Value {
        value.clone()
    }

    fn schema(&self) -> Value {
        json!({ "type": "object" })
    }
}

fn to_json(found: &Spanned<DeValue<'_>>, depth: usize, place: &mut Place<'_>) -> Option<Value> {
    if depth == 0 {
        let message = format!("must be at most {MAX_PAYLOAD_DEPTH} levels deep");
        return place.refuse(found.span(), Refusal::new(message));
    }
    let number = |number: Option<Number>, place: &mut Place<'_>| match number {
        Some(number) => Some(Value::Number(number)),
        None => place.refuse(
            found.span(),
            Refusal::new("this number cannot stand in JSON"),
        ),
    };

    match found.get_ref() {
        DeValue::String(text) => Some(Value::from(&**text)),
        DeValue::Integer(digits) => number(to_i64(digits).map(Number::from), place),
        DeValue::Float(digits) => {
            let value = digits.as_str().parse::<f64>().ok();
            number(value.and_then(Number::from_f64), place)
        }
        DeValue::Boolean(value) => Some(Value::from(*value)),
        DeValue::Datetime(time) => Some(Value::from(time.to_string())),
        DeValue::Array(items) => items
            .iter()
            .map(|item| to_json(item, depth - 1, place))
            .collect(),
        DeValue::Table(table) => {
            let mut members = Map::new();
            for (key, value) in table {
                members.insert(key.to_string(), to_json(value, depth - 1, place)?);
            }
            Some(Value::Object(members))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use crate::config::Config;

    fn schedule_with(payload: &str) -> String {
        format!("[schedules.s]\nkind = \"token.check\"\ncron = \"0 9 * * *\"\npayload = {payload}")
    }

    #[test]
    fn a_payload_becomes_the_json_that_it_looks_like() {
        let text = schedule_with("{ a = [1, 2.5, true], b = { c = \"x\" }, d = 2026-01-31 }");

        let parsed = Config::parse(&text, &[]).expect("the schedule is right");

        let expected =
            serde_json::json!({ "a": [1, 2.5, true], "b": { "c": "x" }, "d": "2026-01-31" });
        assert_eq!(parsed.config.schedules["s"].payload, expected);
    }

    #[test]
    fn a_payload_that_json_cannot_hold_is_refused() {
        let nested: String = iter::repeat_n("[", 40)
            .chain(iter::repeat_n("]", 40))
            .collect();
        let cases = [
            ("{ a = nan }".to_owned(), "this number cannot stand in JSON"),
            (
                "{ a = 99999999999999999999 }".to_owned(),
                "this number cannot stand in JSON",
            ),
            (
                format!("{{ a = {nested} }}"),
                "must be at most 32 levels deep",
            ),
        ];

        for (payload, reason) in cases {
            let problems = Config::parse(&schedule_with(&payload), &[]).expect_err("it is refused");

            assert!(problems[0].message.ends_with(reason), "{problems:?}");
        }
    }
}
