//! Sums of figures, as `GET /v1/metrics` shows them: one statement for each place that they are read from. What is not
//! rolled up yet is read from the days of entities, so that nobody waits for the clock.

use sqlx::{
    PgExecutor,
    types::{Decimal, Uuid, chrono::NaiveDate},
};

/// Which sums, and by what.
#[derive(Clone, Copy)]
pub(crate) struct SumQuery<'a> {
    pub(crate) tenant: Option<&'a str>,
    pub(crate) platform: Option<&'static str>,
    pub(crate) account: Option<Uuid>,
    pub(crate) level: &'static str,
    pub(crate) from: NaiveDate,
    pub(crate) to: NaiveDate,
    /// hour, day, week, month or total.
    pub(crate) grain: &'static str,
    pub(crate) by_tenant: bool,
    pub(crate) by_platform: bool,
    pub(crate) by_account: bool,
    pub(crate) by_entity: bool,
    /// Most rows.
    pub(crate) most: i64,
}

/// Sums of one stretch of time, group and currency.
pub(crate) struct SumRow {
    /// The first day of the stretch.
    pub(crate) bucket: NaiveDate,
    pub(crate) hour: Option<i16>,
    pub(crate) tenant: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) account: Option<Uuid>,
    pub(crate) entity_id: Option<String>,
    /// '' where nobody says it.
    pub(crate) currency: String,
    /// How many rows of figures they are of.
    pub(crate) rows: i64,
    pub(crate) impressions: i64,
    pub(crate) clicks: i64,
    pub(crate) link_clicks: i64,
    pub(crate) views: i64,
    pub(crate) likes: i64,
    pub(crate) comments: i64,
    pub(crate) shares: i64,
    pub(crate) spend: Decimal,
    pub(crate) conversions: Decimal,
    pub(crate) revenue: Decimal,
    pub(crate) leads: Decimal,
    /// Of the one row; `None` where there are several.
    pub(crate) reach: Option<i64>,
    /// `None` where the rate of a day is missing.
    pub(crate) reporting_spend: Option<Decimal>,
    pub(crate) reporting_revenue: Option<Decimal>,
}

// All sources give `found` the same columns. What is summed of them is the same too.
macro_rules! sums {
    ([$found:literal] $query:expr $(, $more:expr)*) => {
        sqlx::query_as!(
            SumRow,
            "WITH asked AS NOT MATERIALIZED (
                 SELECT a.id, a.tenant, a.platform, a.currency FROM marketing.accounts a
                  WHERE ($1::text IS NULL OR a.tenant = $1) AND ($2::text IS NULL OR a.platform = $2)
                    AND ($3::uuid IS NULL OR a.id = $3)), " + $found + "
             SELECT CASE $7::text WHEN 'total' THEN $5::date
                                  WHEN 'week' THEN date_trunc('week', f.date::timestamp)::date
                                  WHEN 'month' THEN date_trunc('month', f.date::timestamp)::date
                                  ELSE f.date END AS \"bucket!\",
                    f.hour AS \"hour?\",
                    CASE WHEN $8::boolean THEN f.tenant END AS \"tenant?\",
                    CASE WHEN $9::boolean THEN f.platform END AS \"platform?\",
                    CASE WHEN $10::boolean THEN f.account END AS \"account?\",
                    CASE WHEN $11::boolean THEN f.entity_id END AS \"entity_id?\",
                    f.currency AS \"currency!\",
                    sum(f.rows)::bigint AS \"rows!\", sum(f.impressions)::bigint AS \"impressions!\",
                    sum(f.clicks)::bigint AS \"clicks!\", sum(f.link_clicks)::bigint AS \"link_clicks!\",
                    sum(f.views)::bigint AS \"views!\", sum(f.likes)::bigint AS \"likes!\",
                    sum(f.comments)::bigint AS \"comments!\", sum(f.shares)::bigint AS \"shares!\", sum(f.spend) AS \"spend!\",
                    sum(f.conversions) AS \"conversions!\", sum(f.revenue) AS \"revenue!\", sum(f.leads) AS \"leads!\",
                    CASE WHEN sum(f.rows) = 1 THEN max(f.reach) END AS \"reach?\",
                    CASE WHEN bool_and(f.reporting_spend IS NOT NULL) THEN sum(f.reporting_spend) END AS \"reporting_spend?\",
                    CASE WHEN bool_and(f.reporting_revenue IS NOT NULL) THEN sum(f.reporting_revenue) END
                        AS \"reporting_revenue?\"
               FROM found f
              GROUP BY 1, 2, 3, 4, 5, 6, 7
              ORDER BY 1, 2, 3, 4, 5, 6, 7
              LIMIT $12",
            $query.tenant,
            $query.platform,
            $query.account,
            $query.level,
            $query.from,
            $query.to,
            $query.grain,
            $query.by_tenant,
            $query.by_platform,
            $query.by_account,
            $query.by_entity,
            $query.most,
            $($more,)*
        )
    };
}

