//! Limits by the second, the minute and the day, by a clock that the test holds.

use std::env;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::{
    limits::Knob,
    shared::Shared,
    tiktok::{
        Context,
        error::{Limit, TikTokError},
        quota,
    },
    world::Platform,
};

fn shared() -> Shared {
    let config = SandboxConfig::on_free_ports(env::temp_dir());
    Shared::new(&config).expect("a sandbox's state")
}

/// Calls an endpoint of the first advertiser.
fn call(shared: &Shared, endpoint: &str, now: DateTime<Utc>) -> Result<(), TikTokError> {
    quota::count(&Context { shared, now }, endpoint, Some(FIRST))
}

fn noon() -> DateTime<Utc> {
    "2026-11-20T12:00:00Z".parse().expect("a time")
}

fn over(limit: Limit) -> Result<(), TikTokError> {
    Err(TikTokError::over(limit))
}

#[test]
fn ten_calls_a_second_are_let_in_for_each_endpoint_and_two_of_those_that_begin_reports() {
    let shared = shared();
    let calls = |endpoint: &str, most: usize| {
        let answers = (0..=most).map(|_| call(&shared, endpoint, noon()));
        answers.collect::<Vec<_>>()
    };

    for (endpoint, most) in [("campaign/get/", 10), ("report/task/create/", 2)] {
        let answers = calls(endpoint, most);

        assert!(answers[..most].iter().all(Result::is_ok), "{endpoint}");
        assert_eq!(answers[most], over(Limit::Second));
    }
    let second = TimeDelta::seconds(1);
    assert_eq!(call(&shared, "ad/get/", noon()), Ok(()));
    assert_eq!(call(&shared, "campaign/get/", noon() + second), Ok(()));
}

#[test]
fn whoever_calls_too_often_in_a_minute_is_kept_out_for_five() {
    let shared = shared();
    let endpoint = "report/task/create/";
    let after = |seconds| call(&shared, endpoint, noon() + TimeDelta::seconds(seconds));
    for seconds in 0..60 {
        assert_eq!(after(seconds), Ok(()), "{seconds}");
    }

    assert_eq!(after(59), over(Limit::Minute));
    for minutes in 1..5 {
        assert_eq!(after(minutes * 60), over(Limit::Minute), "{minutes}");
    }
    let other = call(&shared, "campaign/get/", noon() + TimeDelta::minutes(1));
    assert_eq!(other, Ok(()));
    assert_eq!(after(5 * 60), Ok(()));
}

#[test]
fn what_the_control_sets_reaches_each_limit() {
    let shared = shared();
    let refuse = |scope: &str| {
        let knob = Knob {
            refuse: 1,
            ..Knob::default()
        };
        let set = shared
            .limits
            .set(Platform::TikTok, Some(scope.to_owned()), knob);
        set.expect("room");
    };
    let at = |minutes| noon() + TimeDelta::minutes(minutes);
    let get = |minutes| call(&shared, "campaign/get/", at(minutes));

    refuse(FIRST);
    assert_eq!(get(0), over(Limit::Second));
    assert_eq!(get(0), Ok(()));
    refuse("qpd");
    assert_eq!(get(1), over(Limit::Day));
    assert_eq!(get(1), Ok(()));
    refuse("qpm");
    assert_eq!(get(2), over(Limit::Minute));
    assert_eq!(get(3), over(Limit::Minute));
    assert_eq!(get(6), over(Limit::Minute));
    assert_eq!(get(7), Ok(()));
}

#[test]
fn a_day_has_its_own_limit_until_midnight_of_utc() {
    let shared = shared();
    let full = Knob {
        usage_percent: Some(100.0),
        ..Knob::default()
    };
    let scope = Some("qpd".to_owned());
    let set = shared.limits.set(Platform::TikTok, scope, full);
    set.expect("room");

    assert_eq!(call(&shared, "campaign/get/", noon()), over(Limit::Day));
}

#[test]
fn nearly_used_up_is_not_used_up() {
    let shared = shared();
    let nearly = Knob {
        usage_percent: Some(97.0),
        ..Knob::default()
    };
    let set = shared.limits.set(Platform::TikTok, None, nearly);
    set.expect("room");

    assert_eq!(call(&shared, "campaign/get/", noon()), Ok(()));
}
