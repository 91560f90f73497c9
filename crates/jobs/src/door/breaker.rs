//! Circuit breakers: what does not answer several times in a row is left alone for a while, then tried by one call, and
//! left alone longer where that fails too. Each process counts for itself; the pauses that follow hold for the fleet.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use providers::platform::Platform;

/// Calls in a row without an answer after which nothing is called.
const MOST_FAILURES: u32 = 5;
/// The first pause; each that follows is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How long others wait while one call tries.
const WHILE_TRYING: Duration = Duration::from_secs(5);
/// How long failures are remembered that nothing followed.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// Most breakers that are not closed; an account in trouble has one.
const MOST_BREAKERS: usize = 10_000;

/// What a breaker guards: the calls of an account, or of a whole platform where its quota is one for all accounts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) platform: Platform,
    pub(super) account: Option<Arc<str>>,
}

/// The breakers of a process.
#[derive(Debug, Default)]
pub(crate) struct Breakers(Mutex<HashMap<Scope, Breaker>>);

/// The failures of one scope; who has none has no breaker.
#[derive(Debug)]
struct Breaker {
    failures: u32,
    /// Pauses in a row.
    pauses: u32,
    open_until: Option<Instant>,
    /// The one call that tries after a pause.
    trial: Option<u64>,
    trials: u64,
    failed_at: Instant,
}

/// Whether a call may go out.
#[derive(Debug)]
pub(super) enum Way {
    /// It may.
    Free,
    /// It may, as the one call that tries; to be held until it has ended.
    Trial(Trial),
    /// Not for so long.
    Shut(Duration),
}

/// Held by the call that tries. Where it ends without an answer, as a call that is dropped does, another one tries.
#[derive(Debug)]
pub(super) struct Trial {
    breakers: Arc<Breakers>,
    scope: Scope,
    number: u64,
}

impl Breakers {
    /// Whether a call may go out now.
    pub(super) fn way(self: &Arc<Self>, scope: &Scope, now: Instant) -> Way {
        let mut breakers = self.lock();
        let Some(breaker) = breakers.get_mut(scope) else {
            return Way::Free;
        };
        let Some(open_until) = breaker.open_until else {
            return Way::Free;
        };
        if now < open_until {
            return Way::Shut(open_until - now);
        }
        if breaker.trial.is_some() {
            return Way::Shut(WHILE_TRYING);
        }
        breaker.trials += 1;
        breaker.trial = Some(breaker.trials);
        Way::Trial(Trial {
            breakers: Arc::clone(self),
            scope: scope.clone(),
            number: breaker.trials,
        })
    }

    /// The platform answered, whatever it said.
    pub(super) fn answered(&self, scope: &Scope) {
        self.lock().remove(scope);
    }

    /// A call had no answer, or one that says that the platform is in trouble. Tells for how long nothing is called now,
    /// where this was one too many.
    pub(super) fn failed(&self, scope: &Scope, now: Instant) -> Option<Duration> {
        let mut breakers = self.lock();
        if breakers.len() >= MOST_BREAKERS {
            breakers.retain(|_, breaker| now.duration_since(breaker.failed_at) < REMEMBERED);
        }
        if breakers.len() >= MOST_BREAKERS && !breakers.contains_key(scope) {
            return None;
        }
        let breaker = breakers.entry(scope.clone()).or_insert(Breaker {
            failures: 0,
            pauses: 0,
            open_until: None,
            trial: None,
            trials: 0,
            failed_at: now,
        });
        breaker.fail(now)
    }

