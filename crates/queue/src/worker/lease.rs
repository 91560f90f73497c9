//! The lease keeper: renews what runs, on a thread, a runtime and connections of its own, so that neither a busy
//! engine nor a handler that blocks its thread can starve it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use sqlx::types::Json;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::claimed::{ClaimedJob, Stop, StopReason};
use crate::{
    config,
    db::{Database, DatabaseError, Pool, Session, within},
    error_chain,
    handler::Recorded,
    live::InForce,
    metrics,
    store::lease::{self, Renewals, Renewed},
};

/// Running jobs younger than this are not asked about: most end before anybody could cancel them.
const CANCELLABLE_AFTER: Duration = Duration::from_secs(1);
/// Most leases renewed or asked about in one statement.
const PORTION: usize = 1_000;
/// Longest that closing the connections may take.
const CLOSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Held {
    queue: Arc<str>,
    token: Uuid,
    since: Instant,
    /// From before the claim or renewal was sent: the database's expiry is later than this plus the ttl.
    renewed_at: Instant,
    /// For how long: `[lease] ttl` as it was then.
    ttl: Duration,
    /// When the attempt must stop where no renewal is answered.
    stops_at: Instant,
    stop: Arc<Stop>,
    recorded: Arc<Mutex<Recorded>>,
}

/// Where `[lease]` is read as it holds now.
type Terms = Receiver<Arc<InForce>>;

/// A lease to be renewed: the job, its token, its progress.
type Due = (Uuid, Uuid, Option<serde_json::Value>);

/// The leases that this process holds.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<Uuid, Held>>,
}

impl Leases {
    pub(crate) fn hold(
        &self,
        queue: &Arc<str>,
        job: &ClaimedJob,
        claimed_at: Instant,
        ttl: Duration,
    ) {
        let held = Held {
            queue: Arc::clone(queue),
            token: job.row.token,
            since: claimed_at,
            renewed_at: claimed_at,
            ttl,
            stops_at: claimed_at + longest_silence(ttl),
            stop: Arc::clone(&job.stop),
            recorded: Arc::clone(&job.recorded),
        };
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(job.row.id, held);
    }

    /// Lets go of a lease; one that was claimed anew meanwhile stays.
    pub(crate) fn release(&self, id: Uuid, token: Uuid) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(&id).is_some_and(|lease| lease.token == token) {
            held.remove(&id);
        }
    }

    /// Tells a running attempt to stop, if it runs here.
    pub(crate) fn stop(&self, id: Uuid, reason: StopReason) {
        if let Some(lease) = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
        {
            lease.stop.stop(reason);
        }
    }

    /// What is to be renewed: what is old enough, what has progress to tell, and all whose time is another one now.
    fn due(&self, config: &config::Lease) -> BTreeMap<Arc<str>, Vec<Due>> {
        let mut due: BTreeMap<Arc<str>, Vec<Due>> = BTreeMap::new();
        for (id, lease) in &*self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            let mut recorded = lease
                .recorded
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let is_fresh =
                lease.ttl == config.ttl && lease.renewed_at.elapsed() < config.renew_every;
            if is_fresh && !recorded.progress_is_new {
                continue;
            }
            recorded.progress_is_new = false;
            due.entry(Arc::clone(&lease.queue)).or_default().push((
                *id,
                lease.token,
                recorded.progress.clone(),
            ));
        }
        due
    }

    fn renewed(&self, id: Uuid, token: Uuid, at: Instant, ttl: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = held.get_mut(&id).filter(|lease| lease.token == token) {
            (lease.renewed_at, lease.ttl) = (at, ttl);
            lease.stops_at = at + longest_silence(ttl);
        }
    }

    /// Leases are about to be renewed for so long: that may shorten them whether or not its answer comes.
    fn asked(&self, portion: &[Due], at: Instant, ttl: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, token, _) in portion {
            if let Some(lease) = held.get_mut(id).filter(|lease| lease.token == *token) {
                lease.stops_at = lease.stops_at.min(at + longest_silence(ttl));
            }
        }
    }

    fn cancellable(&self) -> Vec<Uuid> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = held.iter().filter(|(_, lease)| {
            lease.since.elapsed() >= CANCELLABLE_AFTER && lease.stop.reason().is_none()
        });
        asked.map(|(id, _)| *id).collect()
    }

    /// Stops attempts whose lease was not renewed for too long: another process may claim their jobs soon.
    fn stop_overdue(&self) {
        for (id, lease) in &*self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            if Instant::now() >= lease.stops_at && lease.stop.reason().is_none() {
                tracing::warn!(job.id = %id, "the lease could not be renewed in time; the attempt is stopped");
                lease.stop.stop(StopReason::LeaseLost);
            }
        }
    }
}

