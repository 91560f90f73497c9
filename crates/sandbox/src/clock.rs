//! The machine's clock, by which mails and calls to receivers are dated and signatures stale. The
//! platforms go by the world's.

use chrono::{DateTime, Utc};

/// The time now.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
