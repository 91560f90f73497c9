//! Tables `rollups_due`, `insights_monthly` and `account_days`, and the rows of `insights_daily` that are sums of hours: what
//! is behind, and the statements that bring it up to date. A row is written only where its values differ.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, NaiveDate, Utc},
    },
};

use super::insights::Target;

/// What belongs together: it is rolled up in one transaction, beside which nobody replaces its figures.
pub(crate) struct DueUnit {
    pub(crate) account: Uuid,
    pub(crate) level: String,
    /// The clock of the account's days.
    pub(crate) time_zone: Option<String>,
}

/// The first account and level behind this place of which something of this grain is due.
pub(crate) async fn next_unit(
    db: impl PgExecutor<'_>,
    grain: &str,
    (account, level): (Uuid, &str),
) -> Result<Option<DueUnit>, sqlx::Error> {
    sqlx::query_as!(
        DueUnit,
        r#"SELECT d.account AS "account!", d.level AS "level!", a.time_zone AS "time_zone?"
           FROM (SELECT r.account, r.level FROM marketing.rollups_due r
                  WHERE r.grain = $1 AND (r.account, r.level) > ($2, $3)
                  ORDER BY r.account, r.level LIMIT 1) d
           LEFT JOIN marketing.accounts a ON a.id = d.account"#,
        grain,
        account,
        level,
    )
    .fetch_optional(db)
    .await
}

/// A day or month that is due.
pub(crate) struct DueBucket {
    pub(crate) breakdowns: String,
    pub(crate) bucket: NaiveDate,
}

/// What is due of an account and level, up to so many, locked: whoever marks one of them waits and marks it anew.
pub(crate) async fn lock_due(
    db: impl PgExecutor<'_>,
    grain: &str,
    (account, level): (Uuid, &str),
    most: i64,
) -> Result<Vec<DueBucket>, sqlx::Error> {
    sqlx::query_as!(
        DueBucket,
        "SELECT breakdowns, bucket FROM marketing.rollups_due
          WHERE grain = $1 AND account = $2 AND level = $3
          ORDER BY breakdowns, bucket LIMIT $4 FOR UPDATE",
        grain,
        account,
        level,
        most,
    )
    .fetch_all(db)
    .await
}

/// Takes the marks of these away.
pub(crate) async fn clear_due(
    db: impl PgExecutor<'_>,
    grain: &str,
    target: &Target<'_>,
    buckets: &[NaiveDate],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM marketing.rollups_due
          WHERE grain = $1 AND account = $2 AND level = $3 AND breakdowns = $4 AND bucket = ANY ($5)",
        grain,
        target.account,
        target.level,
        target.breakdowns,
        buckets,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Marks what follows from days whose sums of hours have changed.
pub(crate) async fn mark_days(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    days: &[NaiveDate],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.rollups_due AS due (grain, account, level, breakdowns, bucket)
         SELECT 'month', $1::uuid, $2::text, $3::text, date_trunc('month', day::timestamp)::date FROM unnest($4::date[]) AS day
          UNION
         SELECT 'account_day', $1::uuid, $2::text, '', day FROM unnest($4::date[]) AS day WHERE $3::text = ''
          ORDER BY 1, 5
         ON CONFLICT ON CONSTRAINT rollups_due_pkey DO UPDATE SET marked_at = due.marked_at",
        target.account,
        target.level,
        target.breakdowns,
        days,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How many days and months are due of this grain, counted up to so many.
pub(crate) async fn count_due(
    db: impl PgExecutor<'_>,
    grain: &str,
    most: i64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "due!"
             FROM (SELECT 1 FROM marketing.rollups_due WHERE grain = $1 LIMIT $2) AS due"#,
        grain,
        most,
    )
    .fetch_one(db)
    .await
}

/// For how long what is due of this grain has waited, in seconds, by up to so many marks; `None`: nothing is due.
pub(crate) async fn oldest_due(
    db: impl PgExecutor<'_>,
    grain: &str,
    most: i64,
) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXTRACT(epoch FROM now() - min(marked_at))::float8 AS "waited_s?"
             FROM (SELECT marked_at FROM marketing.rollups_due WHERE grain = $1 LIMIT $2) AS due"#,
        grain,
        most,
    )
    .fetch_one(db)
    .await
}

/// Days, each with the time at which it ended or will end by the account's clock.
pub(crate) struct EndingDays<'a> {
    pub(crate) days: &'a [NaiveDate],
    pub(crate) ends: &'a [DateTime<Utc>],
}

