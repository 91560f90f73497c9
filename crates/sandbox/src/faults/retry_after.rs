//! `Retry-After` in every form that servers send: seconds, a date, and nonsense.

use axum::http::HeaderValue;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// What a `Retry-After` header says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum RetryAfter {
    /// Seconds, as sent: 0, negative and absurdly many are allowed.
    Seconds(i64),
    /// An HTTP date this many seconds from now; negative for the past.
    Date {
        /// Seconds from now.
        date_in_s: i32,
    },
    /// Any other text, as sent.
    Text(String),
}

impl RetryAfter {
    /// The header's value; `None` when the text cannot stand in a header.
    pub(super) fn header(&self, now: DateTime<Utc>) -> Option<HeaderValue> {
        match self {
            Self::Seconds(seconds) => Some(HeaderValue::from(*seconds)),
            Self::Date { date_in_s } => {
                let date = now.checked_add_signed(TimeDelta::seconds(i64::from(*date_in_s)))?;
                let text = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
                HeaderValue::from_str(&text).ok()
            }
            Self::Text(text) => HeaderValue::from_str(text).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_becomes_a_header() {
        let now = DateTime::UNIX_EPOCH;

        let seconds = RetryAfter::Seconds(-5).header(now);
        let date = RetryAfter::Date { date_in_s: 90 }.header(now);
        let text = RetryAfter::Text("soon".to_owned()).header(now);

        assert_eq!(seconds, Some(HeaderValue::from_static("-5")));
        assert_eq!(
            date,
            Some(HeaderValue::from_static("Thu, 01 Jan 1970 00:01:30 GMT"))
        );
        assert_eq!(text, Some(HeaderValue::from_static("soon")));
    }

    #[test]
    fn a_text_with_a_line_break_becomes_no_header() {
        let header = RetryAfter::Text("1\r\nx: y".to_owned()).header(DateTime::UNIX_EPOCH);

        assert_eq!(header, None);
    }
}
