//! The figures that rules and alerts go by, of whole entities over stretches of days: the one place where they are read.

use sqlx::{
    PgExecutor,
    types::{Decimal, Uuid, chrono::NaiveDate},
};

/// Most entities of one account that a rule or an alert looks at.
pub(crate) const MOST_ENTITIES: i64 = 5_000;

/// What an entity did in a stretch of days.
pub(crate) struct SumRow {
    pub(crate) entity_id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) daily_budget: Option<Decimal>,
    pub(crate) impressions: Decimal,
    pub(crate) clicks: Decimal,
    pub(crate) link_clicks: Decimal,
    pub(crate) views: Decimal,
    pub(crate) likes: Decimal,
    pub(crate) comments: Decimal,
    pub(crate) shares: Decimal,
    pub(crate) spend: Decimal,
    pub(crate) conversions: Decimal,
    pub(crate) revenue: Decimal,
    pub(crate) leads: Decimal,
}

/// Whose figures, and of which days: both ends are of them.
pub(crate) struct Asked<'a> {
    pub(crate) account: Uuid,
    pub(crate) level: &'static str,
    /// Only these; empty: all.
    pub(crate) entities: &'a [String],
    pub(crate) from: NaiveDate,
    pub(crate) to: NaiveDate,
}

/// Sums of the campaigns, ad sets or ads that still are there, those that spent most first.
pub(crate) async fn of_entities(
    db: impl PgExecutor<'_>,
    asked: &Asked<'_>,
) -> Result<Vec<SumRow>, sqlx::Error> {
    sqlx::query_as!(
        SumRow,
        r#"SELECT e.id AS entity_id, e.name, e.status, e.daily_budget,
                  s.impressions AS "impressions!", s.clicks AS "clicks!", s.link_clicks AS "link_clicks!", s.views AS "views!",
                  s.likes AS "likes!", s.comments AS "comments!", s.shares AS "shares!", s.spend AS "spend!",
                  s.conversions AS "conversions!", s.revenue AS "revenue!", s.leads AS "leads!"
             FROM (SELECT i.entity_id, sum(i.impressions) AS impressions, sum(i.clicks) AS clicks,
                          sum(i.link_clicks) AS link_clicks, sum(i.views) AS views, sum(i.likes) AS likes,
                          sum(i.comments) AS comments, sum(i.shares) AS shares, sum(i.spend) AS spend,
                          sum(i.conversions) AS conversions, sum(i.revenue) AS revenue, sum(i.leads) AS leads
                     FROM marketing.insights_daily i
                    WHERE i.account = $1 AND i.level = $2 AND i.date BETWEEN $4 AND $5 AND i.breakdowns = ''
                      AND (cardinality($3::text[]) = 0 OR i.entity_id = ANY ($3))
                    GROUP BY i.entity_id) s
             JOIN marketing.entities e ON e.account = $1 AND e.kind = $2 AND e.id = s.entity_id AND e.vanished_at IS NULL
            ORDER BY s.spend DESC, e.id LIMIT $6"#,
        asked.account,
        asked.level,
        asked.entities,
        asked.from,
        asked.to,
        MOST_ENTITIES,
    )
    .fetch_all(db)
    .await
}

/// Sums of an account as a whole; zeros where nothing is stored of these days.
pub(crate) async fn of_account(
    db: impl PgExecutor<'_>,
    asked: &Asked<'_>,
) -> Result<Option<SumRow>, sqlx::Error> {
    sqlx::query_as!(
        SumRow,
        r#"SELECT a.external_id AS "entity_id!", a.name AS "name!", 'active' AS "status!", NULL::numeric AS daily_budget,
                  COALESCE(sum(i.impressions), 0) AS "impressions!", COALESCE(sum(i.clicks), 0) AS "clicks!",
                  COALESCE(sum(i.link_clicks), 0) AS "link_clicks!", COALESCE(sum(i.views), 0) AS "views!",
                  COALESCE(sum(i.likes), 0) AS "likes!", COALESCE(sum(i.comments), 0) AS "comments!",
                  COALESCE(sum(i.shares), 0) AS "shares!", COALESCE(sum(i.spend), 0) AS "spend!",
                  COALESCE(sum(i.conversions), 0) AS "conversions!", COALESCE(sum(i.revenue), 0) AS "revenue!",
                  COALESCE(sum(i.leads), 0) AS "leads!"
             FROM marketing.accounts a
             LEFT JOIN marketing.insights_daily i
                    ON i.account = a.id AND i.level = 'account' AND i.date BETWEEN $2 AND $3 AND i.breakdowns = ''
            WHERE a.id = $1
            GROUP BY a.id"#,
        asked.account,
        asked.from,
        asked.to,
    )
    .fetch_optional(db)
    .await
}
