//! What one process does for the fleet: ticks of schedules, retention, partitions, replays, the fleet's gauges, and
//! looking after queues on which nobody works. Whoever holds the lead does it; its term stands between it and a
//! successor. The lead is kept beside the duties, and none of them waits for another.

mod maintenance;
mod others;
mod schedule_stats;
mod schedules;
mod stats;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use others::FleetGauges;

use crate::{
    Queue,
    admin::advance_replays,
    client::Shared,
    db::{DatabaseError, within},
    error_chain,
    gates::Marking,
    metrics,
    store::{
        leader,
        poll::{self, Waiting},
        replays,
    },
    worker::pulse::{hear_of_config, look_after},
};

/// The name of the lead; part C adds others.
const NAME: &str = "fleet";
/// How long a lead holds without being kept.
const TERM: Duration = Duration::from_secs(15);
/// From this time on without being kept no duty begins anything. What is deleted and shown belongs to the term; any other
/// call under way may outlast it by seconds, and does what is right beside a successor's too.
const CERTAIN: Duration = Duration::from_secs(10);
/// How often the lead is kept or asked for, and how often what waits is looked at.
const TICK: Duration = Duration::from_secs(5);
/// How often the gauges are read, and queues looked at on which nobody works: an idle fleet costs next to nothing.
const UNHURRIED: Duration = Duration::from_secs(10);
/// Longest time to ask for the lead, and the wait before the next try where that failed.
const ASK: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_secs(1);
/// How often retention looks for what is too old, and how often after it found nothing.
const MAINTENANCE: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(300);
/// How often the ready jobs of fair queues are gone through. What costs is how many there are: a second for a million.
const TURNS: Duration = Duration::from_secs(30);
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
        Self::start_with(queue, Vec::new())
    }

    /// The same with gauges of other crates.
    #[must_use]
    pub fn start_with(queue: Queue, others: Vec<Arc<dyn FleetGauges>>) -> Self {
        for gauges in &others {
            metrics::of_fleet(gauges.names());
        }
        let stop = CancellationToken::new();
        let candidate = Candidate {
            shared: Arc::clone(&queue.shared),
            holder: Uuid::new_v4(),
            stop: stop.clone(),
            gauges: stats::Gauges::with(others),
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

/// A term of this process.
#[derive(Debug)]
struct Lead {
    holder: Uuid,
    term: i64,
    /// From before the lead was asked for: by the database's clock it ends later than this plus the term.
    kept_at: Mutex<Instant>,
}

impl Lead {
    /// Whether duties may begin anything.
    fn holds(&self) -> bool {
        self.kept_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
            < CERTAIN
    }

    fn mandate(&self) -> Mandate {
        Mandate {
            holder: self.holder,
            term: self.term,
        }
    }

    /// Whether the term holds by the database's clock too; if so, for as long as the transaction lasts.
    async fn hold(&self, tx: &mut PgConnection) -> Result<bool, sqlx::Error> {
        self.mandate().holds(tx).await
    }

    fn kept(&self, asked_at: Instant) {
        *self.kept_at.lock().unwrap_or_else(PoisonError::into_inner) = asked_at;
    }
}

/// What a leader's transaction asks, so that a leader which was paused past its term changes nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mandate {
    pub(crate) holder: Uuid,
    pub(crate) term: i64,
}

impl Mandate {
    /// Whether the term is the present one. It stays that until the transaction ends.
    pub(crate) async fn holds(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        leader::hold(conn, NAME, self.holder, self.term).await
    }
}

struct Candidate {
    shared: Arc<Shared>,
    holder: Uuid,
    stop: CancellationToken,
    gauges: stats::Gauges,
}

impl Candidate {
    async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let asked_at = Instant::now();
            match ask(&self.shared, self.holder).await {
                Ok(Some(term)) => {
                    tracing::info!(term, "this process leads the fleet");
                    let lead = Lead {
                        holder: self.holder,
                        term,
                        kept_at: Mutex::new(asked_at),
                    };
                    Box::pin(self.lead(&lead)).await;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(error = %error_chain(&error), "the lead could not be asked for");
                }
            }
            // Gauges of the fleet are absent where nobody leads: a stale copy would be counted twice.
            self.gauges.withdraw();
            tokio::select! {
                () = tokio::time::sleep(TICK.saturating_sub(asked_at.elapsed())) => {}
                () = self.stop.cancelled() => {}
            }
        }
        let resigned = async {
            let mut session = self.shared.db.request().await?;
            let done = within(leader::resign(session.conn(), NAME, self.holder)).await;
            session.end(done)
        };
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(3), resigned).await {
            tracing::debug!(error = %error_chain(&error), "the lead was not given up; it ends by itself");
        }
    }

    /// Does the duties of a term until it is over.
    async fn lead(&mut self, lead: &Lead) {
        let Self {
            shared,
            stop,
            gauges,
            ..
        } = self;
        let (shared, stop): (&Shared, &CancellationToken) = (shared, stop);
        // The duties are cut off wherever they are: each step of theirs is one transaction, kept whole or not at all,
        // and a connection with a call under way is closed.
        tokio::select! {
            () = keep(shared, lead, stop) => {}
            () = see_to_queues(shared, lead) => {}
            () = show_gauges(shared, lead, gauges) => {}
            () = mark_turns(shared, lead) => {}
            () = maintain(shared, lead) => {}
            () = schedules::make_ticks(shared, lead) => {}
        }
    }
}

