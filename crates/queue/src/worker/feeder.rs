//! The feeder of a queue: claims what free slots need and no more, one job when the queue is quiet, up to 500 under
//! load, and hands it to the runtime. It alone decides how much runs at once.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    claimed::{ClaimedJob, Stop, Unit},
    lease::Leases,
};
use crate::{
    client::Shared,
    db::{DatabaseError, within},
    error_chain,
    handler::Recorded,
    metrics,
    store::{
        claim::{self, Claim, ClaimedRow},
        settle,
    },
};

/// Most jobs claimed in one statement.
const MOST_TOGETHER: usize = 500;
/// Under load: how long to wait for more free slots, so that a claim is worth its statement.
const GATHER: Duration = Duration::from_millis(2);
/// Wait after a claim that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Claims the jobs of one queue for one process.
pub(crate) struct Feeder {
    pub(crate) queue: Arc<str>,
    pub(crate) worker: Uuid,
    pub(crate) shared: Arc<Shared>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) kinds: Arc<[String]>,
    /// Kinds whose jobs of one key run together and share a slot, with the most of them.
    pub(crate) batched: HashMap<String, usize>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) concurrency: usize,
    pub(crate) work: Arc<Notify>,
    pub(crate) stop: CancellationToken,
}

impl Feeder {
    /// Feeds until it is told to stop, then hands back what was claimed and not taken.
    pub(crate) async fn run(self: Arc<Self>, units: mpsc::Sender<Unit>) {
        let mut has_more = true;
        while !self.stop.is_cancelled() {
            if !has_more {
                tokio::select! {
                    () = self.work.notified() => {}
                    () = self.stop.cancelled() => break,
                }
            }
            let Some(slots) = self.free_slots(has_more).await else {
                break;
            };
            has_more = match self.claim(slots, &units).await {
                Ok(has_more) => has_more,
                Err(error) => {
                    tracing::warn!(queue.name = %self.queue, error = %error_chain(&error), "jobs could not be claimed; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(AFTER_FAILURE) => true,
                        () = self.stop.cancelled() => break,
                    }
                }
            };
        }
    }

