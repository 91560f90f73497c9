//! A job of the model.

use uuid::Uuid;

use super::actual::{Holding, Seen};
use crate::JobState;

/// A job as it should be.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) state: JobState,
    pub(super) priority: i16,
    pub(super) max_attempts: Option<i32>,
    /// The order in which jobs came to be due.
    pub(super) since: i64,
    pub(super) is_due: bool,
    pub(super) attempt: i32,
    pub(super) used: i32,
    pub(super) holding: Option<Holding>,
    /// Every token that a claim of it has drawn.
    pub(super) tokens: Vec<Uuid>,
    pub(super) unique: Option<Key>,
    /// The key that it was enqueued with, and takes back when it waits again.
    pub(super) wanted: Option<Key>,
    /// It waits again since the last step.
    pub(super) is_back: bool,
    pub(super) is_cancel_requested: bool,
    pub(super) history: Vec<(i64, String)>,
    pub(super) replay_of: Option<Uuid>,
    pub(super) replayed_as: Option<Uuid>,
}

/// A unique key, and whether the job gives it up while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) while_running: bool,
}

impl Job {
    pub(super) fn new(priority: i16, max_attempts: Option<i32>, since: i64) -> Self {
        Self {
            state: JobState::Ready,
            priority,
            max_attempts,
            since,
            is_due: false,
            attempt: 0,
            used: 0,
            holding: None,
            tokens: Vec::new(),
            unique: None,
            wanted: None,
            is_back: false,
            is_cancel_requested: false,
            history: Vec::new(),
            replay_of: None,
            replayed_as: None,
        }
    }

    pub(super) fn waits_for_its_time(&self) -> bool {
        matches!(self.state, JobState::Scheduled | JobState::Retrying)
    }

    pub(super) fn wait(&mut self, state: JobState, since: i64) {
        (self.state, self.since, self.is_due) = (state, since, false);
    }

    /// The attempt under way ends.
    pub(super) fn end(&mut self, state: JobState, outcome: &str) -> bool {
        self.history.push((self.attempt.into(), outcome.to_owned()));
        self.holding = None;
        self.leave(state);
        true
    }

    /// A job that has ended has no key, and nobody waits for it to stop.
    pub(super) fn leave(&mut self, state: JobState) {
        self.state = state;
        if state.is_final() {
            self.unique = None;
            self.is_cancel_requested = false;
        }
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            state: self.state.as_str().to_owned(),
            priority: self.priority,
            attempt: (!self.state.is_final()).then_some(self.attempt),
            used: self.used,
            max_attempts: self.max_attempts,
            holding: self.holding,
            unique_key: self.unique.as_ref().map(|key| key.text.clone()),
            is_cancel_requested: self.is_cancel_requested,
            history: self.history.clone(),
            replay_of: self.replay_of,
            replayed_as: self.replayed_as,
        }
    }
}
