//! Table `social_engagements`: what people said and did at Pages and Instagram accounts.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// An engagement, without what it is known by.
pub(crate) struct EngagementRow {
    pub(crate) post_id: Option<String>,
    pub(crate) parent_id: Option<String>,
    pub(crate) author_id: Option<String>,
    pub(crate) author_name: Option<String>,
    pub(crate) is_own: bool,
    pub(crate) text: Option<String>,
    pub(crate) text_at: Option<DateTime<Utc>>,
    pub(crate) reaction: Option<String>,
    pub(crate) is_hidden: bool,
    pub(crate) hidden_at: Option<DateTime<Utc>>,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) changed_at: DateTime<Utc>,
    pub(crate) removed_at: Option<DateTime<Utc>>,
    /// As JSON.
    pub(crate) raw: String,
}

/// Stores an engagement where there is none; `false`: there is.
pub(crate) async fn make(
    db: impl PgExecutor<'_>,
    (account, kind, id): (Uuid, &str, &str),
    row: &EngagementRow,
) -> Result<bool, sqlx::Error> {
    let made = sqlx::query!(
        "INSERT INTO marketing.social_engagements (account, kind, id, post_id, parent_id, author_id, author_name, is_own,
                text, reaction, is_hidden, created_at, changed_at, removed_at, raw, text_at, hidden_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15::text::json, $16, $17)
         ON CONFLICT ON CONSTRAINT social_engagements_pkey DO NOTHING",
        account,
        kind,
        id,
        row.post_id,
        row.parent_id,
        row.author_id,
        row.author_name,
        row.is_own,
        row.text,
        row.reaction,
        row.is_hidden,
        row.created_at,
        row.changed_at,
        row.removed_at,
        row.raw,
        row.text_at,
        row.hidden_at,
    )
    .execute(db)
    .await?;
    Ok(made.rows_affected() == 1)
}

/// An engagement, for this transaction to change.
pub(crate) async fn locked(
    db: impl PgExecutor<'_>,
    (account, kind, id): (Uuid, &str, &str),
) -> Result<Option<EngagementRow>, sqlx::Error> {
    sqlx::query_as!(
        EngagementRow,
        r#"SELECT post_id, parent_id, author_id, author_name, is_own, text, reaction, is_hidden, created_at, changed_at,
                  removed_at, raw::text AS "raw!", text_at, hidden_at
             FROM marketing.social_engagements WHERE account = $1 AND kind = $2 AND id = $3 FOR UPDATE"#,
        account,
        kind,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Stores how an engagement stands by now.
pub(crate) async fn change(
    db: impl PgExecutor<'_>,
    (account, kind, id): (Uuid, &str, &str),
    row: &EngagementRow,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.social_engagements
            SET post_id = $4, parent_id = $5, author_id = $6, author_name = $7, is_own = $8, text = $9, reaction = $10,
                is_hidden = $11, created_at = $12, changed_at = $13, removed_at = $14, raw = $15::text::json,
                text_at = $16, hidden_at = $17
          WHERE account = $1 AND kind = $2 AND id = $3",
        account,
        kind,
        id,
        row.post_id,
        row.parent_id,
        row.author_id,
        row.author_name,
        row.is_own,
        row.text,
        row.reaction,
        row.is_hidden,
        row.created_at,
        row.changed_at,
        row.removed_at,
        row.raw,
        row.text_at,
        row.hidden_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes up to 5,000 engagements that were first seen more than so many seconds ago; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.social_engagements
          WHERE (account, kind, id) IN (SELECT account, kind, id FROM marketing.social_engagements
                                         WHERE first_seen < now() - make_interval(secs => $1)
                                         ORDER BY first_seen LIMIT 5000)",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
