//! View `bi_freshness`: as of when what is stored of ad accounts is.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// As of when what is stored of an account is.
pub(crate) struct AsOfRow {
    pub(crate) account: Uuid,
    pub(crate) entities: Option<DateTime<Utc>>,
    pub(crate) figures: Option<DateTime<Utc>>,
    pub(crate) all: DateTime<Utc>,
    /// When this was looked at.
    pub(crate) now: DateTime<Utc>,
}

/// As of when what is stored of these accounts is; those that are no ad accounts are left out.
pub(crate) async fn of(
    db: impl PgExecutor<'_>,
    accounts: &[Uuid],
) -> Result<Vec<AsOfRow>, sqlx::Error> {
    sqlx::query_as!(
        AsOfRow,
        r#"SELECT account_id AS "account!", entities_as_of AS "entities?", figures_as_of AS "figures?", as_of AS "all!",
                  now() AS "now!"
             FROM marketing.bi_freshness WHERE account_id = ANY ($1)"#,
        accounts,
    )
    .fetch_all(db)
    .await
}

/// Which accounts to list.
pub(crate) struct BehindQuery<'a> {
    pub(crate) tenant: Option<&'a str>,
    pub(crate) platform: Option<&'static str>,
    pub(crate) status: Option<&'static str>,
    pub(crate) connection: Option<Uuid>,
    /// As of when the last one of the page before is, and which it is.
    pub(crate) after: Option<(DateTime<Utc>, Uuid)>,
    pub(crate) limit: i64,
}

/// A page of the accounts that are synced, the ones most behind first.
pub(crate) async fn most_behind(
    db: impl PgExecutor<'_>,
    query: &BehindQuery<'_>,
) -> Result<Vec<AsOfRow>, sqlx::Error> {
    let (as_of, account) = query.after.unzip();
    sqlx::query_as!(
        AsOfRow,
        r#"SELECT f.account_id AS "account!", f.entities_as_of AS "entities?", f.figures_as_of AS "figures?",
                  f.as_of AS "all!", now() AS "now!"
             FROM marketing.bi_freshness f
             JOIN marketing.accounts a ON a.id = f.account_id
            WHERE f.is_synced AND ($1::text IS NULL OR a.tenant = $1) AND ($2::text IS NULL OR a.platform = $2)
              AND ($3::text IS NULL OR a.status = $3) AND ($4::uuid IS NULL OR a.connection = $4)
              AND ($5::timestamptz IS NULL OR (f.as_of, f.account_id) > ($5, $6::uuid))
            ORDER BY f.as_of, f.account_id LIMIT $7"#,
        query.tenant,
        query.platform,
        query.status,
        query.connection,
        as_of,
        account,
        query.limit,
    )
    .fetch_all(db)
    .await
}

/// Objectives, as arrays for `unnest`.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) names: Vec<String>,
    /// `None`: of all platforms.
    pub(crate) platforms: Vec<Option<String>>,
    /// How old what is stored may be.
    pub(crate) within_s: Vec<f64>,
}

/// For how many accounts an objective is met.
pub(crate) struct Met {
    pub(crate) name: String,
    pub(crate) accounts: i64,
    pub(crate) good: i64,
}

// Both look at each account once, however many objectives there are; what they do not name of the view is not read.
macro_rules! met {
    ([$as_of:literal], $asked:expr) => {
        sqlx::query_as!(
            Met,
            r#"WITH fresh AS MATERIALIZED (
                   SELECT platform, COALESCE("# + $as_of + r#", discovered_at) AS as_of
                     FROM marketing.bi_freshness WHERE is_synced)
               SELECT o.name AS "name!", count(*) AS "accounts!",
                      count(*) FILTER (WHERE f.as_of >= now() - make_interval(secs => o.within_s)) AS "good!"
                 FROM unnest($1::text[], $2::text[], $3::double precision[]) AS o (name, platform, within_s)
                 JOIN fresh f ON o.platform IS NULL OR o.platform = f.platform
                GROUP BY o.name"#,
            &$asked.names,
            &$asked.platforms as &[Option<String>],
            &$asked.within_s,
        )
    };
}

/// For how many accounts objectives for what they hold are met; those without any account are left out.
pub(crate) async fn entities_met(
    db: impl PgExecutor<'_>,
    asked: &Asked,
) -> Result<Vec<Met>, sqlx::Error> {
    met!(["entities_as_of"], asked).fetch_all(db).await
}

/// For how many accounts objectives for their figures are met; those without any account are left out.
pub(crate) async fn figures_met(
    db: impl PgExecutor<'_>,
    asked: &Asked,
) -> Result<Vec<Met>, sqlx::Error> {
    met!(["figures_as_of"], asked).fetch_all(db).await
}
