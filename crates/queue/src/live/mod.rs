//! What this process goes by and how that changes while it runs: by its file, and by the revisions and overrides that
//! the database keeps for the fleet. A value is asked for where it is needed and not kept, so that a change takes effect.

mod choice;
mod file;
mod fleet;
mod follower;
mod held;
mod judge;
mod news;
mod record;
mod saves;
mod start;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::watch::{Receiver, Sender};

use crate::config::{Config, Ignored, Layered, Override, Problem};

pub use follower::Follower;
pub(crate) use judge::Judge;
pub(crate) use news::News;
pub use record::RevisionSource;
pub(crate) use record::{Again, NewRevision, Recorded, record};
pub use start::{CheckConfig, ConfigStart, ConfigStartError, FileSource};

/// What a process goes by.
#[derive(Debug, Clone)]
pub struct InForce {
    /// Every value. Those that take effect after a restart are the ones that the process began with.
    pub config: Arc<Config>,
    /// The revision that it comes from; `None`: from the process's own file, or there is none.
    pub revision: Option<i64>,
    /// The overrides that hold over it.
    pub overrides: Vec<Override>,
    /// The overrides that do not fit it and have no effect.
    pub ignored: Vec<Ignored>,
    /// Keys whose new values take effect when this process starts anew.
    pub needs_restart: Vec<String>,
}

/// A file or a revision that this process does not go by: it is wrong, or cannot be read, or the process could not run
/// with it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rejected {
    /// When it was found wrong.
    pub at: DateTime<Utc>,
    /// Which: the path of the file, or `revision 7`.
    pub source: String,
    /// What is wrong with it, with line and column where it has any.
    pub problems: Vec<String>,
}

impl Rejected {
    /// Tells the log of it.
    fn tell(&self) {
        for problem in &self.problems {
            tracing::error!("{problem}");
        }
        tracing::error!("{} is not taken: what held before holds on", self.source);
    }
}

/// What this process goes by, for all who ask, and a way to hear of changes.
pub(crate) struct LiveConfig {
    in_force: Sender<Arc<InForce>>,
    /// What the process began with: some of it holds until a restart.
    start: Arc<Config>,
    judge: Judge,
    rejections: Mutex<Rejections>,
    pub(crate) news: News,
}

/// What was rejected last, until something is accepted in its place.
#[derive(Debug, Default)]
struct Rejections {
    file: Option<Rejected>,
    revision: Option<Rejected>,
}

impl LiveConfig {
    /// Goes by this configuration, whose texts may have sections for these kinds.
    pub(crate) fn new(config: Arc<Config>, kinds: Arc<[Arc<str>]>) -> Self {
        let layered = Layered {
            config: (*config).clone(),
            warnings: Vec::new(),
            overrides: Vec::new(),
            ignored: Vec::new(),
        };
        Self::of(layered, None, Judge::new(kinds, None))
    }

    /// Goes by what a process begins with.
    pub(crate) fn starting(start: &ConfigStart) -> Self {
        let live = Self::of(start.layered.clone(), start.revision(), start.judge.clone());
        live.reject_revision(start.rejected.clone());
        live
    }

    fn of(layered: Layered, revision: Option<i64>, judge: Judge) -> Self {
        let start = Arc::new(layered.config.clone());
        let in_force = in_force(layered, revision, &start);
        Self {
            in_force: Sender::new(Arc::new(in_force)),
            start,
            judge,
            rejections: Mutex::default(),
            news: News::default(),
        }
    }

    /// Every value as it holds now.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.in_force.borrow().config)
    }

    /// What holds now, and where it comes from.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.borrow())
    }

    /// Tells of every change; the latest one alone, where several came together.
    pub(crate) fn changes(&self) -> Receiver<Arc<InForce>> {
        self.in_force.subscribe()
    }

    /// Goes by this from now on.
    pub(crate) fn adopt(&self, layered: Layered, revision: Option<i64>) -> Arc<InForce> {
        let in_force = Arc::new(in_force(layered, revision, &self.start));
        self.in_force.send_replace(Arc::clone(&in_force));
        in_force
    }

    /// Reads a text with overrides over it, as this program reads its file.
    pub(crate) fn read(&self, text: &str, overrides: &[Override]) -> Result<Layered, Vec<Problem>> {
        self.judge.read(text, overrides)
    }

    /// What this process says against a configuration that is right in itself, a line each.
    pub(crate) fn check(&self, config: &Config) -> Vec<String> {
        self.judge.check(config)
    }

    /// The kinds that a text may have sections for.
    pub(crate) fn known_kinds(&self) -> Vec<&str> {
        self.judge.known_kinds()
    }

    /// What this process does not go by: its file before a revision.
    pub(crate) fn rejected(&self) -> Option<Rejected> {
        let rejections = self.rejections();
        let file = rejections.file.as_ref();
        file.or(rejections.revision.as_ref()).cloned()
    }

    /// Whether the newest revision is not gone by.
    fn has_rejected_revision(&self) -> bool {
        self.rejections().revision.is_some()
    }

    /// Whether this revision is rejected already, for the same reasons.
    fn knows_rejected(&self, revision: &Rejected) -> bool {
        let rejections = self.rejections();
        let known = rejections.revision.as_ref();
        known.is_some_and(|known| {
            known.source == revision.source && known.problems == revision.problems
        })
    }

    fn reject_file(&self, rejected: Option<Rejected>) {
        self.rejections().file = rejected;
    }

    fn reject_revision(&self, rejected: Option<Rejected>) {
        self.rejections().revision = rejected;
    }

    fn rejections(&self) -> MutexGuard<'_, Rejections> {
        self.rejections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_force(layered: Layered, revision: Option<i64>, start: &Config) -> InForce {
    let Layered {
        config,
        overrides,
        ignored,
        ..
    } = layered;
    InForce {
        needs_restart: config.waiting_for_restart(start),
        config: Arc::new(config.until_restart(start)),
        revision,
        overrides,
        ignored,
    }
}
