//! Which days are asked for, and which ones they are compared with. Pure: the day that is today is given.

use std::{fmt, str::FromStr};

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::{store::performance::WholeMonths, words::words};

/// Days in a row, both ends among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first.
    pub from: NaiveDate,
    /// The last.
    pub to: NaiveDate,
}

/// Days as seen from today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The day that is not over yet.
    Today,
    /// The day before.
    Yesterday,
    /// So many days that are over, 1 to 1,200.
    LastDays(u16),
    /// From the first of the month to today.
    ThisMonth,
    /// The month before.
    LastMonth,
    /// From the first of January to today.
    ThisYear,
    /// The year before.
    LastYear,
}

/// A text that names no range.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be today, yesterday, last_7d (or any number of days up to 1200), this_month, last_month, this_year or last_year"
)]
pub struct UnknownRange;

impl FromStr for Range {
    type Err = UnknownRange;

    fn from_str(text: &str) -> Result<Self, UnknownRange> {
        Ok(match text {
            "today" => Self::Today,
            "yesterday" => Self::Yesterday,
            "this_month" => Self::ThisMonth,
            "last_month" => Self::LastMonth,
            "this_year" => Self::ThisYear,
            "last_year" => Self::LastYear,
            _ => {
                let days = text
                    .strip_prefix("last_")
                    .and_then(|it| it.strip_suffix('d'));
                let days: u16 = days
                    .and_then(|days| days.parse().ok())
                    .ok_or(UnknownRange)?;
                if !(1..=1_200).contains(&days) {
                    return Err(UnknownRange);
                }
                Self::LastDays(days)
            }
        })
    }
}

impl Range {
    /// Its days; `None` only at the ends of the calendar.
    #[must_use]
    pub fn period(self, today: NaiveDate) -> Option<Period> {
        let month = today.with_day(1)?;
        let year = month.with_month(1)?;
        let (from, to) = match self {
            Self::Today => (today, today),
            Self::Yesterday => (today.pred_opt()?, today.pred_opt()?),
            Self::LastDays(days) => (
                today.checked_sub_days(Days::new(u64::from(days)))?,
                today.pred_opt()?,
            ),
            Self::ThisMonth => (month, today),
            Self::LastMonth => (month.checked_sub_months(Months::new(1))?, month.pred_opt()?),
            Self::ThisYear => (year, today),
            Self::LastYear => (year.checked_sub_months(Months::new(12))?, year.pred_opt()?),
        };
        Some(Period { from, to })
    }
}

words! {
    /// Into what stretches of time figures are cut.
    Grain ["hour, day, week, month and total"] {
        /// Hours by the account's clock.
        Hour = "hour",
        /// Days.
        Day = "day",
        /// Weeks from Monday on.
        Week = "week",
        /// Calendar months.
        Month = "month",
        /// Not at all.
        Total = "total",
    }
}

/// When a stretch of time begins by the account's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Start {
    /// The day.
    pub day: NaiveDate,
    /// The hour, of stretches of an hour. The hour that autumn repeats is one, and the one that spring skips is not there.
    pub hour: Option<u8>,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hour {
            Some(hour) => write!(f, "{}T{hour:02}", self.day),
            None => self.day.fmt(f),
        }
    }
}

impl Period {
    /// Its length in days.
    #[must_use]
    pub fn days(self) -> i64 {
        (self.to - self.from).num_days() + 1
    }

    /// Whether it is of calendar months, all of each.
    pub(super) fn is_of_months(self) -> bool {
        self.from.day() == 1 && self.to.succ_opt().is_some_and(|next| next.day() == 1)
    }

    /// The calendar months that it holds from end to end.
    pub(super) fn whole_months(self) -> WholeMonths {
        let none = self.no_months();
        let whole = || {
            let next = none.first.with_day(1)?;
            let first = match self.from.day() {
                1 => self.from,
                _ => self.from.with_day(1)?.checked_add_months(Months::new(1))?,
            };
            (first < next).then_some(WholeMonths { first, next })
        };
        whole().unwrap_or(none)
    }

    /// None of its months: they would begin behind it.
    pub(super) fn no_months(self) -> WholeMonths {
        let behind = self.to.succ_opt().unwrap_or(self.to);
        WholeMonths {
            first: behind,
            next: behind,
        }
    }

    /// As much before it as it is long: of calendar months as many months, else as many days.
    pub(super) fn before(self) -> Option<Self> {
        let to = self.from.pred_opt()?;
        let from = if self.is_of_months() {
            let months = u32::try_from(months_between(self.from, self.to) + 1).ok()?;
            self.from.checked_sub_months(Months::new(months))?
        } else {
            let days = u64::try_from(self.days()).ok()?;
            self.from.checked_sub_days(Days::new(days))?
        };
        Some(Self { from, to })
    }

