//! What tables `connections` and `accounts` say of grants that end, that have ended, and that were not looked at lately.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// A grant of which something ends soon.
pub(crate) struct EndingRow {
    pub(crate) id: Uuid,
    pub(crate) token_version: i64,
    pub(crate) platform: String,
    pub(crate) tenant: String,
    pub(crate) status: String,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) refresh_expires_at: Option<DateTime<Utc>>,
    pub(crate) data_access_expires_at: Option<DateTime<Utc>>,
    pub(crate) has_refresh_token: bool,
    pub(crate) warned_of: Option<DateTime<Utc>>,
    /// `None` where nobody wants to hear of it.
    pub(crate) owner_email: Option<String>,
    /// The first of its accounts, and the names of a few.
    pub(crate) account: Uuid,
    pub(crate) names: Vec<String>,
    pub(crate) accounts: i64,
    pub(crate) now: DateTime<Utc>,
}

/// Grants that can be used and of which something ends within so many seconds, by id; only one of them where it is named.
pub(crate) async fn ending(
    db: impl PgExecutor<'_>,
    within_seconds: f64,
    only: Option<Uuid>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<EndingRow>, sqlx::Error> {
    sqlx::query_as!(
        EndingRow,
        r#"SELECT c.id, c.token_version, c.platform, c.tenant, c.status, c.expires_at, c.refresh_expires_at,
                  c.data_access_expires_at, c.refresh_token IS NOT NULL AS "has_refresh_token!", c.warned_of,
                  CASE WHEN NOT c.notifications @> '{"token_expiry": false}' THEN c.owner_email END AS owner_email,
                  a.ids[1] AS "account!", a.names[1:5] AS "names!", cardinality(a.ids)::int8 AS "accounts!", now() AS "now!"
             FROM marketing.connections c
            CROSS JOIN LATERAL (SELECT array_agg(o.id ORDER BY o.id) AS ids, array_agg(o.name ORDER BY o.id) AS names
                                  FROM marketing.accounts o
                                 WHERE o.connection = c.id AND o.status <> 'disconnected') a
            WHERE c.status IN ('active', 'expiring') AND c.id > $2 AND a.ids IS NOT NULL
              AND ($4::uuid IS NULL OR c.id = $4)
              AND LEAST(c.expires_at, c.refresh_expires_at, c.data_access_expires_at) < now() + make_interval(secs => $1)
            ORDER BY c.id LIMIT $3"#,
        within_seconds,
        after,
        limit,
        only,
    )
    .fetch_all(db)
    .await
}

/// A grant that is spent, of which its owner was not told.
pub(crate) struct SpentRow {
    pub(crate) id: Uuid,
    pub(crate) platform: String,
    pub(crate) tenant: String,
    pub(crate) owner_email: String,
    /// Since when its accounts need to be connected again.
    pub(crate) since: DateTime<Utc>,
    pub(crate) names: Vec<String>,
    pub(crate) accounts: i64,
}

/// Spent grants whose owners want to hear of that and were not told, by id.
pub(crate) async fn spent(
    db: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<SpentRow>, sqlx::Error> {
    sqlx::query_as!(
        SpentRow,
        r#"SELECT c.id, c.platform, c.tenant, c.owner_email AS "owner_email!", a.since AS "since!",
                  a.names[1:5] AS "names!", cardinality(a.names)::int8 AS "accounts!"
             FROM marketing.connections c
            CROSS JOIN LATERAL (SELECT min(o.status_changed_at) AS since, array_agg(o.name ORDER BY o.id) AS names
                                  FROM marketing.accounts o
                                 WHERE o.connection = c.id AND o.status = 'needs_reauth') a
            WHERE c.status = 'needs_reauth' AND c.id > $1 AND a.since IS DISTINCT FROM c.warned_of AND a.since IS NOT NULL
              AND c.owner_email IS NOT NULL AND NOT c.notifications @> '{"token_expiry": false}'
            ORDER BY c.id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Remembers which end the owner of a grant was told of.
pub(crate) async fn told(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    end: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.connections SET warned_of = $2 WHERE id = $1",
        connection,
        end,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A grant whose accounts were not listed lately.
pub(crate) struct UnlistedRow {
    pub(crate) id: Uuid,
    pub(crate) platform: String,
    /// The first of its accounts; `None` where none is known yet.
    pub(crate) account: Option<Uuid>,
}

/// Grants whose accounts were not listed to the end for so many seconds, in no order: one that cannot be listed keeps no
/// other one from it.
pub(crate) async fn unlisted(
    db: impl PgExecutor<'_>,
    seconds: f64,
    limit: i64,
) -> Result<Vec<UnlistedRow>, sqlx::Error> {
    sqlx::query_as!(
        UnlistedRow,
        r#"SELECT c.id, c.platform,
                  (SELECT o.id FROM marketing.accounts o
                    WHERE o.connection = c.id AND o.status <> 'disconnected' ORDER BY o.id LIMIT 1) AS "account?"
             FROM marketing.connections c
            WHERE c.status IN ('active', 'expiring')
              AND COALESCE(c.discovered_at < now() - make_interval(secs => $1), true)
            ORDER BY random() LIMIT $2"#,
        seconds,
        limit,
    )
    .fetch_all(db)
    .await
}
