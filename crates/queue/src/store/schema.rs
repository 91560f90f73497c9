//! What the database says of its own schema: applied migrations, and what processes tell it of queues and kinds.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

/// Numbers of the migrations that were applied; none when the schema was never made.
pub(crate) async fn applied_migrations(conn: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let exists =
        sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "exists!""#)
            .fetch_one(&mut *conn)
            .await?;
    if !exists {
        return Ok(Vec::new());
    }
    // Not a checked macro: the table is the migrator's own and exists only after its first run.
    sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(conn)
        .await
}

/// Makes queues known; those that are known keep their pause.
pub(crate) async fn remember_queues(
    db: impl PgExecutor<'_>,
    names: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.queues (name) SELECT unnest($1::text[]) ORDER BY 1 ON CONFLICT DO NOTHING",
        names,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What `millpond.enqueue` needs to know of a kind.
#[derive(Debug)]
pub(crate) struct KindSeen {
    pub(crate) kind: String,
    pub(crate) queue: String,
    pub(crate) priority: i16,
    pub(crate) max_attempts: i32,
    pub(crate) key_path: Option<Vec<String>>,
    pub(crate) unique_rule: Option<Value>,
}

/// What the database was told of these kinds; those that no process ever registered are missing.
pub(crate) async fn kinds_seen(
    db: impl PgExecutor<'_>,
    kinds: &[String],
) -> Result<Vec<KindSeen>, sqlx::Error> {
    sqlx::query_as!(
        KindSeen,
        "SELECT kind, queue, priority, max_attempts, key_path, unique_rule
           FROM millpond.kinds_seen WHERE kind = ANY ($1)",
        kinds,
    )
    .fetch_all(db)
    .await
}

/// Those of these queues that any process has.
pub(crate) async fn queues_seen(
    db: impl PgExecutor<'_>,
    names: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT name FROM millpond.queues WHERE name = ANY ($1)",
        names,
    )
    .fetch_all(db)
    .await
}

/// Makes a kind known, or brings what is known of it up to date.
pub(crate) async fn remember_kind(
    db: impl PgExecutor<'_>,
    kind: &KindSeen,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.kinds_seen AS k (kind, queue, priority, max_attempts, key_path, unique_rule)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (kind) DO UPDATE
            SET queue = excluded.queue, priority = excluded.priority, max_attempts = excluded.max_attempts,
                key_path = excluded.key_path, unique_rule = excluded.unique_rule, seen_at = now()",
        kind.kind,
        kind.queue,
        kind.priority,
        kind.max_attempts,
        kind.key_path.as_deref(),
        kind.unique_rule,
    )
    .execute(db)
    .await?;
    Ok(())
}
