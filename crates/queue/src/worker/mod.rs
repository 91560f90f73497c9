//! The workers of a process: a crew for the queues it works on, and what they share: the lease keeper, the pulse, the
//! doorbell, the sign of life. Started together, drained together, in the order that loses nothing.

mod attempt;
mod claimed;
mod crew;
mod feeder;
mod fingerprint;
mod lease;
pub(crate) mod pulse;
pub(crate) mod rescuer;
mod runtime;
mod settler;
mod slots;
mod sweeper;
mod threads;
mod verdict;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinSet;
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
use claimed::StopReason;
use crew::{Crew, Signals, Tasks, slots_wanted};
use lease::{LeaseKeeper, Leases};
use pulse::Pulse;

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
    keeper: LeaseKeeper,
    signals: Signals,
    tasks: Arc<Mutex<Tasks>>,
    background: JoinSet<()>,
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
        check_queues(&shared, settings.queues.as_deref())?;
        let no_thread = |error: std::io::Error| {
            AdminError::invalid("", format!("the machine gives no thread: {error}"))
        };
        // From before the crew is made: no change falls between.
        let changes = shared.live.changes();
        let leases = Arc::new(Leases::default());
        let keeper = LeaseKeeper::start(shared.db.clone(), Arc::clone(&leases), changes.clone())
            .map_err(no_thread)?;
        let crew = Crew {
            registry: Arc::new(registry),
            app,
            worker: Uuid::new_v4(),
            asked: settings.queues.clone(),
            leases,
            soon: Arc::default(),
            sweeper: Arc::default(),
            board: Arc::default(),
            signals: Signals::default(),
            tasks: Arc::default(),
            stations: Mutex::default(),
            shared,
        };
        if let Err(error) = crew.fit(&crew.shared.config()) {
            keeper.stop().await;
            return Err(no_thread(error));
        }
        let mut workers = Self {
            shared: Arc::clone(&crew.shared),
            keeper,
            signals: crew.signals.clone(),
            tasks: Arc::clone(&crew.tasks),
            background: JoinSet::new(),
        };
        workers.start_background(&settings, &crew);
        workers.background.spawn(crew.follow(changes));
        Ok(workers)
    }

    fn start_background<A: Send + Sync + 'static>(
        &mut self,
        settings: &WorkerSettings,
        crew: &Crew<A>,
    ) {
        let pulse = Pulse {
            shared: Arc::clone(&self.shared),
            board: Arc::clone(&crew.board),
            soon: Arc::clone(&crew.soon),
            stop: self.signals.stop.clone(),
        };
        self.background.spawn(pulse.run());
        let (sweeper, db, stop) = (
            Arc::clone(&crew.sweeper),
            self.shared.db.clone(),
            self.signals.give_up.clone(),
        );
        self.background
            .spawn(async move { sweeper.run(&db, stop).await });
        let row = WorkerRow {
            id: crew.worker,
            host: host_name(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            version: settings.version.clone(),
            roles: settings.roles.clone(),
            kinds: crew
                .registry
                .kinds()
                .map(|kind| kind.name.to_string())
                .collect(),
            slots: serde_json::Value::Null,
            config_revision: None,
        };
        self.background.spawn(show_life(
            Arc::clone(&self.shared),
            row,
            crew.asked.clone(),
            self.signals.give_up.clone(),
        ));
        let (shared, leases) = (Arc::clone(&self.shared), Arc::clone(&crew.leases));
        let hear = move |heard| match heard {
            Heard::Work(queue) => shared.bell.wake(&queue),
            Heard::Cancel(id) => leases.stop(id, StopReason::Cancelled),
            Heard::Config => shared.live.news.ring(),
        };
        self.background.spawn(doorbell::listen(
            self.shared.db.clone(),
            self.signals.give_up.clone(),
            hear,
        ));
    }

    /// Stops working: claims nothing more, lets attempts run for as long as `[worker] drain` says, hands back what has
    /// not ended by then without using up an attempt, settles all that ended.
    pub async fn drain(mut self) {
        self.signals.stop.cancel();
        let Tasks {
            mut feeders,
            mut runtimes,
            mut settlers,
        } = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        join(&mut feeders).await;
        let drain = self.shared.config().worker.drain;
        if tokio::time::timeout(drain, join(&mut runtimes))
            .await
            .is_err()
        {
            tracing::warn!("attempts did not end in time; their jobs are handed back");
            self.signals.interrupt.cancel();
            if tokio::time::timeout(SETTLE, join(&mut runtimes))
                .await
                .is_err()
            {
                tracing::error!("the runtime did not stop in time; its jobs will be rescued");
                runtimes.abort_all();
            }
        }
        if tokio::time::timeout(SETTLE, join(&mut settlers))
            .await
            .is_err()
        {
            tracing::error!("outcomes were not settled in time; their jobs will be rescued");
        }
        let given_back = self.shared.budgets.give_back();
        if tokio::time::timeout(LAST, given_back).await.is_err() {
            tracing::warn!(
                "calls that were leased and not made count as made: they could not be given back"
            );
        }
        self.signals.give_up.cancel();
        for tasks in [&mut settlers, &mut self.background] {
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

fn check_queues(shared: &Shared, asked: Option<&[String]>) -> Result<(), AdminError> {
    let config = shared.config();
    let known = &config.queues;
    for name in asked.into_iter().flatten() {
        if !known.contains_key(name) {
            let names = known.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(AdminError::invalid(
                "queues",
                format!("has \"{name}\", but there are only {names}"),
            ));
        }
    }
    Ok(())
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

/// Says that this process is there and what it goes by, several times within a lease's time and after each change, and
/// takes it out of the list at the end.
async fn show_life(
    shared: Arc<Shared>,
    mut row: WorkerRow,
    asked: Option<Vec<String>>,
    stop: CancellationToken,
) {
    let mut changes = shared.live.changes();
    loop {
        let in_force = Arc::clone(&changes.borrow_and_update());
        let slots = slots_wanted(&in_force.config, asked.as_deref()).into_iter();
        row.slots =
            serde_json::Value::Object(slots.map(|(queue, slots)| (queue, slots.into())).collect());
        row.config_revision = in_force.revision;
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
        let every = in_force.config.lease.ttl / SIGNS;
        let wait = match shown {
            Ok(()) => every,
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "the worker could not say that it is there");
                every.min(Duration::from_secs(2))
            }
        };
        // All are cancel-safe. The sender lives as long as what this task shares with it.
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = changes.changed() => {}
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
