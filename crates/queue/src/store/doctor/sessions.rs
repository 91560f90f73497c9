//! Who keeps PostgreSQL from cleaning up, and who is in everybody's way.

use sqlx::PgExecutor;

/// Somebody for whose sake dead rows are kept.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    /// `session`, `prepared`, `slot` or `standby`.
    pub(crate) sort: String,
    /// A session's process; else a name, as SQL writes it.
    pub(crate) name: String,
    /// Role, program and address, as far as they are known.
    pub(crate) who: String,
    /// For how long, where that is known.
    pub(crate) seconds: Option<f64>,
    /// How many transactions have begun since.
    pub(crate) transactions: i32,
}

/// The twenty who hold the oldest rows of this database.
pub(crate) async fn holders(db: impl PgExecutor<'_>) -> Result<Vec<Holder>, sqlx::Error> {
    sqlx::query_as!(
        Holder,
        r#"SELECT h.sort AS "sort!", h.name AS "name!", COALESCE(h.who, '') AS "who!", h.seconds AS "seconds?",
                  COALESCE(h.transactions, 0) AS "transactions!"
             FROM (SELECT 'session' AS sort, a.pid::text AS name,
                          concat_ws(' ', a.usename, NULLIF(a.application_name, ''), host(a.client_addr), a.state) AS who,
                          extract(epoch FROM now() - a.xact_start)::float8 AS seconds,
                          GREATEST(age(a.backend_xid), age(a.backend_xmin)) AS transactions
                     FROM pg_stat_activity a
                    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
                      -- A vacuum is in no other vacuum's way; standbys and slots stand below.
                      AND a.backend_type NOT IN ('autovacuum worker', 'walsender')
                      AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
                    UNION ALL
                   SELECT 'prepared', quote_literal(p.gid), p.owner::text,
                          extract(epoch FROM now() - p.prepared)::float8, age(p.transaction)
                     FROM pg_prepared_xacts p WHERE p.database = current_database()
                    UNION ALL
                   SELECT 'slot', quote_literal(s.slot_name), CASE WHEN s.active THEN 'in use' ELSE 'not in use' END,
                          NULL, age(s.xmin)
                     FROM pg_replication_slots s WHERE s.xmin IS NOT NULL
                    UNION ALL
                   SELECT 'standby', COALESCE(NULLIF(r.application_name, ''), r.pid::text), host(r.client_addr),
                          NULL, age(r.backend_xmin)
                     FROM pg_stat_replication r WHERE r.backend_xmin IS NOT NULL) AS h
            ORDER BY h.transactions DESC NULLS LAST LIMIT 20"#
    )
    .fetch_all(db)
    .await
}

/// A session that began a transaction and does nothing.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) pid: i32,
    /// Role, program and address, as far as they are known.
    pub(crate) who: String,
    pub(crate) seconds: f64,
}

/// The twenty sessions of this database that have been idle in a transaction for longest.
pub(crate) async fn idle_in_transaction(db: impl PgExecutor<'_>) -> Result<Vec<Idle>, sqlx::Error> {
    sqlx::query_as!(
        Idle,
        r#"SELECT pid AS "pid!", concat_ws(' ', usename, NULLIF(application_name, ''), host(client_addr)) AS "who!",
                  extract(epoch FROM now() - state_change)::float8 AS "seconds!"
             FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'
            ORDER BY state_change LIMIT 20"#
    )
    .fetch_all(db)
    .await
}

/// A replication slot.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// As SQL writes it.
    pub(crate) name: String,
    /// Somebody reads from it now.
    pub(crate) is_active: bool,
    /// How much of the write-ahead log is kept for it.
    pub(crate) retained_bytes: Option<i64>,
}

/// The twenty replication slots of the server that keep most of the write-ahead log.
pub(crate) async fn slots(db: impl PgExecutor<'_>) -> Result<Vec<Slot>, sqlx::Error> {
    sqlx::query_as!(
        Slot,
        r#"SELECT quote_literal(slot_name) AS "name!", active AS "is_active!",
                  pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                                  restart_lsn)::bigint AS retained_bytes
             FROM pg_replication_slots ORDER BY 3 DESC NULLS LAST LIMIT 20"#
    )
    .fetch_all(db)
    .await
}
