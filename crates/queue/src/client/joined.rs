//! Jobs that other crates store in transactions of theirs, beside what the jobs are for.

use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use crate::{
    Queue,
    job::JobId,
    store::enqueue::{self, JobColumns},
};

/// A job to be stored in somebody's transaction; all else comes from its kind.
#[derive(Debug, Clone)]
pub struct JoinedJob {
    /// An object, as the kind's schema has it: it is not checked here.
    pub payload: Value,
    /// The customer that it belongs to.
    pub tenant: Option<String>,
    /// Groups jobs.
    pub key: Option<String>,
}

/// What a new job does where its kind's unique rule finds one that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhereOneWaits {
    /// The one that waits stays alone. Behind one that runs a new one goes.
    KeepsIt,
    /// The one that waits begins anew, at once and with all of its attempts. One that runs stays alone.
    TakesItsPlace,
}

impl WhereOneWaits {
    fn as_str(self) -> &'static str {
        match self {
            Self::KeepsIt => "one_behind",
            Self::TakesItsPlace => "replace",
        }
    }
}

impl Queue {
    /// Stores jobs of a kind in a transaction of the caller's: they are there if it commits. The kind must have been announced.
    /// Call [`Self::ring_for`] after the commit.
    ///
    /// # Errors
    /// When the database refuses one of them, or did not take part: the transaction is over.
    pub async fn enqueue_in(
        conn: &mut PgConnection,
        (kind, where_one_waits): (&str, WhereOneWaits),
        jobs: Vec<JoinedJob>,
    ) -> Result<Vec<JobId>, sqlx::Error> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let mut columns = JobColumns::default();
        for job in jobs {
            columns.payloads.push(Json(job.payload));
            columns.tenants.push(job.tenant);
            columns.keys.push(job.key);
        }
        let ids = enqueue::enqueue(conn, (kind, where_one_waits.as_str()), &columns).await?;
        Ok(ids.into_iter().map(JobId).collect())
    }

    /// Wakes whoever works on jobs of this kind, after a commit that stored some. Without it they are found within 2 s.
    pub fn ring_for(&self, kind: &str) {
        self.shared.bell.ring(&self.config().policy(kind).queue);
    }
}