    /// Waits for a free slot and takes all that are free, after a moment when there is much to do.
    async fn free_slots(&self, is_busy: bool) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            slot = Arc::clone(&self.slots).acquire_owned() => slot.ok()?,
            () = self.stop.cancelled() => return None,
        };
        let worthwhile = (self.concurrency / 4).min(MOST_TOGETHER);
        if is_busy && self.slots.available_permits() + 1 < worthwhile {
            tokio::time::sleep(GATHER).await;
        }
        let mut slots = vec![first];
        while slots.len() < MOST_TOGETHER
            && let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
        {
            slots.push(slot);
        }
        Some(slots)
    }

    /// Claims for these slots and hands over; tells whether there may be more to claim.
    async fn claim(
        &self,
        mut slots: Vec<OwnedSemaphorePermit>,
        units: &mpsc::Sender<Unit>,
    ) -> Result<bool, DatabaseError> {
        let claimed_at = Instant::now();
        let rows = self.claim_rows(slots.len()).await?;
        metrics::claim_took(&self.queue, claimed_at.elapsed());
        let has_more = !rows.is_empty();
        let jobs: Vec<ClaimedJob> = rows
            .into_iter()
            .map(|row| self.hold(row, claimed_at))
            .collect();
        for mut jobs in self.together(jobs) {
            self.complete(&mut jobs).await;
            let Some(slot) = slots.pop() else {
                self.hand_back(jobs).await;
                continue;
            };
            if let Err(mpsc::error::SendError(unit)) = units
                .send(Unit {
                    jobs,
                    slot,
                    claimed_at,
                })
                .await
            {
                self.hand_back(unit.jobs).await;
            }
        }
        Ok(has_more)
    }

    async fn claim_rows(&self, most: usize) -> Result<Vec<ClaimedRow>, DatabaseError> {
        let claim = self.as_claim();
        let mut session = self.shared.db.engine().await?;
        let rows = within(claim::next(session.conn(), &claim, most)).await;
        session.end(rows)
    }

    fn as_claim(&self) -> Claim<'_> {
        let ttl_seconds = self.shared.config.lease.ttl.as_secs_f64();
        Claim {
            queue: &self.queue,
            worker: self.worker,
            ttl_seconds,
            kinds: &self.kinds,
        }
    }

    fn hold(&self, row: ClaimedRow, claimed_at: Instant) -> ClaimedJob {
        let waited = Duration::try_from_secs_f64(row.waited_seconds).unwrap_or_default();
        metrics::claimed(&self.queue, &row.kind, waited);
        let recorded = Arc::new(std::sync::Mutex::new(Recorded::default()));
        let job = ClaimedJob {
            row,
            stop: Arc::new(Stop::default()),
            recorded,
        };
        self.leases.hold(&self.queue, &job, claimed_at);
        job
    }

    /// Puts jobs of one batched kind and key together; the others stay alone. The claim's order is kept.
    fn together(&self, jobs: Vec<ClaimedJob>) -> Vec<Vec<ClaimedJob>> {
        let mut units: Vec<Vec<ClaimedJob>> = Vec::new();
        let mut places: HashMap<(String, Option<String>), usize> = HashMap::new();
        for job in jobs {
            if !self.batched.contains_key(&job.row.kind) {
                units.push(vec![job]);
                continue;
            }
            let place = *places
                .entry((job.row.kind.clone(), job.row.key.clone()))
                .or_insert(units.len());
            match units.get_mut(place) {
                Some(unit) => unit.push(job),
                None => units.push(vec![job]),
            }
        }
        units
    }

    /// Claims the mates of a batched kind's jobs before anything else is claimed, so that they come together.
    async fn complete(&self, jobs: &mut Vec<ClaimedJob>) {
        let Some(first) = jobs.first() else { return };
        let most = self.batched.get(&first.row.kind).copied().unwrap_or(1);
        let room = most.saturating_sub(jobs.len());
        if room == 0 {
            return;
        }
        match self.mates(&first.row, room).await {
            Ok(mates) => jobs.extend(mates),
            // What is under lease already must run whatever becomes of its mates.
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "a batch goes without more jobs");
            }
        }
    }

    /// Claims more jobs of one kind and key for a batch that is being formed.
    pub(crate) async fn mates(
        &self,
        first: &ClaimedRow,
        most: usize,
    ) -> Result<Vec<ClaimedJob>, DatabaseError> {
        let claimed_at = Instant::now();
        let claim = self.as_claim();
        let most = i64::try_from(most).unwrap_or(0);
        let mut session = self.shared.db.engine().await?;
        let rows = within(claim::mates(
            session.conn(),
            &claim,
            &first.kind,
            first.key.as_deref(),
            most,
        ))
        .await;
        Ok(session
            .end(rows)?
            .into_iter()
            .map(|row| self.hold(row, claimed_at))
            .collect())
    }

    /// Gives back jobs that were claimed but never started. Where that fails their leases run out.
    pub(crate) async fn hand_back(&self, jobs: Vec<ClaimedJob>) {
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.row.id).collect();
        let tokens: Vec<Uuid> = jobs.iter().map(|job| job.row.token).collect();
        for (id, token) in ids.iter().zip(&tokens) {
            self.leases.release(*id, *token);
        }
        let handed_back = async {
            let mut session = self.shared.db.engine().await?;
            let done = within(settle::unclaim(session.conn(), &self.queue, &ids, &tokens)).await;
            session.end(done)
        };
        if let Err(error) = handed_back.await {
            tracing::warn!(queue.name = %self.queue, jobs = ids.len(), error = %error_chain(&error),
                "unstarted jobs could not be handed back; they will be rescued");
        }
    }
}