/// Months in a row that are asked for from end to end.
pub(crate) struct WholeMonths {
    /// The first day of the first.
    pub(crate) first: NaiveDate,
    /// The first day behind the last.
    pub(crate) next: NaiveDate,
}

/// Of whole accounts: these months from their months, as far as none of their days is behind, and else from their days.
pub(crate) async fn of_accounts(
    db: impl PgExecutor<'_>,
    query: &SumQuery<'_>,
    whole: &WholeMonths,
) -> Result<Vec<SumRow>, sqlx::Error> {
    let sums = sums!(
        ["due AS MATERIALIZED (
              SELECT d.account, d.bucket, date_trunc('month', d.bucket::timestamp)::date AS month FROM asked
                JOIN marketing.rollups_due d
                  ON d.grain = 'account_day' AND d.account = asked.id AND d.level = $4 AND d.breakdowns = ''
                 AND d.bucket BETWEEN $5 AND $6),
          stretches AS MATERIALIZED (
              SELECT asked.id AS account, edge.first_day, edge.last_day FROM asked
               CROSS JOIN (VALUES ($5::date, $13::date - 1), ($14::date, $6::date)) AS edge (first_day, last_day)
               WHERE edge.first_day <= edge.last_day
               UNION
              SELECT due.account, due.month, (due.month + interval '1 month')::date - 1
                FROM due WHERE due.month >= $13 AND due.month < $14),
          found AS (
              SELECT asked.tenant, asked.platform, m.account, ''::text AS entity_id, m.month AS date, NULL::smallint AS hour,
                     m.currency, m.entities AS rows, m.impressions, m.clicks, m.link_clicks, m.views, m.likes, m.comments,
                     m.shares, m.spend, m.conversions, m.revenue, m.leads, m.reach, m.reporting_spend, m.reporting_revenue
                FROM asked
                JOIN marketing.account_months m
                  ON m.account = asked.id AND m.level = $4 AND m.month >= $13 AND m.month < $14
               WHERE NOT EXISTS (SELECT FROM due WHERE due.account = m.account AND due.month = m.month)
               UNION ALL
              SELECT asked.tenant, asked.platform, s.account, '', s.date, NULL, s.currency, s.entities, s.impressions, s.clicks,
                     s.link_clicks, s.views, s.likes, s.comments, s.shares, s.spend, s.conversions, s.revenue, s.leads,
                     s.reach, s.reporting_spend, s.reporting_revenue
                FROM stretches
                JOIN asked ON asked.id = stretches.account
               CROSS JOIN LATERAL ( -- OFFSET: each by the index; the planner would rather read all days there are
                     SELECT d.* FROM marketing.account_days d
                      WHERE d.account = stretches.account AND d.level = $4
                        AND d.date BETWEEN stretches.first_day AND stretches.last_day OFFSET 0) s
               WHERE NOT EXISTS (SELECT FROM due WHERE due.account = s.account AND due.bucket = s.date)
               UNION ALL
              SELECT asked.tenant, asked.platform, i.account, '', i.date, NULL, COALESCE(i.currency, ''), 1, i.impressions,
                     i.clicks, i.link_clicks, i.views, i.likes, i.comments, i.shares, i.spend, i.conversions, i.revenue,
                     i.leads, i.reach, CASE WHEN i.spend = 0 THEN 0 ELSE round(i.spend * r.rate, 8) END,
                     CASE WHEN i.revenue = 0 THEN 0 ELSE round(i.revenue * r.rate, 8) END
                FROM due
                JOIN asked ON asked.id = due.account
                JOIN marketing.insights_daily i
                  ON i.account = due.account AND i.level = $4 AND i.date = due.bucket AND i.breakdowns = ''
               CROSS JOIN LATERAL (SELECT marketing.rate_on(i.currency, i.date) AS rate) r)"]
        query,
        whole.first,
        whole.next
    );
    sums.fetch_all(db).await
}

