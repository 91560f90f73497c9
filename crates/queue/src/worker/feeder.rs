//! The feeder of a queue: claims what free slots need and no more, one job when the queue is quiet, up to 500 under
//! load, and hands it to the runtime. It alone decides how much runs at once.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgConnection;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    claimed::{ClaimedJob, Stop, Unit},
    lease::{Leases, longest_silence},
    slots::Slots,
};
use crate::{
    client::Shared,
    config::Config,
    db::{DatabaseError, within},
    doorbell::Waiter,
    error_chain,
    gates::{self, Ask, Claimed, Manner, Sweep},
    handler::Recorded,
    job::AttemptOutcome,
    metrics::{self, AttemptLabels},
    store::{
        claim::{self, Claim, ClaimedRow},
        gates::rows::any_of,
        settle::{self, Ended},
    },
};

/// Most jobs claimed in one statement.
const MOST_TOGETHER: usize = 500;
/// The same where limits are to be kept: what a claim asks before it starts anything takes as long for one job as for all.
const MOST_UNDER_LIMITS: usize = 1_000;
/// Under load: how long to wait for more free slots, so that a claim is worth its statement.
const GATHER: Duration = Duration::from_millis(2);
/// Wait after a claim that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// How long a queue that is never empty is claimed from without a look at jobs that somebody put there although their kind
/// has limits and lives elsewhere.
const STRAYS: Duration = Duration::from_secs(1);

/// When a feeder claims next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Now,
    /// When it is woken, or after this time.
    After(Duration),
    WhenWoken,
}

/// What a feeder remembers from claim to claim until it sleeps.
#[derive(Debug)]
struct Memory {
    sweep: Sweep,
    /// When jobs of every kind were looked at, or the feeder woke.
    all_seen_at: Instant,
}

impl Memory {
    fn awake() -> Self {
        Self {
            sweep: Sweep::default(),
            all_seen_at: Instant::now(),
        }
    }

    /// Whether these are to have their turn, whatever else there is to claim.
    fn is_time_for(&self, strays: &[String]) -> bool {
        !strays.is_empty() && self.all_seen_at.elapsed() >= STRAYS
    }
}

/// Claims the jobs of one queue for one process.
pub(crate) struct Feeder {
    pub(crate) queue: Arc<str>,
    pub(crate) worker: Uuid,
    pub(crate) shared: Arc<Shared>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) kinds: Arc<[String]>,
    /// Kinds whose jobs of one key run together and share a slot, with the most of them.
    pub(crate) batched: HashMap<String, usize>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) work: Arc<Waiter>,
    pub(crate) stop: CancellationToken,
}

