//! Tables `insights_daily`, `insights_hourly` and `insights_staged`: figures, and those that wait for the rest of their
//! days. A row is written only where its values differ from what is stored: most of what is read again is the same.

use sqlx::{
    PgExecutor,
    types::{Decimal, Uuid, chrono::NaiveDate},
};

use super::report_runs::DayColumns;

/// Whose figures are replaced, and which of them.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) account: Uuid,
    pub(crate) level: &'static str,
    pub(crate) breakdowns: &'a str,
}

/// Figures as arrays for `unnest`, in the order of their keys and none of them twice.
#[derive(Default)]
pub(crate) struct FigureRows {
    pub(crate) dates: Vec<NaiveDate>,
    /// -1 for figures of a day.
    pub(crate) hours: Vec<i16>,
    pub(crate) entity_ids: Vec<String>,
    pub(crate) breakdowns: Vec<String>,
    pub(crate) impressions: Vec<i64>,
    pub(crate) clicks: Vec<i64>,
    pub(crate) link_clicks: Vec<i64>,
    pub(crate) views: Vec<i64>,
    pub(crate) likes: Vec<i64>,
    pub(crate) comments: Vec<i64>,
    pub(crate) shares: Vec<i64>,
    pub(crate) spend: Vec<Decimal>,
    pub(crate) conversions: Vec<Decimal>,
    pub(crate) revenue: Vec<Decimal>,
    pub(crate) leads: Vec<Decimal>,
    pub(crate) reach: Vec<Option<i64>>,
    pub(crate) currencies: Vec<Option<String>>,
}

/// Begins to replace figures. Others who replace figures of the same account wait for that, and for thousands of rows it takes
/// longer than sessions wait for a lock. It says so itself, since a pooler in transaction mode keeps what sessions are set to
/// from the server.
pub(crate) const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '8s'";

/// Makes the partitions of these days, where they are missing.
pub(crate) async fn make_months(
    db: impl PgExecutor<'_>,
    table: &str,
    days: DayColumns,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"SELECT marketing.make_insight_months($1, $2, $3) AS "done!: ()""#,
        table,
        days.first_day,
        days.last_day,
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// Makes the partitions of this month and of the two ahead, of both tables.
pub(crate) async fn make_months_ahead(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"SELECT marketing.make_insight_months(parent, now()::date, (now() + interval '2 months')::date) AS "done!: ()"
             FROM unnest(ARRAY['insights_daily', 'insights_hourly']) AS parents (parent)"#,
    )
    .fetch_all(db)
    .await?;
    Ok(())
}

/// Drops the oldest month of hours that ended so many days ago and has no row left; tells how many.
pub(crate) async fn drop_empty_hours(
    db: impl PgExecutor<'_>,
    keep_days: i32,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT marketing.drop_empty_hours((now() AT TIME ZONE 'UTC')::date - $1::integer) AS "dropped!""#,
        keep_days,
    )
    .fetch_one(db)
    .await
}

