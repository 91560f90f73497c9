//! Reports that platforms make in the background: kept before anybody asks how far they are, so that an attempt that dies
//! leaves its report to the next one.

use chrono::{DateTime, Utc};
use providers::platform::ReportRun;

use super::{Days, Sync, SyncError, Syncs, stored_word};
use crate::store::{
    Session,
    report_runs::{self, NewReport, ReportRow},
    within_deadline,
};

/// A report that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReport {
    /// What to ask for it by.
    pub run: ReportRun,
    /// When it was begun.
    pub started_at: DateTime<Utc>,
}

impl Syncs {
    /// Keeps the report of these days, in the place of any other.
    ///
    /// # Errors
    /// [`SyncError::Superseded`].
    pub async fn keep_report(
        &self,
        sync: &Sync,
        days: Days,
        run: &ReportRun,
    ) -> Result<(), SyncError> {
        let fence = sync.fence();
        let report = NewReport {
            platform: run.platform.as_str(),
            external_account_id: &run.account_id,
            report_id: &run.id,
        };
        let db = self.db();
        let kept = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let kept = report_runs::keep(conn, fence, days.columns(), &report).await?;
            session.done();
            Ok(kept.then_some(()))
        })
        .await?;
        SyncError::unless_superseded(kept)
    }

    /// The report of these days; `None`: none was begun, or its figures are stored.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn report(&self, sync: &Sync, days: Days) -> Result<Option<KeptReport>, SyncError> {
        let id = sync.id.0;
        let db = self.db();
        let kept = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let row = report_runs::of(session.connection(), id, days.columns()).await?;
            session.done();
            row.map(kept).transpose()
        })
        .await?;
        Ok(kept)
    }
}

fn kept(row: ReportRow) -> Result<KeptReport, sqlx::Error> {
    Ok(KeptReport {
        run: ReportRun {
            platform: stored_word(&row.platform)?,
            account_id: row.external_account_id,
            id: row.report_id,
        },
        started_at: row.started_at,
    })
}
