//! Where a sync of figures goes on: kept with every page.

use chrono::{Days as DaySpan, NaiveDate};
use marketing::sync::{Days, InsightScope};
use providers::platform::Cursor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The largest page once a platform has said of a single day that its usual one is too large.
const FIRST_SMALLER_PAGE: u32 = 250;

/// Where a sync goes on: the days before the window are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The first day of the window; behind the last day of all: everything was read.
    pub(super) from: NaiveDate,
    /// The last day of the window.
    pub(super) to: NaiveDate,
    /// Where its rows go on.
    pub(super) after: Option<Cursor>,
    /// Most days of a window.
    pub(super) longest: u32,
    /// Most rows on a page; `None`: the platform's usual.
    pub(super) page_size: Option<u32>,
    /// Whether the platform is to make a report of a window.
    pub(super) in_background: bool,
}

impl Place {
    /// The beginning.
    pub(super) fn first(scope: &InsightScope, longest: u32, in_background: bool) -> Self {
        Self {
            from: scope.from,
            to: scope.from,
            after: None,
            longest: longest.max(1),
            page_size: None,
            in_background,
        }
        .with_window(scope)
    }

    /// What was stored of an earlier attempt; `None` where it cannot be read: another release wrote it.
    pub(super) fn stored(document: &Value) -> Option<Self> {
        Self::deserialize(document).ok()
    }

    /// As it is stored.
    pub(super) fn document(&self) -> Value {
        json!(self)
    }

    /// The window.
    pub(super) fn days(&self) -> Days {
        Days {
            from: self.from,
            to: self.to,
        }
    }

    /// How many days the window has.
    fn length(&self) -> u32 {
        let days = (self.to - self.from).num_days() + 1;
        u32::try_from(days).unwrap_or(1)
    }

    /// Behind a page of the window.
    pub(super) fn behind(self, cursor: Cursor) -> Self {
        Self {
            after: Some(cursor),
            ..self
        }
    }

    /// At the next window.
    pub(super) fn behind_window(self, scope: &InsightScope) -> Self {
        Self {
            from: self.to.succ_opt().unwrap_or(NaiveDate::MAX),
            after: None,
            ..self
        }
        .with_window(scope)
    }

    /// At the beginning of the window again.
    pub(super) fn again(self) -> Self {
        Self {
            after: None,
            ..self
        }
    }

    /// Asking for less: half of the days, down to one; for that by a report, and at last by smaller pages. `None`: nothing
    /// less can be asked for.
    pub(super) fn with_less(self, scope: &InsightScope) -> Option<Self> {
        let length = self.length();
        if length > 1 {
            let longest = length / 2;
            return Some(Self { longest, ..self }.again().with_window(scope));
        }
        if !self.in_background {
            return Some(Self {
                in_background: true,
                ..self.again()
            });
        }
        let smaller = match self.page_size {
            None => FIRST_SMALLER_PAGE,
            Some(0 | 1) => return None,
            Some(size) => size / 2,
        };
        Some(Self {
            page_size: Some(smaller),
            ..self.again()
        })
    }

    /// As long a window as there may be, from where it begins.
    fn with_window(self, scope: &InsightScope) -> Self {
        let more = DaySpan::new(u64::from(self.longest) - 1);
        let to = self.from.checked_add_days(more);
        Self {
            to: to.map_or(scope.to, |to| to.min(scope.to)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use providers::platform::{Granularity, Level};

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn scope(from: &str, to: &str) -> InsightScope {
        InsightScope {
            level: Level::Ad,
            granularity: Granularity::Day,
            from: day(from),
            to: day(to),
            breakdowns: Vec::new(),
        }
    }

    fn windows(scope: &InsightScope, longest: u32) -> Vec<(NaiveDate, NaiveDate)> {
        let mut place = Place::first(scope, longest, false);
        let mut windows = Vec::new();
        while place.from <= scope.to {
            windows.push((place.from, place.to));
            place = place.behind_window(scope);
        }
        windows
    }

    // Fails when a day is left out or read twice.
    #[test]
    fn windows_follow_one_another_to_the_last_day() {
        let scope = scope("2026-11-01", "2026-11-10");

        let of_four = windows(&scope, 4);

        let days = |from, to| (day(from), day(to));
        assert_eq!(
            of_four,
            [
                days("2026-11-01", "2026-11-04"),
                days("2026-11-05", "2026-11-08"),
                days("2026-11-09", "2026-11-10"),
            ]
        );
        assert_eq!(windows(&scope, 90), [days("2026-11-01", "2026-11-10")]);
        assert_eq!(windows(&scope, 0).len(), 10);
    }

    #[test]
    fn too_much_is_halved_down_to_a_day_and_then_asked_for_by_a_report_and_smaller_pages() {
        let scope = scope("2026-11-01", "2026-11-10");
        let mut place = Place::first(&scope, 10, false).behind(Cursor("c1".to_owned()));
        let mut asked = Vec::new();
        while let Some(less) = place.clone().with_less(&scope) {
            assert_eq!(less.after, None);
            assert_eq!(less.from, scope.from);
            asked.push((less.length(), less.in_background, less.page_size));
            place = less;
        }

        let days: Vec<u32> = asked.iter().map(|(days, ..)| *days).collect();
        assert_eq!(days[..3], [5, 2, 1]);
        assert_eq!(asked[2], (1, false, None));
        assert_eq!(asked[3], (1, true, None));
        assert_eq!(asked[4], (1, true, Some(250)));
        assert_eq!(asked.last(), Some(&(1, true, Some(1))));
    }

    #[test]
    fn windows_stay_as_small_as_they_had_to_become() {
        let scope = scope("2026-11-01", "2026-11-10");
        let place = Place::first(&scope, 10, false);

        let next = place.with_less(&scope).map(|it| it.behind_window(&scope));

        let days = next.map(|it| (it.from, it.to));
        assert_eq!(days, Some((day("2026-11-06"), day("2026-11-10"))));
    }

    #[test]
    fn a_place_is_read_as_it_was_stored() {
        let scope = scope("2026-11-01", "2026-11-10");
        let place = Place::first(&scope, 4, true).behind(Cursor("c1".to_owned()));

        assert_eq!(Place::stored(&place.document()), Some(place));
        assert_eq!(Place::stored(&json!({"page": 7})), None);
    }
}