    /// For how long the way is shut from now on; `None`: it is not.
    pub(super) fn shut_for(&self, scope: &Scope, now: Instant) -> Option<Duration> {
        let open_until = self.lock().get(scope)?.open_until?;
        open_until
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Breaker {
    fn fail(&mut self, now: Instant) -> Option<Duration> {
        if now.duration_since(self.failed_at) >= REMEMBERED {
            (self.failures, self.pauses, self.open_until) = (0, 0, None);
        }
        self.failed_at = now;
        self.failures = self.failures.saturating_add(1);
        let is_one_too_many = match self.open_until {
            None => self.failures >= MOST_FAILURES,
            // Those that were under way when it opened make no pause longer.
            Some(open_until) => now >= open_until,
        };
        if !is_one_too_many {
            return None;
        }
        let doublings = 2_u32.saturating_pow(self.pauses.min(16));
        let pause = FIRST_PAUSE.saturating_mul(doublings).min(LONGEST_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        self.open_until = Some(now + pause);
        self.trial = None;
        Some(pause)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut breakers = self.breakers.lock();
        if let Some(breaker) = breakers.get_mut(&self.scope)
            && breaker.trial == Some(self.number)
        {
            breaker.trial = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(account: &str) -> Scope {
        Scope {
            platform: Platform::Meta,
            account: Some(account.into()),
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// Breakers of which that of this scope has just opened.
    fn opened(scope: &Scope, now: Instant) -> Arc<Breakers> {
        let breakers = Arc::new(Breakers::default());
        for _ in 1..MOST_FAILURES {
            assert_eq!(breakers.failed(scope, now), None);
        }
        assert_eq!(breakers.failed(scope, now), Some(FIRST_PAUSE));
        breakers
    }

    #[test]
    fn failures_in_a_row_shut_the_way_of_their_account_alone() {
        let now = Instant::now();
        let a = scope("a");

        let breakers = opened(&a, now);

        assert!(matches!(breakers.way(&a, now), Way::Shut(wait) if wait == FIRST_PAUSE));
        assert!(matches!(breakers.way(&scope("b"), now), Way::Free));
    }

    #[test]
    fn an_answer_between_failures_begins_the_count_anew() {
        let now = Instant::now();
        let a = scope("a");
        let breakers = Arc::new(Breakers::default());

        for _ in 0..3 {
            for _ in 1..MOST_FAILURES {
                assert_eq!(breakers.failed(&a, now), None);
            }
            breakers.answered(&a);
        }

        assert!(matches!(breakers.way(&a, now), Way::Free));
    }

    #[test]
    fn after_a_pause_one_call_tries_and_an_answer_to_it_opens_the_way() {
        let now = Instant::now();
        let a = scope("a");
        let breakers = opened(&a, now);
        let later = now + FIRST_PAUSE;

        let trial = breakers.way(&a, later);
        let meanwhile = breakers.way(&a, later);
        breakers.answered(&a);

        assert!(matches!(trial, Way::Trial(_)), "{trial:?}");
        assert!(matches!(meanwhile, Way::Shut(wait) if wait == WHILE_TRYING));
        assert!(matches!(breakers.way(&a, later), Way::Free));
    }

    #[test]
    fn a_trial_that_fails_makes_a_longer_pause_up_to_the_longest() {
        let mut now = Instant::now();
        let a = scope("a");
        let breakers = opened(&a, now);

        let mut pauses = Vec::new();
        let mut pause = FIRST_PAUSE;
        for _ in 0..6 {
            now += pause;
            let _trial = breakers.way(&a, now);
            pause = breakers.failed(&a, now).expect("a longer pause");
            pauses.push(pause);
        }

        let expected = [60, 120, 240, 480, 900, 900].map(seconds);
        assert_eq!(pauses, expected);
    }

    #[test]
    fn a_trial_that_is_dropped_leaves_its_place_to_another_one() {
        let now = Instant::now();
        let a = scope("a");
        let breakers = opened(&a, now);
        let later = now + FIRST_PAUSE;

        drop(breakers.way(&a, later));

        assert!(matches!(breakers.way(&a, later), Way::Trial(_)));
    }

    #[test]
    fn calls_that_were_under_way_make_no_pause_longer() {
        let now = Instant::now();
        let a = scope("a");
        let breakers = opened(&a, now);

        let late = breakers.failed(&a, now + seconds(10));
        let left = breakers.shut_for(&a, now + seconds(10));

        assert_eq!((late, left), (None, Some(seconds(20))));
        assert_eq!(breakers.shut_for(&a, now + FIRST_PAUSE), None);
        assert!(matches!(breakers.way(&a, now + FIRST_PAUSE), Way::Trial(_)));
    }
}
