//! The crew of a process: for each of its queues a feeder, a runtime and a settler. Queues come, go and change their
//! size with the configuration, while everything else runs on.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, watch::Receiver},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    attempt::Runner,
    feeder::Feeder,
    lease::Leases,
    runtime,
    settler::Settler,
    slots::{Board, Slots},
    sweeper::Sweeper,
    threads::QueueThreads,
};
use crate::{client::Shared, config::Config, handler::Registry, live::InForce, metrics};

/// Units on their way from the feeder to the runtime, for each queue.
const HANDED_OVER: usize = 500;
/// Outcomes that may wait to be settled, for each queue.
const UNSETTLED: usize = 1_024;
/// Wait until queues are tried again that the machine gave no thread for.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// What ends the work of a process, in the order in which it is said.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// Nothing more is claimed.
    pub(super) stop: CancellationToken,
    /// Attempts may not run any longer.
    pub(super) interrupt: CancellationToken,
    /// Settling may not take any longer.
    pub(super) give_up: CancellationToken,
}

/// The tasks of all queues, in the order in which they end.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) feeders: JoinSet<()>,
    pub(super) runtimes: JoinSet<()>,
    pub(super) settlers: JoinSet<()>,
}

/// What works on the queues.
pub(super) struct Crew<A> {
    pub(super) shared: Arc<Shared>,
    pub(super) registry: Arc<Registry<A>>,
    pub(super) app: Arc<A>,
    pub(super) worker: Uuid,
    /// The queues to work on; `None`: all.
    pub(super) asked: Option<Vec<String>>,
    pub(super) leases: Arc<Leases>,
    /// Wakes the pulse when a job waits for a moment only.
    pub(super) soon: Arc<Notify>,
    pub(super) sweeper: Arc<Sweeper>,
    pub(super) board: Arc<Board>,
    pub(super) signals: Signals,
    pub(super) tasks: Arc<Mutex<Tasks>>,
    pub(super) stations: Mutex<HashMap<String, Station>>,
}

/// What works on one queue.
pub(super) struct Station {
    /// Ends the feeder; runtime and settler end when what was claimed has ended.
    stop: CancellationToken,
    slots: Arc<Slots>,
    threads: Arc<QueueThreads>,
}

