//! Our tables and indexes as PostgreSQL keeps them.

use sqlx::PgExecutor;

/// How a table is kept clean.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// As SQL writes it.
    pub(crate) name: String,
    pub(crate) live_rows: i64,
    pub(crate) dead_rows: i64,
    /// When somebody last cleaned it.
    pub(crate) vacuumed_seconds_ago: Option<f64>,
    /// Autovacuum looks after it.
    pub(crate) is_vacuumed: bool,
    /// How long autovacuum pauses after each bit of work on it; `None`: as the server says.
    pub(crate) vacuum_pause_ms: Option<f64>,
}

/// Our tables, those with most dead rows first; most of them are days of the history.
pub(crate) async fn tables(db: impl PgExecutor<'_>) -> Result<Vec<Table>, sqlx::Error> {
    sqlx::query_as!(
        Table,
        r#"SELECT format('%I.%I', n.nspname, c.relname) AS "name!", COALESCE(s.n_live_tup, 0) AS "live_rows!",
                  COALESCE(s.n_dead_tup, 0) AS "dead_rows!",
                  extract(epoch FROM now() - GREATEST(s.last_autovacuum, s.last_vacuum))::float8 AS vacuumed_seconds_ago,
                  COALESCE((SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) o
                             WHERE o.option_name = 'autovacuum_enabled'), true) AS "is_vacuumed!",
                  (SELECT o.option_value::float8 FROM pg_options_to_table(c.reloptions) o
                    WHERE o.option_name = 'autovacuum_vacuum_cost_delay') AS vacuum_pause_ms
             FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
            WHERE n.nspname IN ('millpond', 'marketing') AND c.relkind = 'r'
            ORDER BY 3 DESC, 1 LIMIT 1000"#
    )
    .fetch_all(db)
    .await
}

/// An index and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    /// As SQL writes it.
    pub(crate) name: String,
    pub(crate) is_valid: bool,
    pub(crate) bytes: i64,
    /// As the last vacuum counted them; negative before the first.
    pub(crate) entries: f64,
    /// Width of a key on average, as far as the last analyse knows it.
    pub(crate) key_bytes: i64,
}

/// Our indexes that cannot be used, or have at least so many bytes. Sizes of keys come from `pg_stats`; nothing of an
/// index is read.
pub(crate) async fn indexes(
    db: impl PgExecutor<'_>,
    least_bytes: i64,
) -> Result<Vec<Index>, sqlx::Error> {
    sqlx::query_as!(
        Index,
        r#"SELECT format('%I.%I', n.nspname, x.relname) AS "name!", i.indisvalid AS "is_valid!",
                  pg_relation_size(i.indexrelid) AS "bytes!", x.reltuples::float8 AS "entries!",
                  (SELECT sum(COALESCE(s.avg_width, 16))
                     FROM unnest(i.indkey::int2[]) AS k (attnum)
                     LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                     LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = t.relname
                                         AND s.attname = a.attname)::bigint AS "key_bytes!"
             FROM pg_index i
             JOIN pg_class x ON x.oid = i.indexrelid
             JOIN pg_am m ON m.oid = x.relam
             JOIN pg_class t ON t.oid = i.indrelid
             JOIN pg_namespace n ON n.oid = t.relnamespace
            WHERE n.nspname IN ('millpond', 'marketing') AND m.amname = 'btree' AND x.relkind = 'i'
              AND (NOT i.indisvalid OR pg_relation_size(i.indexrelid) >= $1)
            ORDER BY 3 DESC, 1 LIMIT 50"#,
        least_bytes,
    )
    .fetch_all(db)
    .await
}
