//! Table `watches`: accounts that somebody is looking at.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// A watch as it stands.
pub(crate) struct WatchRow {
    pub(crate) id: Uuid,
    pub(crate) until: DateTime<Utc>,
}

/// Watches an account from now on for so long, in the place of what was asked for before.
pub(crate) async fn watch(
    db: impl PgExecutor<'_>,
    account: Uuid,
    for_s: f64,
) -> Result<WatchRow, sqlx::Error> {
    sqlx::query_as!(
        WatchRow,
        "INSERT INTO marketing.watches (account, until) VALUES ($1, now() + make_interval(secs => $2))
         ON CONFLICT (account) DO UPDATE SET until = excluded.until
         RETURNING id, until",
        account,
        for_s,
    )
    .fetch_one(db)
    .await
}

/// Whether a watch goes on. One whose time is over ends here, by another id for its row. Both in one statement: whoever asks for
/// more at that moment changes the row before it, and the watch goes on, or after it, and begins the next one.
pub(crate) async fn goes_on(
    db: impl PgExecutor<'_>,
    account: Uuid,
    watch: Uuid,
) -> Result<bool, sqlx::Error> {
    let goes_on = sqlx::query_scalar!(
        r#"UPDATE marketing.watches SET id = CASE WHEN until > now() THEN id ELSE gen_random_uuid() END
            WHERE account = $1 AND id = $2
        RETURNING until > now() AS "goes_on!""#,
        account,
        watch,
    )
    .fetch_optional(db)
    .await?;
    Ok(goes_on.unwrap_or(false))
}

/// Forgets up to 5,000 watches that have ended; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.watches
          WHERE account = ANY (ARRAY(SELECT account FROM marketing.watches WHERE until <= now()
                                      LIMIT 5000 FOR UPDATE SKIP LOCKED))",
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