/// Adds hours up to days. Where the platform has told all of a day after its end, that stays as it is and nothing is added: an
/// entity it does not name had nothing. What it told of a day before its end stands only until hours are there that were read
/// after it. Reach is of people and is not added up.
pub(crate) async fn add_hours(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    days: &EndingDays<'_>,
) -> Result<u64, sqlx::Error> {
    let stored = sqlx::query!(
        "INSERT INTO marketing.insights_daily AS known
                (account, level, breakdowns, date, entity_id, breakdown, impressions, clicks, link_clicks, views, likes,
                 comments, shares, spend, conversions, revenue, leads, reach, currency, origin)
         SELECT h.account, h.level, h.breakdowns, h.date, h.entity_id, h.breakdown, sum(h.impressions)::bigint,
                sum(h.clicks)::bigint, sum(h.link_clicks)::bigint, sum(h.views)::bigint, sum(h.likes)::bigint,
                sum(h.comments)::bigint, sum(h.shares)::bigint, sum(h.spend), sum(h.conversions), sum(h.revenue),
                sum(h.leads), NULL, max(h.currency), 'hours'
           FROM unnest($4::date[], $5::timestamptz[]) AS day (date, ends_at)
           JOIN marketing.insights_hourly h
             ON h.account = $1 AND h.level = $2 AND h.breakdowns = $3 AND h.date = day.date
          WHERE NOT EXISTS (SELECT FROM marketing.insight_days d
                             WHERE d.account = $1 AND d.level = $2 AND d.granularity = 'day' AND d.breakdowns = $3
                               AND d.date = day.date AND d.read_at >= day.ends_at)
          GROUP BY h.account, h.level, h.breakdowns, h.date, h.entity_id, h.breakdown
          ORDER BY h.date, h.entity_id, h.breakdown
         ON CONFLICT (account, level, date, entity_id, breakdown) DO UPDATE
            SET breakdowns = excluded.breakdowns, impressions = excluded.impressions, clicks = excluded.clicks,
                link_clicks = excluded.link_clicks, views = excluded.views, likes = excluded.likes,
                comments = excluded.comments, shares = excluded.shares, spend = excluded.spend,
                conversions = excluded.conversions, revenue = excluded.revenue, leads = excluded.leads,
                reach = excluded.reach, currency = excluded.currency, origin = excluded.origin, synced_at = now()
          WHERE (known.origin = 'hours'
                 OR EXISTS (SELECT FROM marketing.insight_days d
                              JOIN marketing.insight_days h USING (account, level, breakdowns, date)
                             WHERE d.account = $1 AND d.level = $2 AND d.breakdowns = $3 AND d.date = known.date
                               AND d.granularity = 'day' AND h.granularity = 'hour' AND h.read_at > d.read_at))
            AND (known.impressions, known.clicks, known.link_clicks, known.views, known.likes, known.comments, known.shares,
                 known.spend, known.conversions, known.revenue, known.leads, known.currency, known.origin)
                IS DISTINCT FROM
                (excluded.impressions, excluded.clicks, excluded.link_clicks, excluded.views, excluded.likes,
                 excluded.comments, excluded.shares, excluded.spend, excluded.conversions, excluded.revenue, excluded.leads,
                 excluded.currency, excluded.origin)",
        target.account,
        target.level,
        target.breakdowns,
        days.days,
        days.ends,
    )
    .execute(db)
    .await?;
    Ok(stored.rows_affected())
}

/// Deletes sums of hours that are there no more. Hours that were deleted for their age alone leave their sums.
pub(crate) async fn remove_without_hours(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    days: &[NaiveDate],
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query!(
        "DELETE FROM marketing.insights_daily i
          WHERE i.account = $1 AND i.level = $2 AND i.breakdowns = $3 AND i.date = ANY ($4) AND i.origin = 'hours'
            AND EXISTS (SELECT FROM marketing.insight_days d
                         WHERE d.account = $1 AND d.level = $2 AND d.granularity = 'hour' AND d.breakdowns = $3
                           AND d.date = i.date AND NOT d.pruned)
            AND NOT EXISTS (SELECT FROM marketing.insights_hourly h
                             WHERE h.account = $1 AND h.level = $2 AND h.date = i.date AND h.entity_id = i.entity_id
                               AND h.breakdown = i.breakdown AND h.breakdowns = $3)",
        target.account,
        target.level,
        target.breakdowns,
        days,
    )
    .execute(db)
    .await?;
    Ok(removed.rows_affected())
}

