//! Members of JSON answers, read with patience: they may be missing or `null`, and change between number and text. Numbers
//! are read digit by digit: an amount never passes through a binary fraction of ours.

use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde_json::Value;

/// Longest exponent in digits; what is beyond is no amount of anything.
const EXPONENT_DIGITS: usize = 2;

/// What should be a number is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number is written in a way that is not known")]
pub(crate) struct NotANumber;

/// A member's text; `None` where it is missing, empty or no text.
pub(crate) fn text<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    object.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The word for a state: a member's text, and where it says yes or no, what it says that of as well (`enabled: true`). Empty
/// where it says neither.
pub(crate) fn word(object: &Value, name: &str) -> String {
    match object.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(is_so)) => format!("{name}: {is_so}"),
        _ => String::new(),
    }
}

/// An id, which may be a number or text.
pub(crate) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A whole number, which may be written as text.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What a member says; `None` where it is missing or says itself that there is nothing.
///
/// # Errors
/// [`NotANumber`].
pub(crate) fn number(value: Option<&Value>) -> Result<Option<Decimal>, NotANumber> {
    match value {
        None | Some(Value::Null) => Ok(None),
        // The shortest text of what was read, which is what the platform wrote.
        Some(Value::Number(number)) => parse(&number.to_string()),
        Some(Value::String(text)) => parse(text),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(NotANumber),
    }
}

/// A number's text; `-` and nothing at all stand for none.
///
/// # Errors
/// [`NotANumber`].
pub(crate) fn parse(text: &str) -> Result<Option<Decimal>, NotANumber> {
    let text = text.trim();
    if matches!(text, "" | "-") {
        return Ok(None);
    }
    let number = match text.split_once(['e', 'E']) {
        Some((_, exponent)) if digits(exponent) > EXPONENT_DIGITS => return Err(NotANumber),
        Some(_) => Decimal::from_scientific(text),
        None => text.parse(),
    };
    number
        .map(|number| Some(number.normalize()))
        .map_err(|_| NotANumber)
}

fn digits(exponent: &str) -> usize {
    exponent.trim_start_matches(['+', '-']).len()
}

/// A number as a count: whole, and zero where there is none.
pub(crate) fn count(number: Option<Decimal>) -> i64 {
    let Some(number) = number else {
        return 0;
    };
    let beyond = if number.is_sign_negative() {
        i64::MIN
    } else {
        i64::MAX
    };
    number.trunc().to_i64().unwrap_or(beyond)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Option<String>, NotANumber> {
        number(Some(&value)).map(|number| number.map(|number| number.to_string()))
    }

    #[test]
    fn a_number_is_read_digit_by_digit_in_every_form() {
        let cases = [
            (json!("42.6610000000000000"), "42.661"),
            (json!("0.1"), "0.1"),
            (json!(50.0), "50"),
            (json!(0.07), "0.07"),
            (json!(1234567890.12), "1234567890.12"),
            (json!(-3), "-3"),
            (json!("0E-16"), "0"),
            (json!("1E+2"), "100"),
            (json!("1.5e-3"), "0.0015"),
        ];

        for (value, expected) in cases {
            assert_eq!(
                read(value.clone()),
                Ok(Some(expected.to_owned())),
                "{value}"
            );
        }
    }

    #[test]
    fn none_is_not_zero_and_nonsense_is_not_none() {
        for value in [json!("-"), json!(""), json!(" "), Value::Null] {
            assert_eq!(read(value.clone()), Ok(None), "{value}");
        }
        assert_eq!(number(None), Ok(None));

        for value in [json!("many"), json!("1,5"), json!([1]), json!(true)] {
            assert_eq!(read(value.clone()), Err(NotANumber), "{value}");
        }
        assert_eq!(parse("1e4294967295"), Err(NotANumber));
        assert_eq!(parse("1e-99"), Err(NotANumber));
        assert_eq!(parse(&"9".repeat(60)), Err(NotANumber));
    }

    #[test]
    fn a_count_is_whole_and_has_bounds() {
        let of = |text: &str| count(parse(text).expect("a number"));

        assert_eq!(of("-"), 0);
        assert_eq!(of("10452"), 10_452);
        assert_eq!(of("10452.9"), 10_452);
        assert_eq!(of("99999999999999999999"), i64::MAX);
        assert_eq!(of("-99999999999999999999"), i64::MIN);
    }

    #[test]
    fn a_state_that_is_yes_or_no_says_of_what() {
        let raw = json!({"status": "READY", "enabled": false, "count": 3});

        let words = ["status", "enabled", "count", "missing"].map(|name| word(&raw, name));

        assert_eq!(words, ["READY", "enabled: false", "", ""]);
    }

    #[test]
    fn ids_are_text_whatever_they_were() {
        assert_eq!(id(&json!(300_000_001)).as_deref(), Some("300000001"));
        assert_eq!(
            id(&json!("7000000000000000001")).as_deref(),
            Some("7000000000000000001")
        );
        assert_eq!(id(&json!("")), None);
        assert_eq!(id(&json!({})), None);
    }
}
