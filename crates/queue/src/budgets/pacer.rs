//! Spaces out the calls of this process. What it may lease keeps the fleet to the rate; this keeps the process from making
//! its share of it all at once.

use std::{future::Future, sync::Arc, time::Duration};

use leaky_bucket::RateLimiter;

use super::limits::Pace;

/// The shortest time between two refills: timers are no finer than a millisecond, and need not be woken for each call.
const LEAST_REFILL: Duration = Duration::from_millis(10);

/// Lets one call after another go.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    limiter: Option<(Pace, Arc<RateLimiter>)>,
    /// What the last call weighed beyond one: the next one waits for that, so that a heavy call need not wait for what
    /// comes after it.
    owed: usize,
}

impl Pacer {
    /// The wait of the next call. Calls go in the order in which they asked.
    pub(super) fn next(
        &mut self,
        pace: Pace,
        weight: u64,
    ) -> impl Future<Output = ()> + Send + use<> {
        let permits = 1 + self.owed;
        self.owed = usize::try_from(weight.saturating_sub(1)).unwrap_or(usize::MAX - 1);
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

fn limiter(pace: Pace) -> RateLimiter {
    let calls = LEAST_REFILL
        .as_nanos()
        .div_ceil(pace.interval.as_nanos().max(1));
    let calls = u32::try_from(calls).unwrap_or(u32::MAX).max(1);
    let refill = usize::try_from(calls).unwrap_or(usize::MAX);
    let burst = usize::try_from(pace.burst).unwrap_or(usize::MAX);
    RateLimiter::builder()
        .initial(burst)
        .max(burst.max(refill))
        .refill(refill)
        .interval((pace.interval * calls).max(LEAST_REFILL))
        .build()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

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
