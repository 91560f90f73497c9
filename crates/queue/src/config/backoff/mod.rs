//! How long a job waits after a failed attempt. Reading it from a file is left to `shape`.

mod shape;

use std::time::Duration;

pub(super) use shape::BackoffShape;

/// With full jitter no wait is shorter than this share of its ceiling: attempts visibly space out, and a thousand jobs
/// that failed together still come back spread over the rest.
const LEAST_SHARE: f64 = 0.1;
/// With late jitter a wait is longer by at most this share.
const MOST_LATE: f64 = 0.2;

const DEFAULT_BASE: Duration = Duration::from_secs(15);
const DEFAULT_FACTOR: f64 = 3.0;
const DEFAULT_MAX: Duration = Duration::from_secs(2 * 3_600);

/// How long a job waits after a failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Backoff {
    /// `base`, then each time `factor` times as long.
    Exponential {
        /// After the first failure; 1 ms to one day.
        base: Duration,
        /// 1 to 10.
        factor: f64,
        /// Never longer than this; up to a week.
        max: Duration,
        /// What chance does to it.
        jitter: Jitter,
    },
    /// `base`, then each time `base` longer.
    Linear {
        /// After the first failure; 1 ms to one day.
        base: Duration,
        /// Never longer than this; up to a week.
        max: Duration,
        /// What chance does to it.
        jitter: Jitter,
    },
    /// Always the same.
    Fixed {
        /// 1 ms to one day.
        delay: Duration,
        /// What chance does to it.
        jitter: Jitter,
    },
    /// One wait for each failure, the last one again for all that follow.
    Delays {
        /// 1 to 100, each up to a week.
        delays: Vec<Duration>,
        /// What chance does to them.
        jitter: Jitter,
    },
}

/// What chance does to a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// Nothing.
    None,
    /// A random share of it, between a tenth and the whole.
    Full,
    /// Up to a fifth more: never earlier than said.
    Late,
}

impl Backoff {
    pub(super) const fn built_in() -> Self {
        Self::Exponential {
            base: DEFAULT_BASE,
            factor: DEFAULT_FACTOR,
            max: DEFAULT_MAX,
            jitter: Jitter::Full,
        }
    }

    /// The wait after so many failures, from 1; `random` is drawn evenly from 0 to 1.
    ///
    /// With [`Jitter::Full`] it lies evenly between a tenth of the ceiling and the ceiling itself.
    #[must_use]
    pub fn delay(&self, failures: u32, random: f64) -> Duration {
        let (ceiling, jitter) = self.ceiling(failures.max(1));
        match jitter {
            Jitter::None => ceiling,
            Jitter::Full => {
                let share = LEAST_SHARE + (1.0 - LEAST_SHARE) * random.clamp(0.0, 1.0);
                scaled(ceiling, share).min(ceiling)
            }
            Jitter::Late => scaled(ceiling, 1.0 + MOST_LATE * random.clamp(0.0, 1.0)),
        }
    }

    /// The longest wait after so many failures, and what chance does to it.
    fn ceiling(&self, failures: u32) -> (Duration, Jitter) {
        match self {
            Self::Exponential {
                base,
                factor,
                max,
                jitter,
            } => {
                let steps = i32::try_from(failures - 1).unwrap_or(i32::MAX);
                (scaled(*base, factor.powi(steps)).min(*max), *jitter)
            }
            Self::Linear { base, max, jitter } => {
                (base.saturating_mul(failures).min(*max), *jitter)
            }
            Self::Fixed { delay, jitter } => (*delay, *jitter),
            Self::Delays { delays, jitter } => {
                let index = usize::try_from(failures - 1).unwrap_or(usize::MAX);
                let delay = delays.get(index).or(delays.last());
                (delay.copied().unwrap_or_default(), *jitter)
            }
        }
    }
}

/// So many times as long, at most as long as a duration can be.
fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn exponential(jitter: Jitter) -> Backoff {
        Backoff::Exponential {
            base: 15 * SECOND,
            factor: 3.0,
            max: 7_200 * SECOND,
            jitter,
        }
    }

    #[test]
    fn exponential_waits_grow_by_their_factor_up_to_the_longest() {
        let backoff = exponential(Jitter::None);

        let waits = [1, 2, 3, 6, 7, u32::MAX].map(|failures| backoff.delay(failures, 0.5));

        assert_eq!(
            waits.map(|wait| wait.as_secs()),
            [15, 45, 135, 3_645, 7_200, 7_200]
        );
    }

    #[test]
    fn linear_waits_grow_by_their_base_up_to_the_longest() {
        let backoff = Backoff::Linear {
            base: 10 * SECOND,
            max: 25 * SECOND,
            jitter: Jitter::None,
        };

        let waits = [1, 2, 3, u32::MAX].map(|failures| backoff.delay(failures, 0.5));

        assert_eq!(waits.map(|wait| wait.as_secs()), [10, 20, 25, 25]);
    }

    #[test]
    fn late_jitter_makes_a_wait_longer_by_up_to_a_fifth_and_never_shorter() {
        let backoff = Backoff::Delays {
            delays: vec![100 * SECOND],
            jitter: Jitter::Late,
        };

        let waits = [0.0, 0.5, 1.0].map(|random| backoff.delay(3, random).as_secs_f64().round());

        assert_eq!(waits, [100.0, 110.0, 120.0]);
    }

    #[test]
    fn the_last_of_several_delays_holds_for_all_that_follow() {
        let backoff = Backoff::Delays {
            delays: vec![5 * SECOND, 300 * SECOND],
            jitter: Jitter::None,
        };

        let waits = [1, 2, 3, u32::MAX].map(|failures| backoff.delay(failures, 0.5));

        assert_eq!(waits.map(|wait| wait.as_secs()), [5, 300, 300, 300]);
    }

    #[test]
    fn full_jitter_spreads_from_a_tenth_of_the_ceiling_to_the_whole() {
        let backoff = exponential(Jitter::Full);

        let waits = [0.0, 0.5, 1.0].map(|random| backoff.delay(1, random));

        assert_eq!(waits.map(|wait| wait.as_millis()), [1_500, 8_250, 15_000]);
    }

    #[test]
    fn no_failure_yet_counts_as_the_first() {
        let backoff = exponential(Jitter::None);

        assert_eq!(backoff.delay(0, 0.5), backoff.delay(1, 0.5));
    }

    proptest! {
        #[test]
        fn a_wait_lies_between_a_tenth_of_the_longest_and_the_longest(
            failures in any::<u32>(),
            random in 0.0..1.0_f64,
            factor in 1.0..10.0_f64,
        ) {
            let backoff = Backoff::Exponential {
                base: SECOND,
                factor,
                max: 60 * SECOND,
                jitter: Jitter::Full,
            };

            let wait = backoff.delay(failures, random);

            prop_assert!((SECOND / 10..=60 * SECOND).contains(&wait));
        }

        #[test]
        fn odd_numbers_never_panic(failures in any::<u32>(), random in any::<f64>(), factor in any::<f64>()) {
            let backoff = Backoff::Exponential {
                base: SECOND,
                factor,
                max: 60 * SECOND,
                jitter: Jitter::Full,
            };

            let wait = backoff.delay(failures, random);

            prop_assert!(wait <= 60 * SECOND);
        }
    }
}