/// Makes a month the sums of its days. Money is turned into the reporting currency day by day, and rounded there, so that
/// every way to add it up comes to the same.
pub(crate) async fn add_days(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    (month, next): (NaiveDate, NaiveDate),
) -> Result<u64, sqlx::Error> {
    let stored = sqlx::query!(
        "WITH days AS MATERIALIZED (
             SELECT i.date, i.entity_id, i.breakdown, COALESCE(i.currency, '') AS currency, i.impressions, i.clicks,
                    i.link_clicks, i.views, i.likes, i.comments, i.shares, i.spend, i.conversions, i.revenue, i.leads
               FROM marketing.insights_daily i
              WHERE i.account = $1 AND i.level = $2 AND i.breakdowns = $3 AND i.date >= $4 AND i.date < $5),
         rates AS MATERIALIZED (
             SELECT d.date, d.currency, marketing.rate_on(d.currency, d.date) AS rate
               FROM (SELECT DISTINCT date, currency FROM days) d)
         INSERT INTO marketing.insights_monthly AS known
                (account, level, breakdowns, month, entity_id, breakdown, currency, days, impressions, clicks, link_clicks, views,
                 likes, comments, shares, spend, conversions, revenue, leads, reporting_spend, reporting_revenue)
         SELECT $1::uuid, $2::text, $3::text, $4::date, d.entity_id, d.breakdown, d.currency, count(*)::smallint,
                sum(d.impressions)::bigint, sum(d.clicks)::bigint, sum(d.link_clicks)::bigint, sum(d.views)::bigint,
                sum(d.likes)::bigint, sum(d.comments)::bigint, sum(d.shares)::bigint, sum(d.spend), sum(d.conversions),
                sum(d.revenue), sum(d.leads),
                CASE WHEN bool_and(d.spend = 0 OR r.rate IS NOT NULL)
                     THEN COALESCE(sum(round(d.spend * r.rate, 8)), 0) END,
                CASE WHEN bool_and(d.revenue = 0 OR r.rate IS NOT NULL)
                     THEN COALESCE(sum(round(d.revenue * r.rate, 8)), 0) END
           FROM days d
           JOIN rates r USING (date, currency)
          GROUP BY d.entity_id, d.breakdown, d.currency
          ORDER BY d.entity_id, d.breakdown, d.currency
         ON CONFLICT (account, level, month, entity_id, breakdown, currency) DO UPDATE
            SET breakdowns = excluded.breakdowns, days = excluded.days, impressions = excluded.impressions,
                clicks = excluded.clicks, link_clicks = excluded.link_clicks, views = excluded.views, likes = excluded.likes,
                comments = excluded.comments, shares = excluded.shares, spend = excluded.spend,
                conversions = excluded.conversions, revenue = excluded.revenue, leads = excluded.leads,
                reporting_spend = excluded.reporting_spend, reporting_revenue = excluded.reporting_revenue, rolled_at = now()
          WHERE (known.breakdowns, known.days, known.impressions, known.clicks, known.link_clicks, known.views, known.likes,
                 known.comments, known.shares, known.spend, known.conversions, known.revenue, known.leads,
                 known.reporting_spend, known.reporting_revenue)
                IS DISTINCT FROM
                (excluded.breakdowns, excluded.days, excluded.impressions, excluded.clicks, excluded.link_clicks,
                 excluded.views, excluded.likes, excluded.comments, excluded.shares, excluded.spend, excluded.conversions,
                 excluded.revenue, excluded.leads, excluded.reporting_spend, excluded.reporting_revenue)",
        target.account,
        target.level,
        target.breakdowns,
        month,
        next,
    )
    .execute(db)
    .await?;
    Ok(stored.rows_affected())
}

/// Deletes the rows of a month that have no day any more.
pub(crate) async fn remove_without_days(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    (month, next): (NaiveDate, NaiveDate),
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query!(
        "DELETE FROM marketing.insights_monthly m
          WHERE m.account = $1 AND m.level = $2 AND m.breakdowns = $3 AND m.month = $4
            AND (m.entity_id, m.breakdown, m.currency) NOT IN (
                SELECT i.entity_id, i.breakdown, COALESCE(i.currency, '')
                  FROM marketing.insights_daily i
                 WHERE i.account = $1 AND i.level = $2 AND i.breakdowns = $3 AND i.date >= $4 AND i.date < $5)",
        target.account,
        target.level,
        target.breakdowns,
        month,
        next,
    )
    .execute(db)
    .await?;
    Ok(removed.rows_affected())
}

