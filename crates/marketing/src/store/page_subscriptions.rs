//! Table `page_subscriptions`: Pages that events are asked for.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// How a Page stands.
pub(crate) struct SubscriptionRow {
    pub(crate) subscribed_at: Option<DateTime<Utc>>,
    pub(crate) leads_read_to: Option<DateTime<Utc>>,
}

/// How a Page stands.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    account: Uuid,
) -> Result<Option<SubscriptionRow>, sqlx::Error> {
    sqlx::query_as!(
        SubscriptionRow,
        "SELECT subscribed_at, leads_read_to FROM marketing.page_subscriptions WHERE account = $1",
        account,
    )
    .fetch_optional(db)
    .await
}

/// Notes that events come.
pub(crate) async fn subscribed(db: impl PgExecutor<'_>, account: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.page_subscriptions (account, subscribed_at) VALUES ($1, now())
         ON CONFLICT (account) DO UPDATE SET subscribed_at = excluded.subscribed_at",
        account,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes up to when leads have been read; never an earlier time.
pub(crate) async fn leads_were_read(
    db: impl PgExecutor<'_>,
    account: Uuid,
    up_to: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.page_subscriptions AS known (account, leads_read_to) VALUES ($1, $2)
         ON CONFLICT (account) DO UPDATE SET leads_read_to = GREATEST(known.leads_read_to, excluded.leads_read_to)",
        account,
        up_to,
    )
    .execute(db)
    .await?;
    Ok(())
}
