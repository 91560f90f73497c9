//! The log of syncs, and how a sync goes on: each attempt begins a run of it, and only the newest run stores anything.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use queue::{ErrorClass, JobId, Page, PageRequest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{SyncError, SyncId, SyncState, SyncWhat, Syncs, document, storable, stored_word};
use crate::{
    accounts::AccountId,
    store::{
        Session, insights, report_runs,
        syncs::{self, BegunRow, ErrorColumns, Fence, NewRow, Setback, SyncRow},
        within_deadline,
    },
};

/// For how long after its last page a sync is gone on with: long enough for the quota of a day to come back. A cursor that
/// its platform does not take any more by then is refused there, and the sync started over.
pub const RESUME_WITHIN: Duration = Duration::from_secs(30 * 60 * 60);

/// For how long a sync that read everything says since when to ask for changes: schedules make one a day.
const WHOLE_WITHIN: Duration = Duration::from_secs(26 * 60 * 60);
/// How many attempts in a row may fail in passing at one place of a sync: those of two jobs.
const MOST_SETBACKS: i32 = 16;
/// Longest text of an error that is kept, in characters.
const LONGEST_ERROR: usize = 1_000;
/// Begins the cursors of the list of syncs.
const LIST: &str = "sync";

/// What a sync has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncCounts {
    /// Pages that were stored.
    pub pages: i64,
    /// Entities that were read.
    pub entities: i64,
    /// Those of them that were new.
    pub created: i64,
    /// Those of them that somebody had changed.
    pub changed: i64,
    /// Entities that were not found any more.
    pub vanished: i64,
    /// Figures that were read.
    pub rows: i64,
    /// Figures that were new or differed from what was stored.
    pub written: i64,
    /// Stored figures that the platform did not tell again.
    pub removed: i64,
    /// Figures that were told unasked, of other days, and were left out.
    pub ignored: i64,
}

/// A sync under way, of one attempt.
#[derive(Debug)]
pub struct Sync {
    /// Its id in the log.
    pub id: SyncId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is of.
    pub what: SyncWhat,
    /// Where it goes on, as the job stored it; `None`: at its beginning.
    pub cursor: Option<Value>,
    /// What it has done so far, by earlier attempts too.
    pub counts: SyncCounts,
    /// When its first attempt began.
    pub started_at: DateTime<Utc>,
    /// How many attempts it has had, with this one.
    pub run: i32,
}

impl Sync {
    pub(super) fn fence(&self) -> Fence {
        Fence {
            sync: self.id.0,
            run: self.run,
        }
    }

    /// What was stored has become so.
    pub(super) fn moved(&mut self, counts: SyncCounts, cursor: &Value) {
        self.counts = counts;
        self.cursor = Some(cursor.clone());
    }
}

/// Why a sync, or a part of it, did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncFailure {
    /// The class.
    pub class: ErrorClass,
    /// What it was; up to 1,000 characters are kept.
    pub message: String,
}

impl SyncFailure {
    fn text(&self) -> String {
        let message = storable::text(&self.message);
        message.chars().take(LONGEST_ERROR).collect()
    }
}

/// How a sync ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncOutcome {
    /// Everything was read.
    Succeeded,
    /// Some of it could not be read; what could is stored.
    Partial(SyncFailure),
    /// It was given up.
    Failed(SyncFailure),
}

impl SyncOutcome {
    fn state(&self) -> SyncState {
        match self {
            Self::Succeeded => SyncState::Succeeded,
            Self::Partial(_) => SyncState::Partial,
            Self::Failed(_) => SyncState::Failed,
        }
    }

    fn failure(&self) -> Option<&SyncFailure> {
        match self {
            Self::Succeeded => None,
            Self::Partial(failure) | Self::Failed(failure) => Some(failure),
        }
    }
}

/// A sync as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRecord {
    /// Its id.
    pub id: SyncId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is of.
    pub what: SyncWhat,
    /// The job that went on with it last.
    pub job: JobId,
    /// How many attempts it has had.
    pub runs: i32,
    /// How it stands.
    pub state: SyncState,
    /// What it has done.
    pub counts: SyncCounts,
    /// When its first attempt began.
    pub started_at: DateTime<Utc>,
    /// When it stored its last page.
    pub progressed_at: DateTime<Utc>,
    /// When it ended; `None`: it has not.
    pub finished_at: Option<DateTime<Utc>>,
    /// The class of the last failure.
    pub error_class: Option<String>,
    /// The last failure.
    pub error: Option<String>,
}

