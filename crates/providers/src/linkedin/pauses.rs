//! How long to wait after LinkedIn's refusals, which never say it: limits of a day end at midnight UTC, and one that is met
//! twice in short time is taken for one of a day.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::errors::Throttle;
use crate::platform::recent::Pause;

/// After the limit of figures in five minutes.
const FIGURES: Duration = Duration::from_secs(330);
/// The first wait after a limit that is not named.
const FIRST: Duration = Duration::from_secs(60);
/// Two refusals closer than this are of a day's limit.
const CLOSE: TimeDelta = TimeDelta::minutes(10);
/// How far in the new day quotas are surely there again.
const AFTER_MIDNIGHT: TimeDelta = TimeDelta::minutes(5);

/// The wait that is to begin now, after the one before it.
pub(super) fn length(throttle: Throttle, before: Option<Pause>, now: DateTime<Utc>) -> Duration {
    match (throttle, before) {
        (Throttle::Figures, _) => FIGURES,
        (Throttle::Day, _) => until_next_day(now),
        (Throttle::Unnamed, None) => FIRST,
        (Throttle::Unnamed, Some(before)) if now - before.since < CLOSE => until_next_day(now),
        (Throttle::Unnamed, Some(before)) => (before.length * 2).min(until_next_day(now)),
    }
}

/// Until five minutes past the next midnight UTC.
fn until_next_day(now: DateTime<Utc>) -> Duration {
    let shifted = now - AFTER_MIDNIGHT;
    let midnight = shifted.date_naive().and_time(NaiveTime::MIN).and_utc();
    (TimeDelta::days(1) - (shifted - midnight))
        .to_std()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(count * 60)
    }

    fn pause(since: &str, length: Duration) -> Pause {
        Pause {
            since: at(since),
            length,
        }
    }

    #[test]
    fn a_named_limit_ends_when_it_ends() {
        let now = at("2026-11-21T22:05:00Z");

        assert_eq!(
            length(Throttle::Figures, None, now),
            Duration::from_secs(330)
        );
        assert_eq!(length(Throttle::Day, None, now), minutes(120));
        assert_eq!(
            length(Throttle::Day, None, at("2026-11-21T00:05:00Z")),
            minutes(24 * 60)
        );
        assert_eq!(
            length(Throttle::Day, None, at("2026-11-21T00:01:00Z")),
            minutes(4)
        );
    }

    #[test]
    fn one_that_is_met_twice_in_short_time_is_that_of_the_day() {
        let first = pause("2026-11-21T12:00:00Z", minutes(1));

        let close = length(Throttle::Unnamed, Some(first), at("2026-11-21T12:09:59Z"));
        let later = length(Throttle::Unnamed, Some(first), at("2026-11-21T12:10:00Z"));

        assert_eq!(length(Throttle::Unnamed, None, first.since), minutes(1));
        assert_eq!(close, minutes(11 * 60 + 55) + Duration::from_secs(1));
        assert_eq!(later, minutes(2));
    }

    #[test]
    fn no_wait_is_longer_than_until_the_next_day() {
        let long = pause("2026-11-21T12:00:00Z", minutes(600));

        let next = length(Throttle::Unnamed, Some(long), at("2026-11-21T23:05:00Z"));

        assert_eq!(next, minutes(60));
    }
}
