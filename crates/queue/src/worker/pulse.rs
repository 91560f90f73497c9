//! The pulse: looks what there is to do, in one statement for all queues, never more than two seconds apart. It makes
//! due jobs ready, wakes feeders, and has expired leases rescued. The doorbell only makes it unnecessary to wait.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{rescuer, slots::Board};
use crate::{
    client::Shared,
    db::{DatabaseError, within},
    error_chain, metrics,
    store::poll::{self, Waiting},
};

/// Shortest and longest time between two looks.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(2);
/// Jobs made ready by one statement.
const PROMOTED: u64 = 1_000;

/// Looks after the queues that this process works on.
pub(crate) struct Pulse {
    pub(crate) shared: Arc<Shared>,
    pub(crate) board: Arc<Board>,
    pub(crate) soon: Arc<Notify>,
    pub(crate) stop: CancellationToken,
}

impl Pulse {
    pub(crate) async fn run(self) {
        let mut wait = SHORTEST;
        while !self.stop.is_cancelled() {
            let next = match self.beat().await {
                Ok(Beat {
                    did_something: true,
                    next_due,
                }) => {
                    wait = SHORTEST;
                    next_due
                }
                Ok(Beat {
                    did_something: false,
                    next_due,
                }) => {
                    wait = (wait * 2).min(LONGEST);
                    next_due
                }
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), "the queues could not be looked at; trying again");
                    wait = LONGEST;
                    None
                }
            };
            // A little less at random: many processes drift apart and do not look at the same moment.
            let jittered = wait.mul_f64(1.0 - rand::random::<f64>() / 20.0);
            let until = next.map_or(jittered, |due| due.min(jittered));
            tokio::select! {
                () = tokio::time::sleep(until) => {}
                () = self.soon.notified() => {}
                () = self.stop.cancelled() => break,
            }
        }
    }

    async fn beat(&self) -> Result<Beat, DatabaseError> {
        let mut queues = Vec::new();
        for (queue, slots) in self.board.list() {
            metrics::slots(&queue, slots.wanted(), slots.used());
            queues.push(queue.to_string());
        }
        let mut session = self.shared.db.engine().await?;
        let looked = within(poll::look(session.conn(), Some(&queues))).await;
        let mut beat = Beat {
            did_something: false,
            next_due: None,
        };
        let looked = session.end(looked)?;
        hear_of_config(&self.shared, &looked);
        for waiting in looked {
            beat.did_something |= look_after(&self.shared, &waiting).await?;
            if let Some(due) = waiting.next_due_seconds.filter(|due| *due > 0.0) {
                let due = Duration::try_from_secs_f64(due).unwrap_or(LONGEST);
                beat.next_due = Some(beat.next_due.map_or(due, |known| known.min(due)));
            }
        }
        Ok(beat)
    }
}

/// Passes on how often the configuration has changed, which every look tells beside its queues.
pub(crate) fn hear_of_config(shared: &Shared, looked: &[Waiting]) {
    if let Some(change) = looked.first().and_then(|waiting| waiting.config_change) {
        shared.live.news.heard(change);
    }
}

/// Does what a look found to do: makes due jobs ready, has expired leases rescued, wakes the queue's feeder. Tells
/// whether anything changed: that jobs are ready is no reason to look again soon, for a feeder that finds any goes on by
/// itself, and jobs that nobody here can run may lie there for days.
pub(crate) async fn look_after(shared: &Shared, waiting: &Waiting) -> Result<bool, DatabaseError> {
    let queue = &waiting.queue;
    let is_due = waiting.next_due_seconds.is_some_and(|due| due <= 0.0);
    let mut has_ready = waiting.has_ready();
    shared.bell.found(queue, waiting.wants_close_look());
    if is_due {
        has_ready |= promote(shared, queue).await? > 0;
    }
    if waiting.has_expired {
        rescuer::rescue(shared, queue).await?;
    }
    if has_ready {
        shared.bell.wake(queue);
    }
    Ok(is_due || waiting.has_expired)
}

/// What a look found.
struct Beat {
    did_something: bool,
    next_due: Option<Duration>,
}

/// Makes all due jobs of a queue ready; tells how many.
async fn promote(shared: &Shared, queue: &str) -> Result<u64, DatabaseError> {
    let mut total = 0;
    loop {
        let mut session = shared.db.engine().await?;
        let promoted = within(poll::promote(session.conn(), queue)).await;
        let promoted = session.end(promoted)?;
        total += promoted;
        if promoted < PROMOTED {
            return Ok(total);
        }
    }
}
