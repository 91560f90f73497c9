//! Looking at jobs, cancelling them, running them now; the audit's pages.

use super::{Actor, AdminError, JobDetail, JobFilter, JobSummary, Page, PageRequest, audit};
use crate::{
    Queue,
    db::within,
    job::{JobId, JobState},
    metrics,
    store::{self, audit::AuditEntry, jobs, logs, rows::SummaryRow},
};

/// Begin the cursors of these lists.
const JOBS: &str = "job";
const AUDIT: &str = "audit";

impl Queue {
    /// A page of jobs, the newest first, wherever they stand.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub async fn jobs(
        &self,
        filter: &JobFilter,
        page: &PageRequest,
    ) -> Result<Page<JobSummary>, AdminError> {
        let mut query = filter.query(page.rows());
        query.before = page.id(JOBS)?;
        let mut session = self.shared.db.request().await?;
        let rows = within(async {
            let conn = session.conn();
            let mut rows: Vec<SummaryRow> = Vec::new();
            if filter.state.is_none_or(|state| !state.is_final()) {
                rows.extend(jobs::live(&mut *conn, &query).await?);
            }
            if filter
                .state
                .is_none_or(|state| matches!(state, JobState::Succeeded | JobState::Cancelled))
            {
                rows.extend(match (&query.tenant, &query.kind) {
                    (Some(_), _) => jobs::finished_of_tenant(&mut *conn, &query).await?,
                    (None, Some(_)) => jobs::finished_of_kind(&mut *conn, &query).await?,
                    (None, None) => jobs::finished(&mut *conn, &query).await?,
                });
            }
            if filter.state.is_none_or(|state| state == JobState::Dead) {
                rows.extend(match (&query.tenant, &query.queue) {
                    (Some(_), _) => jobs::dead_of_tenant(&mut *conn, &query).await?,
                    (None, Some(_)) => jobs::dead_of_queue(&mut *conn, &query).await?,
                    (None, None) => jobs::dead(&mut *conn, &query).await?,
                });
            }
            Ok(rows)
        })
        .await;
        let mut rows = session.end(rows)?;
        rows.sort_by_key(|row| std::cmp::Reverse(row.id));
        // A job that moved between two of the reads is seen in both.
        rows.dedup_by_key(|row| row.id);
        let config = self.shared.config();
        let items = rows
            .into_iter()
            .map(|row| JobSummary::from_row(row, &config))
            .collect();
        Ok(Page::cut(items, page, JOBS, |job: &JobSummary| {
            job.id.to_string()
        }))
    }

    /// A job, wherever it stands.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], also for another tenant's job.
    pub async fn job(&self, id: JobId, tenant: Option<&str>) -> Result<JobDetail, AdminError> {
        let mut session = self.shared.db.request().await?;
        let found = within(async {
            let Some(found) = jobs::get(session.conn(), id.0, tenant).await? else {
                return Ok(None);
            };
            let log = logs::of_job(session.conn(), id.0).await?;
            Ok(Some((found, log)))
        })
        .await;
        let (found, log) = session.end(found)?.ok_or(AdminError::NotFound)?;
        Ok(JobDetail::from_rows(
            found.summary,
            found.detail,
            log,
            &self.shared,
        ))
    }

    /// Cancels a waiting job, or asks a running one to stop: its state is then still `running` for a moment.
    ///
    /// # Errors
    /// [`AdminError::State`] for a job that has ended.
    pub async fn cancel(&self, id: JobId, actor: &Actor) -> Result<JobDetail, AdminError> {
        let target = id.to_string();
        let tenant = actor.tenant.as_deref();
        let wiped = self.shared.config().encrypted_kinds();
        let mut session = self.shared.db.request().await?;
        let done = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let waited = jobs::cancel_waiting(&mut *tx, id.0, tenant, &wiped).await?;
            let runs = !waited && jobs::cancel_running(&mut *tx, id.0, tenant).await?;
            if waited || runs {
                store::audit::note(&mut *tx, &audit(actor, "job.cancel", Some(&target))).await?;
            }
            tx.commit().await?;
            Ok((waited, runs))
        })
        .await;
        let (waited, runs) = session.end(done)?;
        if runs {
            self.shared.bell.cancel(id.0);
        }
        let job = self.job(id, tenant).await?;
        if !(waited || runs) {
            return Err(refused(
                &job,
                "only a job that has not ended can be cancelled",
            ));
        }
        metrics::admin_action("job.cancel");
        Ok(job)
    }

    /// Makes a scheduled or retrying job ready at once.
    ///
    /// # Errors
    /// [`AdminError::State`] for a job that is neither.
    pub async fn run_now(&self, id: JobId, actor: &Actor) -> Result<JobDetail, AdminError> {
        let target = id.to_string();
        let tenant = actor.tenant.as_deref();
        let mut session = self.shared.db.request().await?;
        let done = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let ready = jobs::run_now(&mut *tx, id.0, tenant).await?;
            if ready {
                store::audit::note(&mut *tx, &audit(actor, "job.run_now", Some(&target))).await?;
            }
            tx.commit().await?;
            Ok(ready)
        })
        .await;
        let ready = session.end(done)?;
        let job = self.job(id, tenant).await?;
        if !ready {
            return Err(refused(
                &job,
                "only a scheduled or retrying job can be run now",
            ));
        }
        metrics::admin_action("job.run_now");
        self.shared.bell.ring(&job.summary.queue);
        Ok(job)
    }

    /// A page of what people did, the newest first.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub async fn audit(
        &self,
        page: &PageRequest,
        tenant: Option<&str>,
    ) -> Result<Page<AuditEntry>, AdminError> {
        let before = page.number(AUDIT)?;
        let mut session = self.shared.db.request().await?;
        let entries = within(store::audit::list(
            session.conn(),
            tenant,
            before,
            page.rows(),
        ))
        .await;
        Ok(Page::cut(
            session.end(entries)?,
            page,
            AUDIT,
            |entry: &AuditEntry| entry.id.to_string(),
        ))
    }
}

fn refused(job: &JobDetail, message: &'static str) -> AdminError {
    AdminError::State {
        state: job.summary.state.parse().unwrap_or(JobState::Ready),
        message,
    }
}
