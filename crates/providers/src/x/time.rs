//! X tells figures as series without dates: which step is which follows from where the series begins, and days of an account
//! have 23 to 25 hours.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;

use crate::platform::Granularity;

/// Most hours of a question that is answered at once: seven days, and of those with an hour more only six.
const MOST_HOURS: i64 = 7 * 24;

/// Most days of one.
const MOST_DAYS: u64 = 7;

/// How far clocks are put forward at midnight, at most, where they are.
const LONGEST_GAP_MINUTES: i64 = 180;

/// Days of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: NaiveDate,
    /// It belongs to it.
    pub(super) to: NaiveDate,
    pub(super) zone: Tz,
}

impl Span {
    /// The beginning of the first day, and that of the day after the last one, which does not belong to it.
    fn bounds(&self) -> (DateTime<Tz>, DateTime<Tz>) {
        let after = self.to.checked_add_days(Days::new(1)).unwrap_or(self.to);
        (midnight(self.zone, self.from), midnight(self.zone, after))
    }

    /// The bounds as X wants them.
    pub(super) fn times(&self) -> (String, String) {
        let (start, end) = self.bounds();
        (written(&start), written(&end))
    }

    /// The day of each step, and its hour.
    pub(super) fn steps(&self, granularity: Granularity) -> Vec<(NaiveDate, Option<u8>)> {
        match granularity {
            Granularity::Day => self.days().map(|day| (day, None)).collect(),
            Granularity::Hour => {
                let start = self.bounds().0.to_utc();
                (0..self.hours())
                    .map(|hour| {
                        let shown = (start + TimeDelta::hours(hour)).with_timezone(&self.zone);
                        let shown = shown.naive_local();
                        // At most 23.
                        (shown.date(), Some(shown.hour() as u8))
                    })
                    .collect()
            }
        }
    }

    /// As much of it from a day on as one question may be about.
    pub(super) fn part(&self, from: NaiveDate) -> Self {
        let last = from.checked_add_days(Days::new(MOST_DAYS - 1));
        let mut part = Self {
            from,
            to: last.unwrap_or(self.to).min(self.to),
            zone: self.zone,
        };
        if part.hours() > MOST_HOURS {
            part.to = part.to.pred_opt().unwrap_or(part.to).max(from);
        }
        part
    }

    /// How many days they are; none or fewer where the last one is before the first.
    pub(super) fn length_days(&self) -> i64 {
        (self.to - self.from).num_days() + 1
    }

    fn hours(&self) -> i64 {
        let (start, end) = self.bounds();
        (end.timestamp() - start.timestamp()) / 3_600
    }

    fn days(&self) -> impl Iterator<Item = NaiveDate> {
        let to = self.to;
        self.from.iter_days().take_while(move |day| *day <= to)
    }
}

/// When a day begins; where there is no midnight, the first time that there is.
fn midnight(zone: Tz, day: NaiveDate) -> DateTime<Tz> {
    let midnight = day.and_time(NaiveTime::MIN);
    (0..=LONGEST_GAP_MINUTES)
        .step_by(15)
        .filter_map(|minutes| midnight.checked_add_signed(TimeDelta::minutes(minutes)))
        .find_map(|local| zone.from_local_datetime(&local).earliest())
        .unwrap_or_else(|| zone.from_utc_datetime(&midnight))
}

/// In UTC, unless that is no whole hour, which is what X takes: then with the zone's offset.
fn written(time: &DateTime<Tz>) -> String {
    let utc = time.to_utc();
    if utc.minute() == 0 && utc.second() == 0 {
        utc.to_rfc3339_opts(SecondsFormat::Secs, true)
    } else {
        time.fixed_offset()
            .to_rfc3339_opts(SecondsFormat::Secs, false)
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::{
        America::{Los_Angeles, Santiago},
        Asia::Kolkata,
        Europe::Berlin,
    };

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn span(zone: Tz, from: &str, to: &str) -> Span {
        Span {
            from: day(from),
            to: day(to),
            zone,
        }
    }

    fn times(zone: Tz, from: &str, to: &str) -> (String, String) {
        span(zone, from, to).times()
    }

    fn texts(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn days_begin_at_the_accounts_midnight_whose_offset_changes() {
        // The clocks of Los Angeles go back on 1 November 2026: X's own example.
        assert_eq!(
            times(Los_Angeles, "2026-11-01", "2026-11-02"),
            texts("2026-11-01T07:00:00Z", "2026-11-03T08:00:00Z")
        );
        assert_eq!(
            times(Berlin, "2026-03-29", "2026-03-29"),
            texts("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
        );
        assert_eq!(
            times(Tz::UTC, "2026-11-01", "2026-11-01"),
            texts("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")
        );
    }

    #[test]
    fn a_midnight_that_is_no_whole_hour_of_utc_is_written_with_its_offset() {
        assert_eq!(
            times(Kolkata, "2026-11-01", "2026-11-01"),
            texts("2026-11-01T00:00:00+05:30", "2026-11-02T00:00:00+05:30")
        );
    }

    #[test]
    fn a_day_without_midnight_begins_when_its_clocks_do() {
        // In Santiago 24:00 of 5 September 2026 is 1:00 of the next day.
        assert_eq!(
            times(Santiago, "2026-09-06", "2026-09-06"),
            texts("2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z")
        );
    }

    #[test]
    fn hours_of_days_with_23_and_25_hours_are_those_of_the_clock() {
        let spring = span(Berlin, "2026-03-29", "2026-03-29").steps(Granularity::Hour);
        let autumn = span(Berlin, "2026-10-25", "2026-10-25").steps(Granularity::Hour);

        let shown = |steps: &[(NaiveDate, Option<u8>)]| -> Vec<u8> {
            steps.iter().filter_map(|(_, hour)| *hour).collect()
        };
        assert_eq!(spring.len(), 23);
        assert_eq!(shown(&spring)[..4], [0, 1, 3, 4]);
        assert_eq!(autumn.len(), 25);
        assert_eq!(shown(&autumn)[..5], [0, 1, 2, 2, 3]);
        assert!(autumn.iter().all(|(date, _)| *date == day("2026-10-25")));
    }

    #[test]
    fn steps_by_day_are_days_whatever_their_length() {
        let steps = span(Berlin, "2026-10-24", "2026-10-26").steps(Granularity::Day);

        let days: Vec<String> = steps.iter().map(|(day, _)| day.to_string()).collect();
        assert_eq!(days, ["2026-10-24", "2026-10-25", "2026-10-26"]);
    }

    #[test]
    fn a_part_is_a_week_and_a_day_less_where_a_day_has_25_hours() {
        let whole = span(Berlin, "2026-10-01", "2026-10-31");

        assert_eq!(whole.part(day("2026-10-01")).to, day("2026-10-07"));
        assert_eq!(whole.part(day("2026-10-20")).to, day("2026-10-25"));
        assert_eq!(whole.part(day("2026-10-30")).to, day("2026-10-31"));
        let spring = span(Berlin, "2026-03-01", "2026-03-31");
        assert_eq!(spring.part(day("2026-03-25")).to, day("2026-03-31"));
    }
}