/// Makes an account's days the sums of its entities' days.
pub(crate) async fn add_entities(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    days: &[NaiveDate],
) -> Result<u64, sqlx::Error> {
    let stored = sqlx::query!(
        "WITH sums AS MATERIALIZED (
             SELECT i.date, COALESCE(i.currency, '') AS currency, count(*)::integer AS entities,
                    sum(i.impressions)::bigint AS impressions, sum(i.clicks)::bigint AS clicks,
                    sum(i.link_clicks)::bigint AS link_clicks, sum(i.views)::bigint AS views, sum(i.likes)::bigint AS likes,
                    sum(i.comments)::bigint AS comments, sum(i.shares)::bigint AS shares, sum(i.spend) AS spend,
                    sum(i.conversions) AS conversions, sum(i.revenue) AS revenue, sum(i.leads) AS leads,
                    CASE WHEN count(*) = 1 THEN max(i.reach) END AS reach,
                    sum(round(i.spend * r.rate, 8)) AS reporting_spend, sum(round(i.revenue * r.rate, 8)) AS reporting_revenue
               FROM marketing.insights_daily i
               LEFT JOIN (SELECT d.day, c.currency, marketing.rate_on(c.currency, d.day) AS rate
                            FROM unnest($4::date[]) AS d (day)
                           CROSS JOIN (SELECT DISTINCT n.currency FROM marketing.insights_daily n
                                        WHERE n.account = $1 AND n.level = $2 AND n.breakdowns = $3 AND n.date = ANY ($4)) c) r
                 ON r.day = i.date AND r.currency = i.currency
              WHERE i.account = $1 AND i.level = $2 AND i.breakdowns = $3 AND i.date = ANY ($4)
              GROUP BY 1, 2)
         INSERT INTO marketing.account_days AS known
                (account, level, date, currency, entities, impressions, clicks, link_clicks, views, likes, comments, shares,
                 spend, conversions, revenue, leads, reach, reporting_spend, reporting_revenue)
         SELECT $1::uuid, $2::text, s.date, s.currency, s.entities, s.impressions, s.clicks, s.link_clicks, s.views, s.likes,
                s.comments, s.shares, s.spend, s.conversions, s.revenue, s.leads, s.reach,
                CASE WHEN s.spend = 0 THEN 0 ELSE s.reporting_spend END,
                CASE WHEN s.revenue = 0 THEN 0 ELSE s.reporting_revenue END
           FROM sums s
          ORDER BY s.date, s.currency
         ON CONFLICT ON CONSTRAINT account_days_pkey DO UPDATE
            SET entities = excluded.entities, impressions = excluded.impressions, clicks = excluded.clicks,
                link_clicks = excluded.link_clicks, views = excluded.views, likes = excluded.likes,
                comments = excluded.comments, shares = excluded.shares, spend = excluded.spend,
                conversions = excluded.conversions, revenue = excluded.revenue, leads = excluded.leads,
                reach = excluded.reach, reporting_spend = excluded.reporting_spend,
                reporting_revenue = excluded.reporting_revenue, rolled_at = now()
          WHERE (known.entities, known.impressions, known.clicks, known.link_clicks, known.views, known.likes, known.comments,
                 known.shares, known.spend, known.conversions, known.revenue, known.leads, known.reach, known.reporting_spend,
                 known.reporting_revenue)
                IS DISTINCT FROM
                (excluded.entities, excluded.impressions, excluded.clicks, excluded.link_clicks, excluded.views,
                 excluded.likes, excluded.comments, excluded.shares, excluded.spend, excluded.conversions, excluded.revenue,
                 excluded.leads, excluded.reach, excluded.reporting_spend, excluded.reporting_revenue)",
        target.account,
        target.level,
        target.breakdowns,
        days,
    )
    .execute(db)
    .await?;
    Ok(stored.rows_affected())
}

/// Deletes the account's days on which no entity has figures any more.
pub(crate) async fn remove_without_entities(
    db: impl PgExecutor<'_>,
    target: &Target<'_>,
    days: &[NaiveDate],
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query!(
        "DELETE FROM marketing.account_days a
          WHERE a.account = $1 AND a.level = $2 AND a.date = ANY ($4)
            AND NOT EXISTS (SELECT FROM marketing.insights_daily i
                             WHERE i.account = $1 AND i.level = $2 AND i.breakdowns = $3 AND i.date = a.date
                               AND COALESCE(i.currency, '') = a.currency)",
        target.account,
        target.level,
        target.breakdowns,
        days,
    )
    .execute(db)
    .await?;
    Ok(removed.rows_affected())
}
