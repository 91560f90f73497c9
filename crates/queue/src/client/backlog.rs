//! Back-pressure: a queue with `max_ready` refuses more once so many jobs are ready. Its count is read at most once a
//! second; what is accepted meanwhile is added to it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{EnqueueError, Shared};
use crate::{db::within, store::queues};

/// How long a count serves.
const FRESH: Duration = Duration::from_secs(1);
/// What a refused caller is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Backlog {
    counts: Mutex<HashMap<String, (Instant, u64)>>,
}

impl Backlog {
    /// Lets `more` jobs into a queue, or says that it is full.
    pub(super) async fn admit(
        &self,
        shared: &Shared,
        queue: &str,
        more: u64,
    ) -> Result<(), EnqueueError> {
        let Some(most) = shared
            .config
            .queues
            .get(queue)
            .and_then(|queue| queue.max_ready)
        else {
            return Ok(());
        };
        let known = self.known(queue);
        let ready = match known {
            Some(ready) => ready,
            None => {
                let bound = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
                let mut session = shared.db.request().await?;
                let counted = within(queues::ready_up_to(session.conn(), queue, bound)).await;
                session.end(counted)?.unsigned_abs()
            }
        };
        let is_full = ready.saturating_add(more) > most;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = counts
            .entry(queue.to_owned())
            .or_insert((Instant::now(), ready));
        if known.is_none() {
            *entry = (Instant::now(), ready);
        }
        if is_full {
            return Err(EnqueueError::QueueFull {
                queue: queue.to_owned(),
                retry_after: RETRY_AFTER,
            });
        }
        entry.1 += more;
        Ok(())
    }

    fn known(&self, queue: &str) -> Option<u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .get(queue)
            .filter(|(at, _)| at.elapsed() < FRESH)
            .map(|(_, ready)| *ready)
    }
}