/// Waits until nobody else replaces figures of this account and level, and keeps others waiting until the transaction ends.
pub(crate) async fn wait_to_replace(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended('marketing.insights ' || $1::uuid::text || ' ' || $2::text, 0)) AS "done!: ()""#,
        target.account,
        target.level,
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// Keeps figures until the rest of their days is there. What is told twice counts as it was told last.
pub(crate) async fn stage(
    db: impl PgExecutor<'_>,
    sync: Uuid,
    rows: &FigureRows,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.insights_staged
                (sync, date, hour, entity_id, breakdown, impressions, clicks, link_clicks, views, likes, comments, shares, spend,
                 conversions, revenue, leads, reach, currency)
         SELECT $1::uuid, r.date, r.hour, r.entity_id, r.breakdown, r.impressions, r.clicks, r.link_clicks, r.views, r.likes,
                r.comments, r.shares, r.spend, r.conversions, r.revenue, r.leads, r.reach, r.currency
           FROM unnest($2::date[], $3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
                       $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::numeric[], $14::numeric[],
                       $15::numeric[], $16::numeric[], $17::bigint[], $18::text[])
                AS r (date, hour, entity_id, breakdown, impressions, clicks, link_clicks, views, likes, comments, shares,
                      spend, conversions, revenue, leads, reach, currency)
         ON CONFLICT ON CONSTRAINT insights_staged_pkey DO UPDATE
            SET impressions = excluded.impressions, clicks = excluded.clicks, link_clicks = excluded.link_clicks,
                views = excluded.views, likes = excluded.likes, comments = excluded.comments, shares = excluded.shares,
                spend = excluded.spend, conversions = excluded.conversions, revenue = excluded.revenue,
                leads = excluded.leads, reach = excluded.reach, currency = excluded.currency",
        sync,
        &rows.dates,
        &rows.hours,
        &rows.entity_ids,
        &rows.breakdowns,
        &rows.impressions,
        &rows.clicks,
        &rows.link_clicks,
        &rows.views,
        &rows.likes,
        &rows.comments,
        &rows.shares,
        &rows.spend,
        &rows.conversions,
        &rows.revenue,
        &rows.leads,
        &rows.reach as &[Option<i64>],
        &rows.currencies as &[Option<String>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many figures of a day wait.
pub(crate) struct StagedDay {
    pub(crate) date: NaiveDate,
    pub(crate) rows: i64,
}

/// How many figures of these days wait, by day; days without any are left out.
pub(crate) async fn staged(
    db: impl PgExecutor<'_>,
    sync: Uuid,
    days: DayColumns,
) -> Result<Vec<StagedDay>, sqlx::Error> {
    sqlx::query_as!(
        StagedDay,
        r#"SELECT date, count(*) AS "rows!" FROM marketing.insights_staged
            WHERE sync = $1 AND date BETWEEN $2 AND $3 GROUP BY date"#,
        sync,
        days.first_day,
        days.last_day,
    )
    .fetch_all(db)
    .await
}

/// Forgets what waits of these days.
pub(crate) async fn clear_staged(
    db: impl PgExecutor<'_>,
    sync: Uuid,
    days: DayColumns,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM marketing.insights_staged WHERE sync = $1 AND date BETWEEN $2 AND $3",
        sync,
        days.first_day,
        days.last_day,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets all that waits of these syncs.
pub(crate) async fn clear_all_staged(
    db: impl PgExecutor<'_>,
    syncs: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM marketing.insights_staged WHERE sync = ANY ($1)",
        syncs
    )
    .execute(db)
    .await?;
    Ok(())
}

// Both tables have the same columns but for `hour`, and rows come from arrays or from what was staged.
macro_rules! upsert {
    ([$table:literal $hour:literal] [$rows:literal] $(, $argument:expr)*) => {
        sqlx::query!(
            "INSERT INTO marketing." + $table + " AS known
                    (account, level, breakdowns, date, " + $hour + "entity_id, breakdown, impressions, clicks, link_clicks, views,
                     likes, comments, shares, spend, conversions, revenue, leads, reach, currency)
             SELECT $1::uuid, $2::text, $3::text, date, " + $hour + "entity_id, breakdown, impressions, clicks, link_clicks, views,
                    likes, comments, shares, spend, conversions, revenue, leads, reach,
                    COALESCE(currency, (SELECT a.currency FROM marketing.accounts a WHERE a.id = $1))
               FROM " + $rows + "
             ON CONFLICT (account, level, date, " + $hour + "entity_id, breakdown) DO UPDATE
                SET breakdowns = excluded.breakdowns, impressions = excluded.impressions, clicks = excluded.clicks,
                    link_clicks = excluded.link_clicks, views = excluded.views, likes = excluded.likes,
                    comments = excluded.comments, shares = excluded.shares, spend = excluded.spend,
                    conversions = excluded.conversions, revenue = excluded.revenue, leads = excluded.leads,
                    reach = excluded.reach, currency = excluded.currency, origin = excluded.origin, synced_at = now()
              WHERE (known.breakdowns, known.impressions, known.clicks, known.link_clicks, known.views, known.likes,
                     known.comments, known.shares, known.spend, known.conversions, known.revenue, known.leads, known.reach,
                     known.currency, known.origin)
                    IS DISTINCT FROM
                    (excluded.breakdowns, excluded.impressions, excluded.clicks, excluded.link_clicks, excluded.views,
                     excluded.likes, excluded.comments, excluded.shares, excluded.spend, excluded.conversions,
                     excluded.revenue, excluded.leads, excluded.reach, excluded.currency, excluded.origin)"
            $(, $argument)*
        )
    };
}

macro_rules! upsert_rows {
    ([$table:literal $hour:literal] $target:expr, $rows:expr) => {
        upsert!(
            [$table $hour]
            ["unnest($4::date[], $5::smallint[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[],
                     $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::numeric[], $16::numeric[],
                     $17::numeric[], $18::numeric[], $19::bigint[], $20::text[])
              AS r (date, hour, entity_id, breakdown, impressions, clicks, link_clicks, views, likes, comments, shares,
                    spend, conversions, revenue, leads, reach, currency)"],
            $target.account,
            $target.level,
            $target.breakdowns,
            &$rows.dates,
            &$rows.hours,
            &$rows.entity_ids,
            &$rows.breakdowns,
            &$rows.impressions,
            &$rows.clicks,
            &$rows.link_clicks,
            &$rows.views,
            &$rows.likes,
            &$rows.comments,
            &$rows.shares,
            &$rows.spend,
            &$rows.conversions,
            &$rows.revenue,
            &$rows.leads,
            &$rows.reach as &[Option<i64>],
            &$rows.currencies as &[Option<String>]
        )
    };
}

macro_rules! upsert_staged {
    ([$table:literal $hour:literal] $target:expr, $sync:expr, $days:expr) => {
        upsert!(
            [$table $hour]
            ["marketing.insights_staged WHERE sync = $4 AND date BETWEEN $5 AND $6
               ORDER BY date, hour, entity_id, breakdown"],
            $target.account,
            $target.level,
            $target.breakdowns,
            $sync,
            $days.first_day,
            $days.last_day
        )
    };
}

/// Stores figures of days; tells how many were new or differed.
pub(crate) async fn store_daily(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    rows: &FigureRows,
) -> Result<u64, sqlx::Error> {
    let stored = upsert_rows!(["insights_daily" ""] target, rows);
    Ok(stored.execute(db).await?.rows_affected())
}

/// Stores figures of hours; tells how many were new or differed.
pub(crate) async fn store_hourly(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    rows: &FigureRows,
) -> Result<u64, sqlx::Error> {
    let stored = upsert_rows!(["insights_hourly" "hour, "] target, rows);
    Ok(stored.execute(db).await?.rows_affected())
}

/// Stores what waits of these days; tells how many were new or differed.
pub(crate) async fn store_staged_daily(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    sync: Uuid,
    days: DayColumns,
) -> Result<u64, sqlx::Error> {
    let stored = upsert_staged!(["insights_daily" ""] target, sync, days);
    Ok(stored.execute(db).await?.rows_affected())
}

/// Stores what waits of the hours of these days; tells how many were new or differed.
pub(crate) async fn store_staged_hourly(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    sync: Uuid,
    days: DayColumns,
) -> Result<u64, sqlx::Error> {
    let stored = upsert_staged!(["insights_hourly" "hour, "] target, sync, days);
    Ok(stored.execute(db).await?.rows_affected())
}

/// Deletes the figures of these days that are neither among these rows nor among those that wait; tells how many. Whatever
/// the planner believes of their numbers, the rows are hashed, which holds for thousands of them, and those that wait are
/// found one by one by their key.
pub(crate) async fn remove_daily(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    (sync, days): (Uuid, DayColumns),
    rows: &FigureRows,
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query!(
        "DELETE FROM marketing.insights_daily i
          WHERE i.account = $1 AND i.level = $2 AND i.breakdowns = $3 AND i.date BETWEEN $4 AND $5
            AND (i.date, i.entity_id, i.breakdown) NOT IN (
                SELECT r.date, r.entity_id, r.breakdown
                  FROM unnest($6::date[], $7::text[], $8::text[]) AS r (date, entity_id, breakdown))
            AND NOT EXISTS (SELECT FROM marketing.insights_staged s
                             WHERE s.sync = $9 AND s.date = i.date AND s.hour = -1 AND s.entity_id = i.entity_id
                               AND s.breakdown = i.breakdown)",
        target.account,
        target.level,
        target.breakdowns,
        days.first_day,
        days.last_day,
        &rows.dates,
        &rows.entity_ids,
        &rows.breakdowns,
        sync,
    )
    .execute(db)
    .await?;
    Ok(removed.rows_affected())
}

/// The same with the figures of hours.
pub(crate) async fn remove_hourly(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    (sync, days): (Uuid, DayColumns),
    rows: &FigureRows,
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query!(
        "DELETE FROM marketing.insights_hourly i
          WHERE i.account = $1 AND i.level = $2 AND i.breakdowns = $3 AND i.date BETWEEN $4 AND $5
            AND (i.date, i.hour, i.entity_id, i.breakdown) NOT IN (
                SELECT r.date, r.hour, r.entity_id, r.breakdown
                  FROM unnest($6::date[], $7::smallint[], $8::text[], $9::text[])
                       AS r (date, hour, entity_id, breakdown))
            AND NOT EXISTS (SELECT FROM marketing.insights_staged s
                             WHERE s.sync = $10 AND s.date = i.date AND s.hour = i.hour AND s.entity_id = i.entity_id
                               AND s.breakdown = i.breakdown)",
        target.account,
        target.level,
        target.breakdowns,
        days.first_day,
        days.last_day,
        &rows.dates,
        &rows.hours,
        &rows.entity_ids,
        &rows.breakdowns,
        sync,
    )
    .execute(db)
    .await?;
    Ok(removed.rows_affected())
}
