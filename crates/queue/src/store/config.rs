//! Revisions of the configuration and run-time overrides. Whoever changes either holds [`lock`] until the commit.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;

/// How often the configuration of the fleet has changed.
pub(crate) async fn changes(db: impl PgExecutor<'_>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("SELECT change FROM millpond.config_state WHERE id = 1")
        .fetch_one(db)
        .await
}

/// Lets nobody else change the configuration until this transaction ends.
pub(crate) async fn lock(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT change FROM millpond.config_state WHERE id = 1 FOR UPDATE")
        .fetch_one(db)
        .await?;
    Ok(())
}

/// Counts a change, so that every process reads it.
pub(crate) async fn count_change(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE millpond.config_state SET change = change + 1 WHERE id = 1")
        .execute(db)
        .await?;
    Ok(())
}

/// A revision as processes read it.
#[derive(Debug, Clone)]
pub(crate) struct RevisionText {
    pub(crate) revision: i64,
    pub(crate) text: String,
}

/// The revision that holds; `None` before the first one.
pub(crate) async fn newest(db: impl PgExecutor<'_>) -> Result<Option<RevisionText>, sqlx::Error> {
    sqlx::query_as!(
        RevisionText,
        "SELECT revision, text FROM millpond.config_revisions ORDER BY revision DESC LIMIT 1"
    )
    .fetch_optional(db)
    .await
}

/// The revision before this one.
pub(crate) async fn before(
    db: impl PgExecutor<'_>,
    revision: i64,
) -> Result<Option<RevisionText>, sqlx::Error> {
    sqlx::query_as!(
        RevisionText,
        "SELECT revision, text FROM millpond.config_revisions WHERE revision < $1 ORDER BY revision DESC LIMIT 1",
        revision
    )
    .fetch_optional(db)
    .await
}

/// One revision's text.
pub(crate) async fn text_of(
    db: impl PgExecutor<'_>,
    revision: i64,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT text FROM millpond.config_revisions WHERE revision = $1",
        revision
    )
    .fetch_optional(db)
    .await
}

/// The latest revision with this content.
pub(crate) async fn with_content(
    db: impl PgExecutor<'_>,
    content_hash: &[u8],
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT revision FROM millpond.config_revisions WHERE content_hash = $1 ORDER BY revision DESC LIMIT 1",
        content_hash
    )
    .fetch_optional(db)
    .await
}

/// A revision to be stored.
#[derive(Debug)]
pub(crate) struct RevisionRow<'a> {
    pub(crate) content_hash: &'a [u8],
    pub(crate) text: &'a str,
    pub(crate) source: &'static str,
    pub(crate) author: &'a str,
    pub(crate) reason: Option<&'a str>,
    pub(crate) changed: &'a [String],
}

/// Stores a revision, which holds from the commit on.
pub(crate) async fn insert(
    db: impl PgExecutor<'_>,
    row: &RevisionRow<'_>,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        "INSERT INTO millpond.config_revisions (content_hash, text, source, author, reason, changed)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING revision",
        row.content_hash,
        row.text,
        row.source,
        row.author,
        row.reason,
        row.changed,
    )
    .fetch_one(db)
    .await
}

/// A revision as the history shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Revision {
    /// Its number; grows with time.
    pub revision: i64,
    /// `file`, `cli` or `api`.
    pub source: String,
    /// Who: the machine and the path of a file, a person, an API key.
    pub author: String,
    /// Why.
    pub reason: Option<String>,
    /// The keys that the revision before gives other values, at most 200.
    pub changed: Vec<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A page of revisions, the newest first.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Revision>, sqlx::Error> {
    sqlx::query_as!(
        Revision,
        "SELECT revision, source, author, reason, changed, created_at FROM millpond.config_revisions
          WHERE revision < COALESCE($1, 9223372036854775807) ORDER BY revision DESC LIMIT $2",
        before,
        limit,
    )
    .fetch_all(db)
    .await
}

/// An override and how long it holds yet.
#[derive(Debug, Clone)]
pub(crate) struct OverrideRow {
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) author: String,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
    pub(crate) remaining_seconds: f64,
}

/// The overrides that hold, in the order in which they were set.
pub(crate) async fn overrides(db: impl PgExecutor<'_>) -> Result<Vec<OverrideRow>, sqlx::Error> {
    sqlx::query_as!(
        OverrideRow,
        r#"SELECT key, value, author, reason, created_at, until,
                  extract(epoch FROM until - now())::float8 AS "remaining_seconds!"
             FROM millpond.config_overrides WHERE until > now() ORDER BY created_at, key"#
    )
    .fetch_all(db)
    .await
}

/// An override to be set.
#[derive(Debug)]
pub(crate) struct NewOverrideRow<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a Value,
    pub(crate) author: &'a str,
    pub(crate) reason: Option<&'a str>,
    pub(crate) until: Option<DateTime<Utc>>,
    /// Where `until` is absent: from now on, by the database's clock.
    pub(crate) for_seconds: Option<f64>,
}

/// Sets an override in the place of one with the same key; tells since when and until when it holds.
pub(crate) async fn set_override(
    db: impl PgExecutor<'_>,
    row: &NewOverrideRow<'_>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), sqlx::Error> {
    let set = sqlx::query!(
        "INSERT INTO millpond.config_overrides (key, value, author, reason, until)
         VALUES ($1, $2, $3, $4, COALESCE($5, now() + make_interval(secs => $6)))
         ON CONFLICT (key) DO UPDATE
            SET value = excluded.value, author = excluded.author, reason = excluded.reason,
                created_at = excluded.created_at, until = excluded.until
      RETURNING created_at, until",
        row.key,
        row.value,
        row.author,
        row.reason,
        row.until,
        row.for_seconds,
    )
    .fetch_one(db)
    .await?;
    Ok((set.created_at, set.until))
}

/// Takes an override away; `false` when none holds.
pub(crate) async fn unset_override(
    db: impl PgExecutor<'_>,
    key: &str,
) -> Result<bool, sqlx::Error> {
    let gone = sqlx::query!(
        "DELETE FROM millpond.config_overrides WHERE key = $1 AND until > now()",
        key
    )
    .execute(db)
    .await?;
    Ok(gone.rows_affected() == 1)
}

/// Forgets overrides that have ended; the audit keeps who set them.
pub(crate) async fn forget_ended(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM millpond.config_overrides WHERE until <= now()")
        .execute(db)
        .await?;
    Ok(())
}
