//! The sandbox's only clock: events are too old, and signatures stale, by this one.

use chrono::{DateTime, Utc};

/// The time now.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
