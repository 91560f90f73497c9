//! What one process does for the fleet: retention, partitions, replays, the fleet's gauges, and looking after queues
//! on which nobody works. Whoever holds the lead does it; its term stands between it and a successor.

mod maintenance;
mod stats;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Queue,
    admin::advance_replays,
    client::Shared,
    db::{DatabaseError, within},
    error_chain,
    store::{leader, queues},
    worker::{pulse::promote, rescuer::rescue},
};

/// The name of the lead; part C adds others.
const NAME: &str = "fleet";
/// How long a lead holds without being kept.
const TERM: Duration = Duration::from_secs(15);
/// How often the lead is kept or asked for.
const TICK: Duration = Duration::from_secs(5);
/// How often retention looks for what is too old.
const MAINTENANCE: Duration = Duration::from_secs(60);
/// Portions of replays enqueued in one tick.
const PORTIONS: usize = 50;

/// The leading process's duties, or the wish to have them.
#[derive(Debug)]
pub struct Leader {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Leader {
    /// Starts asking for the lead.
    #[must_use]
    pub fn start(queue: Queue) -> Self {
        let stop = CancellationToken::new();
        let candidate = Candidate {
            shared: Arc::clone(&queue.shared),
            holder: Uuid::new_v4(),
            stop: stop.clone(),
            gauges: stats::Gauges::default(),
            maintained_at: None,
        };
        Self {
            stop,
            task: tokio::spawn(candidate.run()),
        }
    }

    /// Gives the lead up and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the leader's task panicked: {error}");
        }
    }
}

struct Candidate {
    shared: Arc<Shared>,
    holder: Uuid,
    stop: CancellationToken,
    gauges: stats::Gauges,
    maintained_at: Option<Instant>,
}

impl Candidate {
    async fn run(mut self) {
        let mut led = None;
        while !self.stop.is_cancelled() {
            let asked_at = Instant::now();
            match self.ask().await {
                Ok(Some(term)) => {
                    if led != Some(term) {
                        tracing::info!(term, "this process leads the fleet");
                    }
                    led = Some(term);
                    if let Err(error) = self.duties(term, asked_at).await {
                        tracing::warn!(error = %error_chain(&error), "a duty of the leader failed; trying again");
                    }
                }
                Ok(None) => {
                    led = None;
                    // Gauges of the fleet are absent where nobody leads: a stale copy would be counted twice.
                    self.gauges.withdraw();
                }
                Err(error) => {
                    self.gauges.withdraw();
                    tracing::debug!(error = %error_chain(&error), "the lead could not be asked for");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(TICK.saturating_sub(asked_at.elapsed())) => {}
                () = self.stop.cancelled() => {}
            }
        }
        let resigned = async {
            let mut session = self.shared.db.engine().await?;
            let done = within(leader::resign(session.conn(), NAME, self.holder)).await;
            session.end(done)
        };
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(3), resigned).await {
            tracing::debug!(error = %error_chain(&error), "the lead was not given up; it ends by itself");
        }
    }

    async fn ask(&self) -> Result<Option<i64>, DatabaseError> {
        let mut session = self.shared.db.engine().await?;
        let led = within(leader::lead(
            session.conn(),
            NAME,
            self.holder,
            TERM.as_secs_f64(),
        ))
        .await;
        session.end(led)
    }

    /// Whether this process may still act: by its own clock well before the term ends.
    fn has_time(&self, asked_at: Instant) -> bool {
        asked_at.elapsed() < TERM / 2 && !self.stop.is_cancelled()
    }

    async fn duties(&mut self, term: i64, asked_at: Instant) -> Result<(), DatabaseError> {
        self.gauges.collect(&self.shared, term).await?;
        let mut session = self.shared.db.engine().await?;
        let names = within(queues::list(session.conn())).await;
        for queue in session.end(names)? {
            // Processes look after the queues they work on; these may have nobody.
            promote(&self.shared, &queue.name).await?;
            rescue(&self.shared, &queue.name).await?;
        }
        for _ in 0..PORTIONS {
            if !self.has_time(asked_at) || !advance_replays(&self.shared, None).await? {
                break;
            }
        }
        if self.has_time(asked_at)
            && self
                .maintained_at
                .is_none_or(|at| at.elapsed() >= MAINTENANCE)
        {
            maintenance::run(&self.shared, (NAME, self.holder, term)).await?;
            self.maintained_at = Some(Instant::now());
        }
        Ok(())
    }
}
