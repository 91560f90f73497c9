//! Tables `rates` and `reporting`: what currencies were worth, and in which one.

use sqlx::{
    PgExecutor,
    types::{Decimal, chrono::NaiveDate},
};

/// Waits until nobody adds money up at the rates of now, and keeps those who want to waiting until the transaction ends.
pub(crate) async fn wait_to_load(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended('marketing.rates', 0)) AS "done!: ()""#
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// Keeps the rates as they are until the transaction ends; many may at once.
pub(crate) async fn hold(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock_shared(hashtextextended('marketing.rates', 0)) AS "done!: ()""#
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// The currency that rates lead to, if one was ever named.
pub(crate) async fn reporting_currency(
    db: impl PgExecutor<'_>,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("SELECT currency FROM marketing.reporting")
        .fetch_optional(db)
        .await
}

/// Names the currency that rates lead to.
pub(crate) async fn set_reporting_currency(
    db: impl PgExecutor<'_>,
    currency: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.reporting AS known (currency) VALUES ($1)
         ON CONFLICT (singleton) DO UPDATE SET currency = excluded.currency, set_at = now()
          WHERE known.currency <> excluded.currency",
        currency,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets all rates.
pub(crate) async fn clear(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let cleared = sqlx::query!("DELETE FROM marketing.rates")
        .execute(db)
        .await?;
    Ok(cleared.rows_affected())
}

/// Rates as arrays for `unnest`, no currency and day of them twice.
#[derive(Default)]
pub(crate) struct RateRows {
    pub(crate) currencies: Vec<String>,
    pub(crate) days: Vec<NaiveDate>,
    pub(crate) rates: Vec<Decimal>,
}

/// A rate that is new or differs.
pub(crate) struct ChangedRate {
    pub(crate) currency: String,
    pub(crate) day: NaiveDate,
}

/// Stores rates; tells which were new or differed.
pub(crate) async fn store(
    db: impl PgExecutor<'_>,
    rows: &RateRows,
) -> Result<Vec<ChangedRate>, sqlx::Error> {
    sqlx::query_as!(
        ChangedRate,
        "INSERT INTO marketing.rates AS known (currency, day, rate)
         SELECT r.currency, r.day, r.rate
           FROM unnest($1::text[], $2::date[], $3::numeric[]) AS r (currency, day, rate)
          ORDER BY r.currency, r.day
         ON CONFLICT ON CONSTRAINT rates_pkey DO UPDATE SET rate = excluded.rate, loaded_at = now()
          WHERE known.rate <> excluded.rate
         RETURNING currency, day",
        &rows.currencies,
        &rows.days,
        &rows.rates,
    )
    .fetch_all(db)
    .await
}

/// Marks what was added up at other rates: the days of accounts in these currencies from each of these days to a week after
/// it, for which its rate stands in where there is no later one, and their months. All of it where nothing is named. Days of
/// accounts that are due may not be there yet while their months are: those are marked too.
pub(crate) async fn mark(
    db: impl PgExecutor<'_>,
    changed: Option<(&[String], &[NaiveDate])>,
) -> Result<u64, sqlx::Error> {
    let (currencies, days) = changed.unwrap_or_default();
    let marked = sqlx::query!(
        "WITH stale AS MATERIALIZED (
             SELECT s.account, s.level, s.date
               FROM marketing.account_days s
              WHERE $3::boolean
                 OR (s.currency, s.date) IN (
                     SELECT r.currency, r.day + later
                       FROM unnest($1::text[], $2::date[]) AS r (currency, day)
                      CROSS JOIN generate_series(0, 7) AS later))
         INSERT INTO marketing.rollups_due AS due (grain, account, level, breakdowns, bucket)
         SELECT 'account_day', s.account, s.level, '', s.date FROM stale s
          UNION
         SELECT 'month', s.account, s.level, '', date_trunc('month', s.date::timestamp)::date FROM stale s
          UNION
         SELECT 'month', d.account, d.level, '', date_trunc('month', d.bucket::timestamp)::date
           FROM marketing.rollups_due d WHERE d.grain = 'account_day'
          ORDER BY 1, 2, 3, 5
         ON CONFLICT ON CONSTRAINT rollups_due_pkey DO UPDATE SET marked_at = due.marked_at",
        currencies,
        days,
        changed.is_none(),
    )
    .execute(db)
    .await?;
    Ok(marked.rows_affected())
}
