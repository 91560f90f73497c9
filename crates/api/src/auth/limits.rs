//! Rates: requests a key may make, and wrong keys that an address may try. Both are kept per process and bounded.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use leaky_bucket::RateLimiter;
use queue::config::Rate;
use uuid::Uuid;

/// Most keys, and most addresses, remembered at once.
const MOST_REMEMBERED: usize = 10_000;
/// Refills come no more often than this, in milliseconds.
const SHORTEST_REFILL_MS: u64 = 10;
/// Wrong keys are counted over this time.
const WINDOW: Duration = Duration::from_secs(60);

/// The rate of each key that was seen.
#[derive(Default)]
pub(crate) struct KeyRates(Mutex<HashMap<Uuid, KeyRate>>);

struct KeyRate {
    count: u32,
    per: Duration,
    limiter: Arc<RateLimiter>,
}

impl KeyRates {
    /// Counts a request of this key.
    ///
    /// # Errors
    /// How long to wait, when the key's rate is used up.
    pub(crate) fn admit(&self, key: Uuid, rate: &Rate) -> Result<(), Duration> {
        if self.limiter(key, rate).try_acquire(1) {
            return Ok(());
        }
        Err(rate.per / rate.count.max(1))
    }

    fn limiter(&self, key: Uuid, rate: &Rate) -> Arc<RateLimiter> {
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = rates.get(&key)
            && known.count == rate.count
            && known.per == rate.per
        {
            return Arc::clone(&known.limiter);
        }
        // Only keys that exist come here, so the bound is met by nobody but who makes keys by the thousand.
        if rates.len() >= MOST_REMEMBERED {
            rates.clear();
        }
        let limiter = Arc::new(limiter(rate));
        rates.insert(
            key,
            KeyRate {
                count: rate.count,
                per: rate.per,
                limiter: Arc::clone(&limiter),
            },
        );
        limiter
    }
}

/// Lets a burst of the whole count through, then refills as evenly as whole milliseconds and whole requests allow without
/// a remainder.
fn limiter(rate: &Rate) -> RateLimiter {
    let count = u64::from(rate.count.max(1));
    let per_ms = u64::try_from(rate.per.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let shared = greatest_common_divisor(count, per_ms);
    let (interval_ms, refill) = (per_ms / shared, count / shared);
    let times = SHORTEST_REFILL_MS.div_ceil(interval_ms);
    let whole = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    RateLimiter::builder()
        .max(whole(count))
        .initial(whole(count))
        .interval(Duration::from_millis(interval_ms * times))
        .refill(whole(refill * times))
        .fair(false)
        .build()
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    match b {
        0 => a,
        _ => greatest_common_divisor(b, a % b),
    }
}

/// Wrong keys by the address they came from, each network of an IPv6 customer counted as one.
pub(crate) struct WrongKeys {
    a_minute: u32,
    seen: Mutex<HashMap<IpAddr, Window>>,
}

struct Window {
    began: Instant,
    count: u32,
}

impl WrongKeys {
    pub(crate) fn new(a_minute: u32) -> Self {
        Self {
            a_minute,
            seen: Mutex::new(HashMap::new()),
        }
    }

    /// Counts a wrong key.
    ///
    /// # Errors
    /// How long to wait, when too many came from there.
    pub(crate) fn count(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(peer);
        if seen.len() >= MOST_REMEMBERED && !seen.contains_key(&network) {
            seen.retain(|_, window| now.duration_since(window.began) < WINDOW);
            if seen.len() >= MOST_REMEMBERED {
                return Err(WINDOW);
            }
        }
        let window = seen.entry(network).or_insert(Window {
            began: now,
            count: 0,
        });
        if now.duration_since(window.began) >= WINDOW {
            *window = Window {
                began: now,
                count: 0,
            };
        }
        window.count = window.count.saturating_add(1);
        if window.count > self.a_minute {
            return Err(WINDOW.saturating_sub(now.duration_since(window.began)));
        }
        Ok(())
    }
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_its_burst_and_is_then_told_when_to_return() {
        let rates = KeyRates::default();
        let (key, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let rate = Rate {
            count: 3,
            per: Duration::from_secs(3_600),
        };

        let answers: Vec<_> = (0..4).map(|_| rates.admit(key, &rate)).collect();

        assert_eq!(
            answers,
            [Ok(()), Ok(()), Ok(()), Err(Duration::from_secs(1_200))]
        );
        assert_eq!(rates.admit(other, &rate), Ok(()));
    }

    #[test]
    fn a_rate_is_refilled_without_a_remainder() {
        for (count, per_seconds, interval_ms, refill) in [
            (5_000, 1, 10, 50),
            (1_999, 1, 1_000, 1_999),
            (1_500, 1, 10, 15),
            (300, 1, 10, 3),
            (1, 1, 1_000, 1),
            (3, 3_600, 1_200_000, 1),
        ] {
            let limiter = limiter(&Rate {
                count,
                per: Duration::from_secs(per_seconds),
            });

            assert_eq!(
                (limiter.interval(), limiter.refill()),
                (Duration::from_millis(interval_ms), refill),
                "{count} in {per_seconds} s"
            );
        }
    }

    #[test]
    fn wrong_keys_are_counted_by_address_and_forgiven_after_a_minute() {
        let wrong = WrongKeys::new(2);
        let start = Instant::now();
        let peer: IpAddr = "2001:db8::1".parse().expect("an address");
        let neighbour: IpAddr = "2001:db8::2".parse().expect("an address");
        let other: IpAddr = "192.0.2.1".parse().expect("an address");

        assert_eq!(wrong.count(peer, start), Ok(()));
        assert_eq!(wrong.count(neighbour, start), Ok(()));
        assert_eq!(wrong.count(peer, start), Err(WINDOW));
        assert_eq!(wrong.count(other, start), Ok(()));
        assert_eq!(wrong.count(peer, start + WINDOW), Ok(()));
    }
}
