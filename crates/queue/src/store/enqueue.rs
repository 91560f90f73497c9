//! `millpond.enqueue` for those who store jobs in transactions of their own.

use sqlx::{
    PgExecutor,
    types::{Json, Uuid},
};

/// Jobs of one kind, as arrays for `unnest`.
#[derive(Debug, Default)]
pub(crate) struct JobColumns {
    pub(crate) payloads: Vec<Json<serde_json::Value>>,
    pub(crate) tenants: Vec<Option<String>>,
    pub(crate) keys: Vec<Option<String>>,
}

/// Stores the jobs, one after the other; `on_conflict` says what becomes of one whose unique key is taken.
pub(crate) async fn enqueue(
    db: impl PgExecutor<'_>,
    (kind, on_conflict): (&str, &str),
    jobs: &JobColumns,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT millpond.enqueue($1, j.payload, tenant => j.tenant, key => j.key, on_conflict => $5) AS "id!"
             FROM unnest($2::jsonb[], $3::text[], $4::text[]) WITH ORDINALITY AS j (payload, tenant, key, place)
            ORDER BY j.place"#,
        kind,
        &jobs.payloads as &[Json<serde_json::Value>],
        &jobs.tenants as &[Option<String>],
        &jobs.keys as &[Option<String>],
        on_conflict,
    )
    .fetch_all(db)
    .await
}
