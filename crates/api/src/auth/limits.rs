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
/// Refills come no more often than this.
const SHORTEST_REFILL: Duration = Duration::from_millis(10);
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

/// Lets a burst of the whole count through, then refills evenly.
fn limiter(rate: &Rate) -> RateLimiter {
    let count = rate.count.max(1);
    let each = rate.per / count;
    let (interval, refill) = if each >= Duration::from_millis(1) {
        (each, 1)
    } else {
        let intervals = rate.per.as_millis() / SHORTEST_REFILL.as_millis();
        (SHORTEST_REFILL, u128::from(count) / intervals.max(1))
    };
    let burst = usize::try_from(count).unwrap_or(usize::MAX);
    RateLimiter::builder()
        .max(burst)
        .initial(burst)
        .interval(interval)
        .refill(usize::try_from(refill).unwrap_or(usize::MAX).max(1))
        .fair(false)
        .build()
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
    fn a_rate_beyond_a_thousand_a_second_is_refilled_in_portions() {
        let limiter = limiter(&Rate {
            count: 5_000,
            per: Duration::from_secs(1),
        });

        assert_eq!(
            (limiter.interval(), limiter.refill(), limiter.max()),
            (SHORTEST_REFILL, 50, 5_000)
        );
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
