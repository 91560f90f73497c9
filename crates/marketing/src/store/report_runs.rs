//! Table `report_runs`: reports that platforms make in the background, by the days that they are of.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, NaiveDate, Utc},
    },
};

use super::syncs::Fence;

/// Which days, both of them included.
#[derive(Clone, Copy)]
pub(crate) struct DayColumns {
    pub(crate) first_day: NaiveDate,
    pub(crate) last_day: NaiveDate,
}

/// A report.
pub(crate) struct ReportRow {
    pub(crate) platform: String,
    pub(crate) external_account_id: String,
    pub(crate) report_id: String,
    pub(crate) started_at: DateTime<Utc>,
}

/// What a report is known by.
pub(crate) struct NewReport<'a> {
    pub(crate) platform: &'static str,
    pub(crate) external_account_id: &'a str,
    pub(crate) report_id: &'a str,
}

/// Keeps a report of these days in the place of any other; `false`: the sync is not this run's any more.
pub(crate) async fn keep(
    db: impl PgExecutor<'_>,
    fence: Fence,
    days: DayColumns,
    report: &NewReport<'_>,
) -> Result<bool, sqlx::Error> {
    let kept = sqlx::query!(
        "INSERT INTO marketing.report_runs (sync, first_day, last_day, platform, external_account_id, report_id)
         SELECT s.id, $3::date, $4::date, $5::text, $6::text, $7::text
           FROM marketing.syncs s WHERE s.id = $1 AND s.run = $2 AND s.state = 'running' FOR UPDATE
         ON CONFLICT ON CONSTRAINT report_runs_pkey DO UPDATE
            SET platform = excluded.platform, external_account_id = excluded.external_account_id,
                report_id = excluded.report_id, started_at = excluded.started_at",
        fence.sync,
        fence.run,
        days.first_day,
        days.last_day,
        report.platform,
        report.external_account_id,
        report.report_id,
    )
    .execute(db)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// The report of these days.
pub(crate) async fn of(
    db: impl PgExecutor<'_>,
    sync: Uuid,
    days: DayColumns,
) -> Result<Option<ReportRow>, sqlx::Error> {
    sqlx::query_as!(
        ReportRow,
        "SELECT platform, external_account_id, report_id, started_at FROM marketing.report_runs
          WHERE sync = $1 AND first_day = $2 AND last_day = $3",
        sync,
        days.first_day,
        days.last_day,
    )
    .fetch_optional(db)
    .await
}

/// Forgets the report of these days.
pub(crate) async fn forget(
    db: impl PgExecutor<'_>,
    sync: Uuid,
    days: DayColumns,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM marketing.report_runs WHERE sync = $1 AND first_day = $2 AND last_day = $3",
        sync,
        days.first_day,
        days.last_day,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets all reports of these syncs.
pub(crate) async fn forget_all(db: impl PgExecutor<'_>, syncs: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM marketing.report_runs WHERE sync = ANY ($1)",
        syncs
    )
    .execute(db)
    .await?;
    Ok(())
}
