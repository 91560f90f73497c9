//! What a sync is of.

use chrono::NaiveDate;
use providers::platform::{Granularity, Level};

use super::{SyncError, SyncMode, stored_word};
use crate::store::{
    report_runs::DayColumns,
    syncs::{SyncRow, WhatColumns},
};

/// Longest time that one sync of figures may be of: what any platform keeps.
pub const LONGEST_SCOPE_DAYS: i64 = 1_200;

/// What joins breakdowns where they are stored.
const JOINT: &str = ",";

/// What a sync is of. An account has at most one unfinished sync of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncWhat {
    /// Of what the account holds.
    Entities(SyncMode),
    /// Of figures.
    Insights(InsightScope),
}

/// Which figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsightScope {
    /// Of what.
    pub level: Level,
    /// By what time.
    pub granularity: Granularity,
    /// The first day, by the account's clock.
    pub from: NaiveDate,
    /// The last day; it is read too. At most [`LONGEST_SCOPE_DAYS`] in all.
    pub to: NaiveDate,
    /// Breakdowns in the platform's own words, in the order of the query; empty: none.
    pub breakdowns: Vec<String>,
}

impl InsightScope {
    /// The days of it all.
    #[must_use]
    pub fn days(&self) -> Days {
        Days {
            from: self.from,
            to: self.to,
        }
    }

    /// The breakdowns as they are stored.
    pub(super) fn breakdowns_text(&self) -> String {
        self.breakdowns.join(JOINT)
    }

    fn check(&self) -> Result<(), SyncError> {
        let days = (self.to - self.from).num_days() + 1;
        if !(1..=LONGEST_SCOPE_DAYS).contains(&days) {
            let message = format!("must be 0 to {} days after from", LONGEST_SCOPE_DAYS - 1);
            return Err(SyncError::invalid("/to", message));
        }
        let is_word =
            |word: &String| !word.is_empty() && !word.contains(JOINT) && !word.contains('\0');
        if !self.breakdowns.iter().all(is_word) {
            return Err(SyncError::invalid(
                "/breakdowns",
                "must be words without a comma",
            ));
        }
        Ok(())
    }
}

/// Days that follow on one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub from: NaiveDate,
    /// The last; it belongs to them.
    pub to: NaiveDate,
}

impl Days {
    /// Whether all of these days are among them.
    #[must_use]
    pub fn cover(self, other: Self) -> bool {
        self.from <= other.from && other.from <= other.to && other.to <= self.to
    }

    pub(super) fn has(self, date: NaiveDate) -> bool {
        (self.from..=self.to).contains(&date)
    }

    pub(super) fn columns(self) -> DayColumns {
        DayColumns {
            first_day: self.from,
            last_day: self.to,
        }
    }
}

impl SyncWhat {
    /// Refuses what can be the subject of no sync.
    pub(super) fn check(&self) -> Result<(), SyncError> {
        match self {
            Self::Entities(_) => Ok(()),
            Self::Insights(scope) => scope.check(),
        }
    }

    /// As columns; `breakdowns` are those of the scope, as they are stored.
    pub(super) fn columns<'a>(&self, breakdowns: &'a str) -> WhatColumns<'a> {
        match self {
            Self::Entities(mode) => WhatColumns {
                mode: Some(mode.as_str()),
                level: None,
                granularity: None,
                first_day: None,
                last_day: None,
                breakdowns: "",
            },
            Self::Insights(scope) => WhatColumns {
                mode: None,
                level: Some(scope.level.as_str()),
                granularity: Some(scope.granularity.as_str()),
                first_day: Some(scope.from),
                last_day: Some(scope.to),
                breakdowns,
            },
        }
    }

    /// The breakdowns as they are stored.
    pub(super) fn breakdowns_text(&self) -> String {
        match self {
            Self::Entities(_) => String::new(),
            Self::Insights(scope) => scope.breakdowns_text(),
        }
    }

    /// What a row of the log is of.
    pub(super) fn of(row: &SyncRow) -> Result<Self, sqlx::Error> {
        let figures = row.level.as_deref().zip(row.granularity.as_deref());
        match (figures, row.first_day.zip(row.last_day), &row.mode) {
            (Some((level, granularity)), Some((from, to)), None) => {
                let breakdowns = row.breakdowns.split(JOINT).filter(|word| !word.is_empty());
                Ok(Self::Insights(InsightScope {
                    level: stored_word(level)?,
                    granularity: stored_word(granularity)?,
                    from,
                    to,
                    breakdowns: breakdowns.map(str::to_owned).collect(),
                }))
            }
            (_, _, mode) => stored_word(mode.as_deref().unwrap_or_default()).map(Self::Entities),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn scope(from: &str, to: &str, breakdowns: &[&str]) -> SyncWhat {
        SyncWhat::Insights(InsightScope {
            level: Level::Ad,
            granularity: Granularity::Hour,
            from: day(from),
            to: day(to),
            breakdowns: breakdowns.iter().map(|word| (*word).to_owned()).collect(),
        })
    }

    #[test]
    fn a_scope_is_some_days_and_its_breakdowns_are_words() {
        for good in [
            scope("2026-11-01", "2026-11-01", &[]),
            scope("2023-11-01", "2026-11-01", &["age", "gender"]),
        ] {
            assert!(good.check().is_ok(), "{good:?}");
        }
        for wrong in [
            scope("2026-11-02", "2026-11-01", &[]),
            scope("2020-11-01", "2026-11-01", &[]),
            scope("2026-11-01", "2026-11-01", &["age,gender"]),
            scope("2026-11-01", "2026-11-01", &[""]),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn days_cover_what_lies_within_them() {
        let days = |from: &str, to: &str| Days {
            from: day(from),
            to: day(to),
        };
        let month = days("2026-11-01", "2026-11-30");

        assert!(month.cover(month));
        assert!(month.cover(days("2026-11-30", "2026-11-30")));
        assert!(!month.cover(days("2026-10-31", "2026-11-01")));
        assert!(!month.cover(days("2026-11-30", "2026-12-01")));
        assert!(!month.cover(days("2026-11-20", "2026-11-10")));
    }
}