impl Syncs {
    /// Begins a sync, or goes on with the one of the same sort that is not finished and stored something within
    /// [`RESUME_WITHIN`]: whoever was at it is superseded. An older one is closed as failed, its class `lost`.
    ///
    /// # Errors
    /// [`SyncError::NotFound`], [`SyncError::Invalid`] for figures of too many days.
    pub async fn begin(
        &self,
        account: AccountId,
        what: &SyncWhat,
        job: JobId,
    ) -> Result<Sync, SyncError> {
        what.check()?;
        let breakdowns = what.breakdowns_text();
        let new = NewRow {
            id: Uuid::now_v7(),
            account: account.0,
            what: what.columns(&breakdowns),
            job: job.0,
        };
        let db = self.db();
        let begun = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let idle_s = RESUME_WITHIN.as_secs_f64();
            let closed = syncs::close_stale(&mut *tx, Some(account.0), idle_s).await?;
            forget_parts(&mut tx, &closed).await?;
            let begun = syncs::begin(&mut *tx, &new).await?;
            tx.commit().await?;
            session.done();
            Ok(begun)
        })
        .await?;
        let row: BegunRow = begun.ok_or(SyncError::NotFound)?;
        Ok(Sync {
            id: SyncId(row.id),
            account,
            what: what.clone(),
            cursor: row.cursor,
            counts: counts(row.counts),
            started_at: row.started_at,
            run: row.run,
        })
    }

    /// What this job has counted in a sync that has read everything: an attempt that died between the end of its sync and its
    /// own leaves nothing to do. To be asked for jobs alone that make one sync in their lives.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn done_by(
        &self,
        account: AccountId,
        job: JobId,
    ) -> Result<Option<SyncCounts>, SyncError> {
        let db = self.db();
        let done = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let done = syncs::done_by(session.connection(), account.0, job.0).await?;
            session.done();
            Ok(done)
        })
        .await?;
        Ok(done.map(counts))
    }

    /// Moves a sync on without a page: to the next kind, or to a smaller window.
    ///
    /// # Errors
    /// [`SyncError::Superseded`].
    pub async fn move_on(&self, sync: &mut Sync, cursor: &Value) -> Result<(), SyncError> {
        let (fence, counted) = (sync.fence(), document(&sync.counts));
        let db = self.db();
        let moved = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let moved = syncs::advance(session.connection(), fence, Some(cursor), &counted).await?;
            session.done();
            Ok(moved.then_some(()))
        })
        .await?;
        SyncError::unless_superseded(moved)?;
        sync.moved(sync.counts, cursor);
        Ok(())
    }

    /// Begins a sync anew whose cursor the platform does not take any more. What it has counted stays.
    ///
    /// # Errors
    /// [`SyncError::Superseded`].
    pub async fn start_over(&self, sync: &mut Sync) -> Result<(), SyncError> {
        self.forget_and_move(sync, None).await?;
        sync.cursor = None;
        Ok(())
    }

    /// Forgets what waits for the rest of its days, and any report: they are too many at once, or the report is gone.
    ///
    /// # Errors
    /// [`SyncError::Superseded`].
    pub async fn discard_staged(&self, sync: &mut Sync, cursor: &Value) -> Result<(), SyncError> {
        self.forget_and_move(sync, Some(cursor)).await?;
        sync.moved(sync.counts, cursor);
        Ok(())
    }

    async fn forget_and_move(&self, sync: &Sync, cursor: Option<&Value>) -> Result<(), SyncError> {
        let (fence, counted) = (sync.fence(), document(&sync.counts));
        let db = self.db();
        let moved = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let moved = syncs::advance(&mut *tx, fence, cursor, &counted).await?;
            if moved {
                forget_parts(&mut tx, &[fence.sync]).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(moved.then_some(()))
        })
        .await?;
        SyncError::unless_superseded(moved)
    }

    /// An attempt failed and another one will go on with the sync: it stays open, with the failure to be seen. Where one place
    /// has failed 16 times in a row, the next one begins at the beginning: the platform may have forgotten the place and not
    /// say so, which would keep all later jobs from getting on.
    ///
    /// # Errors
    /// [`SyncError::Superseded`].
    pub async fn set_back(&self, sync: &Sync, failure: &SyncFailure) -> Result<(), SyncError> {
        let (fence, text) = (sync.fence(), failure.text());
        let error = ErrorColumns {
            class: failure.class.as_str(),
            message: &text,
        };
        let db = self.db();
        let noted = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let setback = Setback {
                counts: failure.class == ErrorClass::Transient,
                most: MOST_SETBACKS,
            };
            let noted = syncs::set_back(&mut *tx, fence, error, setback).await?;
            if noted == Some(true) {
                forget_parts(&mut tx, &[fence.sync]).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(noted.map(|_| ()))
        })
        .await?;
        SyncError::unless_superseded(noted)
    }

    /// Ends a sync.
    ///
    /// # Errors
    /// [`SyncError::Superseded`].
    pub async fn finish(&self, sync: Sync, outcome: &SyncOutcome) -> Result<(), SyncError> {
        let fence = sync.fence();
        let text = outcome.failure().map(SyncFailure::text).unwrap_or_default();
        let error = outcome.failure().map(|failure| ErrorColumns {
            class: failure.class.as_str(),
            message: &text,
        });
        let state = outcome.state().as_str();
        let db = self.db();
        let finished = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let finished = syncs::finish(&mut *tx, fence, state, error).await?;
            if finished {
                forget_parts(&mut tx, &[fence.sync]).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(finished.then_some(()))
        })
        .await?;
        SyncError::unless_superseded(finished)
    }

    /// A page of an account's syncs, the newest first.
    ///
    /// # Errors
    /// [`SyncError::Engine`] for a cursor of another list.
    pub async fn list(
        &self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<SyncRecord>, SyncError> {
        let before = page.id(LIST)?;
        let db = self.db();
        let records = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = syncs::list(session.connection(), account.0, before, page.rows()).await?;
            session.done();
            rows.into_iter().map(record).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(records, page, LIST, |sync: &SyncRecord| {
            sync.id.to_string()
        }))
    }

    /// Since when changes of what these accounts hold are to be asked for, with something to spare for the clocks: when the
    /// newest sync began that read everything, or, where that is more than a day ago, the newest that read what it may. Many
    /// a grant lacks a right for good, and what it may read need not be read whole every hour for that. Accounts of which
    /// nothing was read in 90 days are left out.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn entities_read_at(
        &self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, DateTime<Utc>>, SyncError> {
        let accounts: Vec<Uuid> = accounts.iter().map(|account| account.0).collect();
        let whole_s = WHOLE_WITHIN.as_secs_f64();
        let db = self.db();
        let reads = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let reads = syncs::reads_of_entities(conn, &accounts, whole_s).await?;
            session.done();
            Ok(reads)
        })
        .await?;
        let reads = reads.into_iter();
        Ok(reads
            .map(|read| (AccountId(read.account), read.started_at))
            .collect())
    }
}

/// Forgets figures and reports that wait, of syncs that do not go on with them.
pub(super) async fn forget_parts(
    conn: &mut sqlx::PgConnection,
    closed: &[Uuid],
) -> Result<(), sqlx::Error> {
    if closed.is_empty() {
        return Ok(());
    }
    insights::clear_all_staged(&mut *conn, closed).await?;
    report_runs::forget_all(conn, closed).await
}

/// Counts of another release may have other members.
fn counts(stored: Value) -> SyncCounts {
    serde_json::from_value(stored).unwrap_or_default()
}

fn record(row: SyncRow) -> Result<SyncRecord, sqlx::Error> {
    Ok(SyncRecord {
        id: SyncId(row.id),
        account: AccountId(row.account),
        what: SyncWhat::of(&row)?,
        job: JobId(row.job),
        runs: row.run,
        state: stored_word(&row.state)?,
        counts: counts(row.counts),
        started_at: row.started_at,
        progressed_at: row.progressed_at,
        finished_at: row.finished_at,
        error_class: row.error_class,
        error: row.error,
    })
}
