//! The workers of a process: one for each queue it works on, and what they share: the lease keeper, the pulse, the
//! doorbell, the sign of life. Started together, drained together, in the order that loses nothing.

mod attempt;
mod claimed;
mod feeder;
mod fingerprint;
mod lease;
pub(crate) mod pulse;
pub(crate) mod rescuer;
mod runtime;
mod settler;
mod sweeper;
mod threads;
mod verdict;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use runtime::{JobStorage, StorageError};

use crate::{
    Queue,
    admin::AdminError,
    client::Shared,
    db::within,
    doorbell::{self, Heard},
    error_chain,
    handler::Registry,
    store::workers::{self, WorkerRow},
};
use attempt::Runner;
use claimed::StopReason;
use feeder::Feeder;
use lease::{LeaseKeeper, Leases};
use pulse::{Pulse, Slots};
use settler::Settler;
use sweeper::Sweeper;
use threads::HandlerThreads;

/// Units on their way from the feeder to the runtime, for each queue.
const HANDED_OVER: usize = 500;
/// Outcomes that may wait to be settled, for each queue.
const UNSETTLED: usize = 1_024;
/// How long settling may take after the last attempt ended.
const SETTLE: Duration = Duration::from_secs(10);
/// How long each sort of task may take to end that nobody waits for any longer.
const LAST: Duration = Duration::from_secs(5);
/// Signs of life for each lease's time.
const SIGNS: u32 = 3;

/// What a process says of its workers.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The queues to work on; `None`: all.
    pub queues: Option<Vec<String>>,
    /// The roles of the process.
    pub roles: Vec<String>,
    /// The release.
    pub version: String,
}

/// The running workers of this process.
pub struct Workers {
    shared: Arc<Shared>,
    id: Uuid,
    keeper: LeaseKeeper,
    /// Cancelled first: nothing more is claimed.
    stop: CancellationToken,
    /// Cancelled when attempts may not run any longer.
    interrupt: CancellationToken,
    /// Cancelled when settling may not take any longer.
    give_up: CancellationToken,
    slots: Vec<Slots>,
    sweeper: Arc<Sweeper>,
    background: JoinSet<()>,
    feeders: JoinSet<()>,
    runtimes: JoinSet<()>,
    settlers: JoinSet<()>,
}

