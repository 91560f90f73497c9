//! What the database says of the fleet's configuration.

use std::time::{Duration, Instant};

use crate::{
    config::Override,
    db::{Database, DatabaseError, within},
    store::config::{self, OverrideRow, RevisionText},
};

/// What holds for the fleet.
#[derive(Debug)]
pub(super) struct Fleet {
    /// How often it has changed.
    pub(super) change: i64,
    /// The newest revision; `None` before the first one.
    pub(super) newest: Option<RevisionText>,
    pub(super) overrides: Vec<Timed>,
}

/// An override, and when it ends by this process's clock: no earlier than by the database's.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    pub(super) setting: Override,
    pub(super) ends: Instant,
}

/// The overrides without their ends.
pub(super) fn settings(overrides: &[Timed]) -> Vec<Override> {
    let settings = overrides.iter().map(|timed| timed.setting.clone());
    settings.collect()
}

/// How often the fleet's configuration has changed.
pub(super) async fn changes(db: &Database) -> Result<i64, DatabaseError> {
    let mut session = db.request().await?;
    let changes = within(config::changes(session.conn())).await;
    session.end(changes)
}

/// Reads what holds. The count of changes comes first: what changes meanwhile is read once more.
pub(super) async fn read(db: &Database) -> Result<Fleet, DatabaseError> {
    let mut session = db.request().await?;
    let read = within(async {
        let conn = session.conn();
        let change = config::changes(&mut *conn).await?;
        let newest = config::newest(&mut *conn).await?;
        let overrides = config::overrides(&mut *conn).await?;
        Ok((change, newest, overrides))
    })
    .await;
    let (change, newest, overrides) = session.end(read)?;
    let now = Instant::now();
    Ok(Fleet {
        change,
        newest,
        overrides: overrides.into_iter().map(|row| timed(row, now)).collect(),
    })
}

/// The revision before this one.
pub(super) async fn before(
    db: &Database,
    revision: i64,
) -> Result<Option<RevisionText>, DatabaseError> {
    let mut session = db.request().await?;
    let before = within(config::before(session.conn(), revision)).await;
    session.end(before)
}

fn timed(row: OverrideRow, now: Instant) -> Timed {
    let remaining = Duration::try_from_secs_f64(row.remaining_seconds).unwrap_or_default();
    Timed {
        ends: now + remaining,
        setting: row.into(),
    }
}

impl From<OverrideRow> for Override {
    fn from(row: OverrideRow) -> Self {
        Self {
            key: row.key,
            value: row.value,
            author: row.author,
            reason: row.reason,
            created_at: row.created_at,
            until: row.until,
        }
    }
}
