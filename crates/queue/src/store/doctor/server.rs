//! The server and our role on it.

use sqlx::PgExecutor;

/// Settings and figures of the server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) version: i32,
    /// It follows another server, and nothing can be written to it.
    pub(crate) is_standby: bool,
    pub(crate) epoch_seconds: f64,
    pub(crate) fsync: String,
    pub(crate) full_page_writes: String,
    pub(crate) synchronous_commit: String,
    pub(crate) autovacuum: String,
    pub(crate) track_counts: String,
    /// The share of the notification queue that is in use, 0 to 1.
    pub(crate) notify_queue: f64,
}

/// Asks the server for its settings and its clock.
pub(crate) async fn server(db: impl PgExecutor<'_>) -> Result<Server, sqlx::Error> {
    sqlx::query_as!(
        Server,
        r#"SELECT current_setting('server_version_num')::int AS "version!",
                  pg_is_in_recovery() AS "is_standby!",
                  extract(epoch FROM clock_timestamp())::float8 AS "epoch_seconds!",
                  current_setting('fsync') AS "fsync!", current_setting('full_page_writes') AS "full_page_writes!",
                  current_setting('synchronous_commit') AS "synchronous_commit!",
                  current_setting('autovacuum') AS "autovacuum!", current_setting('track_counts') AS "track_counts!",
                  pg_notification_queue_usage() AS "notify_queue!""#
    )
    .fetch_one(db)
    .await
}

/// Connections to the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connections {
    pub(crate) in_use: i64,
    /// Most that roles without privileges may have together.
    pub(crate) allowed: i64,
}

/// Counts the connections of all clients.
pub(crate) async fn connections(db: impl PgExecutor<'_>) -> Result<Connections, sqlx::Error> {
    sqlx::query_as!(
        Connections,
        r#"SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS "in_use!",
                  current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
                  - COALESCE(current_setting('reserved_connections', true)::bigint, 0) AS "allowed!""#
    )
    .fetch_one(db)
    .await
}

/// A limit that a session does not have, and the role that could be given it. Both as SQL writes them.
#[derive(Debug)]
pub(crate) struct Unlimited {
    pub(crate) role: String,
    pub(crate) setting: String,
}

/// The time limits that this session does not have.
pub(crate) async fn unlimited(db: impl PgExecutor<'_>) -> Result<Vec<Unlimited>, sqlx::Error> {
    sqlx::query_as!(
        Unlimited,
        r#"SELECT quote_ident(current_user) AS "role!", name AS "setting!" FROM pg_settings
            WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') AND setting = '0'
            ORDER BY name"#
    )
    .fetch_all(db)
    .await
}

/// Tables that belong to somebody whose rights our role does not have. Names as SQL writes them.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) role: String,
    pub(crate) owner: String,
    pub(crate) schema: String,
    pub(crate) tables: i64,
}

/// Finds tables of ours that our role may not vacuum or make partitions of.
pub(crate) async fn foreign_tables(db: impl PgExecutor<'_>) -> Result<Vec<Foreign>, sqlx::Error> {
    sqlx::query_as!(
        Foreign,
        r#"SELECT quote_ident(current_user) AS "role!", quote_ident(pg_get_userbyid(c.relowner)) AS "owner!",
                  n.nspname::text AS "schema!", count(*) AS "tables!"
             FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname IN ('millpond', 'marketing') AND c.relkind IN ('r', 'p') AND NOT pg_has_role(c.relowner, 'USAGE')
            GROUP BY c.relowner, n.nspname
            ORDER BY n.nspname"#
    )
    .fetch_all(db)
    .await
}

/// Whether our role sees what sessions of other roles do.
pub(crate) async fn sees_all_sessions(db: impl PgExecutor<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS "sees!""#)
        .fetch_one(db)
        .await
}