/// The thread that renews.
#[derive(Debug)]
pub(crate) struct LeaseKeeper {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl LeaseKeeper {
    pub(crate) fn start(db: Database, leases: Arc<Leases>, terms: Terms) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("lease-keeper".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => {
                    runtime.block_on(keep(&db, &leases, &terms, &stopped));
                    // Not for ever: a name may be looked up that nobody answers for.
                    runtime.shutdown_timeout(CLOSE);
                }
                Err(error) => tracing::error!(%error, "leases cannot be renewed: no runtime for their thread"),
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread; nothing is renewed after that.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the thread that renews leases panicked");
        }
    }
}

/// How long a lease may go without a renewal before its attempt is stopped, so that it has ended when another begins.
pub(super) fn longest_silence(ttl: Duration) -> Duration {
    ttl.mul_f64(5.0 / 6.0)
}

async fn keep(db: &Database, leases: &Leases, terms: &Terms, stop: &CancellationToken) {
    // Two connections: a renewal never waits for a question about cancellations.
    let pool = db.separate_pool(2);
    // None of these waits for another: attempts are stopped in time whatever the database does. A call that is dropped
    // closes its connection.
    tokio::select! {
        () = keep_renewing(&pool, leases, terms.clone()) => {}
        () = keep_watching(leases, terms.clone()) => {}
        () = keep_hearing(&pool, leases, terms.clone()) => {}
        () = stop.cancelled() => {}
    }
    if tokio::time::timeout(CLOSE, pool.close()).await.is_err() {
        tracing::debug!("connections of the lease keeper were still open when it ended");
    }
}

/// How often leases and cancellations are looked at.
fn tick(config: &config::Lease) -> Duration {
    (config.renew_every / 4).clamp(Duration::from_millis(50), Duration::from_secs(1))
}

/// `[lease]` as it holds now.
fn lease_of(terms: &Terms) -> config::Lease {
    terms.borrow().config.lease.clone()
}

/// Waits for so long, or until something of the configuration changes.
async fn pause(terms: &mut Terms, time: Duration) {
    // The sender may be gone while the process ends: then the time alone counts.
    let changed = async {
        if terms.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    // Both are cancel-safe.
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = changed => {}
    }
}

async fn keep_renewing(pool: &Pool, leases: &Leases, mut terms: Terms) {
    loop {
        let often = tick(&lease_of(&terms));
        pause(&mut terms, often).await;
        renew(pool, leases, &lease_of(&terms)).await;
    }
}

async fn keep_watching(leases: &Leases, mut terms: Terms) {
    loop {
        let often = (lease_of(&terms).ttl / 60).min(Duration::from_secs(1));
        pause(&mut terms, often).await;
        leases.stop_overdue();
    }
}

async fn keep_hearing(pool: &Pool, leases: &Leases, terms: Terms) {
    loop {
        tokio::time::sleep(tick(&lease_of(&terms))).await;
        if let Err(error) = hear_cancellations(pool, leases).await {
            tracing::debug!(error = %error_chain(&error), "cancellations could not be read; trying again");
        }
    }
}