impl Workers {
    /// Starts working.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a queue that `jobs.toml` does not have, or when the machine gives no thread.
    pub async fn start<A: Send + Sync + 'static>(
        queue: Queue,
        registry: Registry<A>,
        app: Arc<A>,
        settings: WorkerSettings,
    ) -> Result<Self, AdminError> {
        let shared = Arc::clone(&queue.shared);
        let names = queue_names(&shared, settings.queues.clone())?;
        let no_thread = |error: std::io::Error| {
            AdminError::invalid("", format!("the machine gives no thread: {error}"))
        };
        let threads = names
            .iter()
            .map(|name| HandlerThreads::start(name, concurrency(&shared, name)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(no_thread)?;
        let leases = Arc::new(Leases::default());
        let keeper = LeaseKeeper::start(
            shared.db.clone(),
            Arc::clone(&leases),
            shared.config.lease.clone(),
        )
        .map_err(no_thread)?;
        let mut workers = Self {
            id: Uuid::new_v4(),
            keeper,
            stop: CancellationToken::new(),
            interrupt: CancellationToken::new(),
            give_up: CancellationToken::new(),
            slots: Vec::new(),
            sweeper: Arc::default(),
            background: JoinSet::new(),
            feeders: JoinSet::new(),
            runtimes: JoinSet::new(),
            settlers: JoinSet::new(),
            shared,
        };
        let registry = Arc::new(registry);
        let soon = Arc::new(Notify::new());
        for (name, threads) in names.iter().zip(threads) {
            workers.start_queue(
                (name.as_str(), threads),
                (&registry, &app),
                (&leases, &soon),
            );
        }
        workers.start_background(&settings, &names, &registry, (leases, soon));
        Ok(workers)
    }

    fn start_queue<A: Send + Sync + 'static>(
        &mut self,
        (name, threads): (&str, HandlerThreads),
        (registry, app): (&Arc<Registry<A>>, &Arc<A>),
        (leases, soon): (&Arc<Leases>, &Arc<Notify>),
    ) {
        let name: Arc<str> = name.into();
        let concurrency = concurrency(&self.shared, &name);
        let batched = registry
            .kinds()
            .filter_map(|kind| Some((kind.name.to_string(), kind.batch?.0)));
        let feeder = Arc::new(Feeder {
            queue: Arc::clone(&name),
            worker: self.id,
            shared: Arc::clone(&self.shared),
            leases: Arc::clone(leases),
            kinds: registry.kinds().map(|kind| kind.name.to_string()).collect(),
            batched: batched.collect(),
            slots: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            work: self.shared.bell.waiter(&name),
            stop: self.stop.clone(),
        });
        let settler = Settler {
            queue: Arc::clone(&name),
            shared: Arc::clone(&self.shared),
            leases: Arc::clone(leases),
            give_up: self.give_up.clone(),
            waits: Arc::clone(soon),
            sweeper: Arc::clone(&self.sweeper),
        };
        let runner = Arc::new(Runner {
            shared: Arc::clone(&self.shared),
            registry: Arc::clone(registry),
            app: Arc::clone(app),
            feeder: Arc::clone(&feeder),
            threads,
            interrupt: self.interrupt.clone(),
        });
        self.slots.push(Slots {
            queue: Arc::clone(&name),
            all: concurrency,
            free: Arc::clone(&feeder.slots),
        });
        // Each unit in it holds a slot; the feeder claims on while the runtime takes them.
        let (units, claimed) = mpsc::channel(HANDED_OVER);
        let (outcomes, settled) = mpsc::channel(UNSETTLED);
        self.settlers.spawn(settler.run(settled));
        self.runtimes
            .spawn(runtime::run(&name, runner, claimed, outcomes));
        self.feeders.spawn(feeder.run(units));
    }

    fn start_background<A: Send + Sync + 'static>(
        &mut self,
        settings: &WorkerSettings,
        names: &[String],
        registry: &Registry<A>,
        (leases, soon): (Arc<Leases>, Arc<Notify>),
    ) {
        let pulse = Pulse {
            shared: Arc::clone(&self.shared),
            queues: names.to_vec(),
            slots: std::mem::take(&mut self.slots),
            soon,
            stop: self.stop.clone(),
        };
        self.background.spawn(pulse.run());
        let (sweeper, db, stop) = (
            Arc::clone(&self.sweeper),
            self.shared.db.clone(),
            self.give_up.clone(),
        );
        self.background
            .spawn(async move { sweeper.run(&db, stop).await });
        let slots = names
            .iter()
            .map(|name| (name.clone(), concurrency(&self.shared, name).into()));
        let row = WorkerRow {
            id: self.id,
            host: host_name(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            version: settings.version.clone(),
            roles: settings.roles.clone(),
            kinds: registry.kinds().map(|kind| kind.name.to_string()).collect(),
            slots: serde_json::Value::Object(slots.collect()),
        };
        self.background.spawn(show_life(
            Arc::clone(&self.shared),
            row,
            self.give_up.clone(),
        ));
        let bell = Arc::clone(&self.shared.bell);
        let hear = move |heard| match heard {
            Heard::Work(queue) => bell.wake(&queue),
            Heard::Cancel(id) => leases.stop(id, StopReason::Cancelled),
        };
        self.background.spawn(doorbell::listen(
            self.shared.db.clone(),
            self.give_up.clone(),
            hear,
        ));
    }

    /// Stops working: claims nothing more, lets attempts run for as long as `[worker] drain` says, hands back what has
    /// not ended by then without using up an attempt, settles all that ended.
    pub async fn drain(mut self) {
        self.stop.cancel();
        join(&mut self.feeders).await;
        let drain = self.shared.config.worker.drain;
        if tokio::time::timeout(drain, join(&mut self.runtimes))
            .await
            .is_err()
        {
            tracing::warn!("attempts did not end in time; their jobs are handed back");
            self.interrupt.cancel();
            if tokio::time::timeout(SETTLE, join(&mut self.runtimes))
                .await
                .is_err()
            {
                tracing::error!("the runtime did not stop in time; its jobs will be rescued");
                self.runtimes.abort_all();
            }
        }
        if tokio::time::timeout(SETTLE, join(&mut self.settlers))
            .await
            .is_err()
        {
            tracing::error!("outcomes were not settled in time; their jobs will be rescued");
        }
        self.give_up.cancel();
        for tasks in [&mut self.settlers, &mut self.background] {
            if tokio::time::timeout(LAST, join(tasks)).await.is_err() {
                tracing::warn!("tasks of the engine did not end in time and are aborted");
                tasks.abort_all();
            }
        }
        self.keeper.stop().await;
    }
}

async fn join(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!("a task of the engine panicked: {error}");
        }
    }
}

fn queue_names(shared: &Shared, asked: Option<Vec<String>>) -> Result<Vec<String>, AdminError> {
    let known = &shared.config.queues;
    let Some(asked) = asked else {
        return Ok(known.keys().cloned().collect());
    };
    for name in &asked {
        if !known.contains_key(name) {
            let names = known.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(AdminError::invalid(
                "queues",
                format!("has \"{name}\", but there are only {names}"),
            ));
        }
    }
    Ok(asked)
}

fn concurrency(shared: &Shared, queue: &str) -> usize {
    let concurrency = shared
        .config
        .queues
        .get(queue)
        .map_or(1, |queue| queue.concurrency);
    usize::try_from(concurrency).unwrap_or(1).max(1)
}

/// The machine's name, for people; the worker's identity is random.
fn host_name() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = from_kernel
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let name: String = name
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

/// Says that this process is there, several times within a lease's time, and takes it out of the list at the end.
async fn show_life(shared: Arc<Shared>, row: WorkerRow, stop: CancellationToken) {
    let every = shared.config.lease.ttl / SIGNS;
    loop {
        let shown = async {
            let mut session = shared.db.engine().await?;
            let seen = within(workers::seen(session.conn(), &row)).await;
            session.end(seen)
        };
        // Both are cancel-safe: a sign of life that is dropped closes its connection.
        let shown = tokio::select! {
            shown = shown => shown,
            () = stop.cancelled() => break,
        };
        let wait = match shown {
            Ok(()) => every,
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "the worker could not say that it is there");
                every.min(Duration::from_secs(2))
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => break,
        }
    }
    let gone = async {
        let mut session = shared.db.engine().await?;
        let gone = within(workers::gone(session.conn(), row.id)).await;
        session.end(gone)
    };
    if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(3), gone).await {
        tracing::debug!(error = %error_chain(&error), "the worker could not take itself out of the list");
    }
}
