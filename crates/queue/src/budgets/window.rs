//! Which calls count against a day. What is leased counts by slots of five minutes, and a little longer than the provider
//! counts it: a call is made some time after it was leased, and arrives some time after that.

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::budgets::SlotUsage;

const DAY: TimeDelta = TimeDelta::hours(24);
/// Calls that were leased within one slot count together. A finer one would give them back sooner, by at most its length
/// a day, for more rows.
const SLOT: TimeDelta = TimeDelta::minutes(5);
/// From a lease to the arrival of its last call: see `LIFE` of the stock, `PATIENCE` of whoever waits, and the way there.
const SLACK: TimeDelta = TimeDelta::minutes(1);

/// When a day's calls begin to count and end to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Day {
    /// Any 24 hours.
    Sliding,
    /// From midnight to midnight in UTC.
    Utc,
}

impl Day {
    /// The day that a provider counts by; where its documentation says nothing, the stricter one.
    pub(super) fn of(budget: &str) -> Self {
        match budget {
            "linkedin" | "tiktok" => Self::Utc,
            _ => Self::Sliding,
        }
    }

    /// What was leased in slots after this one counts now. Around a midnight that is the slot before it for both days,
    /// and the old day lasts a slot longer: the provider's clock need not be ours.
    pub(super) fn since(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Sliding => now - DAY - SLOT - SLACK,
            Self::Utc => floor(now - SLOT, DAY) - SLOT * 2,
        }
    }

    /// When what was leased in a slot counts no more.
    fn forgets(self, slot: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Sliding => slot + SLOT + SLACK + DAY,
            Self::Utc => {
                let counts_to = slot + SLOT * 2;
                let midnight = floor(counts_to, DAY);
                let ends = if midnight < counts_to {
                    midnight + DAY
                } else {
                    midnight
                };
                ends + SLOT
            }
        }
    }

    /// When so many calls more will be left; `None` where the slots hold fewer. The oldest slot comes first.
    pub(super) fn frees(self, usage: &[SlotUsage], calls: u64) -> Option<DateTime<Utc>> {
        let mut freed = 0_u64;
        let last = usage.iter().find(|usage| {
            freed = freed.saturating_add(usage.used.unsigned_abs());
            freed >= calls
        })?;
        Some(self.forgets(last.slot))
    }
}

/// The slot of a time.
pub(super) fn slot_of(at: DateTime<Utc>) -> DateTime<Utc> {
    floor(at, SLOT)
}

fn floor(at: DateTime<Utc>, width: TimeDelta) -> DateTime<Utc> {
    let seconds = at.timestamp().rem_euclid(width.num_seconds());
    let nanoseconds = i64::from(at.timestamp_subsec_nanos());
    at - TimeDelta::seconds(seconds) - TimeDelta::nanoseconds(nanoseconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn usage(slot: &str, used: i64) -> SlotUsage {
        SlotUsage {
            slot: at(slot),
            used,
        }
    }

    #[test]
    fn a_slot_has_five_minutes() {
        let slot = slot_of(at("2026-11-21T10:59:59.999Z"));

        assert_eq!(slot, at("2026-11-21T10:55:00Z"));
    }

    #[test]
    fn a_sliding_day_forgets_what_is_a_day_old_slot_by_slot() {
        let usage = [
            usage("2026-11-20T08:00:00Z", 3),
            usage("2026-11-20T08:05:00Z", 2),
        ];

        let frees = |calls| Day::Sliding.frees(&usage, calls);

        assert_eq!(frees(3), Some(at("2026-11-21T08:06:00Z")));
        assert_eq!(frees(4), Some(at("2026-11-21T08:11:00Z")));
        assert_eq!(frees(6), None);
    }

    #[test]
    fn calls_around_midnight_count_for_both_days() {
        let late = usage("2026-11-20T23:55:00Z", 1);
        let noon = usage("2026-11-20T12:00:00Z", 1);

        let frees = |usage| Day::Utc.frees(&[usage], 1);

        assert_eq!(frees(noon), Some(at("2026-11-21T00:05:00Z")));
        assert_eq!(frees(late), Some(at("2026-11-22T00:05:00Z")));
    }

    proptest! {
        // Fails when a slot is told to be forgotten at another time than it is.
        #[test]
        fn a_slot_counts_until_it_is_forgotten(slot in 0_i64..1_000_000, later in 0_i64..400_000, sliding in any::<bool>()) {
            let day = if sliding { Day::Sliding } else { Day::Utc };
            let slot = at("2026-01-01T00:00:00Z") + SLOT * i32::try_from(slot).expect("it is small");
            let now = slot + TimeDelta::seconds(later);

            let counts = slot > day.since(now);

            prop_assert_eq!(counts, now < day.forgets(slot));
        }

        // Fails when a day is shorter than the provider's.
        #[test]
        fn a_call_counts_for_as_long_as_the_provider_counts_it(leased in 0_i64..400_000, way in 0_i64..60, sliding in any::<bool>()) {
            let day = if sliding { Day::Sliding } else { Day::Utc };
            let leased = at("2026-01-01T00:00:00Z") + TimeDelta::seconds(leased);
            let arrives = leased + TimeDelta::seconds(way);
            let provider_forgets = if sliding { arrives + DAY } else { floor(arrives, DAY) + DAY };

            prop_assert!(day.forgets(slot_of(leased)) >= provider_forgets);
        }
    }
}
