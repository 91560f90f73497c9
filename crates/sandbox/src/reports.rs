//! Reports that are made in the background, of all platforms: what was asked for, when, and what
//! shall become of it. How far one is follows from the clock, and is each server's to say.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::world::{Key, Platform};

/// Most reports kept; the oldest go first.
const MOST_REPORTS: usize = 20_000;
/// The number of the first one.
const FIRST: u64 = 6_023_920_149_050;

/// What becomes of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// It is made.
    #[default]
    Done,
    /// It fails.
    Fails,
    /// It is skipped, or cancelled.
    Skipped,
    /// It never gets done.
    Stalls,
}

/// A report that somebody asked for.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) id: u64,
    pub(crate) account: Key,
    /// What was asked for, in the server's own words.
    pub(crate) params: Value,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) fate: Fate,
}

/// The reports of one sandbox.
#[derive(Default)]
pub(crate) struct Reports {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    made: BTreeMap<u64, Report>,
    count: u64,
    /// What becomes of the next ones: how many, and what.
    fates: BTreeMap<Platform, (u32, Fate)>,
}

impl Reports {
    /// Begins one and gives it its number.
    pub(crate) fn start(&self, account: Key, params: Value, now: DateTime<Utc>) -> u64 {
        let mut state = self.state();
        let id = FIRST + state.count;
        state.count += 1;
        let fate = state.next_fate(account.platform);
        if state.made.len() >= MOST_REPORTS {
            state.made.pop_first();
        }
        let report = Report {
            id,
            account,
            params,
            started_at: now,
            fate,
        };
        state.made.insert(id, report);
        id
    }

    /// A platform's report of that number.
    pub(crate) fn get(&self, platform: Platform, id: u64) -> Option<Report> {
        let state = self.state();
        let report = state.made.get(&id)?;
        (report.account.platform == platform).then(|| report.clone())
    }

    /// Decides over a platform's next `times` reports.
    pub(crate) fn decide(&self, platform: Platform, fate: Fate, times: u32) {
        self.state().fates.insert(platform, (times, fate));
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_fate(&mut self, platform: Platform) -> Fate {
        match self.fates.get_mut(&platform) {
            Some((times, fate)) if *times > 0 => {
                *times -= 1;
                *fate
            }
            Some(_) | None => Fate::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fate_holds_for_as_many_reports_as_told() {
        let reports = Reports::default();
        let account = Key::account(Platform::Meta, 0);
        reports.decide(Platform::Meta, Fate::Fails, 1);

        let ids = [(); 2].map(|()| reports.start(account, Value::Null, DateTime::UNIX_EPOCH));

        let fates = ids.map(|id| reports.get(Platform::Meta, id).map(|report| report.fate));
        assert_eq!(fates, [Some(Fate::Fails), Some(Fate::Done)]);
        assert!(reports.get(Platform::X, ids[0]).is_none());
    }
}
