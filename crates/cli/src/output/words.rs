//! Times in words, as people read them and as they type them: `3m ago`, `in 2h`, `90d`, RFC 3339.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Longest span that may be typed: ten years.
const LONGEST_SPAN: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A time that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a time such as 2026-05-20T09:00:00Z or a span such as 2h, 30m or 90d (at most ten years)"
)]
pub(crate) struct NotATime;

/// How far `at` is from `now`: `now`, `42s ago`, `in 3h`.
pub(crate) fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let span = short_span(at.signed_duration_since(now).abs());
    if span == "0s" {
        "now".to_owned()
    } else if at < now {
        format!("{span} ago")
    } else {
        format!("in {span}")
    }
}

/// As [`age`], with `-` where there is no time.
pub(crate) fn age_or_dash(at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| age(at, now))
}

/// A value, or `-` where there is none.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The largest unit that fits, whole: `42s`, `3m`, `5h`, `12d`.
pub(crate) fn short_span(span: TimeDelta) -> String {
    match span.num_seconds() {
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Reads a time in the past: RFC 3339, or a span before now.
pub(crate) fn past(text: &str) -> Result<DateTime<Utc>, NotATime> {
    time(text, |now, span| now - span)
}

/// Reads a time to come: RFC 3339, or a span from now.
pub(crate) fn future(text: &str) -> Result<DateTime<Utc>, NotATime> {
    time(text, |now, span| now + span)
}

/// Reads RFC 3339 alone.
pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, NotATime> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|_| NotATime)
}

/// Reads a span in words: `30s`, `15m`, `1h 30m`, `90d`.
pub(crate) fn span(text: &str) -> Result<Duration, NotATime> {
    let span = humantime::parse_duration(text).map_err(|_| NotATime)?;
    if span > LONGEST_SPAN {
        Err(NotATime)
    } else {
        Ok(span)
    }
}

fn time(
    text: &str,
    from_now: impl FnOnce(DateTime<Utc>, Duration) -> DateTime<Utc>,
) -> Result<DateTime<Utc>, NotATime> {
    instant(text).or_else(|_| span(text).map(|span| from_now(Utc::now(), span)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        instant(text).expect("a time")
    }

    #[test]
    fn ages_are_told_in_the_largest_unit_that_fits() {
        let now = at("2026-05-20T12:00:00Z");

        assert_eq!(age(now, now), "now");
        assert_eq!(age(at("2026-05-20T11:59:18Z"), now), "42s ago");
        assert_eq!(age(at("2026-05-20T12:15:00Z"), now), "in 15m");
        assert_eq!(age(at("2026-05-18T20:00:00Z"), now), "40h ago");
        assert_eq!(age(at("2026-05-01T12:00:00Z"), now), "19d ago");
    }

    #[test]
    fn a_time_is_read_as_rfc_3339_or_as_a_span() {
        let given = past("2026-05-20T14:00:00+02:00");

        assert_eq!(given, Ok(at("2026-05-20T12:00:00Z")));
        assert!(past("2h").expect("a span") < Utc::now());
        assert!(future("2h").expect("a span") > Utc::now());
    }

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        for text in [
            "",
            "yesterday",
            "-2h",
            "2026-05-20",
            "99999999999999y",
            "20y",
        ] {
            let refused = past(text).expect_err(text);

            assert!(
                refused.to_string().contains("2026-05-20T09:00:00Z"),
                "{text}"
            );
        }
    }
}