    /// The how manieth stretch of this period begins there, from 0: by this, those of two periods are compared.
    pub(super) fn ordinal(self, grain: Grain, start: Start) -> i64 {
        let days = (start.day - self.from).num_days();
        match grain {
            Grain::Hour => days * 24 + i64::from(start.hour.unwrap_or(0)),
            Grain::Day => days,
            // The first week of a period may begin before it does.
            Grain::Week => {
                let lead = i64::from(self.from.weekday().num_days_from_monday());
                (days + lead).div_euclid(7)
            }
            Grain::Month => months_between(self.from, start.day),
            Grain::Total => 0,
        }
    }
}

fn months_between(from: NaiveDate, to: NaiveDate) -> i64 {
    i64::from(to.year() - from.year()) * 12 + i64::from(to.month()) - i64::from(from.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn period(from: &str, to: &str) -> Period {
        Period {
            from: day(from),
            to: day(to),
        }
    }

    #[test]
    fn ranges_are_days_as_seen_from_today() {
        let today = day("2026-03-01");

        for (text, expected) in [
            ("today", period("2026-03-01", "2026-03-01")),
            ("yesterday", period("2026-02-28", "2026-02-28")),
            ("last_7d", period("2026-02-22", "2026-02-28")),
            ("last_1d", period("2026-02-28", "2026-02-28")),
            ("this_month", period("2026-03-01", "2026-03-01")),
            ("last_month", period("2026-02-01", "2026-02-28")),
            ("this_year", period("2026-01-01", "2026-03-01")),
            ("last_year", period("2025-01-01", "2025-12-31")),
        ] {
            let range: Range = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(range.period(today), Some(expected), "{text}");
        }
        for text in [
            "last_0d",
            "last_1201d",
            "last_d",
            "last_-1d",
            "last_7",
            "week",
            "",
        ] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_period_is_compared_with_as_much_before_it() {
        for (of, expected) in [
            (
                period("2026-03-08", "2026-03-14"),
                period("2026-03-01", "2026-03-07"),
            ),
            (
                period("2026-03-01", "2026-03-31"),
                period("2026-02-01", "2026-02-28"),
            ),
            (
                period("2026-01-01", "2026-03-31"),
                period("2025-10-01", "2025-12-31"),
            ),
            (
                period("2026-03-01", "2026-03-01"),
                period("2026-02-28", "2026-02-28"),
            ),
        ] {
            assert_eq!(of.before(), Some(expected), "{of:?}");
        }
    }

    #[test]
    fn whole_months_lie_within_a_period_from_end_to_end() {
        for (of, first, next) in [
            (
                period("2026-01-01", "2026-02-28"),
                "2026-01-01",
                "2026-03-01",
            ),
            (
                period("2025-12-02", "2026-03-30"),
                "2026-01-01",
                "2026-03-01",
            ),
            (
                period("2025-12-31", "2026-03-31"),
                "2026-01-01",
                "2026-04-01",
            ),
            (
                period("2026-01-02", "2026-02-27"),
                "2026-02-28",
                "2026-02-28",
            ),
            (
                period("2026-01-02", "2026-01-31"),
                "2026-02-01",
                "2026-02-01",
            ),
            (
                period("2026-01-15", "2026-01-15"),
                "2026-01-16",
                "2026-01-16",
            ),
        ] {
            let whole = of.whole_months();

            assert_eq!((whole.first, whole.next), (day(first), day(next)), "{of:?}");
        }
    }

    #[test]
    fn stretches_of_two_periods_meet_by_their_number() {
        let start = |text: &str, hour| Start {
            day: day(text),
            hour,
        };
        // A Wednesday to a Tuesday.
        let days = period("2026-03-04", "2026-03-10");

        assert_eq!(days.ordinal(Grain::Day, start("2026-03-06", None)), 2);
        assert_eq!(days.ordinal(Grain::Hour, start("2026-03-05", Some(3))), 27);
        assert_eq!(days.ordinal(Grain::Week, start("2026-03-02", None)), 0);
        assert_eq!(days.ordinal(Grain::Week, start("2026-03-09", None)), 1);
        assert_eq!(days.ordinal(Grain::Month, start("2026-04-01", None)), 1);
        assert_eq!(days.ordinal(Grain::Total, start("2026-03-04", None)), 0);
    }

    #[test]
    fn a_stretch_is_named_by_its_beginning() {
        let start = Start {
            day: day("2026-03-29"),
            hour: Some(3),
        };

        assert_eq!(start.to_string(), "2026-03-29T03");
        assert_eq!(
            Start {
                hour: None,
                ..start
            }
            .to_string(),
            "2026-03-29"
        );
    }
}
