//! Table `api_calls`: the log of calls to platforms.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// Calls as arrays for `unnest`.
#[derive(Default)]
pub(crate) struct CallRows {
    pub(crate) times: Vec<DateTime<Utc>>,
    pub(crate) platforms: Vec<&'static str>,
    pub(crate) accounts: Vec<Option<Uuid>>,
    pub(crate) endpoints: Vec<&'static str>,
    pub(crate) statuses: Vec<Option<i16>>,
    pub(crate) classes: Vec<Option<&'static str>>,
    pub(crate) took_ms: Vec<i32>,
    pub(crate) used_shares: Vec<Option<f64>>,
    pub(crate) remaining: Vec<Option<i64>>,
    pub(crate) resets_in_s: Vec<Option<i64>>,
    pub(crate) request_ids: Vec<Option<String>>,
}

/// Keeps calls.
pub(crate) async fn record(db: impl PgExecutor<'_>, rows: &CallRows) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.api_calls
                (at, platform, account, endpoint, status, class, took_ms, used_share, remaining, resets_in_s, request_id)
         SELECT c.at, c.platform, c.account, c.endpoint, c.status, c.class, c.took_ms, c.used_share, c.remaining, c.resets_in_s,
                c.request_id
           FROM unnest($1::timestamptz[], $2::text[], $3::uuid[], $4::text[], $5::smallint[], $6::text[], $7::integer[],
                       $8::float8[], $9::bigint[], $10::bigint[], $11::text[])
                AS c (at, platform, account, endpoint, status, class, took_ms, used_share, remaining, resets_in_s,
                      request_id)",
        &rows.times,
        &rows.platforms as &[&str],
        &rows.accounts as &[Option<Uuid>],
        &rows.endpoints as &[&str],
        &rows.statuses as &[Option<i16>],
        &rows.classes as &[Option<&str>],
        &rows.took_ms,
        &rows.used_shares as &[Option<f64>],
        &rows.remaining as &[Option<i64>],
        &rows.resets_in_s as &[Option<i64>],
        &rows.request_ids as &[Option<String>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Makes the partitions of the days ahead and drops the oldest one whose every row is older than this; tells how many it
/// dropped.
pub(crate) async fn maintain(db: impl PgExecutor<'_>, keep_s: f64) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT marketing.maintain_api_calls(7, now() - make_interval(secs => $1)) AS "dropped!""#,
        keep_s,
    )
    .fetch_one(db)
    .await
}

/// Makes the partitions of today and of the days ahead, and drops none.
pub(crate) async fn make_days_ahead(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT marketing.maintain_api_calls(7, '-infinity') AS "dropped!""#)
        .fetch_one(db)
        .await?;
    Ok(())
}

/// Deletes up to 5,000 calls that stand outside of the days' partitions and are older than this; tells how many.
pub(crate) async fn prune_stray(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.api_calls_default
          WHERE ctid = ANY (ARRAY(SELECT ctid FROM marketing.api_calls_default
                                   WHERE at < now() - make_interval(secs => $1) LIMIT 5000))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
