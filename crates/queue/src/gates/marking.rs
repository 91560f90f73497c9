//! Finds out whose turn waiting jobs take in queues that have become fair. A job is marked when it is enqueued; what was
//! there before, or came from a process that did not know yet, is marked by the leader. Until then such jobs are a line
//! of their own.

use chrono::DateTime;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::gates::fleet::{self, PlaceRow};

/// One walk through the ready jobs of all fair queues, portion by portion.
#[derive(Debug, Default)]
pub(crate) struct Marking {
    /// Queues that are left; `None` before the first portion.
    left: Option<Vec<String>>,
    /// Behind this job of the last of them.
    behind: Option<PlaceRow>,
}

impl Marking {
    /// Marks a portion; `false` when the walk is over.
    pub(crate) async fn portion(&mut self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let left = match &mut self.left {
            Some(left) => left,
            none => none.insert(fleet::fair_queues(&mut *conn).await?),
        };
        let Some(queue) = left.last() else {
            return Ok(false);
        };
        let behind = self.behind.take().unwrap_or_else(beginning);
        self.behind = fleet::mark(conn, queue, &behind).await?;
        if self.behind.is_none() {
            left.pop();
        }
        Ok(true)
    }
}

/// A place before all jobs.
fn beginning() -> PlaceRow {
    PlaceRow {
        priority: -1,
        run_at: DateTime::UNIX_EPOCH,
        id: Uuid::nil(),
    }
}
