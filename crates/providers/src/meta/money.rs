//! Budgets. Meta tells them in the currency's minor unit, although it tells spend in the major one.

use rust_decimal::Decimal;
use serde_json::Value;

use crate::platform::{edit::units, members};

/// Currencies without a minor unit, as Meta documents them. It has none with another minor unit than the hundredth.
const WITHOUT_MINOR_UNIT: [&str; 11] = [
    "CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND",
];

/// A budget in major units. `None` where there is none, which Meta also tells as 0, and where the currency is not known: the
/// amount means nothing then.
pub(super) fn budget(value: Option<&Value>, currency: Option<&str>) -> Option<Decimal> {
    let amount = members::integer(value?).filter(|amount| *amount != 0)?;
    Some(Decimal::new(amount, places(currency?)))
}

/// A budget as Meta is told it. `None` for one that is no whole number of minor units, and where the currency is not known.
pub(super) fn minor_units(budget: Decimal, currency: Option<&str>) -> Option<i64> {
    units(budget, places(currency?))
}

fn places(currency: &str) -> u32 {
    if WITHOUT_MINOR_UNIT.contains(&currency) {
        0
    } else {
        2
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(value: Value, currency: Option<&str>) -> Option<String> {
        budget(Some(&value), currency).map(|budget| budget.to_string())
    }

    #[test]
    fn a_budget_is_in_cents_or_in_whole_yen() {
        assert_eq!(told(json!("5000"), Some("USD")).as_deref(), Some("50.00"));
        assert_eq!(told(json!(1), Some("BHD")).as_deref(), Some("0.01"));
        for currency in WITHOUT_MINOR_UNIT {
            assert_eq!(told(json!("5000"), Some(currency)).as_deref(), Some("5000"));
        }
    }

    #[test]
    fn a_budget_is_told_in_the_unit_that_it_is_read_in() {
        let budget = |text: &str| text.parse::<Decimal>().expect("a number");

        assert_eq!(minor_units(budget("50.00"), Some("USD")), Some(5_000));
        assert_eq!(minor_units(budget("5000"), Some("JPY")), Some(5_000));
        assert_eq!(minor_units(budget("50.5"), Some("JPY")), None);
        assert_eq!(minor_units(budget("50"), None), None);
    }

    #[test]
    fn no_budget_and_no_currency_are_no_amount() {
        assert_eq!(told(json!("0"), Some("USD")), None);
        assert_eq!(told(Value::Null, Some("USD")), None);
        assert_eq!(told(json!("5000"), None), None);
        assert_eq!(budget(None, Some("USD")), None);
    }
}
