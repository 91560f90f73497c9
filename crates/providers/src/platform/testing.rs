//! What the tests of clients share: a door that remembers what went through it, and changes to make.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

use super::{CallRecord, Door, Edit, EntityType, Pass, SetTo};
use crate::error::Error;

type Steps = Arc<Mutex<Vec<String>>>;

/// A change of a thing whose parent nobody names.
pub(crate) fn edit(kind: EntityType, id: &str, set_to: SetTo) -> Edit {
    Edit {
        kind,
        id: id.to_owned(),
        parent_id: None,
        set_to,
    }
}

/// Lets everything out and keeps what it hears.
#[derive(Default)]
pub(crate) struct RecordingDoor {
    steps: Steps,
    records: Mutex<Vec<CallRecord>>,
}

impl RecordingDoor {
    /// What happened, in order.
    pub(crate) fn steps(&self) -> Vec<String> {
        self.steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The calls that have ended.
    pub(crate) fn records(&self) -> Vec<CallRecord> {
        self.records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Door for RecordingDoor {
    fn admit(&self, weight: u32) -> BoxFuture<'_, Result<Pass, Error>> {
        note(&self.steps, format!("admitted {weight}"));
        let held = Held(Arc::clone(&self.steps));
        Box::pin(async { Ok::<Pass, Error>(Box::new(held)) })
    }

    fn told(&self, record: CallRecord) {
        note(&self.steps, "told".to_owned());
        self.records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(record);
    }
}

/// Notes when a pass is given back.
struct Held(Steps);

impl Drop for Held {
    fn drop(&mut self) {
        note(&self.0, "released".to_owned());
    }
}

fn note(steps: &Steps, step: String) {
    steps
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(step);
}
