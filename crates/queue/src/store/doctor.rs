//! What `doctor` asks the database about itself and about us.

use sqlx::PgExecutor;

/// Settings and figures of the server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) version: i32,
    pub(crate) epoch_seconds: f64,
    pub(crate) fsync: String,
    pub(crate) full_page_writes: String,
    pub(crate) synchronous_commit: String,
    pub(crate) autovacuum: String,
    pub(crate) max_connections: i64,
    pub(crate) connections: i64,
}

/// Asks the server for its settings and its clock.
pub(crate) async fn server(db: impl PgExecutor<'_>) -> Result<Server, sqlx::Error> {
    sqlx::query_as!(
        Server,
        r#"SELECT current_setting('server_version_num')::int AS "version!",
                  extract(epoch FROM clock_timestamp())::float8 AS "epoch_seconds!",
                  current_setting('fsync') AS "fsync!", current_setting('full_page_writes') AS "full_page_writes!",
                  current_setting('synchronous_commit') AS "synchronous_commit!",
                  current_setting('autovacuum') AS "autovacuum!",
                  current_setting('max_connections')::bigint AS "max_connections!",
                  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS "connections!""#
    )
    .fetch_one(db)
    .await
}

/// Jobs under leases that ran out more than so many seconds ago and were not rescued.
pub(crate) async fn stuck_leases(
    db: impl PgExecutor<'_>,
    overdue_seconds: f64,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM millpond.jobs
            WHERE state = 'running' AND lease_until < now() - make_interval(secs => $1)"#,
        overdue_seconds,
    )
    .fetch_one(db)
    .await
}
