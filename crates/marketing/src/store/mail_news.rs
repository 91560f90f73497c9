//! What owners are told in mails that gather: accounts that could not be read, and figures of a week. Case is no difference
//! between two addresses: a mail of both has one business key.

use sqlx::{
    PgExecutor,
    types::{
        Decimal,
        chrono::{DateTime, NaiveDate, Utc},
    },
};

/// An owner.
pub(crate) struct OwnerRow {
    pub(crate) tenant: String,
    pub(crate) email: String,
}

/// Owners of what can be read who want digests, in their order.
pub(crate) async fn digest_owners(
    db: impl PgExecutor<'_>,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<OwnerRow>, sqlx::Error> {
    sqlx::query_as!(
        OwnerRow,
        r#"SELECT DISTINCT c.tenant, lower(c.owner_email) AS "email!"
             FROM marketing.connections c
            WHERE c.status <> 'disconnected' AND c.owner_email IS NOT NULL AND NOT c.notifications @> '{"digest": false}'
              AND (c.tenant, lower(c.owner_email)) > ($1, $2)
            ORDER BY c.tenant, lower(c.owner_email) LIMIT $3"#,
        after.0,
        after.1,
        limit,
    )
    .fetch_all(db)
    .await
}

/// The last week from Monday to Sunday that is over, by the clock of UTC.
pub(crate) async fn last_week(db: impl PgExecutor<'_>) -> Result<NaiveDate, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT date_trunc('week', now() AT TIME ZONE 'UTC')::date - 7 AS "first_day!""#
    )
    .fetch_one(db)
    .await
}

/// What an owner's accounts had on a day, in one currency.
pub(crate) struct DayRow {
    pub(crate) currency: Option<String>,
    pub(crate) day: NaiveDate,
    pub(crate) spend: Decimal,
    pub(crate) impressions: i64,
    pub(crate) clicks: i64,
    pub(crate) conversions: Decimal,
}

/// Figures of an owner's accounts by day and currency: amounts of two currencies are never added up.
pub(crate) async fn days(
    db: impl PgExecutor<'_>,
    owner: (&str, &str),
    (first_day, last_day): (NaiveDate, NaiveDate),
    limit: i64,
) -> Result<Vec<DayRow>, sqlx::Error> {
    sqlx::query_as!(
        DayRow,
        r#"SELECT COALESCE(i.currency, a.currency) AS currency, i.date AS "day!", sum(i.spend) AS "spend!",
                  sum(i.impressions)::int8 AS "impressions!", sum(i.clicks)::int8 AS "clicks!",
                  sum(i.conversions) AS "conversions!"
             FROM marketing.connections c
             JOIN marketing.accounts a ON a.connection = c.id AND a.status <> 'disconnected'
             JOIN marketing.insights_daily i ON i.account = a.id AND i.level = 'account' AND i.breakdown = ''
                                            AND i.date BETWEEN $3 AND $4
            WHERE c.tenant = $1 AND lower(c.owner_email) = $2 AND NOT c.notifications @> '{"digest": false}'
            GROUP BY 1, 2 ORDER BY 1, 2 LIMIT $5"#,
        owner.0,
        owner.1,
        first_day,
        last_day,
        limit,
    )
    .fetch_all(db)
    .await
}

/// What an account had in a week.
pub(crate) struct AccountRow {
    pub(crate) name: String,
    pub(crate) platform: String,
    pub(crate) currency: Option<String>,
    pub(crate) spend: Decimal,
    pub(crate) clicks: i64,
    pub(crate) conversions: Decimal,
    /// How many accounts there are, this one among them.
    pub(crate) all: i64,
}