async fn ask(shared: &Shared, holder: Uuid) -> Result<Option<i64>, DatabaseError> {
    let asked = async {
        let mut session = shared.db.request().await?;
        let led = within(leader::lead(
            session.conn(),
            NAME,
            holder,
            TERM.as_secs_f64(),
        ))
        .await;
        session.end(led)
    };
    tokio::time::timeout(ASK, asked)
        .await
        .map_err(|_| DatabaseError::TimedOut)?
}

/// Keeps the lead until it is lost or this process stops.
async fn keep(shared: &Shared, lead: &Lead, stop: &CancellationToken) {
    let mut wait = TICK;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
        let asked_at = Instant::now();
        match ask(shared, lead.holder).await {
            Ok(Some(term)) if term == lead.term => {
                lead.kept(asked_at);
                wait = TICK;
            }
            Ok(_) => {
                tracing::warn!(term = lead.term, "another process leads the fleet now");
                return;
            }
            Err(error) => {
                tracing::warn!(term = lead.term, error = %error_chain(&error), "the lead could not be kept");
                if !lead.holds() {
                    return;
                }
                wait = RETRY;
            }
        }
    }
}

/// A duty's failure ends nothing: it is tried again at its next turn.
fn failed(duty: &'static str, error: &DatabaseError) {
    tracing::warn!(duty, error = %error_chain(error), "a duty of the leader failed; trying again");
}

/// Looks after the queues on which nobody works, and has replays go on.
async fn see_to_queues(shared: &Shared, lead: &Lead) {
    loop {
        let mut wait = UNHURRIED;
        match survey(shared).await {
            Ok(survey) => {
                act_on(shared, lead, &survey).await;
                if survey.has_replays {
                    wait = TICK;
                }
            }
            Err(error) => failed("survey", &error),
        }
        tokio::time::sleep(wait).await;
    }
}

/// What there is to do for the fleet.
struct Survey {
    /// Of all queues: processes look after those they work on, and some may have nobody.
    waiting: Vec<Waiting>,
    has_replays: bool,
}

async fn survey(shared: &Shared) -> Result<Survey, DatabaseError> {
    let mut session = shared.db.request().await?;
    let read = within(async {
        let mut tx = session.conn().begin().await?;
        let survey = Survey {
            waiting: poll::look(&mut *tx, None).await?,
            has_replays: replays::any_running(&mut *tx).await?,
        };
        tx.commit().await?;
        Ok(survey)
    })
    .await;
    session.end(read)
}

async fn act_on(shared: &Shared, lead: &Lead, survey: &Survey) {
    hear_of_config(shared, &survey.waiting);
    for waiting in &survey.waiting {
        if !lead.holds() {
            return;
        }
        if let Err(error) = look_after(shared, waiting).await {
            failed("queue", &error);
        }
    }
    let portions = if survey.has_replays { PORTIONS } else { 0 };
    for _ in 0..portions {
        if !lead.holds() {
            return;
        }
        match advance_replays(shared, None).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return failed("replay", &error),
        }
    }
}

async fn show_gauges(shared: &Shared, lead: &Lead, gauges: &mut stats::Gauges) {
    loop {
        if lead.holds()
            && let Err(error) = gauges.collect(shared, lead).await
        {
            failed("gauges", &error);
        }
        tokio::time::sleep(UNHURRIED).await;
    }
}

/// Finds out whose turn jobs take that waited in a queue before it became fair.
async fn mark_turns(shared: &Shared, lead: &Lead) {
    loop {
        if let Err(error) = mark_all(shared, lead).await {
            failed("turns", &error);
        }
        tokio::time::sleep(TURNS).await;
    }
}

async fn mark_all(shared: &Shared, lead: &Lead) -> Result<(), DatabaseError> {
    let mut marking = Marking::default();
    while lead.holds() {
        let mut session = shared.db.request().await?;
        let marked = within(async {
            let mut tx = session.conn().begin().await?;
            let has_more = lead.hold(&mut tx).await? && marking.portion(&mut tx).await?;
            tx.commit().await?;
            Ok(has_more)
        })
        .await;
        if !session.end(marked)? {
            break;
        }
    }
    Ok(())
}

async fn maintain(shared: &Shared, lead: &Lead) {
    loop {
        let is_quiet = maintenance::round(shared, lead).await;
        tokio::time::sleep(if is_quiet { QUIET } else { MAINTENANCE }).await;
    }
}

#[cfg(test)]
mod tests;
