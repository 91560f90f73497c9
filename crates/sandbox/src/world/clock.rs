//! The world's clock: figures, tokens, rate limits and reports go by it. It runs with the machine's
//! until somebody sets, advances or stops it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Farthest that the clock may be from the machine's: about 30 years.
const MOST_OFFSET: TimeDelta = TimeDelta::days(11_000);

/// The world's clock. Every server of a sandbox goes by it.
#[derive(Default)]
pub struct WorldClock {
    hands: Mutex<Hands>,
}

#[derive(Clone, Copy, Default)]
struct Hands {
    /// How far it is ahead of the machine's clock.
    offset: TimeDelta,
    /// Where it stands; `None` while it runs.
    stopped_at: Option<DateTime<Utc>>,
}

/// The clock was to be set too far away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock can be at most {} days from the machine's", MOST_OFFSET.num_days())]
pub struct TooFar;

impl WorldClock {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.hands().now()
    }

    /// Sets it; it runs on from there, or stays there if it is stopped.
    ///
    /// # Errors
    /// [`TooFar`] changes nothing.
    pub fn set(&self, now: DateTime<Utc>) -> Result<(), TooFar> {
        let offset = now - Utc::now();
        if offset.abs() > MOST_OFFSET {
            return Err(TooFar);
        }
        let mut hands = self.hands();
        if hands.stopped_at.is_some() {
            hands.stopped_at = Some(now);
        }
        hands.offset = offset;
        Ok(())
    }

    /// Moves it on, or back by a negative time.
    ///
    /// # Errors
    /// [`TooFar`] changes nothing.
    pub fn advance(&self, by: TimeDelta) -> Result<(), TooFar> {
        let now = self.now().checked_add_signed(by).ok_or(TooFar)?;
        self.set(now)
    }

    /// Stops it where it stands.
    pub fn stop(&self) {
        let mut hands = self.hands();
        hands.stopped_at = Some(hands.now());
    }

    /// Lets it run on from where it stands.
    pub fn run(&self) {
        let mut hands = self.hands();
        if let Some(stopped_at) = hands.stopped_at.take() {
            hands.offset = stopped_at - Utc::now();
        }
    }

    /// Whether it stands still.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.hands().stopped_at.is_some()
    }

    /// Lets it go with the machine's again.
    pub(crate) fn reset(&self) {
        *self.hands() = Hands::default();
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hands {
    fn now(&self) -> DateTime<Utc> {
        self.stopped_at.unwrap_or_else(|| Utc::now() + self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_stands_where_it_was_set_until_it_runs_again() {
        let clock = WorldClock::default();
        let noon = "2026-11-20T12:00:00Z".parse().expect("a time");

        clock.stop();
        clock.set(noon).expect("near enough");
        clock.advance(TimeDelta::hours(2)).expect("near enough");

        assert_eq!(clock.now(), noon + TimeDelta::hours(2));
        clock.run();
        assert!(clock.now() >= noon + TimeDelta::hours(2));
        assert!(!clock.is_stopped());
    }

    #[test]
    fn a_time_that_is_too_far_away_is_refused() {
        let clock = WorldClock::default();

        assert_eq!(clock.set(DateTime::<Utc>::MAX_UTC), Err(TooFar));
        assert_eq!(clock.advance(TimeDelta::MAX), Err(TooFar));
        assert_eq!(clock.advance(TimeDelta::MIN), Err(TooFar));
    }
}
