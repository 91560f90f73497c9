//! What Meta's usage headers say: how much of its allowances is used, in per cent, and how long it wants us to wait, in
//! minutes or in seconds. It sends no `Retry-After` of its own; a proxy may.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::{
    http::{LONGEST_PAUSE, retry_after},
    platform::Usage,
};

const APP: &str = "x-app-usage";
const AD_ACCOUNT: &str = "x-ad-account-usage";
const USE_CASE: &str = "x-business-use-case-usage";
const INSIGHTS: &str = "x-fb-ads-insights-throttle";

/// Members that are per cent of an allowance; calls are refused at 100.
const PER_CENT: [&str; 5] = [
    "call_count",
    "total_time",
    "total_cputime",
    "acc_id_util_pct",
    "app_id_util_pct",
];

/// What all headers of an answer say together: the worst of every allowance that they name.
pub(super) fn read(headers: &HeaderMap) -> Usage {
    let used = [APP, AD_ACCOUNT, INSIGHTS]
        .into_iter()
        .filter_map(|name| json(headers, name))
        .chain(use_cases(headers))
        .filter_map(|allowance| most_used(&allowance))
        .reduce(f64::max);
    Usage {
        used_share: used.map(|per_cent| per_cent / 100.0),
        remaining: None,
        resets_in: business_use_case(headers)
            .max(ad_account(headers))
            .map(|wait| wait.min(LONGEST_PAUSE)),
    }
}

/// The worse of two.
pub(super) fn worse(one: Usage, other: Usage) -> Usage {
    let either = [one.used_share, other.used_share];
    Usage {
        used_share: either.into_iter().flatten().reduce(f64::max),
        remaining: [one.remaining, other.remaining].into_iter().flatten().min(),
        resets_in: one.resets_in.max(other.resets_in),
    }
}

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
    let minutes = use_cases(headers)
        .iter()
        .filter_map(|entry| entry.get("estimated_time_to_regain_access")?.as_u64())
        .max()?;
    (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60)))
}

/// `reset_time_duration` counts **seconds**.
fn ad_account(headers: &HeaderMap) -> Option<Duration> {
    let usage = json(headers, AD_ACCOUNT)?;
    let seconds = usage.get("reset_time_duration")?.as_u64()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// The use cases of all ids that the header names: ad accounts, Pages or businesses, each with several.
fn use_cases(headers: &HeaderMap) -> Vec<Value> {
    match json(headers, USE_CASE) {
        Some(Value::Object(by_id)) => by_id
            .into_iter()
            .filter_map(|(_, cases)| match cases {
                Value::Array(cases) => Some(cases),
                _ => None,
            })
            .flatten()
            .collect(),
        _ => Vec::new(),
    }
}

/// The allowance's member that is used up most, in per cent.
fn most_used(allowance: &Value) -> Option<f64> {
    PER_CENT
        .into_iter()
        .filter_map(|name| allowance.get(name)?.as_f64())
        .filter(|per_cent| *per_cent >= 0.0)
        .reduce(f64::max)
}

fn json(headers: &HeaderMap, name: &str) -> Option<Value> {
    serde_json::from_slice(headers.get(name)?.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn pause_of(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        pause(&headers(pairs), Utc::now())
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

    const CALM_APP: &str = r#"{"call_count":28,"total_time":25,"total_cputime":31}"#;
    const CALM_ACCOUNT: &str = r#"{"acc_id_util_pct":9.67,"reset_time_duration":100,"ads_api_access_tier":"standard_access"}"#;
    const CASES: &str = concat!(
        r#"{"1000000000001":[{"type":"ads_insights","call_count":40,"total_cputime":25,"total_time":25,"#,
        r#""estimated_time_to_regain_access":0}],"2":[{"type":"pages","call_count":1,"total_time":77,"#,
        r#""estimated_time_to_regain_access":19}]}"#,
    );
    const THROTTLE: &str = r#"{"app_id_util_pct":100,"acc_id_util_pct":10}"#;

    #[test]
    fn the_worst_of_all_allowances_is_told_as_a_share() {
        let share = |pairs| read(&headers(pairs)).used_share;

        assert_eq!(share(&[(APP, CALM_APP)]), Some(0.31));
        assert_eq!(share(&[(APP, CALM_APP), (USE_CASE, CASES)]), Some(0.77));
        assert_eq!(share(&[(INSIGHTS, THROTTLE), (USE_CASE, CASES)]), Some(1.0));
        assert_eq!(share(&[(APP, "{}"), (AD_ACCOUNT, "nonsense")]), None);
        assert_eq!(read(&HeaderMap::new()), Usage::default());
    }

    #[test]
    fn the_longest_wait_is_told_whatever_its_unit() {
        let wait = |pairs| read(&headers(pairs)).resets_in;
        let seconds = Duration::from_secs;

        assert_eq!(wait(&[(AD_ACCOUNT, CALM_ACCOUNT)]), Some(seconds(100)));
        assert_eq!(
            wait(&[(AD_ACCOUNT, CALM_ACCOUNT), (USE_CASE, CASES)]),
            Some(seconds(19 * 60))
        );
        assert_eq!(wait(&[(APP, CALM_APP)]), None);
    }

    #[test]
    fn of_two_the_worse_counts() {
        let calm = read(&headers(&[(AD_ACCOUNT, CALM_ACCOUNT)]));
        let busy = read(&headers(&[(APP, CALM_APP)]));

        let both = worse(calm, busy);

        assert_eq!(both.used_share, Some(0.31));
        assert_eq!(both.resets_in, Some(Duration::from_secs(100)));
        assert_eq!(worse(Usage::default(), Usage::default()), Usage::default());
    }
}
