//! How much of their allowances callers have used, for all servers, and what the control makes of
//! it: an account at 97 %, calls that are refused, a platform that is down.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::world::{Platform, start_of};

/// Most scopes that are counted; beyond, the windows that are over are forgotten.
const MOST_SCOPES: usize = 10_000;
/// Most knobs.
const MOST_KNOBS: usize = 1_000;

/// So many calls in so long a time. Windows begin at round times, for all alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) calls: u64,
    pub(crate) per: TimeDelta,
}

/// How much is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    pub(crate) used: u64,
    pub(crate) calls: u64,
    /// When the window ends.
    pub(crate) resets_at: DateTime<Utc>,
    /// How long until then.
    pub(crate) resets_in: TimeDelta,
    /// The call is to be refused.
    pub(crate) is_over: bool,
}

impl Reading {
    /// Used, in per cent of the allowance.
    pub(crate) fn percent(&self) -> f64 {
        self.used as f64 * 100.0 / self.calls.max(1) as f64
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.calls.saturating_sub(self.used)
    }
}

/// What the control sets for a platform, or for one scope of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Knob {
    /// At least this much of every allowance is used, in per cent; from 100 on calls are refused.
    pub(crate) usage_percent: Option<f64>,
    /// This many further calls are refused as over the limit.
    pub(crate) refuse: u32,
    /// The platform is down: every call gets a gateway's error page.
    pub(crate) down: bool,
}

/// The counters and knobs of one sandbox.
#[derive(Default)]
pub(crate) struct Limits {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    windows: HashMap<(Platform, String), Window>,
    /// A platform's own knob is under the empty scope.
    knobs: HashMap<(Platform, String), Knob>,
}

#[derive(Clone, Copy)]
struct Window {
    started_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    used: u64,
}

/// There are enough knobs set already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at most {MOST_KNOBS} limits can be set")]
pub(crate) struct TooManyKnobs;

impl Limits {
    /// Counts a call. One that is over the limit uses nothing up. A scope is whatever has an
    /// allowance of its own: an account's id, the app, a family of endpoints. It may have a second
    /// part behind a slash, as in `1000000000001/ads_insights`: what is set for the first part
    /// holds for all of them.
    pub(crate) fn count(
        &self,
        platform: Platform,
        scope: &str,
        allowance: Allowance,
        now: DateTime<Utc>,
    ) -> Reading {
        self.count_many(platform, scope, (1, allowance), now)
    }

    /// Counts what weighs as much as so many calls.
    pub(crate) fn count_many(
        &self,
        platform: Platform,
        scope: &str,
        (calls, allowance): (u64, Allowance),
        now: DateTime<Utc>,
    ) -> Reading {
        let mut state = self.state();
        let mut window = state.window(platform, scope, allowance, now);
        let is_refused = state.take_refusal(platform, scope);
        let floor = state.floor(platform, scope, allowance);
        let used = window.used.max(floor);
        let is_over = is_refused || used >= allowance.calls;
        if !is_over {
            window.used += calls;
        }
        state.keep(platform, scope, window, now);
        let used = if is_refused {
            allowance.calls
        } else {
            window.used.max(floor)
        };
        window.reading(allowance, used, is_over, now)
    }

    /// How much is used, without using any.
    pub(crate) fn read(
        &self,
        platform: Platform,
        scope: &str,
        allowance: Allowance,
        now: DateTime<Utc>,
    ) -> Reading {
        let state = self.state();
        let window = state.window(platform, scope, allowance, now);
        let floor = state.floor(platform, scope, allowance);
        let used = window.used.max(floor);
        window.reading(allowance, used, used >= allowance.calls, now)
    }

    /// Whether the platform is down.
    pub(crate) fn is_down(&self, platform: Platform) -> bool {
        let state = self.state();
        let knob = state.knobs.get(&(platform, String::new()));
        knob.is_some_and(|knob| knob.down)
    }

    /// Sets what holds for a scope, or with `None` for the whole platform.
    ///
    /// # Errors
    /// [`TooManyKnobs`]; nothing is set then.
    pub(crate) fn set(
        &self,
        platform: Platform,
        scope: Option<String>,
        knob: Knob,
    ) -> Result<(), TooManyKnobs> {
        let mut state = self.state();
        let name = (platform, scope.unwrap_or_default());
        if knob == Knob::default() {
            state.knobs.remove(&name);
            return Ok(());
        }
        if state.knobs.len() >= MOST_KNOBS && !state.knobs.contains_key(&name) {
            return Err(TooManyKnobs);
        }
        state.knobs.insert(name, knob);
        Ok(())
    }

