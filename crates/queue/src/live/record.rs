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
    /// Whether a text that any revision has is left alone: of the file that a process finds at its start nobody knows
    /// whether somebody has just saved it.
    pub(crate) only_if_unknown: bool,
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
    /// It was known before, and another revision holds.
    Known(i64),
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
    if new.only_if_unknown
        && let Some(known) = config::with_content(&mut *conn, &content_hash).await?
    {
        return Ok(Recorded::Known(known));
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
