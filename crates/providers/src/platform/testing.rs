//! A door that remembers what went through it, for the tests of clients.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

use super::{CallRecord, Door, Pass};
use crate::error::Error;

type Steps = Arc<Mutex<Vec<String>>>;

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
