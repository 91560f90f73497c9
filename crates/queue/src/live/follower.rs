//! The follower: keeps this process in step with its file and with the fleet. A file that changed becomes a revision; a
//! new revision, an override and its end take effect here within seconds. What is wrong changes nothing and is told.

use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::{
    sync::watch::{self, Receiver},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    ConfigStart, FileSource, LiveConfig, NewRevision, Recorded, Rejected, RevisionSource,
    file::{FileWatch, Seen},
    fleet::{self, Fleet, Timed},
    start::{store, tell},
};
use crate::{
    Queue,
    config::{Layered, Override},
    db::DatabaseError,
    error_chain, metrics,
    store::config::RevisionText,
};

/// Longest time between two looks at the fleet's count of changes, whoever looks.
const POLL: Duration = Duration::from_millis(2_500);
/// For how long a count serves that another look brought: longer than the pulse waits, and less than [`POLL`], so that a
/// process without a pulse asks each time.
const FRESH: Duration = Duration::from_millis(2_100);
/// Wait after a look that failed, or while something is still to be stored.
const RETRY: Duration = Duration::from_secs(1);

/// What the last look at the database gave, and what this process goes by.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The text that holds: of the revision, or of the file.
    pub(super) text: String,
    pub(super) revision: Option<i64>,
    overrides: Vec<Timed>,
    /// The count of changes that it stands for; `None`: the database was not asked yet.
    change: Option<i64>,
}

impl Held {
    /// A text that the database knows nothing of.
    pub(super) fn alone(text: String) -> Self {
        Self {
            text,
            revision: None,
            overrides: Vec::new(),
            change: None,
        }
    }

    /// What the database says; where it has no revision, the text that holds already.
    pub(super) fn of(fleet: Fleet, before: &Self) -> Self {
        let (text, revision) = match fleet.newest {
            Some(RevisionText { revision, text }) => (text, Some(revision)),
            None => (before.text.clone(), None),
        };
        Self {
            text,
            revision,
            overrides: fleet.overrides,
            change: Some(fleet.change),
        }
    }

    pub(super) fn settings(&self) -> Vec<Override> {
        let settings = self.overrides.iter().map(|timed| timed.setting.clone());
        settings.collect()
    }

    /// Forgets overrides whose time is over; tells whether there were any.
    fn drop_ended(&mut self, now: Instant) -> bool {
        let before = self.overrides.len();
        self.overrides.retain(|timed| timed.ends > now);
        self.overrides.len() < before
    }

    fn next_end(&self) -> Option<Instant> {
        self.overrides.iter().map(|timed| timed.ends).min()
    }
}

/// Keeps a process in step until it is stopped.
#[derive(Debug)]
pub struct Follower {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Follower {
    /// Begins to follow, from where the process started.
    #[must_use]
    pub fn start(queue: Queue, start: ConfigStart) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        metrics::count_config_reloads();
        let task = tokio::spawn(async move {
            // What is cut off is done again by the next process: a revision is one transaction.
            tokio::select! {
                () = follow(queue, start) => {}
                () = stopped.cancelled() => {}
            }
        });
        Self { stop, task }
    }

    /// Ends it: what holds then, holds.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the task that follows the configuration panicked: {error}");
        }
    }
}

async fn follow(queue: Queue, start: ConfigStart) {
    let ConfigStart { held, source, .. } = start;
    let (changes, seen) = watch::channel(None);
    let watching = async {
        match &source {
            Some(source) => {
                let told = Seen::at_start(source.text.as_deref());
                FileWatch::new(source.path.clone(), told)
                    .run(&changes)
                    .await;
            }
            None => std::future::pending().await,
        }
    };
    let following = Following {
        unsaved: source
            .as_ref()
            .filter(|_| held.change.is_none())
            .and_then(|source| source.text.clone())
            .map(|text| Unsaved {
                text,
                only_if_unknown: true,
            }),
        valid: source.as_ref().and_then(|source| source.text.clone()),
        source: source.as_ref(),
        queue: &queue,
        held,
        is_announced: true,
    };
    tokio::select! {
        () = watching => {}
        () = following.run(seen) => {}
    }
}

/// A text of the file that is to become a revision.
struct Unsaved {
    text: String,
    only_if_unknown: bool,
}

struct Following<'a> {
    queue: &'a Queue,
    source: Option<&'a FileSource>,
    held: Held,
    unsaved: Option<Unsaved>,
    /// The last text of the file that was right.
    valid: Option<String>,
    /// Whether the database knows what this process makes of its kinds.
    is_announced: bool,
}

