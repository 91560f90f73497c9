//! Table `insight_days`: which days' figures were read whole, and when.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, NaiveDate, Utc},
    },
};

use super::{insights::Target, report_runs::DayColumns};

/// Notes that these days were read: when the first of their pages came, or when their report was begun.
pub(crate) async fn note(
    db: impl PgExecutor<'_>,
    (sync, target): (Uuid, &Target<'_>),
    granularity: &str,
    days: DayColumns,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.insight_days (account, level, granularity, breakdowns, date, read_at)
         SELECT $1::uuid, $2::text, $3::text, $4::text, day::date,
                LEAST(now(),
                      (SELECT min(staged_at) FROM marketing.insights_staged WHERE sync = $5 AND date BETWEEN $6 AND $7),
                      (SELECT min(started_at) FROM marketing.report_runs
                        WHERE sync = $5 AND first_day >= $6 AND last_day <= $7))
           FROM generate_series($6::date::timestamp, $7::date::timestamp, '1 day') AS day
         ON CONFLICT ON CONSTRAINT insight_days_pkey DO UPDATE SET read_at = excluded.read_at, pruned = false",
        target.account,
        target.level,
        granularity,
        target.breakdowns,
        sync,
        days.first_day,
        days.last_day,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A day that was read.
pub(crate) struct ReadRow {
    pub(crate) level: String,
    pub(crate) granularity: String,
    pub(crate) date: NaiveDate,
    pub(crate) read_at: DateTime<Utc>,
}

/// The last eight days of each level and granularity that were read of an account, without breakdowns.
pub(crate) async fn newest(
    db: impl PgExecutor<'_>,
    account: Uuid,
) -> Result<Vec<ReadRow>, sqlx::Error> {
    sqlx::query_as!(
        ReadRow,
        r#"SELECT level AS "level!", granularity AS "granularity!", date AS "date!", read_at AS "read_at!"
           FROM (SELECT level, granularity, date, read_at,
                        row_number() OVER (PARTITION BY level, granularity ORDER BY date DESC) AS place
                   FROM marketing.insight_days
                  WHERE account = $1 AND breakdowns = '' AND date <= (now() AT TIME ZONE 'UTC')::date + 1) AS read
          WHERE place <= 8
          ORDER BY level, granularity, date DESC"#,
        account,
    )
    .fetch_all(db)
    .await
}

/// What the database's clock says.
pub(crate) async fn now(db: impl PgExecutor<'_>) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
        .fetch_one(db)
        .await
}

/// What became of hours that were to be deleted.
pub(crate) struct PrunedHours {
    pub(crate) days: i64,
    pub(crate) rows: i64,
}

/// Deletes the hours of the oldest day of an account and level that ended so many days ago, if the day's own figures were
/// read after its end, wherever on earth it was, or nobody reads them any more: the account is disconnected, and the hours
/// are added up.
pub(crate) async fn prune_hours(
    db: impl PgExecutor<'_>,
    keep_days: i32,
) -> Result<PrunedHours, sqlx::Error> {
    sqlx::query_as!(
        PrunedHours,
        r#"WITH old AS MATERIALIZED (
               SELECT h.account, h.level, h.breakdowns, h.date
                 FROM marketing.insight_days h
                WHERE h.granularity = 'hour' AND NOT h.pruned AND h.date < (now() AT TIME ZONE 'UTC')::date - $1::integer
                  AND COALESCE(
                      (SELECT true FROM marketing.insight_days d
                        WHERE d.account = h.account AND d.level = h.level AND d.granularity = 'day'
                          AND d.breakdowns = h.breakdowns AND d.date = h.date
                          AND d.read_at >= (h.date + 2)::timestamp AT TIME ZONE 'UTC' LIMIT 1),
                      (SELECT true FROM marketing.accounts a
                        WHERE a.id = h.account AND a.status = 'disconnected'
                          AND NOT EXISTS (SELECT FROM marketing.rollups_due r
                                           WHERE r.grain = 'day' AND r.account = h.account AND r.level = h.level
                                             AND r.breakdowns = h.breakdowns AND r.bucket = h.date)),
                      false) -- two EXISTS in an OR would be hashes of all
                ORDER BY h.date LIMIT 1 FOR UPDATE SKIP LOCKED),
           gone AS (
               DELETE FROM marketing.insights_hourly i
                USING old
                WHERE i.account = old.account AND i.level = old.level AND i.date = old.date AND i.breakdowns = old.breakdowns
            RETURNING 1),
           marked AS (
               UPDATE marketing.insight_days d SET pruned = true
                 FROM old
                WHERE d.account = old.account AND d.level = old.level AND d.granularity = 'hour'
                  AND d.breakdowns = old.breakdowns AND d.date = old.date
            RETURNING 1)
           SELECT (SELECT count(*) FROM marked) AS "days!", (SELECT count(*) FROM gone) AS "rows!""#,
        keep_days,
    )
    .fetch_one(db)
    .await
}

/// When a day's figures of a level were read last; `None`: they were not.
pub(crate) async fn read_at(
    db: impl PgExecutor<'_>,
    (account, level): (Uuid, &str),
    date: NaiveDate,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT max(read_at) FROM marketing.insight_days
          WHERE account = $1 AND level = $2 AND breakdowns = '' AND date = $3",
        account,
        level,
        date,
    )
    .fetch_one(db)
    .await
}
