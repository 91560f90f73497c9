//! Numbers within bounds, and flags.

use std::{marker::PhantomData, ops::RangeInclusive};

use serde_json::{Value, json};
use toml::{
    Spanned,
    de::{DeInteger, DeValue},
};

use super::{Place, Shape};
use crate::config::problem::Refusal;

/// A whole number; the type that it is read into is that of the field it fills.
pub(in crate::config) struct Integer<T> {
    within: RangeInclusive<i64>,
    of: PhantomData<T>,
}

pub(in crate::config) fn integer<T>(within: RangeInclusive<i64>) -> Integer<T> {
    Integer {
        within,
        of: PhantomData,
    }
}

impl<T> Integer<T> {
    fn bounds(&self) -> String {
        match (self.within.start(), self.within.end()) {
            (least, most) if least == most => format!("{least}"),
            (least, most) => format!("{least} to {most}"),
        }
    }
}

impl<T: Copy + TryFrom<i64> + Into<Value>> Shape for Integer<T> {
    type Value = T;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<T> {
        let DeValue::Integer(digits) = found.get_ref() else {
            let expected = format!("a whole number ({})", self.bounds());
            return place.expected(expected, found);
        };
        let number = to_i64(digits).filter(|number| self.within.contains(number));
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => Some(number),
            None => {
                let message = format!("must be {}", self.bounds());
                place.refuse(found.span(), Refusal::new(message))
            }
        }
    }

    fn show(&self, value: &T) -> Value {
        (*value).into()
    }

    fn schema(&self) -> Value {
        json!({ "type": "integer", "minimum": self.within.start(), "maximum": self.within.end() })
    }
}

/// A number that may have a fraction.
pub(in crate::config) struct Number {
    within: RangeInclusive<f64>,
}

pub(in crate::config) fn number(within: RangeInclusive<f64>) -> Number {
    Number { within }
}

impl Shape for Number {
    type Value = f64;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<f64> {
        let (least, most) = (self.within.start(), self.within.end());
        let number = match found.get_ref() {
            DeValue::Float(digits) => digits.as_str().parse().ok(),
            DeValue::Integer(digits) => to_i64(digits).map(|number| number as f64),
            _ => return place.expected(format!("a number ({least} to {most})"), found),
        };
        match number.filter(|number| self.within.contains(number)) {
            Some(number) => Some(number),
            None => {
                let message = format!("must be {least} to {most}");
                place.refuse(found.span(), Refusal::new(message))
            }
        }
    }

    fn show(&self, value: &f64) -> Value {
        json!(value)
    }

    fn schema(&self) -> Value {
        json!({ "type": "number", "minimum": self.within.start(), "maximum": self.within.end() })
    }
}

/// `true` or `false`.
pub(in crate::config) struct Flag;

pub(in crate::config) fn flag() -> Flag {
    Flag
}

impl Shape for Flag {
    type Value = bool;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<bool> {
        match found.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => place.expected("true or false", found),
        }
    }

    fn show(&self, value: &bool) -> Value {
        Value::from(*value)
    }

    fn schema(&self) -> Value {
        json!({ "type": "boolean" })
    }
}

/// The number, if it fits; the document keeps its digits only.
pub(super) fn to_i64(digits: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(digits.as_str(), digits.radix()).ok()
}