/// Of entities, from their days.
pub(crate) async fn of_entities(
    db: impl PgExecutor<'_>,
    query: &SumQuery<'_>,
) -> Result<Vec<SumRow>, sqlx::Error> {
    let sums = sums!(
        ["rates AS MATERIALIZED (
              SELECT day::date AS date, c.currency, marketing.rate_on(c.currency, day::date) AS rate
                FROM generate_series($5::date::timestamp, $6::date::timestamp, '1 day') AS day
               CROSS JOIN (SELECT DISTINCT asked.currency FROM asked WHERE asked.currency IS NOT NULL) c),
          found AS (
              SELECT asked.tenant, asked.platform, i.account, i.entity_id, i.date, NULL::smallint AS hour,
                     COALESCE(i.currency, '') AS currency, 1 AS rows, i.impressions, i.clicks, i.link_clicks, i.views, i.likes,
                     i.comments, i.shares, i.spend, i.conversions, i.revenue, i.leads, i.reach,
                     CASE WHEN i.spend = 0 THEN 0 ELSE round(i.spend * r.rate, 8) END AS reporting_spend,
                     CASE WHEN i.revenue = 0 THEN 0 ELSE round(i.revenue * r.rate, 8) END AS reporting_revenue
                FROM asked
                JOIN marketing.insights_daily i
                  ON i.account = asked.id AND i.level = $4 AND i.date BETWEEN $5 AND $6 AND i.breakdowns = ''
                LEFT JOIN rates known ON known.date = i.date AND known.currency = i.currency
               CROSS JOIN LATERAL ( -- few rows are in another currency than their account is by now
                     SELECT CASE WHEN known.date IS NULL AND i.currency IS NOT NULL THEN marketing.rate_on(i.currency, i.date)
                                 ELSE known.rate END AS rate) r)"]
        query
    );
    sums.fetch_all(db).await
}

/// Of entities, each of their days by itself: that is a row, and nothing is added up.
pub(crate) async fn of_entity_days(
    db: impl PgExecutor<'_>,
    query: &SumQuery<'_>,
) -> Result<Vec<SumRow>, sqlx::Error> {
    sqlx::query_as!(
        SumRow,
        r#"WITH asked AS NOT MATERIALIZED (
               SELECT a.id, a.tenant, a.platform, a.currency FROM marketing.accounts a
                WHERE ($1::text IS NULL OR a.tenant = $1) AND ($2::text IS NULL OR a.platform = $2)
                  AND ($3::uuid IS NULL OR a.id = $3)),
           rates AS MATERIALIZED (
               SELECT day::date AS date, c.currency, marketing.rate_on(c.currency, day::date) AS rate
                 FROM generate_series($5::date::timestamp, $6::date::timestamp, '1 day') AS day
                CROSS JOIN (SELECT DISTINCT asked.currency FROM asked WHERE asked.currency IS NOT NULL) c)
           SELECT i.date AS "bucket!", NULL::smallint AS "hour?", asked.tenant AS "tenant?", asked.platform AS "platform?",
                  i.account AS "account?", i.entity_id AS "entity_id?", COALESCE(i.currency, '') AS "currency!",
                  1::bigint AS "rows!", i.impressions AS "impressions!", i.clicks AS "clicks!",
                  i.link_clicks AS "link_clicks!", i.views AS "views!", i.likes AS "likes!", i.comments AS "comments!",
                  i.shares AS "shares!", i.spend AS "spend!", i.conversions AS "conversions!", i.revenue AS "revenue!",
                  i.leads AS "leads!", i.reach AS "reach?",
                  CASE WHEN i.spend = 0 THEN 0 ELSE round(i.spend * r.rate, 8) END AS "reporting_spend?",
                  CASE WHEN i.revenue = 0 THEN 0 ELSE round(i.revenue * r.rate, 8) END AS "reporting_revenue?"
             FROM asked
             JOIN marketing.insights_daily i
               ON i.account = asked.id AND i.level = $4 AND i.date BETWEEN $5 AND $6 AND i.breakdowns = ''
             LEFT JOIN rates known ON known.date = i.date AND known.currency = i.currency
            CROSS JOIN LATERAL ( -- few rows are in another currency than their account is by now
                  SELECT CASE WHEN known.date IS NULL AND i.currency IS NOT NULL THEN marketing.rate_on(i.currency, i.date)
                              ELSE known.rate END AS rate) r
            LIMIT $7"#,
        query.tenant,
        query.platform,
        query.account,
        query.level,
        query.from,
        query.to,
        query.most,
    )
    .fetch_all(db)
    .await
}

