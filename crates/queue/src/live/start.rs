//! What a process begins with. What holds for the fleet is asked for before anything is composed of it, so that a value
//! which needs a restart can come from a revision too; where the database is away, the file alone holds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    NewRevision, Recorded, RevisionSource,
    fleet::{self, Fleet},
    follower::Held,
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
    /// What else must hold of it.
    pub check: CheckConfig,
}

/// What a process or a command begins with.
pub struct ConfigStart {
    pub(crate) layered: Layered,
    pub(crate) kinds: Arc<[Arc<str>]>,
    pub(super) held: Held,
    pub(super) source: Option<FileSource>,
}

impl ConfigStart {
    /// For a process that runs. A file that the database does not know becomes a revision, which holds for the fleet;
    /// one that it knows changes nothing. `kinds` are those that the file may have sections for.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub async fn of_process(
        db: &Database,
        source: FileSource,
        kinds: Vec<Arc<str>>,
    ) -> Result<Self, Vec<Problem>> {
        let mut start = Self::alone(source.text.clone(), kinds)?;
        let known = tokio::time::timeout(PATIENCE, async {
            // What is empty was cut off: it holds for nobody but this process, if the database knows nothing.
            let text = source.text.as_ref().filter(|text| !text.trim().is_empty());
            if let Some(text) = text {
                tell(&source, &enter(db, text, &source.author).await?);
            }
            fleet::read(db).await
        });
        match known.await {
            Ok(Ok(fleet)) => start.take(fleet),
            Ok(Err(error)) => away(&error),
            Err(_) => away(&DatabaseError::TimedOut),
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
        let mut start = Self::alone(text, kinds)?;
        match tokio::time::timeout(PATIENCE, fleet::read(db)).await {
            Ok(Ok(fleet)) => start.take(fleet),
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

    fn alone(text: Option<String>, kinds: Vec<Arc<str>>) -> Result<Self, Vec<Problem>> {
        let text = text.unwrap_or_default();
        let names: Vec<&str> = kinds.iter().map(|kind| &**kind).collect();
        let layered = Config::layered(&text, &[], &names)?;
        Ok(Self {
            layered,
            kinds: kinds.into(),
            held: Held::alone(text),
            source: None,
        })
    }

    /// Takes over what the database says. A revision that this release cannot read is left to the follower, which
    /// reports it.
    fn take(&mut self, fleet: Fleet) {
        let mut held = Held::of(fleet, &self.held);
        let names: Vec<&str> = self.kinds.iter().map(|kind| &**kind).collect();
        match Config::layered(&held.text, &held.settings(), &names) {
            Ok(layered) => self.layered = layered,
            Err(_) => held = Held::alone(std::mem::take(&mut self.held.text)),
        }
        self.held = held;
    }
}

/// Stores a file that no revision has, and tells what became of it.
async fn enter(db: &Database, text: &str, author: &str) -> Result<Recorded, DatabaseError> {
    let new = NewRevision {
        text,
        source: RevisionSource::File,
        author,
        reason: None,
        only_if_unknown: true,
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
        Recorded::Known(revision) => {
            tracing::warn!(
                config.revision = revision,
                "{file} is revision {revision} of the configuration, and a newer one holds: the file changes nothing \
                 until it is saved anew; `millpond config history` shows them, `millpond config apply` puts it in force"
            );
        }
    }
}

fn away(error: &DatabaseError) {
    tracing::debug!(error = %error_chain(error), "the database does not say what holds for the fleet; the file does until it can");
}
