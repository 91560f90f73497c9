//! What this process goes by, as far as it comes from the database: a text, and the overrides over it with their ends.

use std::time::Instant;

use super::fleet::{Fleet, Timed, settings};
use crate::{config::Override, store::config::RevisionText};

/// What the last look at the database gave, and what this process goes by.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The text that holds: of the revision, or of the file.
    pub(super) text: String,
    /// The revision; `None`: the file holds, or nothing.
    pub(super) revision: Option<i64>,
    overrides: Vec<Timed>,
    /// The count of changes that it stands for; `None`: the database was not asked yet.
    pub(super) change: Option<i64>,
}

impl Held {
    /// A text that the database knows nothing of.
    pub(super) fn alone(text: String) -> Self {
        Self {
            text,
            revision: None,
            overrides: Vec::new(),
            change: None,
        }
    }

    /// A revision of the fleet's.
    pub(super) fn of(revision: RevisionText, fleet: &Fleet) -> Self {
        let RevisionText { revision, text } = revision;
        Self {
            text,
            revision: Some(revision),
            overrides: fleet.overrides.clone(),
            change: Some(fleet.change),
        }
    }

    /// The text that holds stays; the overrides are those of now.
    pub(super) fn stay(&mut self, fleet: &Fleet) {
        if fleet.newest.is_none() {
            self.revision = None;
        }
        self.overrides.clone_from(&fleet.overrides);
        self.change = Some(fleet.change);
    }

    pub(super) fn settings(&self) -> Vec<Override> {
        settings(&self.overrides)
    }

    /// Forgets overrides whose time is over; tells whether there were any.
    pub(super) fn drop_ended(&mut self, now: Instant) -> bool {
        let before = self.overrides.len();
        self.overrides.retain(|timed| timed.ends > now);
        self.overrides.len() < before
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.overrides.iter().map(|timed| timed.ends).min()
    }
}
