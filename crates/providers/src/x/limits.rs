//! What X says of its quotas: how many calls are left, and when, in seconds since 1970, they are all there again. Where it
//! speaks of the account, that is what counts.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;

use crate::platform::Usage;

/// The headers' prefixes, those that count first.
const PREFIXES: [&str; 2] = ["x-account-rate-limit", "x-rate-limit"];

/// Longest time until a quota is there again: they are of 15 minutes. Whoever names a later one has another clock than ours.
const LONGEST_WINDOW: TimeDelta = TimeDelta::minutes(16);

/// How late an answer may be; what was there again before that is of another clock, too.
const LATEST: TimeDelta = TimeDelta::minutes(1);

/// Allowances smaller than this are of calls that are made once in a while, such as lists of accounts: what is left of them
/// says nothing of all others, which go on.
const SMALLEST: u64 = 20;

/// What X says of a quota.
struct Quota {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<DateTime<Utc>>,
}

/// How much of the quota is used.
pub(super) fn usage(headers: &HeaderMap, now: DateTime<Utc>) -> Usage {
    let is_telling = |quota: &Quota| quota.limit.is_none_or(|limit| limit >= SMALLEST);
    let Some(quota) = quota(headers).filter(is_telling) else {
        return Usage::default();
    };
    let used_share = match (quota.limit, quota.remaining) {
        (Some(limit), Some(remaining)) if limit > 0 => {
            Some(1.0 - remaining.min(limit) as f64 / limit as f64)
        }
        _ => None,
    };
    Usage {
        used_share,
        remaining: quota.remaining,
        resets_in: until(quota.reset, now),
    }
}

/// How long until the quota is there again; `None`: X does not say it, or by another clock than ours.
pub(super) fn wait(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    until(quota(headers)?.reset, now)
}

fn until(reset: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<Duration> {
    let until = reset? - now;
    let is_believed = until >= -LATEST && until <= LONGEST_WINDOW;
    is_believed.then(|| until.to_std().unwrap_or_default())
}

fn quota(headers: &HeaderMap) -> Option<Quota> {
    PREFIXES.into_iter().find_map(|prefix| {
        let number = |last: &str| {
            let value = headers.get(format!("{prefix}-{last}"))?;
            value.to_str().ok()?.trim().parse::<i64>().ok()
        };
        let quota = Quota {
            limit: number("limit").and_then(|it| it.try_into().ok()),
            remaining: number("remaining").and_then(|it| it.try_into().ok()),
            reset: number("reset").and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        };
        let is_told = quota.remaining.is_some() || quota.reset.is_some();
        is_told.then_some(quota)
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    const NOW: i64 = 1_763_640_000;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(NOW, 0).expect("a date")
    }

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).expect("a header value");
                (name.parse().expect("a header's name"), value)
            })
            .collect()
    }

    fn reset_at(seconds: i64) -> HeaderMap {
        headers(&[("x-rate-limit-reset", seconds.to_string())])
    }

    #[test]
    fn the_reset_is_a_time_and_not_a_duration() {
        assert_eq!(
            wait(&reset_at(NOW + 90), now()),
            Some(Duration::from_secs(90))
        );
        assert_eq!(wait(&reset_at(NOW), now()), Some(Duration::ZERO));
        assert_eq!(wait(&reset_at(NOW - 30), now()), Some(Duration::ZERO));
    }

    #[test]
    fn times_of_another_clock_are_not_believed() {
        for seconds in [90, NOW - 3_600, NOW + 3_600, i64::MAX, i64::MIN, -1] {
            assert_eq!(wait(&reset_at(seconds), now()), None, "{seconds}");
        }
        assert_eq!(wait(&HeaderMap::new(), now()), None);
        assert_eq!(
            wait(
                &headers(&[("x-rate-limit-reset", "soon".to_owned())]),
                now()
            ),
            None
        );
    }

    #[test]
    fn what_is_said_of_the_account_counts() {
        let headers = headers(&[
            ("x-rate-limit-limit", "1000".to_owned()),
            ("x-rate-limit-remaining", "1000".to_owned()),
            ("x-rate-limit-reset", (NOW + 60).to_string()),
            ("x-account-rate-limit-limit", "10000".to_owned()),
            ("x-account-rate-limit-remaining", "2500".to_owned()),
            ("x-account-rate-limit-reset", (NOW + 600).to_string()),
        ]);

        let usage = usage(&headers, now());

        assert_eq!(usage.used_share, Some(0.75));
        assert_eq!(usage.remaining, Some(2_500));
        assert_eq!(usage.resets_in, Some(Duration::from_secs(600)));
        assert_eq!(wait(&headers, now()), Some(Duration::from_secs(600)));
    }

    // Fails when the fifth look at a person's accounts stops the reading of all of them.
    #[test]
    fn what_is_left_of_a_small_allowance_says_nothing_of_other_calls() {
        let headers = headers(&[
            ("x-rate-limit-limit", "5".to_owned()),
            ("x-rate-limit-remaining", "0".to_owned()),
            ("x-rate-limit-reset", (NOW + 600).to_string()),
        ]);

        assert_eq!(usage(&headers, now()), Usage::default());
        assert_eq!(wait(&headers, now()), Some(Duration::from_secs(600)));
    }

    #[test]
    fn without_headers_nothing_is_known() {
        assert_eq!(usage(&HeaderMap::new(), now()), Usage::default());
        let odd = headers(&[
            ("x-rate-limit-limit", "0".to_owned()),
            ("x-rate-limit-remaining", "-5".to_owned()),
            ("x-rate-limit-reset", (NOW + 60).to_string()),
        ]);
        assert_eq!(usage(&odd, now()).used_share, None);
        assert_eq!(usage(&odd, now()).remaining, None);
    }
}
