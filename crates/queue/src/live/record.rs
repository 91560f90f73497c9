//! A text becomes a revision: one after the other, each once.

use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::{
    config::changed_keys,
    store::{
        audit::{self, AuditRow},
        config::{self, RevisionRow},
    },
};

/// Where a revision came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevisionSource {
    /// The file of a process.
    File,
    /// A person at the command line.
    Cli,
    /// An API key.
    Api,
}

impl RevisionSource {
    fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Cli => "cli",
            Self::Api => "api",
        }
    }
}

/// A text to be put in force.
#[derive(Debug)]
pub(crate) struct NewRevision<'a> {
    pub(crate) text: &'a str,
    pub(crate) source: RevisionSource,
    pub(crate) author: &'a str,
    pub(crate) reason: Option<&'a str>,
    pub(crate) again: Again,
}

/// Whether a text that was a revision before, and is not the one that holds, is put in force again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Somebody asks for this very text.
    Always,
    /// It is the first that a process finds in its file: nobody knows whether somebody has just saved it.
    Never,
    /// A file has it now, and had another text before, found when this revision was the newest. A text that was a
    /// revision by then is gone back to, which is somebody's wish. One that became a revision later, by another process,
    /// arrives here late: it would undo whatever was put in force since, such as a roll-back.
    IfNotAfter(i64),
}

impl Again {
    fn allows(self, known: i64) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::IfNotAfter(newest) => known <= newest,
        }
    }
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It is a revision now, and holds.
    New {
        revision: i64,
        /// The keys that the revision before gives other values.
        changed: Vec<String>,
    },
    /// It is what holds already.
    Holds(i64),
    /// It was known before, and another revision holds on.
    Known {
        revision: i64,
        /// The one that holds.
        newest: i64,
    },
}

impl Recorded {
    /// The revision that holds.
    pub(crate) fn newest(&self) -> i64 {
        match self {
            Self::New { revision, .. } | Self::Holds(revision) => *revision,
            Self::Known { newest, .. } => *newest,
        }
    }
}

/// Stores a text that this process has found right. In a transaction of the caller's: until its end no other revision
/// and no override is stored.
pub(crate) async fn record(
    conn: &mut PgConnection,
    new: &NewRevision<'_>,
) -> Result<Recorded, sqlx::Error> {
    config::lock(&mut *conn).await?;
    let newest = config::newest(&mut *conn).await?;
    if let Some(newest) = newest.as_ref().filter(|newest| newest.text == new.text) {
        return Ok(Recorded::Holds(newest.revision));
    }
    let content_hash = Sha256::digest(new.text.as_bytes());
    if let Some(newest) = &newest
        && let Some(known) = config::with_content(&mut *conn, &content_hash).await?
        && !new.again.allows(known)
    {
        return Ok(Recorded::Known {
            revision: known,
            newest: newest.revision,
        });
    }

    let before = newest.map(|newest| newest.text).unwrap_or_default();
    let changed = changed_keys(&before, new.text);
    let row = RevisionRow {
        content_hash: &content_hash,
        text: new.text,
        source: new.source.as_str(),
        author: new.author,
        reason: new.reason,
        changed: &changed,
    };
    let revision = config::insert(&mut *conn, &row).await?;
    config::count_change(&mut *conn).await?;
    let target = revision.to_string();
    let entry = AuditRow {
        actor: new.author,
        tenant: None,
        action: "config.apply",
        target: Some(&target),
        reason: new.reason,
        count: 1,
        detail: json!({"source": new.source.as_str(), "changed": &changed}),
    };
    audit::note(&mut *conn, &entry).await?;
    Ok(Recorded::New { revision, changed })
}
