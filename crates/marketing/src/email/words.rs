//! How times, numbers and lists of names read in mails.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

/// Digits after the point of amounts.
const PLACES: u32 = 2;

/// `20 November 2026 at 09:00 UTC`.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y at %H:%M UTC").to_string()
}

/// `20 November 2026`.
pub(super) fn day(day: NaiveDate) -> String {
    day.format("%-d %B %Y").to_string()
}

/// `Fri 20 Nov`.
pub(super) fn short_day(day: NaiveDate) -> String {
    day.format("%a %-d %b").to_string()
}

/// `1,234.50`, and with a currency `1,234.50 EUR`.
pub(super) fn amount(value: Decimal, currency: Option<&str>) -> String {
    let text = format!("{:.2}", value.round_dp(PLACES));
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
    let amount = format!("{}.{fraction}", grouped(whole));
    match currency {
        Some(currency) => format!("{amount} {currency}"),
        None => amount,
    }
}

/// `1,234`, or `1,234.5` of what may be a fraction.
pub(super) fn number(value: Decimal) -> String {
    let text = value.round_dp(PLACES).normalize().to_string();
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", grouped(whole)),
        None => grouped(&text),
    }
}

/// `1,234`.
pub(super) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// The names in quotes, and how many more there are.
pub(super) fn names(names: &[&str], more: u64) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    match (quoted.as_slice(), more) {
        ([], _) => "your accounts there".to_owned(),
        (quoted, 0) => quoted.join(", "),
        (quoted, more) => format!("{} and {more} more", quoted.join(", ")),
    }
}

/// Commas between thousands.
fn grouped(whole: &str) -> String {
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        let decimal = |text: &str| text.parse::<Decimal>().expect("a number");

        assert_eq!(
            amount(decimal("1234567.5"), Some("EUR")),
            "1,234,567.50 EUR"
        );
        assert_eq!(amount(decimal("-1234.005"), None), "-1,234.00");
        assert_eq!(amount(decimal("0"), None), "0.00");
        assert_eq!(number(decimal("1234.50")), "1,234.5");
        assert_eq!(number(decimal("12")), "12");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(999), "999");
    }

    #[test]
    fn a_few_names_are_told_and_the_rest_is_counted() {
        assert_eq!(names(&["A", "B"], 0), "\"A\", \"B\"");
        assert_eq!(names(&["A"], 6), "\"A\" and 6 more");
        assert_eq!(names(&[], 0), "your accounts there");
    }
}
