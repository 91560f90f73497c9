//! What a process makes of its own file while it runs: a text that is new and right becomes a revision, and one that is
//! wrong, or that the process could not run with, changes nothing and is told.

use chrono::Utc;

use super::{
    Again, FileSource, NewRevision, Recorded, Rejected, RevisionSource,
    file::Seen,
    follower::Following,
    start::{store, tell},
};
use crate::{db::DatabaseError, error_chain, metrics};

/// A text of the file that is to become a revision.
pub(super) struct Unsaved {
    pub(super) text: String,
    pub(super) again: Again,
}

impl Following {
    /// Takes what the file has become, or says why not.
    pub(super) fn consider(&mut self, seen: Seen) {
        let Some(source) = &self.source else { return };
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
        let layered = self.live().judge.admit(&path.to_string(), text, &[])?;
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
            again: self.file_since.map_or(Again::Never, Again::IfNotAfter),
        });
    }

    fn refuse(&self, source: &FileSource, problems: Vec<String>) {
        let rejected = Rejected {
            at: Utc::now(),
            source: source.path.display().to_string(),
            problems,
        };
        rejected.tell();
        metrics::config_reload("rejected");
        self.live().reject_file(Some(rejected));
    }

    /// Stores what the file brought, if it brought anything. What the database will not take is told and given up, so
    /// that it keeps nobody from following what others store.
    pub(super) async fn save(&mut self) -> Result<(), DatabaseError> {
        let (Some(unsaved), Some(source)) = (&self.unsaved, &self.source) else {
            return Ok(());
        };
        let new = NewRevision {
            text: &unsaved.text,
            source: RevisionSource::File,
            author: &source.author,
            reason: None,
            again: unsaved.again,
        };
        match store(&self.queue.shared.db, &new).await {
            Ok(recorded) => {
                tell(source, &recorded);
                if matches!(recorded, Recorded::New { .. }) {
                    self.queue.shared.tell_of_config();
                }
                self.file_since = Some(recorded.newest());
            }
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => {
                let path = source.path.display();
                let reason = error_chain(&error);
                let problem = format!(
                    "{path}: cannot be stored: {reason}; once that is mended, `millpond config apply {path}` puts it in \
                     force"
                );
                self.refuse(source, vec![problem]);
            }
        }
        self.unsaved = None;
        Ok(())
    }
}