impl Feeder {
    /// Feeds until it is told to stop, then hands back what was claimed and not taken.
    pub(crate) async fn run(self: Arc<Self>, units: mpsc::Sender<Unit>) {
        let mut next = Next::Now;
        let mut memory = Memory::awake();
        while !self.stop.is_cancelled() {
            let has_more = matches!(next, Next::Now);
            if !has_more {
                // Both are cancel-safe.
                tokio::select! {
                    () = self.until(next) => {}
                    () = self.stop.cancelled() => break,
                }
                memory = Memory::awake();
            }
            let Some(slots) = self.free_slots(has_more).await else {
                break;
            };
            next = match self.claim(slots, &units, &mut memory).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(queue.name = %self.queue, error = %error_chain(&error), "jobs could not be claimed; trying again");
                    tokio::select! {
                        () = tokio::time::sleep(AFTER_FAILURE) => Next::Now,
                        () = self.stop.cancelled() => break,
                    }
                }
            };
        }
    }

    /// Waits until there may be something to claim.
    async fn until(&self, next: Next) {
        let Next::After(wait) = next else {
            return self.work.notified().await;
        };
        // Both are cancel-safe.
        tokio::select! {
            () = self.work.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// Waits for a free slot and takes all that are free, after a moment when there is much to do.
    async fn free_slots(&self, is_busy: bool) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            slot = self.slots.take() => slot?,
            () = self.stop.cancelled() => return None,
        };
        let most = match self.manner(&self.shared.config()) {
            Manner::Plain { .. } => MOST_TOGETHER,
            Manner::Gated => MOST_UNDER_LIMITS,
        };
        let worthwhile = (self.slots.wanted() / 4).min(most);
        if is_busy && self.slots.free() + 1 < worthwhile {
            tokio::time::sleep(GATHER).await;
        }
        let mut slots = vec![first];
        while slots.len() < most
            && let Some(slot) = self.slots.try_take()
        {
            slots.push(slot);
        }
        Some(slots)
    }

    /// Claims for these slots and hands over; tells when there may be more to claim.
    async fn claim(
        &self,
        mut slots: Vec<OwnedSemaphorePermit>,
        units: &mpsc::Sender<Unit>,
        memory: &mut Memory,
    ) -> Result<Next, DatabaseError> {
        let claimed_at = Instant::now();
        let config = self.shared.config();
        let ttl = config.lease.ttl;
        let Claimed {
            rows,
            goes_on,
            wait,
        } = self.claim_rows(&config, slots.len(), memory).await?;
        metrics::claim_took(&self.queue, claimed_at.elapsed());
        let next = match wait {
            _ if goes_on => Next::Now,
            Some(wait) => Next::After(wait),
            None => Next::WhenWoken,
        };
        let jobs = self.hold_all(rows, claimed_at, ttl).await;
        let mut not_taken = Vec::new();
        for mut jobs in self.together(jobs) {
            if !self.stop.is_cancelled() {
                self.complete(&mut jobs).await;
            }
            // Both are cancel-safe: a place that is not taken is free for the next.
            let place = tokio::select! {
                biased;
                () = self.stop.cancelled() => None,
                place = units.reserve() => place.ok(),
            };
            match place.zip(slots.pop()) {
                Some((place, slot)) => place.send(Unit {
                    jobs,
                    slot,
                    claimed_at,
                }),
                None => not_taken.extend(jobs),
            }
        }
        self.hand_back(not_taken).await;
        Ok(next)
    }

    async fn claim_rows(
        &self,
        config: &Config,
        most: usize,
        memory: &mut Memory,
    ) -> Result<Claimed, DatabaseError> {
        let ttl = config.lease.ttl;
        if let Manner::Plain { kinds, strays } = self.manner(config)
            && !memory.is_time_for(&strays)
        {
            let claim = self.as_claim(&kinds, ttl);
            let mut session = self.shared.db.claim().await?;
            let claimed = within(async {
                let rows = claim::next(session.conn(), &claim, most.min(MOST_TOGETHER)).await?;
                let has_strays = rows.is_empty()
                    && !strays.is_empty()
                    && any_of(session.conn(), &self.queue, &strays).await?;
                Ok((rows, has_strays))
            })
            .await;
            let (rows, has_strays) = session.end(claimed)?;
            if !has_strays {
                return Ok(Claimed {
                    goes_on: !rows.is_empty(),
                    rows,
                    wait: None,
                });
            }
        }
        let claim = self.as_claim(&self.kinds, ttl);
        let ask = Ask {
            claim: &claim,
            most,
        };
        let mut session = self.shared.db.claim().await?;
        let claimed = within(gates::claim(session.conn(), &ask, &mut memory.sweep)).await;
        memory.all_seen_at = Instant::now();
        session.end(claimed)
    }

    /// How jobs are claimed now: by the configuration, and by what the last look at the queue found.
    fn manner(&self, config: &Config) -> Manner<'_> {
        if self.work.looks_closely() {
            return Manner::Gated;
        }
        Manner::of(config, &self.queue, &self.kinds)
    }

    fn as_claim<'a>(&'a self, kinds: &'a [String], ttl: Duration) -> Claim<'a> {
        Claim {
            queue: &self.queue,
            worker: self.worker,
            ttl_seconds: ttl.as_secs_f64(),
            kinds,
        }
    }

    /// Holds what was claimed for this long. An answer that comes when its leases are as good as over is worth nothing.
    async fn hold_all(
        &self,
        rows: Vec<ClaimedRow>,
        claimed_at: Instant,
        ttl: Duration,
    ) -> Vec<ClaimedJob> {
        self.count(&rows);
        let jobs: Vec<ClaimedJob> = rows
            .into_iter()
            .map(|row| self.hold(row, claimed_at, ttl))
            .collect();
        if claimed_at.elapsed() < longest_silence(ttl) {
            return jobs;
        }
        tracing::warn!(queue.name = %self.queue, jobs = jobs.len(), "a claim was answered too late; its jobs are handed back");
        self.hand_back(jobs).await;
        Vec::new()
    }

    fn count(&self, rows: &[ClaimedRow]) {
        let mut waited: HashMap<&str, Vec<Duration>> = HashMap::new();
        for row in rows {
            let wait = (row.claimed_at - row.run_at).to_std().unwrap_or_default();
            waited.entry(&row.kind).or_default().push(wait);
        }
        for (kind, waited) in waited {
            metrics::claimed(&self.queue, kind, &waited);
        }
    }

    fn hold(&self, row: ClaimedRow, claimed_at: Instant, ttl: Duration) -> ClaimedJob {
        let recorded = Arc::new(std::sync::Mutex::new(Recorded::default()));
        let job = ClaimedJob {
            row,
            stop: Arc::new(Stop::default()),
            recorded,
        };
        self.leases.hold(&self.queue, &job, claimed_at, ttl);
        job
    }

    /// Puts jobs of one batched kind and key together, no more than a call may get; the others stay alone. The claim's
    /// order is kept.
    fn together(&self, jobs: Vec<ClaimedJob>) -> Vec<Vec<ClaimedJob>> {
        let mut units: Vec<Vec<ClaimedJob>> = Vec::new();
        let mut places: HashMap<(String, Option<String>), usize> = HashMap::new();
        for job in jobs {
            let most = self.most_together(&job);
            if most == 1 {
                units.push(vec![job]);
                continue;
            }
            let place = places
                .entry((job.row.kind.clone(), job.row.key.clone()))
                .or_insert(units.len());
            if units.get(*place).is_some_and(|unit| unit.len() >= most) {
                *place = units.len();
            }
            match units.get_mut(*place) {
                Some(unit) => unit.push(job),
                None => units.push(vec![job]),
            }
        }
        units
    }

    /// Most jobs that a call with this one may get.
    fn most_together(&self, job: &ClaimedJob) -> usize {
        if job.runs_alone() {
            return 1;
        }
        self.batched.get(&job.row.kind).copied().unwrap_or(1)
    }

    /// Claims the mates of a batched kind's jobs before anything else is claimed, so that they come together.
    async fn complete(&self, jobs: &mut Vec<ClaimedJob>) {
        let Some(first) = jobs.first() else { return };
        let room = self.most_together(first).saturating_sub(jobs.len());
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
        let config = self.shared.config();
        let ttl = config.lease.ttl;
        let claim = self.as_claim(&self.kinds, ttl);
        let mut session = self.shared.db.claim().await?;
        let (kind, key) = (first.kind.as_str(), first.key.as_deref());
        let is_plain = match self.manner(&config) {
            Manner::Plain { strays, .. } => !strays.contains(&first.kind),
            Manner::Gated => false,
        };
        let rows = if is_plain {
            let most = i64::try_from(most).unwrap_or(0);
            within(claim::mates(session.conn(), &claim, kind, key, most)).await
        } else if let Some(key) = key {
            let ask = Ask {
                claim: &claim,
                most,
            };
            within(gates::mates(session.conn(), &ask, (kind, key))).await
        } else {
            // Where limits are to be kept, jobs without a key come together only as they are claimed.
            Ok(Vec::new())
        };
        Ok(self.hold_all(session.end(rows)?, claimed_at, ttl).await)
    }

    /// Gives back jobs that were claimed but never started; those that somebody asked to stop meanwhile end. Where that
    /// fails their leases run out.
    pub(crate) async fn hand_back(&self, mut jobs: Vec<ClaimedJob>) {
        if jobs.is_empty() {
            return;
        }
        jobs.sort_unstable_by_key(|job| job.row.id);
        for job in &jobs {
            self.leases.release(job.row.id, job.row.token);
        }
        let handed_back = async {
            let mut session = self.shared.db.engine().await?;
            let done = within(self.unclaim(session.conn(), &jobs)).await;
            session.end(done)
        };
        match handed_back.await {
            Ok(cancelled) => {
                for job in jobs.iter().filter(|job| cancelled.contains(&job.row.id)) {
                    let labels = AttemptLabels {
                        queue: &self.queue,
                        kind: &job.row.kind,
                        outcome: AttemptOutcome::Cancelled,
                        class: None,
                    };
                    metrics::attempt_settled(labels);
                }
            }
            Err(error) => {
                tracing::warn!(queue.name = %self.queue, jobs = jobs.len(), error = %error_chain(&error),
                    "unstarted jobs could not be handed back; they will be rescued");
            }
        }
    }

    /// Tells which jobs ended as cancelled. Those that are fenced off match no row, neither here nor there.
    async fn unclaim(
        &self,
        conn: &mut PgConnection,
        jobs: &[ClaimedJob],
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        let (ids, tokens): (Vec<Uuid>, Vec<Uuid>) =
            jobs.iter().map(|job| (job.row.id, job.row.token)).unzip();
        let back = settle::unclaim(&mut *conn, &self.queue, &ids, &tokens).await?;
        let mut cancelled = Ended::default();
        let config = self.shared.config();
        for row in jobs.iter().map(|job| &job.row) {
            if !back.contains(&row.id) {
                // Else it is found out by looking.
                let wiped = config.policy(&row.kind).encrypt.then_some(true);
                cancelled.push_cancelled(row.id, row.token, None, wiped);
            }
        }
        if cancelled.ids.is_empty() {
            return Ok(Vec::new());
        }
        let results = vec![None; cancelled.ids.len()];
        settle::finish(&mut *conn, &self.queue, &cancelled, &results).await
    }
}