impl Following<'_> {
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
                        (Ok(()), Some(change)) => self.judge(change),
                        (Ok(()), None) => {}
                        (Err(_), _) => return,
                    }
                }
            }
            if self.held.drop_ended(Instant::now()) {
                tracing::info!("an override of the configuration has ended");
                self.layer_anew();
            }
            wait = match self.keep_in_step().await {
                // A little less at random: many processes drift apart.
                Ok(()) => POLL.mul_f64(1.0 - rand::random::<f64>() / 10.0),
                Err(error) => {
                    tracing::debug!(error = %error_chain(&error), "what holds for the fleet could not be read; trying again");
                    RETRY
                }
            };
            if let Some(end) = self.held.next_end() {
                wait = wait.min(end.saturating_duration_since(Instant::now()));
            }
        }
    }

    fn live(&self) -> &LiveConfig {
        &self.queue.shared.live
    }

    /// Stores what the file brought, reads what is new for the fleet, and tells the database what follows for kinds and
    /// queues.
    async fn keep_in_step(&mut self) -> Result<(), DatabaseError> {
        let db = &self.queue.shared.db;
        self.save().await?;
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
            self.take(fleet);
        }
        if !self.is_announced {
            self.queue.announce().await?;
            self.is_announced = true;
        }
        Ok(())
    }

    /// Stores what the file brought, if it brought anything.
    async fn save(&mut self) -> Result<(), DatabaseError> {
        let (Some(unsaved), Some(source)) = (&self.unsaved, self.source) else {
            return Ok(());
        };
        let new = NewRevision {
            text: &unsaved.text,
            source: RevisionSource::File,
            author: &source.author,
            reason: None,
            only_if_unknown: unsaved.only_if_unknown,
        };
        match store(&self.queue.shared.db, &new).await {
            Ok(recorded) => {
                tell(source, &recorded);
                if matches!(recorded, Recorded::New { .. }) {
                    self.queue.shared.tell_of_config();
                }
            }
            // What cannot be stored at all must not keep what others stored from this process.
            Err(DatabaseError::Refused(error)) => {
                let path = source.path.display();
                let reason = error_chain(&error);
                self.refuse(source, vec![format!("{path}: cannot be stored: {reason}")]);
            }
            Err(error) => return Err(error),
        }
        self.unsaved = None;
        Ok(())
    }

    /// Goes by what the database says. Where this release cannot read the newest revision, the one before holds on, under
    /// the overrides of now.
    fn take(&mut self, fleet: Fleet) {
        let newest = Held::of(fleet, &self.held);
        match self.live().read(&newest.text, &newest.settings()) {
            Ok(layered) => {
                self.live().reject_revision(None);
                self.held = newest;
                self.adopt(layered);
            }
            Err(problems) => {
                let revision = newest.revision.unwrap_or_default();
                let name = format!("revision {revision}");
                let problems = problems.iter().map(|problem| format!("{name}:{problem}"));
                let rejected = reject(name.clone(), problems.collect());
                self.live().reject_revision(Some(rejected));
                self.held.overrides = newest.overrides;
                self.held.change = newest.change;
                self.layer_anew();
            }
        }
    }

    /// Lays the overrides of now over the text that holds.
    fn layer_anew(&mut self) {
        match self.live().read(&self.held.text, &self.held.settings()) {
            Ok(layered) => self.adopt(layered),
            Err(problems) => tracing::error!(
                problems = problems.len(),
                "the configuration that holds cannot be read any more; its values stay"
            ),
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

    /// Takes what the file has become, or says why not.
    fn judge(&mut self, seen: Seen) {
        let Some(source) = self.source else { return };
        let path = source.path.display();
        let content = match seen {
            Seen::Content(content) => content,
            Seen::Missing => {
                tracing::warn!("{path} is gone: what it said holds on");
                return;
            }
            Seen::Unreadable(reason) => {
                return self.refuse(source, vec![format!("{path}: cannot be read: {reason}")]);
            }
        };
        match self.check(source, &content) {
            Ok(text) => self.accept(text),
            Err(problems) => self.refuse(source, problems),
        }
    }

    fn check(&self, source: &FileSource, content: &[u8]) -> Result<String, Vec<String>> {
        let path = source.path.display();
        let text = match std::str::from_utf8(content) {
            Ok(text) => text,
            Err(error) => {
                let byte = error.valid_up_to();
                return Err(vec![format!("{path}: is not UTF-8 from byte {byte} on")]);
            }
        };
        if text.trim().is_empty() {
            return Err(vec![format!(
                "{path}: is empty, as a file is that was cut off; \"version = 1\" alone stands for all defaults"
            )]);
        }
        let layered = self.live().read(text, &[]).map_err(|problems| {
            let lines = problems.iter().map(|problem| format!("{path}:{problem}"));
            lines.collect::<Vec<_>>()
        })?;
        let against = self.live().check(&layered.config);
        if !against.is_empty() {
            let lines = against.iter().map(|line| format!("{path}: {line}"));
            return Err(lines.collect());
        }
        for warning in &layered.warnings {
            tracing::warn!("{path}:{warning}");
        }
        Ok(text.to_owned())
    }

    fn accept(&mut self, text: String) {
        self.live().reject_file(None);
        if self.valid.as_ref() == Some(&text) {
            // What was wrong was undone.
            return;
        }
        self.valid = Some(text.clone());
        if self.held.change.is_none() {
            // Nobody else can say what holds as long as the database was never there.
            self.held.text.clone_from(&text);
            self.layer_anew();
        }
        self.unsaved = Some(Unsaved {
            text,
            only_if_unknown: false,
        });
    }

    fn refuse(&mut self, source: &FileSource, problems: Vec<String>) {
        let rejected = reject(source.path.display().to_string(), problems);
        self.live().reject_file(Some(rejected));
    }
}

/// Tells of what is rejected, once: in the log and in the metrics.
fn reject(source: String, problems: Vec<String>) -> Rejected {
    for problem in &problems {
        tracing::error!("{problem}");
    }
    tracing::error!("{source} is not taken: what held before holds on");
    metrics::config_reload("rejected");
    Rejected {
        at: Utc::now(),
        source,
        problems,
    }
}
