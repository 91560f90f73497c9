//! What a process begins with. What holds for the fleet is asked for before anything is composed of it, so that a value
//! which needs a restart can come from a revision too; where the database is away, the file alone holds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    Again, Judge, NewRevision, Recorded, Rejected, RevisionSource,
    choice::{Choice, Chosen, MOST_BACK, choose},
    fleet,
    held::Held,
    record,
};
use crate::{
    config::{Config, Layered, Problem},
    db::{Database, DatabaseError, within},
    error_chain,
};

/// Longest wait for a database that may be away.
const PATIENCE: Duration = Duration::from_secs(3);

/// What this process says against a configuration that is right in itself, a line each.
pub type CheckConfig = Arc<dyn Fn(&Config) -> Vec<String> + Send + Sync>;

/// The file of a process.
pub struct FileSource {
    /// Where it is, or would be.
    pub path: PathBuf,
    /// Its text; `None`: there is no file.
    pub text: Option<String>,
    /// Who its revisions come from: the machine and the path.
    pub author: String,
    /// What the process cannot run with. It is asked about the file and about every revision.
    pub check: CheckConfig,
}

impl FileSource {
    /// Its text, unless there is none. What is empty was cut off: it is nobody's configuration.
    pub(super) fn content(&self) -> Option<&str> {
        let text = self.text.as_deref();
        text.filter(|text| !text.trim().is_empty())
    }
}

/// Why a process cannot start with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigStartError {
    /// The file is wrong: everything that is.
    #[error("the file is not valid")]
    Invalid(Vec<Problem>),
    /// The file is right, or what holds for the fleet is, but this process cannot run with it.
    #[error("this process cannot run with {origin}")]
    Unsuitable {
        /// Where it comes from.
        origin: String,
        /// Why not, a line each.
        reasons: Vec<String>,
    },
}

/// What a process or a command begins with.
pub struct ConfigStart {
    pub(crate) layered: Layered,
    pub(super) judge: Judge,
    pub(super) held: Held,
    pub(super) source: Option<FileSource>,
    /// The newest revision, where this process cannot go by it.
    pub(super) rejected: Option<Rejected>,
    /// The revision that was the newest when the file's text was stored, or found stored.
    pub(super) file_since: Option<i64>,
}

impl ConfigStart {
    /// For a process that runs. A file that the database does not know becomes a revision, which holds for the fleet;
    /// one that it knows changes nothing. Of the revisions the newest one holds here that the process can run with; where
    /// there is none, its file. `kinds` are those that the file may have sections for.
    ///
    /// # Errors
    /// When the file is wrong or the process cannot run with it; without a file, when it cannot run with any revision or
    /// with the built-in defaults.
    pub async fn of_process(
        db: &Database,
        source: FileSource,
        kinds: Vec<Arc<str>>,
    ) -> Result<Self, ConfigStartError> {
        let judge = Judge::new(kinds.into(), Some(Arc::clone(&source.check)));
        let mut start =
            Self::alone(source.text.clone(), judge).map_err(ConfigStartError::Invalid)?;
        if source.content().is_some() {
            start.refuse_unsuitable(|| source.path.display().to_string())?;
        }
        match tokio::time::timeout(PATIENCE, start.join(db, &source)).await {
            Ok(Ok(())) => start.refuse_defaults(&source)?,
            Ok(Err(error)) => away(&error),
            Err(_) => away(&DatabaseError::TimedOut),
        }
        if let Some(rejected) = &start.rejected {
            rejected.tell();
        }
        start.source = Some(source);
        Ok(start)
    }

    /// For a command: what holds for the fleet, or what the text says where the database knows nothing. Stores nothing.
    ///
    /// # Errors
    /// Everything that is wrong with the text.
    pub async fn of_command(
        db: &Database,
        text: Option<String>,
        kinds: Vec<Arc<str>>,
    ) -> Result<Self, Vec<Problem>> {
        let mut start = Self::alone(text, Judge::new(kinds.into(), None))?;
        match tokio::time::timeout(PATIENCE, start.learn(db)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => away(&error),
            Err(_) => away(&DatabaseError::TimedOut),
        }
        Ok(start)
    }

