//! Hours and days: the world counts hours of UTC, its accounts live by local days, and on two days
//! of the year the two do not agree.

use std::ops::Range;

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;

/// Seconds of an hour.
const HOUR_S: i64 = 3_600;
/// Most days that one question may be about; later ones are left out. Longer than the 37 months
/// that Meta keeps.
pub(crate) const MOST_DAYS: usize = 1_200;

/// Hours of UTC since 1970.
pub(crate) type Hour = i64;

/// How long a time each row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grain {
    /// An hour of the account's day, 0 to 23: the hour that comes twice in autumn is one row.
    Hour,
    /// A day of the account.
    Day,
    /// These many days, the last ones fewer.
    Days(u32),
    /// The part of a calendar month that is asked for.
    Month,
    /// Everything that is asked for.
    Whole,
}

/// The time that a row is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Its first day, by the account's clock.
    pub(crate) from: NaiveDate,
    /// Its last day.
    pub(crate) to: NaiveDate,
    /// Its hour by the account's clock; `None` for whole days.
    pub(crate) hour: Option<u8>,
    /// Its hours of UTC.
    pub(crate) hours: Range<Hour>,
}

/// The hour that a moment is in.
pub(crate) fn hour_of(at: DateTime<Utc>) -> Hour {
    at.timestamp().div_euclid(HOUR_S)
}

/// The first hour that begins at a moment or later.
pub(super) fn hour_from(at: DateTime<Utc>) -> Hour {
    let second = at.timestamp();
    second.div_euclid(HOUR_S) + i64::from(second.rem_euclid(HOUR_S) > 0)
}

/// The moment at which an hour begins.
pub(crate) fn start_of(hour: Hour) -> DateTime<Utc> {
    DateTime::from_timestamp(hour.saturating_mul(HOUR_S), 0).unwrap_or_default()
}

/// How far a zone is ahead of UTC in an hour, in seconds.
pub(super) fn offset_s(zone: Tz, hour: Hour) -> i64 {
    let offset = zone.offset_from_utc_datetime(&start_of(hour).naive_utc());
    i64::from(offset.fix().local_minus_utc())
}

/// The day and the hour that a zone's clocks show in an hour.
pub(crate) fn local(zone: Tz, hour: Hour) -> (NaiveDate, u8) {
    let time = start_of(hour).naive_utc();
    let offset = TimeDelta::seconds(offset_s(zone, hour));
    let time = time.checked_add_signed(offset).unwrap_or(time);
    let second = (time.time() - NaiveTime::MIN).num_seconds();
    // At most 23.
    (time.date(), (second / HOUR_S) as u8)
}

/// A day as providers write it, `2026-11-20`, of this century.
pub(crate) fn parse_day(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    ((2000..2100).contains(&day.year()) && text.len() == 10).then_some(day)
}

/// The day that a zone's calendars show at a moment.
pub(crate) fn day_of(zone: Tz, at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

/// The hours of UTC of one local day: 24, or 23, or 25.
pub(crate) fn hours_of_day(zone: Tz, day: NaiveDate) -> Range<Hour> {
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    midnight(zone, day)..midnight(zone, next)
}

/// The times of the days `from` to `to`, both included, of 1,200 days at most.
pub(crate) fn buckets(zone: Tz, from: NaiveDate, to: NaiveDate, grain: Grain) -> Vec<Bucket> {
    match grain {
        Grain::Hour => days(from, to)
            .flat_map(|day| hours_apart(zone, day))
            .collect(),
        Grain::Day => spans(from, to, |day| day.checked_add_days(Days::new(1)), zone),
        Grain::Days(count) => {
            let step = Days::new(u64::from(count.max(1)));
            spans(from, to, |day| day.checked_add_days(step), zone)
        }
        Grain::Month => {
            let next = |day: NaiveDate| day.with_day(1)?.checked_add_months(Months::new(1));
            spans(from, to, next, zone)
        }
        Grain::Whole => spans(from, to, |_| to.checked_add_days(Days::new(1)), zone),
    }
}

fn days(from: NaiveDate, to: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    from.iter_days()
        .take_while(move |day| *day <= to)
        .take(MOST_DAYS)
}

/// Buckets of whole days, each from where the last one ended to before `next`.
fn spans(
    from: NaiveDate,
    to: NaiveDate,
    next: impl Fn(NaiveDate) -> Option<NaiveDate>,
    zone: Tz,
) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    let mut day = from;
    while day <= to && buckets.len() < MOST_DAYS {
        let Some(following) = next(day) else { break };
        let last = following.pred_opt().unwrap_or(day).min(to);
        buckets.push(Bucket {
            from: day,
            to: last,
            hour: None,
            hours: midnight(zone, day)..hours_of_day(zone, last).end,
        });
        day = following;
    }
    buckets
}

