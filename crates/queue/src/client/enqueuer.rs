//! Group commit without a timer: the next batch forms while the last one commits. A lone caller's job takes the plain
//! path at once; under load one commit carries up to 1,000 jobs.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    EnqueueError,
    batch::{self, Answered, Item},
};
use crate::db::Database;

/// Most jobs that wait to be stored; beyond, callers are told to come back.
const MOST_WAITING: usize = 8_192;
/// Most jobs in one commit.
const MOST_TOGETHER: usize = 1_000;
/// Batches of each lane under way at once: the second one brings the slowest answers down.
const FLUSHERS: usize = 2;
/// Longest that a caller waits for its answer.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

struct Asked {
    item: Item,
    answer: oneshot::Sender<Result<Answered, EnqueueError>>,
}

/// Stores single jobs together with those of other callers, in two lanes: a job with a key may have to wait for whoever
/// holds that key, and those without one must not wait with it.
pub(super) struct Enqueuer {
    plain: mpsc::Sender<Asked>,
    keyed: mpsc::Sender<Asked>,
}

impl Enqueuer {
    pub(super) fn start(
        db: &Database,
        ttl: Duration,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let lane = || {
            let (asked, waiting) = mpsc::channel(MOST_WAITING);
            let waiting = Arc::new(Mutex::new(waiting));
            for _ in 0..FLUSHERS {
                tasks.spawn(flush(db.clone(), ttl, Arc::clone(&waiting), stop.clone()));
            }
            asked
        };
        Self {
            plain: lane(),
            keyed: lane(),
        }
    }

    pub(super) async fn store(&self, item: Item) -> Result<Answered, EnqueueError> {
        let (answer, answered) = oneshot::channel();
        let overloaded = || EnqueueError::Overloaded {
            retry_after: Duration::from_secs(1),
        };
        let lane = if item.is_plain() {
            &self.plain
        } else {
            &self.keyed
        };
        lane.try_send(Asked { item, answer })
            .map_err(|_| overloaded())?;
        match tokio::time::timeout(LONGEST_WAIT, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(overloaded()),
            Err(_) => Err(EnqueueError::Unavailable(
                crate::db::DatabaseError::TimedOut,
            )),
        }
    }
}

async fn flush(
    db: Database,
    ttl: Duration,
    waiting: Arc<Mutex<mpsc::Receiver<Asked>>>,
    stop: CancellationToken,
) {
    loop {
        let mut batch = Vec::new();
        {
            let mut waiting = waiting.lock().await;
            let received = tokio::select! {
                biased;
                received = waiting.recv_many(&mut batch, MOST_TOGETHER) => received,
                () = stop.cancelled() => 0,
            };
            if received == 0 {
                return;
            }
        }
        // Whoever went away before its turn came was told nothing, so nothing is stored for it.
        let (items, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .filter(|asked| !asked.answer.is_closed())
            .map(|asked| (asked.item, asked.answer))
            .unzip();
        if items.is_empty() {
            continue;
        }
        match batch::store(&db, items, ttl, false).await {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    // A caller that went away meanwhile finds its job stored all the same.
                    drop(answer.send(result));
                }
            }
            Err(error) => {
                tracing::warn!(error = %crate::error_chain(&error), jobs = answers.len(), "jobs could not be stored");
                let error = Arc::new(error);
                for answer in answers {
                    drop(answer.send(Err(EnqueueError::Unavailable(again(&error)))));
                }
            }
        }
    }
}

/// The same failure for another caller of the batch; the cause was logged with the first.
fn again(error: &crate::db::DatabaseError) -> crate::db::DatabaseError {
    use crate::db::DatabaseError as E;
    match error {
        E::TimedOut => E::TimedOut,
        E::Busy(_) => E::Busy(sqlx::Error::WorkerCrashed),
        E::Refused(_) => E::Refused(sqlx::Error::WorkerCrashed),
        E::Statement(_) => E::Statement(sqlx::Error::WorkerCrashed),
        E::InvalidUrl(_) | E::Unavailable(_) | E::Migration(_) => {
            E::Unavailable(sqlx::Error::WorkerCrashed)
        }
    }
}