    /// Every value that holds.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::new(self.layered.config.clone())
    }

    /// The revision that holds; `None`: the file does, or nothing.
    #[must_use]
    pub fn revision(&self) -> Option<i64> {
        self.held.revision
    }

    /// Whether what holds is the process's own file.
    #[must_use]
    pub fn is_of_file(&self) -> bool {
        let file = self.source.as_ref().and_then(|source| source.text.as_ref());
        file.is_some_and(|text| *text == self.held.text)
    }

    fn alone(text: Option<String>, judge: Judge) -> Result<Self, Vec<Problem>> {
        let text = text.unwrap_or_default();
        Ok(Self {
            layered: judge.read(&text, &[])?,
            judge,
            held: Held::alone(text),
            source: None,
            rejected: None,
            file_since: None,
        })
    }

    /// Stores the file, if it is new, and takes over what the database says.
    async fn join(&mut self, db: &Database, source: &FileSource) -> Result<(), DatabaseError> {
        if let Some(text) = source.content() {
            let recorded = enter(db, text, &source.author).await?;
            tell(source, &recorded);
            self.file_since = Some(recorded.newest());
        }
        self.learn(db).await
    }

    /// Takes over what the database says. Where it has nothing that this process can run with, the text that is there
    /// holds, under the overrides.
    async fn learn(&mut self, db: &Database) -> Result<(), DatabaseError> {
        let fleet = fleet::read(db).await?;
        let Choice { chosen, rejected } = choose(db, &self.judge, &fleet, MOST_BACK).await?;
        self.rejected = rejected;
        match chosen {
            Some(Chosen { revision, layered }) => {
                self.held = Held::of(revision, &fleet);
                self.layered = layered;
            }
            None => {
                self.held.stay(&fleet);
                let admitted = self.judge.admit("", &self.held.text, &self.held.settings());
                if let Ok(layered) = admitted {
                    self.layered = layered;
                }
            }
        }
        Ok(())
    }

    /// Refuses the built-in defaults where they would hold in the place of a revision, which may keep what they delete,
    /// and where the process cannot run with them.
    fn refuse_defaults(&self, source: &FileSource) -> Result<(), ConfigStartError> {
        if self.held.revision.is_some() || source.content().is_some() {
            return Ok(());
        }
        if let Some(newest) = &self.rejected {
            let name = &newest.source;
            return Err(ConfigStartError::Unsuitable {
                origin: format!(
                    "{name} of the configuration, which is in force, nor with one before it"
                ),
                reasons: newest.problems.clone(),
            });
        }
        self.refuse_unsuitable(|| {
            "the built-in defaults, which hold where there is neither a jobs.toml nor a revision"
                .to_owned()
        })
    }

    fn refuse_unsuitable(&self, origin: impl FnOnce() -> String) -> Result<(), ConfigStartError> {
        let reasons = self.judge.check(&self.layered.config);
        if reasons.is_empty() {
            return Ok(());
        }
        Err(ConfigStartError::Unsuitable {
            origin: origin(),
            reasons,
        })
    }
}

/// Stores a file that no revision has, and tells what became of it.
async fn enter(db: &Database, text: &str, author: &str) -> Result<Recorded, DatabaseError> {
    let new = NewRevision {
        text,
        source: RevisionSource::File,
        author,
        reason: None,
        again: Again::Never,
    };
    store(db, &new).await
}

/// Stores a revision in a transaction of its own.
pub(super) async fn store(db: &Database, new: &NewRevision<'_>) -> Result<Recorded, DatabaseError> {
    let mut session = db.request().await?;
    let recorded = within(async {
        let mut tx = sqlx::Connection::begin(session.conn()).await?;
        let recorded = record(&mut tx, new).await?;
        tx.commit().await?;
        Ok(recorded)
    })
    .await;
    session.end(recorded)
}

/// Says what became of a file.
pub(super) fn tell(source: &FileSource, recorded: &Recorded) {
    let file = source.path.display();
    match recorded {
        Recorded::New { revision, changed } => {
            tracing::info!(
                config.revision = revision,
                ?changed,
                "{file} is revision {revision} of the configuration"
            );
        }
        Recorded::Holds(revision) => {
            tracing::info!(
                config.revision = revision,
                "{file} is revision {revision} of the configuration, which holds"
            );
        }
        Recorded::Known { revision, newest } => {
            tracing::warn!(
                config.revision = newest,
                "{file} is revision {revision} of the configuration, and revision {newest} holds, which is newer: the \
                 file changes nothing; `millpond config history` shows them, `millpond config apply {file}` puts the \
                 file in force"
            );
        }
    }
}

fn away(error: &DatabaseError) {
    tracing::debug!(error = %error_chain(error), "the database does not say what holds for the fleet; the file does until it can");
}