/// The hours of a day as its clocks show them; those that are shown twice are one.
fn hours_apart(zone: Tz, day: NaiveDate) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::with_capacity(24);
    for hour in hours_of_day(zone, day) {
        let (_, shown) = local(zone, hour);
        match buckets.last_mut() {
            Some(last) if last.hour == Some(shown) => last.hours.end = hour + 1,
            _ => buckets.push(Bucket {
                from: day,
                to: day,
                hour: Some(shown),
                hours: hour..hour + 1,
            }),
        }
    }
    buckets
}

/// The hour in which a local day begins; where midnight does not exist, the first one that does.
fn midnight(zone: Tz, day: NaiveDate) -> Hour {
    let mut local = day.and_time(NaiveTime::MIN);
    for _ in 0..3 {
        if let Some(begin) = zone.from_local_datetime(&local).earliest() {
            return hour_of(begin.to_utc());
        }
        local += TimeDelta::hours(1);
    }
    hour_of(local.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    #[test]
    fn the_days_of_the_change_of_clocks_have_23_and_25_hours() {
        let zone = chrono_tz::America::New_York;

        let spring = hours_of_day(zone, day("2026-03-08"));
        let autumn = hours_of_day(zone, day("2026-11-01"));

        assert_eq!(spring.end - spring.start, 23);
        assert_eq!(autumn.end - autumn.start, 25);
    }

    #[test]
    fn the_hour_that_comes_twice_is_one_bucket_and_the_one_that_does_not_come_none() {
        let zone = chrono_tz::America::New_York;

        let autumn = buckets(zone, day("2026-11-01"), day("2026-11-01"), Grain::Hour);
        let spring = buckets(zone, day("2026-03-08"), day("2026-03-08"), Grain::Hour);

        assert_eq!(autumn.len(), 24);
        assert_eq!(autumn[1].hour, Some(1));
        assert_eq!(autumn[1].hours.end - autumn[1].hours.start, 2);
        assert_eq!(spring.len(), 23);
        assert!(spring.iter().all(|bucket| bucket.hour != Some(2)));
    }

    #[test]
    fn buckets_of_every_grain_cover_each_hour_once() {
        let zone = chrono_tz::Australia::Sydney;
        let (from, to) = (day("2026-01-15"), day("2026-05-10"));
        let whole = buckets(zone, from, to, Grain::Whole);
        assert_eq!(whole.len(), 1);

        for grain in [Grain::Hour, Grain::Day, Grain::Days(7), Grain::Month] {
            let buckets = buckets(zone, from, to, grain);

            let first = buckets.first().expect("a bucket");
            let last = buckets.last().expect("a bucket");
            assert_eq!(first.hours.start, whole[0].hours.start, "{grain:?}");
            assert_eq!(last.hours.end, whole[0].hours.end, "{grain:?}");
            assert_eq!(last.to, to, "{grain:?}");
            let apart = buckets
                .windows(2)
                .all(|pair| pair[0].hours.end == pair[1].hours.start);
            assert!(apart, "{grain:?}");
        }
    }

    #[test]
    fn nobody_can_ask_for_more_days_than_there_is_room_for() {
        let buckets = buckets(Tz::UTC, NaiveDate::MIN, NaiveDate::MAX, Grain::Day);

        assert_eq!(buckets.len(), MOST_DAYS);
    }

    #[test]
    fn a_moment_within_an_hour_belongs_to_it() {
        let at = "2026-11-20T12:00:01Z".parse().expect("a time");

        assert_eq!(
            start_of(hour_of(at)).to_rfc3339(),
            "2026-11-20T12:00:00+00:00"
        );
        assert_eq!(hour_from(at), hour_of(at) + 1);
        assert_eq!(local(Tz::Asia__Tokyo, hour_of(at)).1, 21);
    }
}