/// The accounts of an owner with figures, by how much was spent; amounts of two currencies are not compared.
pub(crate) async fn accounts(
    db: impl PgExecutor<'_>,
    owner: (&str, &str),
    (first_day, last_day): (NaiveDate, NaiveDate),
    limit: i64,
) -> Result<Vec<AccountRow>, sqlx::Error> {
    sqlx::query_as!(
        AccountRow,
        r#"SELECT a.name AS "name!", a.platform AS "platform!", COALESCE(i.currency, a.currency) AS currency,
                  sum(i.spend) AS "spend!", sum(i.clicks)::int8 AS "clicks!", sum(i.conversions) AS "conversions!",
                  count(*) OVER () AS "all!"
             FROM marketing.connections c
             JOIN marketing.accounts a ON a.connection = c.id AND a.status <> 'disconnected'
             JOIN marketing.insights_daily i ON i.account = a.id AND i.level = 'account' AND i.breakdown = ''
                                            AND i.date BETWEEN $3 AND $4
            WHERE c.tenant = $1 AND lower(c.owner_email) = $2 AND NOT c.notifications @> '{"digest": false}'
            GROUP BY a.id, 3 ORDER BY 3, sum(i.spend) DESC, a.id LIMIT $5"#,
        owner.0,
        owner.1,
        first_day,
        last_day,
        limit,
    )
    .fetch_all(db)
    .await
}

/// An owner some of whose accounts could not be read, and the first of those.
pub(crate) struct FailingRow {
    pub(crate) tenant: String,
    pub(crate) email: String,
    pub(crate) names: Vec<String>,
    pub(crate) platforms: Vec<String>,
    pub(crate) classes: Vec<String>,
    /// Since when nothing could be read.
    pub(crate) since: Vec<DateTime<Utc>>,
    pub(crate) all: i64,
}

/// Owners who want to hear of it, with their accounts of which every sync that ended within a day has failed, in their order.
/// Not those that wait for their owner, who is told of that by another mail, nor what our own set-up is to blame for.
pub(crate) async fn failing(
    db: impl PgExecutor<'_>,
    after: (&str, &str),
    (most_accounts, limit): (i32, i64),
) -> Result<Vec<FailingRow>, sqlx::Error> {
    sqlx::query_as!(
        FailingRow,
        r#"SELECT c.tenant AS "tenant!", lower(c.owner_email) AS "email!",
                  (array_agg(a.name ORDER BY a.id))[1:$3] AS "names!",
                  (array_agg(a.platform ORDER BY a.id))[1:$3] AS "platforms!",
                  (array_agg(failed.error_class ORDER BY a.id))[1:$3] AS "classes!",
                  (array_agg(COALESCE(good.finished_at, a.discovered_at) ORDER BY a.id))[1:$3] AS "since!",
                  count(*) AS "all!"
             FROM marketing.connections c
             JOIN marketing.accounts a ON a.connection = c.id AND a.sync_enabled AND a.status IN ('active', 'expiring')
            CROSS JOIN LATERAL (SELECT s.error_class FROM marketing.syncs s
                                 WHERE s.account = a.id AND s.state = 'failed' AND s.finished_at > now() - interval '1 day'
                                 ORDER BY s.id DESC LIMIT 1) failed
             LEFT JOIN LATERAL (SELECT s.finished_at FROM marketing.syncs s
                                 WHERE s.account = a.id AND s.state IN ('succeeded', 'partial')
                                 ORDER BY s.id DESC LIMIT 1) good ON true
            WHERE c.status <> 'disconnected' AND c.owner_email IS NOT NULL
              AND NOT c.notifications @> '{"sync_errors": false}'
              AND (c.tenant, lower(c.owner_email)) > ($1, $2)
              AND failed.error_class NOT IN ('auth_expired', 'config')
              AND COALESCE(good.finished_at < now() - interval '1 day', true)
            GROUP BY c.tenant, lower(c.owner_email)
            ORDER BY c.tenant, lower(c.owner_email) LIMIT $4"#,
        after.0,
        after.1,
        most_accounts,
        limit,
    )
    .fetch_all(db)
    .await
}
