//! Spaces out the calls of this process. What it may lease keeps the fleet to the rate; this keeps the process from making
//! its share of it all at once.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use leaky_bucket::RateLimiter;

use super::limits::Pace;

/// The shortest time between two refills: timers are no finer than a millisecond, and need not be woken for each call.
const LEAST_REFILL: Duration = Duration::from_millis(10);

/// The longest that a call is taken to last: a bound for what no rate in use comes near.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Lets one call after another go.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    limiter: Option<(Pace, Arc<RateLimiter>)>,
    /// What the last call weighs beyond one the next one waits for, so that a heavy call need not wait for what comes
    /// after it.
    last: Option<Paced>,
}

/// The time that a call takes under the pace.
#[derive(Debug, Clone, Copy)]
struct Paced {
    weight: u32,
    begins: Instant,
    ends: Instant,
}

impl Pacer {
    /// The wait of the next call. Calls go in the order in which they asked.
    pub(super) fn next(
        &mut self,
        pace: Pace,
        weight: u64,
    ) -> impl Future<Output = ()> + Send + use<> {
        let now = Instant::now();
        let permits = self.last.map_or(1, |last| last.permits_after(pace, now));
        let begins = self.last.map_or(now, |last| last.ends.max(now));
        self.last = Some(Paced::new(pace, weight, begins));
        let limiter = match &self.limiter {
            Some((known, limiter)) if *known == pace => Arc::clone(limiter),
            _ => {
                let limiter = Arc::new(limiter(pace));
                self.limiter = Some((pace, Arc::clone(&limiter)));
                limiter
            }
        };
        limiter.acquire_owned(permits)
    }
}

impl Paced {
    fn new(pace: Pace, weight: u64, begins: Instant) -> Self {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX).max(1);
        let takes = pace.interval.saturating_mul(weight).min(LONGEST);
        Self {
            weight,
            begins,
            ends: begins + takes,
        }
    }

    /// What the call after it needs that asks now. Time that has passed is not waited for once more; what the limiter has
    /// put by meanwhile is taken along.
    fn permits_after(self, pace: Pace, now: Instant) -> usize {
        let interval = pace.interval.as_nanos().max(1);
        let left = self.ends.saturating_duration_since(now).as_nanos();
        let passed = now.saturating_duration_since(self.begins).as_nanos();
        let (_, most) = sizes(pace);
        let put_by = usize::try_from(passed / interval).map_or(most, |passed| passed.min(most));
        let left = usize::try_from(left.div_ceil(interval)).unwrap_or(usize::MAX);
        let weight = usize::try_from(self.weight).unwrap_or(usize::MAX);
        match left {
            0 => 1,
            left => left.saturating_add(put_by).clamp(1, weight),
        }
    }
}

fn limiter(pace: Pace) -> RateLimiter {
    let (refill, most) = sizes(pace);
    let calls = u32::try_from(refill).unwrap_or(u32::MAX);
    RateLimiter::builder()
        .initial(usize::try_from(pace.burst).unwrap_or(usize::MAX))
        .max(most)
        .refill(refill)
        .interval((pace.interval * calls).max(LEAST_REFILL))
        .build()
}

/// How many calls are let go at a refill, and how many a limiter puts by.
fn sizes(pace: Pace) -> (usize, usize) {
    let calls = LEAST_REFILL
        .as_nanos()
        .div_ceil(pace.interval.as_nanos().max(1));
    let calls = u32::try_from(calls).unwrap_or(u32::MAX).max(1);
    let refill = usize::try_from(calls).unwrap_or(usize::MAX);
    let burst = usize::try_from(pace.burst).unwrap_or(usize::MAX);
    (refill, burst.max(refill))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        interval: Duration::from_millis(20),
        burst: 1,
    };

    async fn time_of(weights: &[u64], pace: Pace) -> Duration {
        let mut pacer = Pacer::default();
        let began = Instant::now();
        for weight in weights {
            pacer.next(pace, *weight).await;
        }
        began.elapsed()
    }

    #[tokio::test]
    async fn calls_are_an_interval_apart() {
        let took = time_of(&[1; 11], PACE).await;

        assert!(took >= PACE.interval * 9, "{took:?}");
    }

    #[tokio::test]
    async fn a_heavy_call_goes_at_once_and_the_next_one_waits_for_it() {
        let heavy = time_of(&[10], PACE).await;
        let next = time_of(&[10, 1], PACE).await;

        assert!(heavy < PACE.interval * 5, "{heavy:?}");
        assert!(next >= PACE.interval * 8, "{next:?}");
    }

    // Fails when a call waits in its process for what the fleet has waited for already: it is leased only then.
    #[tokio::test]
    async fn a_call_that_comes_when_a_heavy_one_has_had_its_time_goes_at_once() {
        let mut pacer = Pacer::default();
        pacer.next(PACE, 10).await;
        let last = pacer.last.as_mut().expect("a call was made");
        let takes = last.ends - last.begins;
        last.begins -= takes;
        last.ends -= takes;
        let began = Instant::now();

        pacer.next(PACE, 1).await;

        let took = began.elapsed();
        assert!(took < PACE.interval * 5, "{took:?}");
    }

    #[test]
    fn half_of_a_heavy_calls_time_is_half_of_what_the_next_one_needs() {
        let begins = Instant::now();
        let heavy = Paced::new(PACE, 10, begins);

        let permits = [0, 5, 10].map(|intervals| {
            let now = begins + PACE.interval * intervals;
            heavy.permits_after(PACE, now)
        });

        // One of the six is what the limiter has put by.
        assert_eq!(permits, [10, 6, 1]);
    }

    #[tokio::test]
    async fn a_fast_rate_is_refilled_by_the_dozen() {
        let fast = Pace {
            interval: Duration::from_micros(100),
            burst: 1,
        };

        let took = time_of(&[1; 301], fast).await;

        let rate = Duration::from_millis(20)..Duration::from_millis(500);
        assert!(rate.contains(&took), "{took:?}");
    }
}
