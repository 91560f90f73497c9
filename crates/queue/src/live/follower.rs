//! The follower: keeps this process in step with its file and with the fleet. A new revision, an override and its end
//! take effect here within seconds. What this process cannot go by changes nothing here and is told.

use std::time::{Duration, Instant};

use tokio::{
    sync::watch::{self, Receiver},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    Again, ConfigStart, FileSource, LiveConfig, Rejected,
    choice::{Choice, Chosen, MOST_BACK, choose},
    file::{FileWatch, Seen},
    fleet::{self, Fleet},
    held::Held,
    saves::Unsaved,
};
use crate::{Queue, config::Layered, db::DatabaseError, error_chain, metrics};

/// Longest time between two looks at the fleet's count of changes, whoever looks.
const POLL: Duration = Duration::from_millis(2_500);
/// For how long a count serves that another look brought: longer than the pulse waits, and less than [`POLL`], so that a
/// process without a pulse asks each time.
const FRESH: Duration = Duration::from_millis(2_100);
/// Wait after a look that failed, or while something is still to be stored.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps a process in step until it is stopped.
#[derive(Debug)]
pub struct Follower {
    stop: CancellationToken,
    caught_up: CancellationToken,
    task: JoinHandle<()>,
}

impl Follower {
    /// Begins to follow, from where the process started.
    #[must_use]
    pub fn start(queue: Queue, start: ConfigStart) -> Self {
        let (stop, caught_up) = (CancellationToken::new(), CancellationToken::new());
        metrics::count_config_reloads();
        if start.rejected.is_some() {
            metrics::config_reload("rejected");
        }
        let (stopped, reached) = (stop.clone(), caught_up.clone());
        let task = tokio::spawn(async move {
            // What is cut off is done again by the next process: a revision is one transaction.
            tokio::select! {
                () = follow(queue, start, reached) => {}
                () = stopped.cancelled() => {}
            }
        });
        Self {
            stop,
            caught_up,
            task,
        }
    }

    /// Resolves once this process goes by what the database says: what was found while that was away may be long past.
    /// Waits for ever where the process can run with nothing that holds, until something else does. Cancel-safe.
    pub async fn caught_up(&self) {
        self.caught_up.cancelled().await;
    }

    /// Ends it: what holds then, holds.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the task that follows the configuration panicked: {error}");
        }
    }
}

async fn follow(queue: Queue, start: ConfigStart, caught_up: CancellationToken) {
    let (changes, seen) = watch::channel(None);
    let file = start.source.as_ref().map(|source| {
        let told = Seen::at_start(source.text.as_deref());
        FileWatch::new(source.path.clone(), told)
    });
    let watching = async {
        match file {
            Some(file) => file.run(&changes).await,
            None => std::future::pending().await,
        }
    };
    let following = Following::new(queue, start, caught_up);
    tokio::select! {
        () = watching => {}
        () = following.run(seen) => {}
    }
}

/// What a follower knows.
pub(super) struct Following {
    pub(super) queue: Queue,
    pub(super) source: Option<FileSource>,
    pub(super) held: Held,
    pub(super) unsaved: Option<Unsaved>,
    /// The last text of the file that was right.
    pub(super) valid: Option<String>,
    /// The revision that was the newest when the file's present text was stored, or found stored.
    pub(super) file_since: Option<i64>,
    /// Cancelled once this process goes by what the database says.
    caught_up: CancellationToken,
    /// Whether the database knows what this process makes of its kinds.
    is_announced: bool,
    /// What was the matter at the last step.
    trouble: Option<Trouble>,
}

/// What can be the matter with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The database did not do what it was asked.
    OutOfStep,
    /// The process can run with nothing that holds.
    Unsuitable,
}

impl Following {
    pub(super) fn new(queue: Queue, start: ConfigStart, caught_up: CancellationToken) -> Self {
        let ConfigStart {
            held,
            source,
            file_since,
            ..
        } = start;
        let valid = source.as_ref().and_then(FileSource::content);
        let valid = valid.map(str::to_owned);
        // Where the database was away at the start, the file is still to be stored.
        let unsaved = valid
            .clone()
            .filter(|_| held.change.is_none())
            .map(|text| Unsaved {
                text,
                again: Again::Never,
            });
        Self {
            queue,
            source,
            held,
            unsaved,
            valid,
            file_since,
            caught_up,
            is_announced: true,
            trouble: None,
        }
    }

