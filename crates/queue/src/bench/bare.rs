//! A group commit with nothing around it: what enqueueing together is measured against, from callers in this process and
//! behind a bare HTTP handler alike.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::BenchError;
use crate::{
    DatabaseError,
    db::{Database, Pool, Session, within},
    store::bench as store,
};

/// Most rows of a commit.
const TOGETHER: usize = 1_000;
/// Callers that may wait at once.
const WAITING: usize = 8_192;

/// What a caller hands over, and where it waits.
type Waiting = ((Uuid, String), oneshot::Sender<()>);

/// Stores payloads in the narrow table; callers at the same time share a commit. Cheap to clone; the last clone ends it.
#[derive(Clone)]
pub struct GroupCommit {
    callers: mpsc::Sender<Waiting>,
    _committing: Arc<AbortOnDropHandle<()>>,
}

impl GroupCommit {
    /// Starts it on one connection of its own.
    #[must_use]
    pub fn start(db: &Database) -> Self {
        let (callers, waiting) = mpsc::channel(WAITING);
        let committing = tokio::spawn(commit(db.separate_pool(1), waiting));
        Self {
            callers,
            _committing: Arc::new(AbortOnDropHandle::new(committing)),
        }
    }

    /// Stores a payload, which must be JSON; returns when it is on disk.
    ///
    /// # Errors
    /// When the commit that it was part of failed.
    pub async fn store(&self, payload: String) -> Result<(), BenchError> {
        let (answer, answered) = oneshot::channel();
        let handed_over = self
            .callers
            .send(((Uuid::now_v7(), payload), answer))
            .await
            .is_ok();
        if handed_over && answered.await.is_ok() {
            return Ok(());
        }
        Err(BenchError::Database(DatabaseError::TimedOut))
    }
}

/// Commits what waits; the next batch forms while the last one is on its way. Callers of a batch that failed are told by
/// their channel's end.
async fn commit(pool: Pool, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, TOGETHER).await > 0 {
        let (rows, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let (ids, payloads): (Vec<Uuid>, Vec<String>) = rows.into_iter().unzip();
        let Ok(mut session) = Session::open(&pool).await else {
            continue;
        };
        let stored = within(store::insert_payloads(session.conn(), &ids, &payloads)).await;
        if session.end(stored).is_ok() {
            for answer in answers {
                // A caller that is gone has ended its round.
                let _: Result<(), ()> = answer.send(());
            }
        }
    }
}
