//! What every handler needs, and the settings of the API.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use leaky_bucket::RateLimiter;
use marketing::{accounts::Accounts, outbound::Outbound, sync::Syncs};
use metrics_exporter_prometheus::PrometheusHandle;
use queue::Queue;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    auth::limits::{KeyRates, WrongKeys},
    body::{BodyRoom, Pace},
    error::ApiError,
    metrics,
};

/// Requests at work at once, unless set otherwise.
const IN_FLIGHT: usize = 1_024;
/// Room for the bodies of all requests together, or for so many of the largest where that is more.
const BODY_ROOM_BYTES: usize = 64 << 20;
const LARGEST_BODIES: usize = 4;
/// Wrong keys a minute from one address, unless set otherwise.
const WRONG_KEYS_A_MINUTE: u32 = 100;
/// When those may return who came while all places were taken.
const OVERLOADED_RETRY: Duration = Duration::from_secs(1);

/// How the API behaves. [`ApiSettings::new`] has sensible values for all but the version.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// This release, as in `Cargo.toml`.
    pub version: &'static str,
    /// The commit it was built from.
    pub commit: &'static str,
    /// Cancelled when the process has begun its work, its kinds known to the database: until then `/readyz` fails. Of the
    /// settings of an ordinary process it is cancelled already.
    pub started: CancellationToken,
    /// Cancelled when the process begins to stop: `/readyz` fails from then on, everything else goes on.
    pub stopping: CancellationToken,
    /// Requests with a key that are at work at once: those beyond get 503. Bodies that still arrive do not count.
    pub in_flight: usize,
    /// How fast bodies must arrive.
    pub body_pace: Pace,
    /// Wrong keys a minute from one address that are answered with 401; those beyond get 429.
    pub wrong_keys_a_minute: u32,
}

impl ApiSettings {
    /// The settings of an ordinary process.
    #[must_use]
    pub fn new(version: &'static str, commit: &'static str, stopping: CancellationToken) -> Self {
        let started = CancellationToken::new();
        started.cancel();
        Self {
            version,
            commit,
            started,
            stopping,
            in_flight: IN_FLIGHT,
            body_pace: Pace::default(),
            wrong_keys_a_minute: WRONG_KEYS_A_MINUTE,
        }
    }
}

/// What every handler needs; cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>);

struct Inner {
    queue: Queue,
    accounts: Accounts,
    syncs: Syncs,
    outbound: Outbound,
    prometheus: PrometheusHandle,
    settings: ApiSettings,
    key_rates: KeyRates,
    wrong_keys: WrongKeys,
    in_flight: Arc<Semaphore>,
    body_room: BodyRoom,
    /// What goes on to its end though its request is gone.
    unbroken: TaskTracker,
    outage_log: RateLimiter,
    openapi: OnceLock<Bytes>,
}

impl ApiState {
    /// Made once per process; also sets `millpond_build_info`.
    #[must_use]
    pub fn new(
        queue: Queue,
        accounts: Accounts,
        prometheus: PrometheusHandle,
        settings: ApiSettings,
    ) -> Self {
        metrics::build_info(settings.version, settings.commit);
        let largest_bodies = LARGEST_BODIES.saturating_mul(queue.config().http.max_body_bytes);
        Self(Arc::new(Inner {
            syncs: Syncs::new(queue.clone()),
            outbound: Outbound::new(&accounts),
            queue,
            accounts,
            prometheus,
            key_rates: KeyRates::default(),
            wrong_keys: WrongKeys::new(settings.wrong_keys_a_minute),
            in_flight: Arc::new(Semaphore::new(settings.in_flight)),
            body_room: BodyRoom::new(BODY_ROOM_BYTES.max(largest_bodies)),
            unbroken: TaskTracker::new(),
            // A database that is away fails every request: one line a second tells as much as thousands.
            outage_log: RateLimiter::builder()
                .max(1)
                .initial(1)
                .interval(Duration::from_secs(1))
                .build(),
            openapi: OnceLock::new(),
            settings,
        }))
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.0.queue
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    pub(crate) fn syncs(&self) -> &Syncs {
        &self.0.syncs
    }

    pub(crate) fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    pub(crate) fn prometheus(&self) -> &PrometheusHandle {
        &self.0.prometheus
    }

    pub(crate) fn settings(&self) -> &ApiSettings {
        &self.0.settings
    }

    pub(crate) fn key_rates(&self) -> &KeyRates {
        &self.0.key_rates
    }

    pub(crate) fn wrong_keys(&self) -> &WrongKeys {
        &self.0.wrong_keys
    }

    /// A place among the requests at work, held for as long as the permit.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.0.in_flight)
            .try_acquire_owned()
            .map_err(|_| ApiError::Overloaded {
                retry_after: OVERLOADED_RETRY,
            })
    }

    /// Waits for what outlives its requests, for so long at most. To be called when no request is taken any more.
    pub async fn finish(&self, longest: Duration) {
        self.0.unbroken.close();
        if timeout(longest, self.0.unbroken.wait()).await.is_err() {
            tracing::warn!(
                "something that outlives its request was still under way when the process ended"
            );
        }
    }

    /// Does something to its end, also where whoever asked for it leaves: the server drops the handler then, and with it
    /// what a platform gives once. Has what it waits for end in time by itself.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let working = self.0.unbroken.spawn(work.in_current_span());
        working.await.map_err(|_| ApiError::Panicked)
    }

    /// Room for the bodies of requests.
    pub(crate) fn body_room(&self) -> &BodyRoom {
        &self.0.body_room
    }

    /// Whether an outage may be logged once more.
    pub(crate) fn may_log_outage(&self) -> bool {
        self.0.outage_log.try_acquire(1)
    }

    /// `openapi.json`, written when the router was made.
    pub(crate) fn openapi(&self) -> Bytes {
        self.0.openapi.get().cloned().unwrap_or_default()
    }

    /// Keeps what the router wrote; the first one stays, and later ones are equal.
    pub(crate) fn keep_openapi(&self, document: Bytes) {
        self.0.openapi.get_or_init(|| document);
    }
}
