//! Gauges of the fleet that other crates read: the leader shows them beside its own, and where nobody leads they are as
//! absent as those.

use futures::future::BoxFuture;
use sqlx::PgConnection;

/// Gauges of the fleet that another crate knows how to read.
pub trait FleetGauges: Send + Sync {
    /// The metrics that it sets.
    fn names(&self) -> &'static [&'static str];

    /// Reads and sets them, in a transaction of the leader's. Series that are no more must be set to zero, since the
    /// exporter forgets none, or to NaN where zero would say something: what is no number is not shown.
    fn show<'a>(&'a self, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), sqlx::Error>>;
}
