//! What the database says of its own schema: applied migrations, and what processes tell it of queues and kinds.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};

/// Numbers of the migrations that were applied; none when the schema was never made. Where they are noted is said in full:
/// behind a pooler in transaction mode our sessions have the search path of their role.
pub(crate) async fn applied_migrations(conn: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let exists = sqlx::query_scalar!(
        r#"SELECT to_regclass('public._sqlx_migrations') IS NOT NULL AS "exists!""#
    )
    .fetch_one(&mut *conn)
    .await?;
    if !exists {
        return Ok(Vec::new());
    }
    // Not a checked macro: the table is the migrator's own and exists only after its first run.
    sqlx::query_scalar("SELECT version FROM public._sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(conn)
        .await
}

/// Queues with the limits that the configuration sets, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct QueuesSet {
    pub(crate) names: Vec<String>,
    pub(crate) global_concurrency: Vec<Option<i32>>,
    pub(crate) rate_counts: Vec<Option<i32>>,
    pub(crate) rate_seconds: Vec<Option<f64>>,
    /// Whose jobs take turns.
    pub(crate) fair_by: Vec<Option<&'static str>>,
}

/// Makes queues known, and their limits. Those that are known keep their pause, what they have started lately, and whose
/// turn comes next; one whose limits stay as they are is not touched, since claims take turns at its row. Starts are kept
/// as if they were at the end of a part of their span: under another rate that end may be far ahead, and they were not.
pub(crate) async fn remember_queues(
    db: impl PgExecutor<'_>,
    queues: &QueuesSet,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.queues AS q (name, global_concurrency, rate_count, rate_per_seconds, fair_by)
         SELECT * FROM unnest($1::text[], $2::int4[], $3::int4[], $4::float8[], $5::text[]) ORDER BY 1
         ON CONFLICT (name) DO UPDATE
            SET global_concurrency = excluded.global_concurrency, rate_count = excluded.rate_count,
                rate_per_seconds = excluded.rate_per_seconds, fair_by = excluded.fair_by,
                rate_times = ARRAY(SELECT LEAST(s.at, clock_timestamp())
                                     FROM unnest(q.rate_times) WITH ORDINALITY AS s (at, place) ORDER BY s.place)
          WHERE (q.global_concurrency, q.rate_count, q.rate_per_seconds, q.fair_by) IS DISTINCT FROM
                (excluded.global_concurrency, excluded.rate_count, excluded.rate_per_seconds, excluded.fair_by)",
        &queues.names,
        &queues.global_concurrency as &[Option<i32>],
        &queues.rate_counts as &[Option<i32>],
        &queues.rate_seconds as &[Option<f64>],
        &queues.fair_by as &[Option<&str>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What `millpond.enqueue` and claims need to know of a kind.
#[derive(Debug)]
pub(crate) struct KindSeen {
    pub(crate) kind: String,
    pub(crate) queue: String,
    pub(crate) priority: i16,
    pub(crate) max_attempts: i32,
    pub(crate) key_path: Option<Vec<String>>,
    pub(crate) unique_rule: Option<Value>,
    /// Attempts with one key that the fleet runs at a time.
    pub(crate) per_key_concurrency: Option<i32>,
    pub(crate) account_path: Option<Vec<String>>,
    pub(crate) budget: Option<String>,
    /// Whether its payloads lie encrypted.
    pub(crate) encrypt: bool,
}

/// What the database was told of these kinds; those that no process ever registered are missing.
pub(crate) async fn kinds_seen(
    db: impl PgExecutor<'_>,
    kinds: &[String],
) -> Result<Vec<KindSeen>, sqlx::Error> {
    sqlx::query_as!(
        KindSeen,
        "SELECT kind, queue, priority, max_attempts, key_path, unique_rule, per_key_concurrency, account_path, budget,
                encrypt
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
        "INSERT INTO millpond.kinds_seen AS k
                (kind, queue, priority, max_attempts, key_path, unique_rule, per_key_concurrency, account_path, budget,
                 encrypt)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (kind) DO UPDATE
            SET queue = excluded.queue, priority = excluded.priority, max_attempts = excluded.max_attempts,
                key_path = excluded.key_path, unique_rule = excluded.unique_rule,
                per_key_concurrency = excluded.per_key_concurrency, account_path = excluded.account_path,
                budget = excluded.budget, encrypt = excluded.encrypt, seen_at = now()",
        kind.kind,
        kind.queue,
        kind.priority,
        kind.max_attempts,
        kind.key_path.as_deref(),
        kind.unique_rule,
        kind.per_key_concurrency,
        kind.account_path.as_deref(),
        kind.budget,
        kind.encrypt,
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    // Fails when a process whose role has a search path of its own takes all migrations to be pending.
    #[sqlx::test(migrations = "../../migrations")]
    async fn migrations_are_found_whatever_the_search_path(db: PgPool) -> anyhow::Result<()> {
        let mut conn = db.acquire().await?;
        sqlx::query("SET search_path = millpond")
            .execute(&mut *conn)
            .await?;

        let applied = applied_migrations(&mut conn).await?;

        assert!(!applied.is_empty());
        Ok(())
    }
}
