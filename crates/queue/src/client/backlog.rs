//! Back-pressure: a queue with `max_ready` refuses more once so many jobs are ready. Its count is read at most once a
//! second, by one caller for all; what is accepted meanwhile is added to it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{EnqueueError, Item, Shared};
use crate::{
    db::{DatabaseError, within},
    store::{
        idempotency::{self, KnownKey},
        queues,
    },
};

/// How long a count serves.
const FRESH: Duration = Duration::from_secs(1);
/// Longest wait for another caller that counts.
const TURN: Duration = Duration::from_secs(2);
/// What a refused caller is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How many jobs of each limited queue are ready. A name has an entry only where the configuration limits its queue.
#[derive(Default)]
pub(super) struct Backlog {
    queues: Mutex<BTreeMap<String, Arc<Count>>>,
}

/// How many jobs of one queue are ready.
#[derive(Default)]
struct Count {
    known: Mutex<Option<(Instant, u64)>>,
    /// Held by whoever counts.
    counting: tokio::sync::Mutex<()>,
}

impl Count {
    /// The latest count, and whether it still serves.
    fn known(&self) -> Option<(u64, bool)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.map(|(at, ready)| (ready, at.elapsed() < FRESH))
    }

    fn is_fresh(&self) -> bool {
        self.known().is_some_and(|(_, is_fresh)| is_fresh)
    }

    fn set(&self, ready: u64) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), ready));
    }

    /// Makes room for as many of `asked` as there is room for; tells how many.
    fn take(&self, asked: u64, most: u64) -> u64 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, ready)) = known.as_mut() else {
            return 0;
        };
        let taken = asked.min(most.saturating_sub(*ready));
        *ready += taken;
        taken
    }
}

impl Backlog {
    fn count(&self, queue: &str) -> Arc<Count> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(queues.entry(queue.to_owned()).or_default())
    }
}

impl Shared {
    /// The places of the items for which their queues have no room. One whose idempotency key is known goes on: it
    /// stores nothing, and is answered as it was the first time.
    pub(super) async fn without_room(
        &self,
        items: &[Item],
    ) -> Result<HashSet<usize>, DatabaseError> {
        let mut rooms: BTreeMap<&str, u64> = BTreeMap::new();
        for (queue, asked) in by_queue(items) {
            if let Some(most) = self.max_ready(queue) {
                rooms.insert(queue, self.room(queue, asked, most).await?);
            }
        }
        let mut refused = HashSet::new();
        for (place, item) in items.iter().enumerate() {
            match rooms.get_mut(item.row.queue.as_str()) {
                Some(0) => {
                    refused.insert(place);
                }
                Some(room) => *room -= 1,
                None => {}
            }
        }
        if !refused.is_empty() {
            let known = self.known_keys(items, &refused).await?;
            refused.retain(|place| {
                let idempotency = items.get(*place).and_then(|item| item.idempotency.as_ref());
                !idempotency.is_some_and(|asked| {
                    let mut known = known.iter();
                    known.any(|known| known.client == asked.client && known.key == asked.key)
                })
            });
        }
        Ok(refused)
    }

    /// Says so where these items can never be accepted together, however long their caller waits.
    pub(super) fn fits_together(&self, items: &[Item]) -> Result<(), EnqueueError> {
        for (queue, asked) in by_queue(items) {
            if let Some(most) = self.max_ready(queue).filter(|most| asked > *most) {
                return Err(EnqueueError::Field {
                    pointer: "/jobs",
                    message: format!(
                        "holds {asked} jobs for the queue \"{queue}\", which takes at most {most} (its max_ready)"
                    ),
                });
            }
        }
        Ok(())
    }

    fn max_ready(&self, queue: &str) -> Option<u64> {
        self.config().queues.get(queue)?.max_ready
    }

    /// How many of `asked` jobs a queue has room for; they count from now on.
    async fn room(&self, queue: &str, asked: u64, most: u64) -> Result<u64, DatabaseError> {
        let count = self.backlog.count(queue);
        if !count.is_fresh() {
            // While one counts, the others go on with what was known; only without that they wait.
            let turn = match count.known() {
                Some(_) => count.counting.try_lock().ok(),
                None => {
                    let turn = tokio::time::timeout(TURN, count.counting.lock()).await;
                    Some(turn.map_err(|_| DatabaseError::TimedOut)?)
                }
            };
            if turn.is_some() && !count.is_fresh() {
                let bound = i64::try_from(most).unwrap_or(i64::MAX);
                let mut session = self.db.request().await?;
                let counted = within(queues::ready_up_to(session.conn(), queue, bound)).await;
                count.set(session.end(counted)?.unsigned_abs());
            }
        }
        Ok(count.take(asked, most))
    }

    /// Those of the items' idempotency keys that were used before.
    async fn known_keys(
        &self,
        items: &[Item],
        places: &HashSet<usize>,
    ) -> Result<Vec<KnownKey>, DatabaseError> {
        let (clients, keys): (Vec<String>, Vec<String>) = places
            .iter()
            .filter_map(|place| items.get(*place)?.idempotency.as_ref())
            .map(|asked| (asked.client.clone(), asked.key.clone()))
            .unzip();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut session = self.db.request().await?;
        let known = within(idempotency::known(session.conn(), &clients, &keys)).await;
        session.end(known)
    }
}

/// Why an item is refused for which there was no room.
pub(super) fn queue_full(item: &Item) -> EnqueueError {
    EnqueueError::QueueFull {
        queue: item.row.queue.clone(),
        retry_after: RETRY_AFTER,
    }
}

fn by_queue(items: &[Item]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item.row.queue.as_str()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_makes_room_for_no_more_than_fit() {
        let count = Count::default();
        count.set(7);

        let taken = [count.take(2, 10), count.take(2, 10), count.take(2, 10)];

        assert_eq!(taken, [2, 1, 0]);
    }
}
