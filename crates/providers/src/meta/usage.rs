//! How long Meta wants us to wait, read from its usage headers. It sends no `Retry-After` of its own; a proxy may.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::http::{LONGEST_PAUSE, retry_after};

/// The wait that the answer's headers ask for; `None` when they name none and the error's code has to decide.
pub(super) fn pause(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    retry_after(headers, now)
        // Zero, or a date that has passed, names no wait.
        .filter(|pause| !pause.is_zero())
        .or_else(|| business_use_case(headers))
        .or_else(|| ad_account(headers))
        .map(|pause| pause.min(LONGEST_PAUSE))
}

/// `estimated_time_to_regain_access` counts **minutes**; the worst of all ids and types decides.
fn business_use_case(headers: &HeaderMap) -> Option<Duration> {
    let usage = json(headers, "x-business-use-case-usage")?;
    let minutes = usage
        .as_object()?
        .values()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|entry| entry.get("estimated_time_to_regain_access")?.as_u64())
        .max()?;
    (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60)))
}

/// `reset_time_duration` counts **seconds**.
fn ad_account(headers: &HeaderMap) -> Option<Duration> {
    let usage = json(headers, "x-ad-account-usage")?;
    let seconds = usage.get("reset_time_duration")?.as_u64()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn json(headers: &HeaderMap, name: &str) -> Option<Value> {
    serde_json::from_slice(headers.get(name)?.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn pause_of(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.insert(name, HeaderValue::from_static(value));
        }
        pause(&headers, Utc::now())
    }

    const BUSINESS: &str = concat!(
        r#"{"1":[{"type":"pages","estimated_time_to_regain_access":2},"#,
        r#"{"type":"ads_insights","estimated_time_to_regain_access":19}],"2":[{"type":"pages"}]}"#,
    );
    const ACCOUNT: &str = r#"{"acc_id_util_pct":100,"reset_time_duration":100}"#;

    #[test]
    fn minutes_are_minutes_and_seconds_are_seconds() {
        assert_eq!(
            pause_of(&[("x-business-use-case-usage", BUSINESS)]),
            Some(Duration::from_secs(19 * 60))
        );
        assert_eq!(
            pause_of(&[("x-ad-account-usage", ACCOUNT)]),
            Some(Duration::from_secs(100))
        );
    }

    #[test]
    fn the_use_case_comes_before_the_account_unless_it_asks_for_nothing() {
        let idle = r#"{"1":[{"estimated_time_to_regain_access":0}]}"#;

        let pause = pause_of(&[
            ("x-business-use-case-usage", idle),
            ("x-ad-account-usage", ACCOUNT),
        ]);

        assert_eq!(pause, Some(Duration::from_secs(100)));
    }

    #[test]
    fn headers_that_cannot_be_read_say_nothing() {
        for value in [
            "",
            "{",
            "[]",
            "null",
            r#"{"1":{}}"#,
            r#"{"1":[{"estimated_time_to_regain_access":-1}]}"#,
        ] {
            assert_eq!(
                pause_of(&[("x-business-use-case-usage", value)]),
                None,
                "{value}"
            );
        }
    }

    #[test]
    fn a_wait_of_weeks_is_a_day() {
        let weeks = r#"{"1":[{"estimated_time_to_regain_access":18446744073709551615}]}"#;

        assert_eq!(
            pause_of(&[("x-business-use-case-usage", weeks)]),
            Some(LONGEST_PAUSE)
        );
    }
}