impl<A: Send + Sync + 'static> Crew<A> {
    /// Fits the crew to every change of the configuration until the process stops.
    pub(super) async fn follow(self, mut changes: Receiver<Arc<InForce>>) {
        let mut fits = true;
        loop {
            // All are cancel-safe.
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return;
                },
                () = sleep(TRY_AGAIN), if !fits => {}
                () = self.signals.stop.cancelled() => return,
            }
            let config = Arc::clone(&changes.borrow_and_update().config);
            fits = self.fit(&config).is_ok();
        }
    }

    /// Has every queue that is to be worked on worked on, with as many slots as it is to have, and no other. One that
    /// there are no threads for is told, keeps no other from its share, and gives the error.
    pub(super) fn fit(&self, config: &Config) -> io::Result<()> {
        let wanted = slots_wanted(config, self.asked.as_deref());
        let mut stations = self.stations();
        stations.retain(|queue, station| {
            let stays = wanted.iter().any(|(name, _)| name == queue);
            if !stays {
                tracing::info!(queue.name = %queue, "the queue is not in the configuration any more; what runs may finish");
                station.stop.cancel();
                self.board.take_down(queue);
                metrics::slots(queue, 0, 0);
            }
            stays
        });
        each_of(wanted, |queue, slots| {
            if let Some(station) = stations.get(queue) {
                station.slots.resize(slots);
                return station.threads.fit(slots);
            }
            let station = self.open(queue, slots)?;
            stations.insert(queue.to_owned(), station);
            Ok(())
        })
    }

    /// Begins to work on a queue.
    fn open(&self, queue: &str, slots: usize) -> io::Result<Station> {
        let name: Arc<str> = queue.into();
        let threads = QueueThreads::start(Arc::clone(&name), slots)?;
        let station = Station {
            stop: self.signals.stop.child_token(),
            slots: self.board.put(&name, slots),
            threads: Arc::new(threads),
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.signals.stop.is_cancelled() {
            // The tasks are being waited for: none may join them any more.
            return Ok(station);
        }
        let feeder = Arc::new(self.feeder(&name, &station));
        let settler = Settler {
            queue: Arc::clone(&name),
            shared: Arc::clone(&self.shared),
            leases: Arc::clone(&self.leases),
            give_up: self.signals.give_up.clone(),
            waits: Arc::clone(&self.soon),
            sweeper: Arc::clone(&self.sweeper),
        };
        let runner = Arc::new(Runner {
            shared: Arc::clone(&self.shared),
            registry: Arc::clone(&self.registry),
            app: Arc::clone(&self.app),
            feeder: Arc::clone(&feeder),
            threads: Arc::clone(&station.threads),
            interrupt: self.signals.interrupt.clone(),
        });
        // Each unit in it holds a slot; the feeder claims on while the runtime takes them.
        let (units, claimed) = mpsc::channel(HANDED_OVER);
        let (outcomes, settled) = mpsc::channel(UNSETTLED);
        tasks.settlers.spawn(settler.run(settled));
        tasks
            .runtimes
            .spawn(runtime::run(&name, runner, claimed, outcomes));
        tasks.feeders.spawn(feeder.run(units));
        Ok(station)
    }

    fn feeder(&self, queue: &Arc<str>, station: &Station) -> Feeder {
        let kinds = self.registry.kinds();
        let batched = self.registry.kinds();
        let batched = batched.filter_map(|kind| Some((kind.name.to_string(), kind.batch?.0)));
        Feeder {
            queue: Arc::clone(queue),
            worker: self.worker,
            shared: Arc::clone(&self.shared),
            leases: Arc::clone(&self.leases),
            kinds: kinds.map(|kind| kind.name.to_string()).collect(),
            batched: batched.collect(),
            slots: Arc::clone(&station.slots),
            work: self.shared.bell.waiter(queue),
            stop: station.stop.clone(),
        }
    }

    fn stations(&self) -> MutexGuard<'_, HashMap<String, Station>> {
        self.stations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fits one queue after the other, whatever becomes of the others; tells of each that failed, and gives the last failure.
fn each_of(
    wanted: Vec<(String, usize)>,
    mut fit: impl FnMut(&str, usize) -> io::Result<()>,
) -> io::Result<()> {
    let mut all = Ok(());
    for (queue, slots) in wanted {
        if let Err(error) = fit(&queue, slots) {
            tracing::error!(
                queue.name = %queue,
                %error,
                "the machine gives no thread: the queue goes without its new workers until it does"
            );
            all = Err(error);
        }
    }
    all
}

/// The queues that a process works on, by name, and how many of their attempts it runs at once. One that was asked for
/// and is not there has none: it may come.
pub(super) fn slots_wanted(config: &Config, asked: Option<&[String]>) -> Vec<(String, usize)> {
    let is_asked = |queue: &String| asked.is_none_or(|asked| asked.contains(queue));
    config
        .queues
        .iter()
        .filter(|(name, _)| is_asked(name))
        .map(|(name, queue)| {
            (
                name.clone(),
                usize::try_from(queue.concurrency).unwrap_or(1),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fails when the first queue that there are no threads for keeps those after it from their change.
    #[test]
    fn a_queue_that_gets_no_threads_keeps_no_other_from_its_share() {
        let wanted = ["a", "b", "c"].map(|queue| (queue.to_owned(), 2));
        let mut fitted = Vec::new();

        let all = each_of(wanted.to_vec(), |queue, _| {
            if queue == "a" {
                return Err(io::Error::from(io::ErrorKind::WouldBlock));
            }
            fitted.push(queue.to_owned());
            Ok(())
        });

        assert_eq!(fitted, ["b", "c"]);
        assert!(all.is_err());
    }

    #[test]
    fn a_process_works_on_the_queues_it_was_asked_for_as_far_as_there_are_any() {
        let text = "[queues.email]\nconcurrency = 3\n[queues.extra]\nconcurrency = 5\n";
        let config = Config::parse(text, &[]).expect("the text is right").config;
        let asked = ["extra", "email", "later"].map(str::to_owned);

        let all = slots_wanted(&config, None);
        let wanted = slots_wanted(&config, Some(&asked));

        assert_eq!(all.len(), config.queues.len());
        assert_eq!(wanted, [("email".to_owned(), 3), ("extra".to_owned(), 5)]);
    }
}
