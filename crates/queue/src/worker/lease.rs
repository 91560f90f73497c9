//! The lease keeper: renews what runs, on a thread, a runtime and connections of its own, so that neither a busy
//! engine nor a handler that blocks its thread can starve it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use sqlx::{PgPool, types::Json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::claimed::{ClaimedJob, Stop, StopReason};
use crate::{
    config,
    db::{Database, DatabaseError, Session, within},
    error_chain,
    handler::Recorded,
    metrics,
    store::lease::{self, Renewals},
};

/// Running jobs younger than this are not asked about: most end before anybody could cancel them.
const CANCELLABLE_AFTER: Duration = Duration::from_secs(1);
/// Most leases renewed in one statement.
const PORTION: usize = 1_000;

#[derive(Debug)]
struct Held {
    queue: Arc<str>,
    token: Uuid,
    since: Instant,
    /// From before the claim or renewal was sent: the database's expiry is later than this plus the ttl.
    renewed_at: Instant,
    stop: Arc<Stop>,
    recorded: Arc<Mutex<Recorded>>,
}

/// A lease to be renewed: the job, its token, its progress.
type Due = (Uuid, Uuid, Option<serde_json::Value>);

/// The leases that this process holds.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<Uuid, Held>>,
}

impl Leases {
    pub(crate) fn hold(&self, queue: &Arc<str>, job: &ClaimedJob, claimed_at: Instant) {
        let held = Held {
            queue: Arc::clone(queue),
            token: job.row.token,
            since: claimed_at,
            renewed_at: claimed_at,
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

    fn due(&self, renew_every: Duration) -> BTreeMap<Arc<str>, Vec<Due>> {
        let mut due: BTreeMap<Arc<str>, Vec<Due>> = BTreeMap::new();
        for (id, lease) in &*self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            let mut recorded = lease
                .recorded
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if lease.renewed_at.elapsed() < renew_every && !recorded.progress_is_new {
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

    fn renewed(&self, id: Uuid, token: Uuid, at: Instant) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = held.get_mut(&id).filter(|lease| lease.token == token) {
            lease.renewed_at = at;
        }
    }

    fn cancellable(&self) -> Vec<Uuid> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = held.iter().filter(|(_, lease)| {
            lease.since.elapsed() >= CANCELLABLE_AFTER && lease.stop.reason().is_none()
        });
        asked.map(|(id, _)| *id).take(PORTION).collect()
    }

    /// Stops attempts whose lease was not renewed for so long: another process may claim their jobs soon.
    fn stop_overdue(&self, longest: Duration) {
        for (id, lease) in &*self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            if lease.renewed_at.elapsed() >= longest && lease.stop.reason().is_none() {
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
    pub(crate) fn start(
        db: Database,
        leases: Arc<Leases>,
        config: config::Lease,
    ) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("lease-keeper".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(keep(&db, &leases, &config, &stopped)),
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

async fn keep(db: &Database, leases: &Leases, config: &config::Lease, stop: &CancellationToken) {
    // Two connections: a renewal never waits for a question about cancellations.
    let pool = db.separate_pool(2);
    let tick = (config.renew_every / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
    loop {
        tokio::select! {
            () = tokio::time::sleep(tick) => {}
            () = stop.cancelled() => break,
        }
        if let Err(error) = renew(&pool, leases, config).await {
            tracing::warn!(error = %error_chain(&error), "leases could not be renewed; trying again");
        }
        leases.stop_overdue(config.ttl.mul_f64(5.0 / 6.0));
        if let Err(error) = hear_cancellations(&pool, leases).await {
            tracing::debug!(error = %error_chain(&error), "cancellations could not be read; trying again");
        }
    }
    pool.close().await;
}

async fn renew(
    pool: &PgPool,
    leases: &Leases,
    config: &config::Lease,
) -> Result<(), DatabaseError> {
    for (queue, mut due) in leases.due(config.renew_every) {
        // Rows are locked in the order of ids everywhere, so that two statements never wait for each other.
        due.sort_unstable_by_key(|(id, ..)| *id);
        for portion in due.chunks(PORTION) {
            let mut renewals = Renewals::default();
            for (id, token, progress) in portion {
                renewals.ids.push(*id);
                renewals.tokens.push(*token);
                renewals.progress.push(progress.clone().map(Json));
            }
            let asked_at = Instant::now();
            let mut session = Session::open(pool).await?;
            let renewed = within(lease::renew(
                session.conn(),
                &queue,
                &renewals,
                config.ttl.as_secs_f64(),
            ))
            .await;
            let renewed = session.end(renewed)?;
            for lease in &renewed {
                leases.renewed(lease.id, lease.token, asked_at);
                if lease.cancel_requested {
                    leases.stop(lease.id, StopReason::Cancelled);
                }
            }
            let kept: std::collections::HashSet<Uuid> =
                renewed.iter().map(|lease| lease.token).collect();
            let lost: Vec<_> = portion
                .iter()
                .filter(|(_, token, _)| !kept.contains(token))
                .collect();
            if !lost.is_empty() {
                lose(
                    leases,
                    &lost
                        .iter()
                        .map(|(id, token, _)| (*id, *token))
                        .collect::<Vec<_>>(),
                );
            }
        }
    }
    Ok(())
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

async fn hear_cancellations(pool: &PgPool, leases: &Leases) -> Result<(), DatabaseError> {
    let ids = leases.cancellable();
    if ids.is_empty() {
        return Ok(());
    }
    let mut session = Session::open(pool).await?;
    let cancelled = within(lease::cancelled_among(session.conn(), &ids)).await;
    for id in session.end(cancelled)? {
        leases.stop(id, StopReason::Cancelled);
    }
    Ok(())
}
