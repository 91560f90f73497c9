//! Meta's ways to tell a time: with an offset that has no colon, which readers of RFC 3339 refuse, or in Unix seconds, where
//! 0 is never.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::platform::members;

/// A time in any of its forms; `None` for never and for what is none.
pub(super) fn read(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::String(text) => {
            let with_offset = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%z")
                .or_else(|_| DateTime::parse_from_rfc3339(text));
            match with_offset {
                Ok(time) => Some(time.to_utc()),
                Err(_) => of_seconds(value),
            }
        }
        _ => of_seconds(value),
    }
}

/// A time in Unix seconds; 0 is never.
pub(super) fn of_seconds(value: &Value) -> Option<DateTime<Utc>> {
    let seconds = members::integer(value).filter(|seconds| *seconds > 0)?;
    DateTime::from_timestamp(seconds, 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_in_every_form() {
        let expected: Option<DateTime<Utc>> = "2026-10-01T16:12:44Z".parse().ok();

        for value in [
            json!("2026-10-01T09:12:44-0700"),
            json!("2026-10-01T09:12:44-07:00"),
            json!("2026-10-01T16:12:44Z"),
            json!(1_790_871_164),
            json!("1790871164"),
        ] {
            assert_eq!(read(&value), expected, "{value}");
        }
    }

    #[test]
    fn nothing_is_not_1970() {
        for value in [
            json!(0),
            json!("0"),
            json!(-1),
            json!("soon"),
            json!({}),
            Value::Null,
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
