//! When a schedule ticks. Pure: from the wall-clock times of its cron expression to moments of UTC, through both changes
//! of daylight saving.
//!
//! - A schedule at fixed hours keeps to its times of day. Times that a change skips come at the end of the gap, together
//!   once; times that a change repeats come the first time alone.
//! - A schedule at every hour (`*`, `0-23`) is an interval and goes on in real time: it ticks whenever the clock shows
//!   one of its times, so in a repeated hour again, and for a skipped time not at all.

use std::iter;

use chrono::{
    DateTime, FixedOffset, MappedLocalTime, NaiveDateTime, Offset, SubsecRound, TimeDelta,
    TimeZone, Utc,
};
use chrono_tz::{GapInfo, Tz};
use cron::{Schedule as Line, TimeUnitSpec};

use crate::config::Schedule;

/// No zone changes its offset and back within this time.
const STEP: TimeDelta = TimeDelta::days(1);
const SECOND: TimeDelta = TimeDelta::seconds(1);

impl Schedule {
    /// The first tick after a moment; `None` where there is none before the year 2101.
    #[must_use]
    pub fn next_tick(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // A day of the month and a weekday make up two lines: it ticks whenever one of them does.
        let lines = self.lines.iter();
        lines
            .filter_map(|line| next(line, self.timezone, after.trunc_subsecs(0)))
            .min()
    }

    /// The ticks after a moment, in their order.
    pub fn ticks_after(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        iter::successors(self.next_tick(after), |tick| self.next_tick(*tick))
    }
}

fn next(line: &Line, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    const EVERY_HOUR: u32 = 24;
    if line.hours().count() == EVERY_HOUR {
        next_of_interval(line, zone, after)
    } else {
        next_at_fixed_hours(line, zone, after)
    }
}

fn next_at_fixed_hours(line: &Line, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let shown = after.naive_utc() + offset(zone, after);
    // In a repeated hour these are times whose first occurrence is over, an hour's worth at most.
    times(line, shown)
        .filter_map(|time| moment(zone, time))
        .find(|tick| *tick > after)
}

fn next_of_interval(line: &Line, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut from = after;
    let mut shown = after.naive_utc() + offset(zone, after);
    loop {
        let tick = (times(line, shown).next()? - offset(zone, from)).and_utc();
        let Some(change) = first_change(zone, from, tick) else {
            return Some(tick);
        };
        // From there on the clock shows other times, that of the change itself among them.
        from = change;
        shown = change.naive_utc() + offset(zone, change) - SECOND;
    }
}

/// The wall-clock times of a line after a time, as if every day had all its hours once.
fn times(line: &Line, after: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
    line.after(&after.and_utc()).map(|time| time.naive_utc())
}

/// When a wall-clock time comes: the first time where it comes twice, and at the end of the gap where it is skipped.
fn moment(zone: Tz, time: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&time) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at.to_utc()),
        MappedLocalTime::None => GapInfo::new(&time, &zone)?.end.map(|end| end.to_utc()),
    }
}

fn offset(zone: Tz, at: DateTime<Utc>) -> FixedOffset {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix()
}

/// The first moment after `from`, up to `until`, at which the zone's offset is another one. Both are whole seconds.
fn first_change(zone: Tz, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let before = offset(zone, from);
    let mut same = from;
    while same < until {
        let next = (same + STEP).min(until);
        if offset(zone, next) != before {
            return Some(bisect(zone, same, next));
        }
        same = next;
    }
    None
}

/// The moment between the two at which the offset of the first one ends; at the second one it has.
fn bisect(zone: Tz, mut same: DateTime<Utc>, mut other: DateTime<Utc>) -> DateTime<Utc> {
    let before = offset(zone, same);
    while other - same > SECOND {
        let middle = same + TimeDelta::seconds((other - same).num_seconds() / 2);
        if offset(zone, middle) == before {
            same = middle;
        } else {
            other = middle;
        }
    }
    other
}

#[cfg(test)]
mod tests;
