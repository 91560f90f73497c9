//! What sync stores of accounts: what they hold, their figures, and how each sync went. Who asks the platforms, when and
//! for what stands in the jobs; here a page and the place where the next one begins are stored together, so that a sync
//! that was killed goes on behind its last page.

mod cache;
mod calls;
mod changes;
mod differences;
mod entities;
mod error;
mod figures;
mod freshness;
mod insights;
mod listing;
mod log;
mod prune;
mod reports;
mod slo;
mod social;
pub(crate) mod storable;
#[cfg(test)]
mod tests;
mod watch;
mod what;
mod words;

use std::sync::Arc;

use queue::Queue;
use serde_json::Value;
use sqlx::PgPool;

pub use cache::{CacheKey, CacheOf, Cached};
pub use calls::LoggedCall;
pub use changes::{ChangedField, EntityChange};
pub use entities::Stored;
pub use error::SyncError;
pub(crate) use freshness::start_of;
pub use freshness::{Freshness, FreshnessOf};
pub use insights::Replaced;
pub use listing::{EntityFilter, StoredEntity};
pub use log::{RESUME_WITHIN, Sync, SyncCounts, SyncFailure, SyncOutcome, SyncRecord};
pub use prune::{Pruned, Retention};
pub use reports::KeptReport;
pub use slo::ObjectiveGauges;
pub use watch::{LONGEST_WATCH, SHORTEST_WATCH, Watched};
pub use what::{Days, InsightScope, LONGEST_SCOPE_DAYS, SyncWhat};
pub use words::{SyncMode, SyncState};

pub use crate::ids::{SyncId, WatchId};

use crate::words::stored_word;
use cache::Flights;

/// What sync stores; cheap to clone, one a process.
#[derive(Clone)]
pub struct Syncs(Arc<Inner>);

struct Inner {
    queue: Queue,
    flights: Flights,
}

impl Syncs {
    /// In the queue's database.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self(Arc::new(Inner {
            queue,
            flights: Flights::default(),
        }))
    }

    fn db(&self) -> PgPool {
        self.0.queue.database().pool()
    }

    fn flights(&self) -> &Flights {
        &self.0.flights
    }
}

/// A document as it is stored; what cannot be written as JSON is `null`, and our own types all can.
fn document(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
