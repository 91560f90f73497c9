//! Table `social_insights`: figures of pages and of Instagram accounts.

use sqlx::{
    PgExecutor,
    types::{Decimal, Uuid, chrono::NaiveDate},
};

/// Values of one page or account, as arrays for `unnest`, none of them twice.
#[derive(Default)]
pub(crate) struct SocialRows {
    pub(crate) metrics: Vec<String>,
    pub(crate) parts: Vec<String>,
    pub(crate) first_days: Vec<NaiveDate>,
    pub(crate) last_days: Vec<NaiveDate>,
    pub(crate) values: Vec<Decimal>,
}

/// Stores values in the place of earlier ones; tells how many were new or differed.
pub(crate) async fn store(
    db: impl PgExecutor<'_>,
    (account, entity_id): (Uuid, &str),
    rows: &SocialRows,
) -> Result<u64, sqlx::Error> {
    let stored = sqlx::query!(
        "INSERT INTO marketing.social_insights AS known (account, entity_id, metric, part, first_day, last_day, value)
         SELECT $1::uuid, $2::text, r.metric, r.part, r.first_day, r.last_day, r.value
           FROM unnest($3::text[], $4::text[], $5::date[], $6::date[], $7::numeric[])
                AS r (metric, part, first_day, last_day, value)
         ON CONFLICT ON CONSTRAINT social_insights_pkey DO UPDATE SET value = excluded.value, synced_at = now()
          WHERE known.value <> excluded.value",
        account,
        entity_id,
        &rows.metrics,
        &rows.parts,
        &rows.first_days,
        &rows.last_days,
        &rows.values,
    )
    .execute(db)
    .await?;
    Ok(stored.rows_affected())
}
