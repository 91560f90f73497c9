//! Leads that people sent while the sandbox ran, and which Pages events are asked for: both of Meta
//! alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use crate::world::Key;

/// Most leads kept; the oldest go first.
const MOST_LEADS: usize = 100_000;
/// The id of the first one.
const FIRST: u64 = 900_000_000_000_001;

/// A lead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lead {
    /// Its place among all.
    pub(crate) number: u32,
    pub(crate) form: Key,
    pub(crate) created_at: DateTime<Utc>,
    /// Nobody may read it before.
    pub(crate) readable_at: DateTime<Utc>,
}

/// The leads and subscriptions of one sandbox.
#[derive(Default)]
pub(crate) struct Leads {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    made: BTreeMap<u32, Lead>,
    count: u32,
    /// How many comments there were; each has a number.
    comments: u64,
    subscribed: BTreeMap<Key, BTreeSet<String>>,
}

impl Lead {
    /// Meta's id of it.
    pub(crate) fn id(&self) -> String {
        (FIRST + u64::from(self.number)).to_string()
    }
}

impl Leads {
    /// Somebody sends a form.
    pub(crate) fn send(&self, form: Key, now: DateTime<Utc>, readable_at: DateTime<Utc>) -> Lead {
        let mut state = self.state();
        let lead = Lead {
            number: state.count,
            form,
            created_at: now,
            readable_at,
        };
        state.count += 1;
        if state.made.len() >= MOST_LEADS {
            state.made.pop_first();
        }
        state.made.insert(lead.number, lead);
        lead
    }

    /// The lead of this id.
    pub(crate) fn get(&self, id: &str) -> Option<Lead> {
        let number = id.parse::<u64>().ok()?.checked_sub(FIRST)?;
        let number = u32::try_from(number).ok()?;
        self.state().made.get(&number).copied()
    }

    /// The leads of a form, in the order in which they came.
    pub(crate) fn of_form(&self, form: Key) -> Vec<Lead> {
        let state = self.state();
        let leads = state.made.values().filter(|lead| lead.form == form);
        leads.copied().collect()
    }

    /// The number of the next comment.
    pub(crate) fn next_comment(&self) -> u64 {
        let mut state = self.state();
        state.comments += 1;
        state.comments
    }

    /// What of a Page events are sent of.
    pub(crate) fn subscribed(&self, page: Key) -> BTreeSet<String> {
        let state = self.state();
        state.subscribed.get(&page).cloned().unwrap_or_default()
    }

    /// Has events sent of these fields of a Page; of none without any.
    pub(crate) fn subscribe(&self, page: Key, fields: BTreeSet<String>) {
        let mut state = self.state();
        if fields.is_empty() {
            state.subscribed.remove(&page);
        } else {
            state.subscribed.insert(page, fields);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
