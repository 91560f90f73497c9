//! Ticks against a table of zones and changes, and what must hold for any schedule at any time.

use chrono::SecondsFormat;
use proptest::{
    prelude::{prop_assert, prop_assert_eq, proptest},
    sample::select,
};

use super::*;
use crate::config::Config;

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";
/// Its clock is put forward and back by half an hour.
const LORD_HOWE: &str = "Australia/Lord_Howe";

fn schedule(cron: &str, zone: &str) -> Schedule {
    let text =
        format!("[schedules.s]\nkind = \"email.send\"\ncron = \"{cron}\"\ntimezone = \"{zone}\"\n");
    let parsed = Config::parse(&text, &["email.send"]).expect("the schedule is right");
    parsed.config.schedules["s"].clone()
}

fn at(text: &str) -> DateTime<Utc> {
    let at = DateTime::parse_from_rfc3339(text).expect("a time");
    at.to_utc()
}

/// Asserts what the clock of the zone shows at the ticks after a moment.
fn assert_ticks(cron: &str, zone: &str, after: &str, expected: &[&str]) {
    let schedule = schedule(cron, zone);

    let ticks: Vec<String> = schedule
        .ticks_after(at(after))
        .take(expected.len())
        .map(|tick| {
            let shown = tick.with_timezone(&schedule.timezone);
            shown.to_rfc3339_opts(SecondsFormat::Secs, false)
        })
        .collect();

    assert_eq!(ticks, expected, "{cron} in {zone}");
}

#[test]
fn ticks_are_times_of_the_zones_clock() {
    assert_ticks(
        "0 9 * * *",
        "UTC",
        "2026-01-01T09:00:00Z",
        &["2026-01-02T09:00:00+00:00", "2026-01-03T09:00:00+00:00"],
    );
    assert_ticks(
        "0 6 * * *",
        "Asia/Kathmandu",
        "2026-01-01T00:00:00Z",
        &["2026-01-01T06:00:00+05:45", "2026-01-02T06:00:00+05:45"],
    );
    assert_ticks(
        "*/20 30 9 * * 1",
        NEW_YORK,
        "2026-07-01T00:00:00Z",
        &[
            "2026-07-06T09:30:00-04:00",
            "2026-07-06T09:30:20-04:00",
            "2026-07-06T09:30:40-04:00",
            "2026-07-13T09:30:00-04:00",
        ],
    );
    assert_ticks(
        "0 0 29 2 *",
        BERLIN,
        "2026-01-01T00:00:00Z",
        &["2028-02-29T00:00:00+01:00", "2032-02-29T00:00:00+01:00"],
    );
}

#[test]
fn a_part_of_a_second_is_over_when_its_second_has_begun() {
    assert_ticks(
        "* * * * * *",
        "UTC",
        "2026-01-01T00:00:00.999999Z",
        &["2026-01-01T00:00:01+00:00", "2026-01-01T00:00:02+00:00"],
    );
}

#[test]
fn a_day_of_month_and_a_weekday_tick_once_where_they_meet() {
    // The 13th of February 2026 is a Friday.
    assert_ticks(
        "0 9 13 * 5",
        "UTC",
        "2026-02-06T12:00:00Z",
        &[
            "2026-02-13T09:00:00+00:00",
            "2026-02-20T09:00:00+00:00",
            "2026-02-27T09:00:00+00:00",
            "2026-03-06T09:00:00+00:00",
            "2026-03-13T09:00:00+00:00",
        ],
    );
}

#[test]
fn a_time_of_day_that_is_skipped_comes_at_the_end_of_the_gap() {
    assert_ticks(
        "30 2 * * *",
        BERLIN,
        "2026-03-28T00:00:00Z",
        &[
            "2026-03-28T02:30:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:30:00+02:00",
        ],
    );
    assert_ticks(
        "30 2 * * *",
        NEW_YORK,
        "2026-03-07T12:00:00Z",
        &["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"],
    );
    assert_ticks(
        "15 2 * * *",
        LORD_HOWE,
        "2026-10-03T00:00:00Z",
        &["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"],
    );
}

#[test]
fn several_times_in_one_gap_come_together_once() {
    assert_ticks(
        "*/20 2,3 * * *",
        BERLIN,
        "2026-03-28T12:00:00Z",
        &[
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:20:00+02:00",
            "2026-03-29T03:40:00+02:00",
            "2026-03-30T02:00:00+02:00",
        ],
    );
    assert_ticks(
        "0 */2 * * *",
        BERLIN,
        "2026-03-28T22:30:00Z",
        &[
            "2026-03-29T00:00:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T04:00:00+02:00",
        ],
    );
}

#[test]
fn a_time_of_day_that_is_repeated_comes_the_first_time_alone() {
    assert_ticks(
        "*/15 2 * * *",
        BERLIN,
        "2026-10-24T12:00:00Z",
        &[
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:15:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:45:00+02:00",
            "2026-10-26T02:00:00+01:00",
        ],
    );
    assert_ticks(
        "30 1 * * *",
        NEW_YORK,
        "2026-10-31T12:00:00Z",
        &["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"],
    );
    assert_ticks(
        "45 1 * * *",
        LORD_HOWE,
        "2026-04-04T00:00:00Z",
        &["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"],
    );
}