/// Renews what is due, in portions that fail each for itself.
async fn renew(pool: &Pool, leases: &Leases, config: &config::Lease) {
    for (queue, mut due) in leases.due(config) {
        // In the order of ids, as all who change many rows ask for them: a circle of waits is rare.
        due.sort_unstable_by_key(|(id, ..)| *id);
        for portion in due.chunks(PORTION) {
            let asked_at = Instant::now();
            leases.asked(portion, asked_at, config.ttl);
            match renew_portion(pool, &queue, portion, config.ttl).await {
                Ok(renewed) => heed(leases, portion, &renewed, (asked_at, config.ttl)),
                Err(error) => {
                    tracing::warn!(queue.name = %queue, leases = portion.len(), error = %error_chain(&error),
                        "leases could not be renewed; trying again");
                }
            }
        }
    }
}

/// Renews once more where somebody was in the way, and without progress where that is what the database refuses: no
/// attempt's words may cost another its lease.
async fn renew_portion(
    pool: &Pool,
    queue: &str,
    portion: &[Due],
    ttl: Duration,
) -> Result<Vec<Renewed>, DatabaseError> {
    let mut renewals = Renewals::default();
    for (id, token, progress) in portion {
        renewals.ids.push(*id);
        renewals.tokens.push(*token);
        renewals.progress.push(progress.clone().map(Json));
    }
    match ask(pool, queue, &renewals, ttl).await {
        Err(DatabaseError::Busy(_)) => {}
        Err(DatabaseError::Refused(error)) => {
            tracing::error!(queue.name = %queue, error = %error_chain(&error),
                "the progress of an attempt cannot be stored; leases are renewed without any");
            renewals.progress.fill(None);
        }
        answered => return answered,
    }
    ask(pool, queue, &renewals, ttl).await
}

async fn ask(
    pool: &Pool,
    queue: &str,
    renewals: &Renewals,
    ttl: Duration,
) -> Result<Vec<Renewed>, DatabaseError> {
    let asked = async {
        let mut session = Session::open(pool).await?;
        let ttl_seconds = ttl.as_secs_f64();
        let renewed = within(lease::renew(session.conn(), queue, renewals, ttl_seconds)).await;
        session.end(renewed)
    };
    // Well within the lease, so that a connection that says nothing leaves time to try another.
    tokio::time::timeout(ttl / 3, asked)
        .await
        .unwrap_or(Err(DatabaseError::TimedOut))
}

/// Does what the answer to a renewal says: some leases are good for longer, some jobs are cancelled, some leases lost.
fn heed(
    leases: &Leases,
    portion: &[Due],
    renewed: &[Renewed],
    (asked_at, ttl): (Instant, Duration),
) {
    for lease in renewed {
        leases.renewed(lease.id, lease.token, asked_at, ttl);
        if lease.cancel_requested {
            leases.stop(lease.id, StopReason::Cancelled);
        }
    }
    let kept: HashSet<(Uuid, Uuid)> = renewed
        .iter()
        .map(|lease| (lease.id, lease.token))
        .collect();
    let lost: Vec<(Uuid, Uuid)> = portion
        .iter()
        .map(|(id, token, _)| (*id, *token))
        .filter(|lease| !kept.contains(lease))
        .collect();
    lose(leases, &lost);
}

/// Stops attempts whose renewal matched no row, unless they were settled while it was under way.
fn lose(leases: &Leases, lost: &[(Uuid, Uuid)]) {
    let held = leases.held.lock().unwrap_or_else(PoisonError::into_inner);
    let mut fenced = 0;
    for (id, token) in lost {
        if let Some(lease) = held.get(id).filter(|lease| lease.token == *token) {
            lease.stop.stop(StopReason::LeaseLost);
            fenced += 1;
        }
    }
    if fenced > 0 {
        metrics::fenced("renew", fenced);
    }
}

async fn hear_cancellations(pool: &Pool, leases: &Leases) -> Result<(), DatabaseError> {
    for ids in leases.cancellable().chunks(PORTION) {
        let mut session = Session::open(pool).await?;
        let cancelled = within(lease::cancelled_among(session.conn(), ids)).await;
        for id in session.end(cancelled)? {
            leases.stop(id, StopReason::Cancelled);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
