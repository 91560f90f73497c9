//! Payloads that lie sealed, wherever their jobs are, for whoever looks whether they open and seals them anew; and the keys
//! that any were sealed under.

use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

/// Notes a key before anything is sealed under it.
pub(crate) async fn remember(db: impl PgExecutor<'_>, key_id: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.payload_keys (key_id) VALUES ($1) ON CONFLICT DO NOTHING",
        key_id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes out a key that nothing lies under any more.
pub(crate) async fn forget(db: impl PgExecutor<'_>, key_id: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM millpond.payload_keys WHERE key_id = $1",
        key_id
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The keys that payloads were sealed under.
pub(crate) async fn known(db: impl PgExecutor<'_>) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!("SELECT key_id FROM millpond.payload_keys ORDER BY key_id")
        .fetch_all(db)
        .await
}

/// A payload with its job.
#[derive(Debug)]
pub(crate) struct PayloadRow {
    pub(crate) id: Uuid,
    /// `None` where it is not sealed and its kind does not ask for that.
    pub(crate) payload: Option<String>,
}

/// Payloads of up to 200 jobs that are to be done, behind one: those that are sealed, and those of kinds that ask for it.
pub(crate) async fn of_jobs(
    db: impl PgExecutor<'_>,
    after: Uuid,
    kinds: &[String],
) -> Result<Vec<PayloadRow>, sqlx::Error> {
    sqlx::query_as!(
        PayloadRow,
        r#"SELECT id, CASE WHEN kind = ANY ($2) OR left(payload::text, 11) = '{"$sealed":' THEN payload::text END AS payload
             FROM millpond.jobs WHERE id > $1 ORDER BY id LIMIT 200"#,
        after,
        kinds,
    )
    .fetch_all(db)
    .await
}

/// The same of dead letters.
pub(crate) async fn of_letters(
    db: impl PgExecutor<'_>,
    after: Uuid,
    kinds: &[String],
) -> Result<Vec<PayloadRow>, sqlx::Error> {
    sqlx::query_as!(
        PayloadRow,
        r#"SELECT id, CASE WHEN kind = ANY ($2) OR left(payload::text, 11) = '{"$sealed":' THEN payload::text END AS payload
             FROM millpond.dead_letters WHERE id > $1 ORDER BY id LIMIT 200"#,
        after,
        kinds,
    )
    .fetch_all(db)
    .await
}

/// A sealed patch with its replay run.
#[derive(Debug)]
pub(crate) struct PatchRow {
    pub(crate) id: Uuid,
    pub(crate) patch: Value,
}

/// Up to 200 sealed patches of runs that go on, behind one.
pub(crate) async fn of_replays(
    db: impl PgExecutor<'_>,
    after: Uuid,
) -> Result<Vec<PatchRow>, sqlx::Error> {
    sqlx::query_as!(
        PatchRow,
        r#"SELECT id, patch AS "patch!" FROM millpond.replays
            WHERE id > $1 AND finished_at IS NULL AND patch ->> '$sealed' IS NOT NULL ORDER BY id LIMIT 200"#,
        after,
    )
    .fetch_all(db)
    .await
}

/// Puts a patch that was sealed anew in the place of the same patch; `false` where its run has ended.
pub(crate) async fn reseal_patch(
    db: impl PgExecutor<'_>,
    id: Uuid,
    old: &Value,
    new: &Value,
) -> Result<bool, sqlx::Error> {
    let resealed = sqlx::query!(
        "UPDATE millpond.replays SET patch = $3 WHERE id = $1 AND patch = $2",
        id,
        old,
        new,
    )
    .execute(db)
    .await?;
    Ok(resealed.rows_affected() == 1)
}

/// Puts a payload that was sealed anew in the place of the same payload; `false` where it is another one by now, or its
/// job has gone on. One that runs is sealed anew too: its attempt has what it needs.
pub(crate) async fn reseal_job(
    db: impl PgExecutor<'_>,
    id: Uuid,
    old: &str,
    new: &str,
) -> Result<bool, sqlx::Error> {
    let resealed = sqlx::query!(
        "UPDATE millpond.jobs SET payload = $3::text::json WHERE id = $1 AND payload::text = $2",
        id,
        old,
        new,
    )
    .execute(db)
    .await?;
    Ok(resealed.rows_affected() == 1)
}

/// The same of a dead letter.
pub(crate) async fn reseal_letter(
    db: impl PgExecutor<'_>,
    id: Uuid,
    old: &str,
    new: &str,
) -> Result<bool, sqlx::Error> {
    let resealed = sqlx::query!(
        "UPDATE millpond.dead_letters SET payload = $3::text::json WHERE id = $1 AND payload::text = $2",
        id,
        old,
        new,
    )
    .execute(db)
    .await?;
    Ok(resealed.rows_affected() == 1)
}
