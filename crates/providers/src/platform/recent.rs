//! What a client remembers of its own calls for a while: bounded, and of this process alone. It makes waits longer and
//! requests smaller; where it is lost, a platform only has to say once more what it said before.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

/// Most entries; a fleet's accounts times the few endpoints that have trouble at once are far fewer.
const MOST_ENTRIES: usize = 4_096;

/// Shortest wait that is told.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// Values by key, each forgotten some time after it was last changed. Of a key only its hash is kept: it may be a secret.
pub(crate) struct Recent<V> {
    life: TimeDelta,
    seed: RandomState,
    entries: Mutex<HashMap<u64, Entry<V>>>,
}

struct Entry<V> {
    at: DateTime<Utc>,
    value: V,
}

impl<V: Copy> Recent<V> {
    pub(crate) fn new(life: TimeDelta) -> Self {
        Self {
            life,
            seed: RandomState::new(),
            entries: Mutex::default(),
        }
    }

    /// Puts in a value's place what `next` makes of it, and tells it.
    pub(crate) fn update(
        &self,
        key: impl Hash,
        now: DateTime<Utc>,
        next: impl FnOnce(Option<V>) -> V,
    ) -> V {
        let key = self.seed.hash_one(key);
        let mut entries = self.entries();
        let before = entries.get(&key).filter(|entry| self.lives(entry, now));
        let value = next(before.map(|entry| entry.value));
        if entries.len() >= MOST_ENTRIES {
            entries.retain(|_, entry| self.lives(entry, now));
        }
        if entries.len() >= MOST_ENTRIES {
            entries.clear();
        }
        entries.insert(key, Entry { at: now, value });
        value
    }

    /// A value, which is forgotten with that.
    pub(crate) fn take(&self, key: impl Hash, now: DateTime<Utc>) -> Option<V> {
        let entry = self.entries().remove(&self.seed.hash_one(key))?;
        self.lives(&entry, now).then_some(entry.value)
    }

    fn lives(&self, entry: &Entry<V>, now: DateTime<Utc>) -> bool {
        now - entry.at < self.life
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pause that a platform was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) since: DateTime<Utc>,
    pub(crate) length: Duration,
}

impl Pause {
    /// What is left of it; `None` once it is over.
    fn rest(self, now: DateTime<Utc>) -> Option<Duration> {
        let passed = (now - self.since).to_std().unwrap_or_default();
        self.length
            .checked_sub(passed)
            .filter(|rest| !rest.is_zero())
    }
}

/// Pauses for refusals that name no wait: each may be longer than the one before.
pub(crate) struct Pauses(Recent<Pause>);

impl Pauses {
    /// A pause is forgotten `life` after the last refusal that belonged to it.
    pub(crate) fn new(life: TimeDelta) -> Self {
        Self(Recent::new(life))
    }

    /// How long to wait. `length` says how long a new pause is, given the one before it. What is refused while a pause
    /// lasts belongs to it and makes none longer: those calls were under way when it began.
    pub(crate) fn wait(
        &self,
        key: impl Hash,
        now: DateTime<Utc>,
        length: impl FnOnce(Option<Pause>) -> Duration,
    ) -> Duration {
        let pause = self.0.update(key, now, |before| match before {
            Some(pause) if pause.rest(now).is_some() => pause,
            before => Pause {
                since: now,
                length: length(before),
            },
        });
        pause.rest(now).unwrap_or_default().max(SHORTEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_763_640_000 + second, 0).expect("a date")
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_value_is_remembered_by_key_and_for_its_life() {
        let counts = Recent::new(TimeDelta::seconds(60));
        let count = |key, second| {
            counts.update(key, at(second), |before: Option<u32>| {
                before.map_or(1, |count| count + 1)
            })
        };

        assert_eq!(count("a", 0), 1);
        assert_eq!(count("a", 59), 2);
        assert_eq!(count("b", 59), 1);
        assert_eq!(count("a", 119), 1);
    }

    #[test]
    fn what_is_taken_is_forgotten() {
        let marks = Recent::new(TimeDelta::seconds(60));
        marks.update("a", at(0), |_| ());
        marks.update("b", at(0), |_| ());

        assert_eq!(marks.take("a", at(30)), Some(()));
        assert_eq!(marks.take("a", at(30)), None);
        assert_eq!(marks.take("b", at(60)), None);
    }

    #[test]
    fn memory_has_a_bound() {
        let marks = Recent::new(TimeDelta::seconds(60));

        for key in 0..3 * MOST_ENTRIES {
            marks.update(key, at(0), |_| ());
        }

        assert!(marks.entries().len() <= MOST_ENTRIES);
    }

    #[test]
    fn refusals_during_a_pause_belong_to_it() {
        let pauses = Pauses::new(TimeDelta::seconds(600));
        let wait = |second| {
            pauses.wait("key", at(second), |before| {
                before.map_or(seconds(10), |pause| pause.length * 3)
            })
        };

        assert_eq!(wait(0), seconds(10));
        assert_eq!(wait(4), seconds(6));
        assert_eq!(wait(9), seconds(1));
        assert_eq!(wait(10), seconds(30));
        assert_eq!(wait(20), seconds(20));
        assert_eq!(wait(1_000), seconds(10));
    }
}