    /// Forgets every count and every knob.
    pub(crate) fn clear(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn window(
        &self,
        platform: Platform,
        scope: &str,
        allowance: Allowance,
        now: DateTime<Utc>,
    ) -> Window {
        let known = self.windows.get(&(platform, scope.to_owned())).copied();
        known
            .filter(|window| (window.started_at..window.ends_at).contains(&now))
            .unwrap_or_else(|| {
                let per_s = allowance.per.num_seconds().max(1);
                let into_s = now.timestamp().rem_euclid(per_s);
                let started_at = DateTime::from_timestamp(now.timestamp() - into_s, 0)
                    .unwrap_or_else(|| start_of(0));
                Window {
                    started_at,
                    ends_at: started_at + TimeDelta::seconds(per_s),
                    used: 0,
                }
            })
    }

    fn keep(&mut self, platform: Platform, scope: &str, window: Window, now: DateTime<Utc>) {
        if self.windows.len() >= MOST_SCOPES {
            self.windows.retain(|_, window| now < window.ends_at);
        }
        if self.windows.len() >= MOST_SCOPES {
            self.windows.clear();
        }
        self.windows.insert((platform, scope.to_owned()), window);
    }

    /// The knobs that hold for a scope: its own, its first part's and its platform's.
    fn knobs(&self, platform: Platform, scope: &str) -> impl Iterator<Item = &Knob> {
        names(scope)
            .into_iter()
            .flatten()
            .filter_map(move |scope| self.knobs.get(&(platform, scope)))
    }

    fn floor(&self, platform: Platform, scope: &str, allowance: Allowance) -> u64 {
        let percents = self
            .knobs(platform, scope)
            .filter_map(|knob| knob.usage_percent);
        let percent = percents.fold(0.0, f64::max);
        // A cast from a float keeps within the bounds of its target.
        (allowance.calls as f64 * percent / 100.0).ceil() as u64
    }

    fn take_refusal(&mut self, platform: Platform, scope: &str) -> bool {
        for scope in names(scope).into_iter().flatten() {
            if let Some(knob) = self.knobs.get_mut(&(platform, scope))
                && knob.refuse > 0
            {
                knob.refuse -= 1;
                return true;
            }
        }
        false
    }
}

/// What a scope's knobs may be set under.
fn names(scope: &str) -> [Option<String>; 3] {
    let part = scope.split_once('/').map(|(part, _)| part.to_owned());
    [Some(scope.to_owned()), part, Some(String::new())]
}

impl Window {
    fn reading(
        &self,
        allowance: Allowance,
        used: u64,
        is_over: bool,
        now: DateTime<Utc>,
    ) -> Reading {
        Reading {
            used,
            calls: allowance.calls,
            resets_at: self.ends_at,
            resets_in: self.ends_at - now,
            is_over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_A_MINUTE: Allowance = Allowance {
        calls: 10,
        per: TimeDelta::minutes(1),
    };

    fn now() -> DateTime<Utc> {
        "2026-11-20T12:00:20Z".parse().expect("a time")
    }

    fn call(limits: &Limits, at: DateTime<Utc>) -> Reading {
        limits.count(Platform::X, "account", TEN_A_MINUTE, at)
    }

    #[test]
    fn an_allowance_is_used_up_and_comes_back_with_the_next_window() {
        let limits = Limits::default();
        for _ in 0..10 {
            assert!(!call(&limits, now()).is_over);
        }

        let over = call(&limits, now());
        let other = limits.count(Platform::X, "other", TEN_A_MINUTE, now());
        let later = call(&limits, over.resets_at);

        assert!(over.is_over);
        assert_eq!((over.used, over.remaining()), (10, 0));
        assert_eq!(over.resets_in, TimeDelta::seconds(40));
        assert!(!other.is_over);
        assert_eq!((later.used, later.is_over), (1, false));
    }

    #[test]
    fn a_knob_sets_how_much_is_used_at_least() {
        let limits = Limits::default();
        let used = |percent| Knob {
            usage_percent: Some(percent),
            ..Knob::default()
        };
        let account = Some("account".to_owned());
        limits
            .set(Platform::X, account.clone(), used(90.0))
            .expect("room");

        let before = limits.read(Platform::X, "account/stats", TEN_A_MINUTE, now());
        limits.set(Platform::X, None, used(100.0)).expect("room");
        let full = call(&limits, now());
        limits
            .set(Platform::X, None, Knob::default())
            .expect("room");
        limits
            .set(Platform::X, account, Knob::default())
            .expect("room");
        let after = call(&limits, now());

        assert!((before.percent() - 90.0).abs() < 0.01);
        assert!(full.is_over);
        assert_eq!((after.used, after.is_over), (1, false));
    }

    #[test]
    fn calls_are_refused_as_often_as_told() {
        let limits = Limits::default();
        let knob = Knob {
            refuse: 2,
            ..Knob::default()
        };
        limits.set(Platform::X, None, knob).expect("room");

        let answers: Vec<_> = (0..3).map(|_| call(&limits, now()).is_over).collect();

        assert_eq!(answers, [true, true, false]);
    }
}
