//! Quantities in words: durations ("1h30m"), sizes ("1MiB") and rates ("20/s").

use std::{ops::RangeInclusive, time::Duration};

use serde_json::{Value, json};
use toml::{Spanned, de::DeValue};

use super::{Place, Shape, number::to_i64};
use crate::config::{problem::Refusal, rate::Rate};

/// Units of time with their milliseconds, largest first.
const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Up to here people count in hours: "24h", "72h"; beyond, in days.
const COUNTED_IN_HOURS: Duration = Duration::from_secs(72 * 3_600);

/// Units of size with their bytes.
const SIZE_UNITS: [(&str, usize); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A duration in words.
pub(in crate::config) struct Time {
    within: RangeInclusive<Duration>,
}

pub(in crate::config) fn time(within: RangeInclusive<Duration>) -> Time {
    Time { within }
}

impl Shape for Time {
    type Value = Duration;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Duration> {
        const EXPECTED: &str = "a duration in words such as \"30s\", \"5m\" or \"1h30m\"";
        let DeValue::String(text) = found.get_ref() else {
            return place.expected(EXPECTED, found);
        };
        let Some(duration) = parse_duration(text) else {
            let refusal = Refusal::new(format!("expected {EXPECTED} (units: d, h, m, s, ms)"));
            return place.refuse(found.span(), refusal);
        };
        if self.within.contains(&duration) {
            return Some(duration);
        }
        let message = format!(
            "must be {} to {}",
            format_duration(*self.within.start()),
            format_duration(*self.within.end())
        );
        place.refuse(found.span(), Refusal::new(message))
    }

    fn show(&self, value: &Duration) -> Value {
        Value::from(format_duration(*value))
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^([0-9]+(ms|d|h|m|s))+$" })
    }
}

/// A number of bytes, in words or bare.
pub(in crate::config) struct Size {
    within: RangeInclusive<usize>,
}

pub(in crate::config) fn size(within: RangeInclusive<usize>) -> Size {
    Size { within }
}

impl Shape for Size {
    type Value = usize;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<usize> {
        const EXPECTED: &str = "a size such as \"1MiB\", \"512KiB\" or a number of bytes";
        let size = match found.get_ref() {
            DeValue::Integer(digits) => {
                to_i64(digits).and_then(|bytes| usize::try_from(bytes).ok())
            }
            DeValue::String(text) => match parse_size(text) {
                Some(size) => Some(size),
                None => {
                    let refusal = Refusal::new(format!("expected {EXPECTED}"));
                    return place.refuse(found.span(), refusal);
                }
            },
            _ => return place.expected(EXPECTED, found),
        };
        match size.filter(|size| self.within.contains(size)) {
            Some(size) => Some(size),
            None => {
                let message = format!(
                    "must be {} to {}",
                    format_size(*self.within.start()),
                    format_size(*self.within.end())
                );
                place.refuse(found.span(), Refusal::new(message))
            }
        }
    }

    fn show(&self, value: &usize) -> Value {
        Value::from(format_size(*value))
    }

    fn schema(&self) -> Value {
        json!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]+([KMG]i?)?B$",
            "minimum": self.within.start(),
            "maximum": self.within.end(),
        })
    }
}

/// So many in a second, minute, hour or day.
pub(in crate::config) struct Pace;

pub(in crate::config) fn rate() -> Pace {
    Pace
}

impl Shape for Pace {
    type Value = Rate;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Rate> {
        const EXPECTED: &str = "a rate such as \"20/s\", \"500/m\", \"100/h\" or \"15000/d\"";
        let DeValue::String(text) = found.get_ref() else {
            return place.expected(EXPECTED, found);
        };
        match Rate::parse(text) {
            Some(rate) => Some(rate),
            None => {
                let message = format!("expected {EXPECTED} (1 to {})", Rate::MAX_COUNT);
                place.refuse(found.span(), Refusal::new(message))
            }
        }
    }

    fn show(&self, value: &Rate) -> Value {
        Value::from(value.to_string())
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": "^[0-9]+/[smhd]$" })
    }
}

/// Reads one or more numbers, each with its unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (count, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit_len = after.find(|c: char| c.is_ascii_digit());
        let (unit, next) = after.split_at(unit_len.unwrap_or(after.len()));

        let (_, unit_ms) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
        let total_ms = count.parse::<u64>().ok()?.checked_mul(*unit_ms)?;
        total = total.checked_add(Duration::from_millis(total_ms))?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

/// Writes a duration as a file would; what is below a millisecond is left out.
pub(in crate::config) fn format_duration(duration: Duration) -> String {
    let mut rest_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut words = String::new();
    for (unit, unit_ms) in TIME_UNITS {
        if unit == "d" && duration <= COUNTED_IN_HOURS {
            continue;
        }
        let count = rest_ms / unit_ms;
        rest_ms %= unit_ms;
        if count > 0 {
            words.push_str(&format!("{count}{unit}"));
        }
    }
    if words.is_empty() {
        words.push_str("0s");
    }
    words
}

fn parse_size(text: &str) -> Option<usize> {
    let (count, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, unit_bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    count.parse::<usize>().ok()?.checked_mul(*unit_bytes)
}

fn format_size(bytes: usize) -> String {
    let binary = SIZE_UNITS.iter().take(3);
    let fitting = binary.filter(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match fitting.max_by_key(|(_, unit)| *unit) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_in_words() {
        let cases = [
            ("0s", 0, "0s"),
            ("500ms", 500, "500ms"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("24h", 86_400_000, "24h"),
            ("3d", 259_200_000, "72h"),
            ("90d", 7_776_000_000, "90d"),
        ];

        for (text, ms, shown) in cases {
            let duration = parse_duration(text);

            assert_eq!(duration, Some(Duration::from_millis(ms)), "{text}");
            assert_eq!(format_duration(Duration::from_millis(ms)), shown);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        let wrong = [
            "",
            "30",
            "s",
            "30 s",
            "-5s",
            "1.5h",
            "5min",
            "５s",
            "99999999999999999999d",
            "9999999999999d",
        ];

        for text in wrong {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_in_words() {
        let cases = [
            ("1MiB", 1_048_576, "1MiB"),
            ("512KiB", 524_288, "512KiB"),
            ("1MB", 1_000_000, "1000000B"),
            ("1024B", 1_024, "1KiB"),
        ];

        for (text, bytes, shown) in cases {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(format_size(bytes), shown);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "1",
            "MiB",
            "1 MiB",
            "1mib",
            "1.5MiB",
            "99999999999999999999GiB",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