    async fn run(mut self, mut seen: Receiver<Option<Seen>>) {
        let mut wait = Duration::ZERO;
        loop {
            // All are cancel-safe.
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.live().news.some() => {}
                changed = seen.changed() => {
                    let change = seen.borrow_and_update().clone();
                    match (changed, change) {
                        (Ok(()), Some(change)) => self.consider(change),
                        (Ok(()), None) => {}
                        (Err(_), _) => return,
                    }
                }
            }
            if self.held.drop_ended(Instant::now()) {
                tracing::info!("an override of the configuration has ended");
                self.layer_anew();
            }
            let kept = self.keep_in_step().await;
            wait = match &kept {
                // A little less at random: many processes drift apart.
                Ok(()) => POLL.mul_f64(1.0 - rand::random::<f64>() / 10.0),
                Err(_) => RETRY,
            };
            self.tell_of_step(kept);
            if let Some(end) = self.held.next_end() {
                wait = wait.min(end.saturating_duration_since(Instant::now()));
            }
        }
    }

    pub(super) fn live(&self) -> &LiveConfig {
        &self.queue.shared.live
    }

    /// Stores what the file brought, reads what is new for the fleet, and tells the database what follows for kinds and
    /// queues. What cannot be stored now keeps nobody from following.
    pub(super) async fn keep_in_step(&mut self) -> Result<(), DatabaseError> {
        let saved = self.save().await;
        if let Err(DatabaseError::Unavailable(_)) = saved {
            return saved;
        }
        let db = &self.queue.shared.db;
        let change = match self.live().news.within(FRESH) {
            Some(change) => change,
            None => {
                let change = fleet::changes(db).await?;
                self.live().news.heard(change);
                change
            }
        };
        if self.held.change != Some(change) {
            let fleet = fleet::read(db).await?;
            self.take(&fleet).await?;
        }
        if !self.is_announced {
            self.queue.announce().await?;
            self.is_announced = true;
        }
        if self.can_run() {
            self.caught_up.cancel();
        }
        saved
    }

    /// Says what is the matter, once: many steps may fail one after the other.
    fn tell_of_step(&mut self, kept: Result<(), DatabaseError>) {
        let trouble = match &kept {
            Err(_) => Some(Trouble::OutOfStep),
            Ok(()) if self.caught_up.is_cancelled() => None,
            Ok(()) => Some(Trouble::Unsuitable),
        };
        let is_news = self.trouble != trouble;
        self.trouble = trouble;
        match kept {
            Err(error) if is_news => tracing::warn!(
                error = %error_chain(&error),
                "the configuration could not be kept in step with the fleet's; trying again, and what holds here holds on"
            ),
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "the configuration is still not in step");
            }
            Ok(()) if is_news && trouble.is_some() => tracing::error!(
                "this process does not begin its work, since it can run with nothing that holds: put something else in \
                 force by `millpond config apply FILE`"
            ),
            Ok(()) => {}
        }
    }

    /// Whether this process can run with what it goes by: a revision or a file that was admitted, or else the built-in
    /// defaults, where they stand in the place of nothing.
    fn can_run(&self) -> bool {
        let live = self.live();
        self.held.revision.is_some()
            || self.valid.is_some()
            || (!live.has_rejected_revision() && live.check(&live.config()).is_empty())
    }

    /// Goes by what the database says. Where this process cannot go by the newest revision, what it goes by holds on,
    /// under the overrides of now.
    async fn take(&mut self, fleet: &Fleet) -> Result<(), DatabaseError> {
        // Who has not asked before is like a process that starts now.
        let most_back = if self.held.change.is_none() {
            MOST_BACK
        } else {
            0
        };
        let (db, judge) = (&self.queue.shared.db, &self.live().judge);
        let Choice { chosen, rejected } = choose(db, judge, fleet, most_back).await?;
        self.note_rejected(rejected);
        match chosen {
            Some(Chosen { revision, layered }) => {
                self.held = Held::of(revision, fleet);
                self.adopt(layered);
            }
            None => {
                self.held.stay(fleet);
                self.layer_anew();
            }
        }
        Ok(())
    }

    /// Tells of a revision that this process cannot go by, once.
    fn note_rejected(&self, rejected: Option<Rejected>) {
        match rejected {
            Some(rejected) if self.live().knows_rejected(&rejected) => {}
            Some(rejected) => {
                rejected.tell();
                metrics::config_reload("rejected");
                self.live().reject_revision(Some(rejected));
            }
            None => self.live().reject_revision(None),
        }
    }

    /// Lays the overrides of now over the text that holds.
    pub(super) fn layer_anew(&mut self) {
        let source = "what holds here";
        let admitted = self
            .live()
            .judge
            .admit(source, &self.held.text, &self.held.settings());
        match admitted {
            Ok(layered) => self.adopt(layered),
            Err(problems) => {
                for problem in &problems {
                    tracing::error!("{problem}");
                }
            }
        }
    }

    fn adopt(&mut self, layered: Layered) {
        let before = self.live().in_force();
        let is_same = before.revision == self.held.revision
            && before.overrides == layered.overrides
            && before.ignored == layered.ignored;
        if is_same && self.held.revision.is_some() {
            return;
        }
        let now = self.live().adopt(layered, self.held.revision);
        metrics::config_reload("applied");
        self.is_announced = false;
        tracing::info!(
            config.revision = now.revision,
            overrides = now.overrides.len(),
            "the configuration has changed"
        );
        for key in &now.needs_restart {
            tracing::warn!("{key} takes effect when this process starts anew: it needs a restart");
        }
        for ignored in &now.ignored {
            let (key, problem) = (&ignored.setting.key, &ignored.problem);
            tracing::warn!("the override of {key} has no effect any more: {problem}");
        }
    }
}