#[test]
fn an_interval_goes_on_in_real_time_through_both_changes() {
    assert_ticks(
        "*/15 * * * *",
        BERLIN,
        "2026-03-29T00:30:00Z",
        &[
            "2026-03-29T01:45:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:15:00+02:00",
        ],
    );
    assert_ticks(
        "0 * * * *",
        BERLIN,
        "2026-10-24T23:30:00Z",
        &[
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T03:00:00+01:00",
        ],
    );
    assert_ticks(
        "30 0-23 * * *",
        NEW_YORK,
        "2026-11-01T05:00:00Z",
        &[
            "2026-11-01T01:30:00-04:00",
            "2026-11-01T01:30:00-05:00",
            "2026-11-01T02:30:00-05:00",
        ],
    );
    assert_ticks(
        "*/30 * * * *",
        LORD_HOWE,
        "2026-04-04T14:00:00Z",
        &[
            "2026-04-05T01:30:00+11:00",
            "2026-04-05T01:30:00+10:30",
            "2026-04-05T02:00:00+10:30",
        ],
    );
    assert_ticks(
        "*/30 * * * *",
        LORD_HOWE,
        "2026-10-03T15:00:00Z",
        &["2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"],
    );
}

const EXPRESSIONS: &[&str] = &[
    "*/15 * * * *",
    "0 * * * *",
    "7,41 1-3 * * *",
    "30 2 * * *",
    "0 */2 * * *",
    "0 3 13 * 5",
    "* * 2 * * *",
    "*/7 13 * * * *",
];
const ZONES: &[&str] = &[BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kathmandu", "UTC"];
/// Midnights a day before a change in one of the zones, and one with no change near.
const DAYS: &[&str] = &[
    "2026-03-28T00:00:00Z",
    "2026-10-24T00:00:00Z",
    "2026-03-07T00:00:00Z",
    "2026-10-31T00:00:00Z",
    "2026-04-03T18:00:00Z",
    "2026-10-02T18:00:00Z",
    "2026-07-01T00:00:00Z",
];
const TWO_DAYS: i64 = 2 * 86_400;

/// The ticks after the first moment, up to the second one.
fn between(schedule: &Schedule, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let ticks = schedule.ticks_after(from);
    ticks.take_while(|tick| *tick <= to).collect()
}

/// What the definition gives, minute by minute: nothing is carried from one to the next.
fn by_definition(
    minutes: &[u32],
    hours: &[u32],
    zone: Tz,
    day: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    use chrono::Timelike;
    let is_interval = hours.len() == 24;
    let walk = |first: DateTime<Utc>, days: i64| {
        (1..=days * 1_440).map(move |minute| first + TimeDelta::minutes(minute))
    };
    let fits =
        |time: NaiveDateTime| minutes.contains(&time.minute()) && hours.contains(&time.hour());
    let mut ticks: Vec<DateTime<Utc>> = if is_interval {
        walk(day, 2)
            .filter(|tick| fits(tick.with_timezone(&zone).naive_local()))
            .collect()
    } else {
        walk(day - TimeDelta::days(1), 4)
            .filter(|time| fits(time.naive_utc()))
            .filter_map(|time| moment(zone, time.naive_utc()))
            .filter(|tick| *tick > day && *tick <= day + TimeDelta::days(2))
            .collect()
    };
    ticks.sort_unstable();
    ticks.dedup();
    ticks
}

#[test]
fn every_tick_of_the_definition_comes_and_no_other() {
    let all: Vec<u32> = (0..24).collect();
    let cases: [(&str, &[u32], &[u32]); 4] = [
        ("*/15 * * * *", &[0, 15, 30, 45], &all),
        ("20 * * * *", &[20], &all),
        ("0,45 1-3 * * *", &[0, 45], &[1, 2, 3]),
        ("10 2 * * *", &[10], &[2]),
    ];

    for (cron, minutes, hours) in cases {
        for (zone, day) in ZONES
            .iter()
            .flat_map(|zone| DAYS.iter().map(move |day| (zone, day)))
        {
            let schedule = schedule(cron, zone);
            let expected = by_definition(minutes, hours, schedule.timezone, at(day));

            let ticks = between(&schedule, at(day), at(day) + TimeDelta::days(2));

            assert_eq!(ticks, expected, "{cron} in {zone} from {day}");
        }
    }
}

proptest! {
    // Fails when a tick depends on anything but what lies before it.
    #[test]
    fn no_tick_is_lost_or_doubled_between_two_looks(
        cron in select(EXPRESSIONS),
        zone in select(ZONES),
        day in select(DAYS),
        seconds in (0..TWO_DAYS, 0..TWO_DAYS, 0..TWO_DAYS),
    ) {
        let schedule = schedule(cron, zone);
        let mut looks = [seconds.0, seconds.1, seconds.2].map(|s| at(day) + TimeDelta::seconds(s));
        looks.sort_unstable();
        let [a, b, c] = looks;

        let whole = between(&schedule, a, c);
        let mut parts = between(&schedule, a, b);
        parts.extend(between(&schedule, b, c));

        prop_assert_eq!(&whole, &parts);
        prop_assert!(whole.is_sorted_by(|one, other| one < other));
        prop_assert!(whole.iter().all(|tick| a < *tick && *tick <= c));
    }
}