/// Of entities over whole months, from their months.
pub(crate) async fn of_entity_months(
    db: impl PgExecutor<'_>,
    query: &SumQuery<'_>,
) -> Result<Vec<SumRow>, sqlx::Error> {
    let sums = sums!(
        ["due AS MATERIALIZED (
              SELECT d.account, d.bucket FROM asked
                JOIN marketing.rollups_due d
                  ON d.grain = 'month' AND d.account = asked.id AND d.level = $4 AND d.breakdowns = ''
                 AND d.bucket BETWEEN $5 AND $6),
          found AS (
              SELECT asked.tenant, asked.platform, m.account, m.entity_id, m.month AS date, NULL::smallint AS hour, m.currency,
                     m.days::integer AS rows, m.impressions, m.clicks, m.link_clicks, m.views, m.likes, m.comments, m.shares,
                     m.spend, m.conversions, m.revenue, m.leads, NULL::bigint AS reach, m.reporting_spend, m.reporting_revenue
                FROM asked
                JOIN marketing.insights_monthly m
                  ON m.account = asked.id AND m.level = $4 AND m.month BETWEEN $5 AND $6 AND m.breakdowns = ''
               WHERE NOT EXISTS (SELECT FROM due WHERE due.account = m.account AND due.bucket = m.month)
               UNION ALL
              SELECT asked.tenant, asked.platform, i.account, i.entity_id, i.date, NULL, COALESCE(i.currency, ''), 1,
                     i.impressions, i.clicks, i.link_clicks, i.views, i.likes, i.comments, i.shares, i.spend, i.conversions,
                     i.revenue, i.leads, NULL, CASE WHEN i.spend = 0 THEN 0 ELSE round(i.spend * r.rate, 8) END,
                     CASE WHEN i.revenue = 0 THEN 0 ELSE round(i.revenue * r.rate, 8) END
                FROM due
                JOIN asked ON asked.id = due.account
                JOIN marketing.insights_daily i
                  ON i.account = due.account AND i.level = $4 AND i.breakdowns = '' AND i.date >= due.bucket
                 AND i.date < (due.bucket + interval '1 month')::date AND i.date BETWEEN $5 AND $6
               CROSS JOIN LATERAL (SELECT marketing.rate_on(i.currency, i.date) AS rate) r)"]
        query
    );
    sums.fetch_all(db).await
}

/// Of entities or whole accounts, from hours.
pub(crate) async fn of_hours(
    db: impl PgExecutor<'_>,
    query: &SumQuery<'_>,
) -> Result<Vec<SumRow>, sqlx::Error> {
    let sums = sums!(
        ["rates AS MATERIALIZED (
              SELECT day::date AS date, c.currency, marketing.rate_on(c.currency, day::date) AS rate
                FROM generate_series($5::date::timestamp, $6::date::timestamp, '1 day') AS day
               CROSS JOIN (SELECT DISTINCT asked.currency FROM asked WHERE asked.currency IS NOT NULL) c),
          found AS (
              SELECT asked.tenant, asked.platform, i.account, i.entity_id, i.date, i.hour,
                     COALESCE(i.currency, '') AS currency, 1 AS rows, i.impressions, i.clicks, i.link_clicks, i.views, i.likes,
                     i.comments, i.shares, i.spend, i.conversions, i.revenue, i.leads, i.reach,
                     CASE WHEN i.spend = 0 THEN 0 ELSE round(i.spend * r.rate, 8) END AS reporting_spend,
                     CASE WHEN i.revenue = 0 THEN 0 ELSE round(i.revenue * r.rate, 8) END AS reporting_revenue
                FROM asked
                JOIN marketing.insights_hourly i
                  ON i.account = asked.id AND i.level = $4 AND i.date BETWEEN $5 AND $6 AND i.breakdowns = ''
                LEFT JOIN rates known ON known.date = i.date AND known.currency = i.currency
               CROSS JOIN LATERAL ( -- few rows are in another currency than their account is by now
                     SELECT CASE WHEN known.date IS NULL AND i.currency IS NOT NULL THEN marketing.rate_on(i.currency, i.date)
                                 ELSE known.rate END AS rate) r)"]
        query
    );
    sums.fetch_all(db).await
}

/// What an account is called.
pub(crate) struct AccountName {
    pub(crate) id: Uuid,
    pub(crate) name: String,
}

/// What these accounts are called.
pub(crate) async fn account_names(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<AccountName>, sqlx::Error> {
    sqlx::query_as!(
        AccountName,
        "SELECT id, name FROM marketing.accounts WHERE id = ANY ($1)",
        ids,
    )
    .fetch_all(db)
    .await
}

/// What an entity is called.
pub(crate) struct EntityName {
    pub(crate) account: Uuid,
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What these entities of a level are called, each with its account.
pub(crate) async fn entity_names(
    db: impl PgExecutor<'_>,
    level: &str,
    accounts: &[Uuid],
    ids: &[String],
) -> Result<Vec<EntityName>, sqlx::Error> {
    sqlx::query_as!(
        EntityName,
        "SELECT e.account, e.id, e.name
           FROM unnest($2::uuid[], $3::text[]) AS asked (account, id)
           JOIN marketing.entities e ON e.account = asked.account AND e.kind = $1 AND e.id = asked.id",
        level,
        accounts,
        ids,
    )
    .fetch_all(db)
    .await
}
