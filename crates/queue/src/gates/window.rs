//! The rate of a queue: at most so many starts in any span of its length. Each start counts for one span, so that neither
//! a pause nor a new claim gives more; what counts is kept in a bounded number of entries.

use chrono::{DateTime, TimeDelta, Utc};

/// Parts of a span in which starts are counted together, as if they were at the part's end.
const PARTS: i32 = 100;

/// The starts that count now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    count: u32,
    span: TimeDelta,
    /// The oldest first: up to when, and how many.
    starts: Vec<(DateTime<Utc>, u32)>,
}

impl Window {
    /// Of a rate of `count` in a span of so many seconds, with the starts that are known. Those that no longer count are
    /// dropped.
    pub(crate) fn new(
        (count, span_seconds): (u32, f64),
        starts: impl IntoIterator<Item = (DateTime<Utc>, u32)>,
        now: DateTime<Utc>,
    ) -> Self {
        let span = std::time::Duration::try_from_secs_f64(span_seconds)
            .ok()
            .and_then(|span| TimeDelta::from_std(span).ok())
            .unwrap_or(TimeDelta::MAX);
        let counts = |at: DateTime<Utc>| {
            let until = at.checked_add_signed(span);
            until.is_none_or(|until| until > now)
        };
        Self {
            count,
            span,
            starts: starts.into_iter().filter(|(at, _)| counts(*at)).collect(),
        }
    }

    /// How many may start now.
    pub(crate) fn room(&self) -> u32 {
        let started = self.starts.iter().map(|(_, starts)| starts);
        let started = started.fold(0_u32, |sum, starts| sum.saturating_add(*starts));
        self.count.saturating_sub(started)
    }

    /// When there is room again; `None` where there is some now.
    pub(crate) fn opens_at(&self) -> Option<DateTime<Utc>> {
        if self.room() > 0 {
            return None;
        }
        let (oldest, _) = self.starts.first()?;
        oldest.checked_add_signed(self.span)
    }

    /// Counts starts.
    pub(crate) fn started(&mut self, starts: u32, at: DateTime<Utc>) {
        let at = self.end_of_part(at);
        match self.starts.last_mut() {
            Some((last, counted)) if *last >= at => *counted = counted.saturating_add(starts),
            _ => self.starts.push((at, starts)),
        }
    }

    /// What to keep of it.
    pub(crate) fn to_keep(&self) -> (Vec<DateTime<Utc>>, Vec<i32>) {
        let starts = self.starts.iter();
        starts
            .map(|(at, starts)| (*at, i32::try_from(*starts).unwrap_or(i32::MAX)))
            .unzip()
    }

    fn end_of_part(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        let part = (self.span / PARTS).num_microseconds().unwrap_or(i64::MAX);
        let part = part.max(1);
        let micros = at.timestamp_micros();
        let into_part = micros.rem_euclid(part);
        if into_part == 0 {
            return at;
        }
        let end = micros.checked_add(part - into_part);
        end.and_then(DateTime::from_timestamp_micros).unwrap_or(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + millis).expect("it is a time")
    }

    /// What is left of a window after it was stored and read again.
    fn reread(window: &Window, now: DateTime<Utc>) -> Window {
        let (times, starts) = window.to_keep();
        let starts = starts.into_iter().map(i32::unsigned_abs);
        let span_seconds = window.span.as_seconds_f64();
        Window::new(
            (window.count, span_seconds),
            times.into_iter().zip(starts),
            now,
        )
    }

    #[test]
    fn a_rate_is_used_at_once_and_given_back_a_span_later() {
        let mut window = Window::new((20, 1.0), [], at(0));

        window.started(20, at(0));

        assert_eq!((window.room(), window.opens_at()), (0, Some(at(1_000))));
        assert_eq!(reread(&window, at(999)).room(), 0);
        assert_eq!(reread(&window, at(1_000)).room(), 20);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut window = Window::new((1_000_000, 86_400.0), [], at(0));

        for second in 0..86_400 {
            window = reread(&window, at(second * 1_000));
            window.started(1, at(second * 1_000));
        }

        assert!(window.to_keep().0.len() <= 101, "{window:?}");
        assert_eq!(window.room(), 1_000_000 - 86_400);
    }

    #[test]
    fn a_smaller_rate_holds_for_what_was_started_under_a_larger_one() {
        let mut window = Window::new((20, 1.0), [], at(0));
        window.started(15, at(0));
        let (times, starts) = window.to_keep();

        let starts = starts.into_iter().map(i32::unsigned_abs);
        let smaller = Window::new((10, 1.0), times.into_iter().zip(starts), at(500));

        assert_eq!((smaller.room(), smaller.opens_at()), (0, Some(at(1_000))));
    }

    proptest! {
        #[test]
        fn no_span_ever_sees_more_starts_than_the_rate_allows(
            count in 1_u32..50,
            span_millis in 1_i32..5_000,
            steps in proptest::collection::vec((0_i64..700, 0_u32..60), 1..80),
        ) {
            let mut window = Window::new((count, f64::from(span_millis) / 1_000.0), [], at(0));
            let span = i64::from(span_millis);
            let mut started: Vec<(i64, u32)> = Vec::new();
            let mut now = 0;
            for (wait, asked) in steps {
                now += wait;
                window = reread(&window, at(now));
                let starts = asked.min(window.room());
                window.started(starts, at(now));
                started.push((now, starts));
            }

            for (begin, _) in &started {
                let within = started.iter().filter(|(at, _)| (*begin..*begin + span).contains(at));
                let sum: u32 = within.map(|(_, starts)| starts).sum();
                prop_assert!(sum <= count, "{sum} of {count} in {span} ms from {begin}: {started:?}");
            }
        }

        #[test]
        fn room_comes_back_no_later_than_a_part_after_the_span(count in 1_u32..50, begin in 0_i64..10_000) {
            let mut window = Window::new((count, 2.0), [], at(begin));

            window.started(count, at(begin));

            let opens_at = window.opens_at().expect("it is used up");
            prop_assert!(opens_at >= at(begin + 2_000) && opens_at <= at(begin + 2_020));
        }
    }
}
