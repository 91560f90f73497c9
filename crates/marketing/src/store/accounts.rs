//! Tables `accounts` and `account_history`: what grants reach, how it stands, and what became of that.

use serde_json::Value;
use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// Accounts that a grant reaches, as arrays for `unnest`.
#[derive(Default)]
pub(crate) struct FoundRows {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) external_ids: Vec<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) currencies: Vec<Option<String>>,
    pub(crate) time_zones: Vec<Option<String>>,
    pub(crate) managers: Vec<Option<String>>,
    pub(crate) platform_statuses: Vec<Option<String>>,
}

/// The other grants by which these accounts are reached so far.
pub(crate) async fn other_connections(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    found: &FoundRows,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT a.connection
           FROM marketing.connections c
           JOIN marketing.accounts a ON a.tenant = c.tenant AND a.platform = c.platform AND a.connection <> c.id
           JOIN unnest($2::text[], $3::text[]) AS f (external_id, kind)
             ON a.external_id = f.external_id AND a.kind = f.kind
          WHERE c.id = $1",
        connection,
        &found.external_ids,
        &found.kinds,
    )
    .fetch_all(db)
    .await
}

/// Hands accounts over to a grant whose owner gave it in the place of others: of those that are spent or ended, and of those
/// whose tokens are older than it. Tells which grants they were reached by.
pub(crate) async fn hand_over(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    found: &FoundRows,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"WITH due AS (
               SELECT a.id, a.connection AS was
                 FROM marketing.connections c
                 JOIN marketing.accounts a ON a.tenant = c.tenant AND a.platform = c.platform AND a.connection <> c.id
                 JOIN marketing.connections o ON o.id = a.connection
                 JOIN unnest($2::text[], $3::text[]) AS f (external_id, kind)
                   ON a.external_id = f.external_id AND a.kind = f.kind
                WHERE c.id = $1 AND (o.status IN ('needs_reauth', 'disconnected') OR o.refreshed_at < c.created_at)),
           handed AS (
               UPDATE marketing.accounts a SET connection = $1, updated_at = now() FROM due WHERE a.id = due.id
            RETURNING due.was)
           SELECT DISTINCT was AS "was!" FROM handed"#,
        connection,
        &found.external_ids,
        &found.kinds,
    )
    .fetch_all(db)
    .await
}

/// Those of these accounts that nobody has disconnected since their grant was given.
pub(crate) async fn not_left_since(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT a.id FROM marketing.accounts a JOIN marketing.connections c ON c.id = a.connection
          WHERE a.id = ANY ($1) AND NOT (a.status = 'disconnected' AND a.status_changed_at > c.refreshed_at)
          ORDER BY a.id",
        ids,
    )
    .fetch_all(db)
    .await
}

/// Stores accounts that a grant was found to reach, and tells which of them are its own. Those of another grant stay with
/// it unless `takes_over` says otherwise: these are the ones that somebody connects. Of a grant that was given for some
/// accounts alone, others are switched off when they are found.
pub(crate) async fn found(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    found: &FoundRows,
    takes_over: bool,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "INSERT INTO marketing.accounts AS known
                (id, connection, platform, tenant, external_id, kind, name, currency, time_zone, manager, platform_status, status,
                 sync_enabled)
         SELECT f.id, c.id, c.platform, c.tenant, f.external_id, f.kind, f.name, f.currency, f.time_zone, f.manager,
                f.platform_status, c.status, $10 OR c.for_all
           FROM marketing.connections c
          CROSS JOIN unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
                AS f (id, external_id, kind, name, currency, time_zone, manager, platform_status)
          WHERE c.id = $1
          ORDER BY f.kind, f.external_id -- everybody locks in this order
         ON CONFLICT ON CONSTRAINT accounts_external DO UPDATE
            SET connection = excluded.connection,
                name = excluded.name,
                currency = COALESCE(excluded.currency, known.currency),
                time_zone = COALESCE(excluded.time_zone, known.time_zone),
                manager = excluded.manager,
                platform_status = excluded.platform_status,
                vanished_at = NULL,
                updated_at = now()
          WHERE $10 OR known.connection = excluded.connection
      RETURNING id",
        connection,
        &found.ids,
        &found.external_ids,
        &found.kinds,
        &found.names,
        &found.currencies as &[Option<String>],
        &found.time_zones as &[Option<String>],
        &found.managers as &[Option<String>],
        &found.platform_statuses as &[Option<String>],
        takes_over,
    )
    .fetch_all(db)
    .await
}

/// Notes in the history and as an event what platforms show differently than they did, of accounts that are about to be stored
/// by [`found`].
pub(crate) async fn note_platform_statuses(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    found: &FoundRows,
    (takes_over, actor): (bool, &str),
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH changed AS (
             SELECT a.id, a.tenant, a.status, a.platform_status AS was, f.platform_status AS became
               FROM marketing.connections c
               JOIN marketing.accounts a ON a.tenant = c.tenant AND a.platform = c.platform AND ($5 OR a.connection = c.id)
               JOIN unnest($2::text[], $3::text[], $4::text[]) AS f (external_id, kind, platform_status)
                 ON a.external_id = f.external_id AND a.kind = f.kind
              WHERE c.id = $1 AND a.platform_status <> f.platform_status AND f.platform_status <> ''
              ORDER BY a.kind, a.external_id -- everybody locks in this order
                FOR UPDATE OF a),
         told AS (
             INSERT INTO marketing.events (kind, tenant, account, data)
             SELECT 'account.status_changed', tenant, id,
                    jsonb_build_object('platform_was', was, 'platform_became', became)
               FROM changed ORDER BY id)
         INSERT INTO marketing.account_history (account, actor, was, became, reason)
         SELECT id, $6, status, status, 'its platform shows it as ' || became || ', no longer as ' || was
           FROM changed ORDER BY id",
        connection,
        &found.external_ids,
        &found.kinds,
        &found.platform_statuses as &[Option<String>],
        takes_over,
        actor,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Marks the accounts of a grant, of one sort, that it does not reach any more.
pub(crate) async fn vanish(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    kind: &str,
    still_there: &[Uuid],
) -> Result<u64, sqlx::Error> {
    let vanished = sqlx::query!(
        "UPDATE marketing.accounts SET vanished_at = now(), updated_at = now()
          WHERE connection = $1 AND kind = $2 AND vanished_at IS NULL AND id <> ALL ($3)",
        connection,
        kind,
        still_there,
    )
    .execute(db)
    .await?;
    Ok(vanished.rows_affected())
}

/// What becomes of accounts, and who says so.
#[derive(Clone, Copy)]
pub(crate) struct NewStatus<'a> {
    pub(crate) status: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
}

/// Sets the status of a grant's accounts that are not disconnected, with what it was in their history and as an event; tells
/// which of them had another one.
pub(crate) async fn set_status_of_connection(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    new: NewStatus<'_>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "WITH before AS (
             SELECT id, status FROM marketing.accounts
              WHERE connection = $1 AND status NOT IN ('disconnected', $2) ORDER BY id FOR UPDATE),
         changed AS (
             UPDATE marketing.accounts a SET status = $2, status_changed_at = now(), updated_at = now()
               FROM before WHERE a.id = before.id
          RETURNING a.id, a.tenant, a.platform, a.external_id, before.status AS was),
         told AS (
             INSERT INTO marketing.events (kind, tenant, account, data)
             SELECT e.kind, c.tenant, c.id, e.data
               FROM changed c
              CROSS JOIN LATERAL (VALUES
                    ('account.status_changed', jsonb_build_object('was', c.was, 'became', $2::text, 'reason', $4::text)),
                    ('account.needs_reauth', jsonb_build_object('platform', c.platform, 'external_id', c.external_id,
                                                                'reason', $4::text))) AS e (kind, data)
              WHERE e.kind = 'account.status_changed' OR $2 = 'needs_reauth' -- which has an event of its own, too
              ORDER BY c.id, e.kind DESC)
         INSERT INTO marketing.account_history (account, actor, was, became, reason)
         SELECT id, $3, was, $2, $4 FROM changed ORDER BY id
      RETURNING account",
        connection,
        new.status,
        new.actor,
        new.reason,
    )
    .fetch_all(db)
    .await
}

/// The same for accounts by their ids, also for disconnected ones. One that has no history gets its first entry, which is no
/// event.
pub(crate) async fn set_status(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
    new: NewStatus<'_>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "WITH before AS (
             SELECT a.id, CASE WHEN EXISTS (SELECT FROM marketing.account_history h WHERE h.account = a.id)
                               THEN a.status END AS was
               FROM marketing.accounts a WHERE a.id = ANY ($1) ORDER BY a.id FOR UPDATE),
         changed AS (
             UPDATE marketing.accounts a SET status = $2, status_changed_at = now(), updated_at = now()
               FROM before WHERE a.id = before.id AND before.was IS DISTINCT FROM $2
          RETURNING a.id, a.tenant, before.was),
         told AS (
             INSERT INTO marketing.events (kind, tenant, account, data)
             SELECT 'account.status_changed', tenant, id,
                    jsonb_build_object('was', was, 'became', $2::text, 'reason', $4::text)
               FROM changed WHERE was IS NOT NULL ORDER BY id)
         INSERT INTO marketing.account_history (account, actor, was, became, reason)
         SELECT id, $3, was, $2, $4 FROM changed ORDER BY id
      RETURNING account",
        ids,
        new.status,
        new.actor,
        new.reason,
    )
    .fetch_all(db)
    .await
}

/// The accounts of a grant that are not disconnected, the vanished ones included.
pub(crate) async fn live_of(
    db: impl PgExecutor<'_>,
    connection: Uuid,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM marketing.accounts WHERE connection = $1 AND status <> 'disconnected' ORDER BY id",
        connection,
    )
    .fetch_all(db)
    .await
}

/// All accounts of a grant, the disconnected ones included.
pub(crate) async fn all_of(
    db: impl PgExecutor<'_>,
    connection: Uuid,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM marketing.accounts WHERE connection = $1 ORDER BY id",
        connection,
    )
    .fetch_all(db)
    .await
}

/// Whether a grant is left that was given for other accounts: none of these is reached by it any more.
pub(crate) async fn is_left_empty(
    db: impl PgExecutor<'_>,
    connection: Uuid,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM marketing.accounts WHERE connection = $1 AND status <> 'disconnected') AS "empty!""#,
        connection,
    )
    .fetch_one(db)
    .await
}

/// Meta's ids of those of these accounts that are Pages which nobody has connected any more.
pub(crate) async fn pages_left(
    db: impl PgExecutor<'_>,
    accounts: &[Uuid],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT a.external_id
           FROM marketing.accounts a
          WHERE a.id = ANY ($1) AND a.platform = 'meta' AND a.kind = 'page'
            AND NOT EXISTS (SELECT FROM marketing.accounts o
                             WHERE o.external_id = a.external_id AND o.platform = a.platform AND o.kind = a.kind
                               AND o.status <> 'disconnected')",
        accounts,
    )
    .fetch_all(db)
    .await
}

/// An account with what its grant says.
pub(crate) struct AccountRow {
    pub(crate) id: Uuid,
    pub(crate) connection: Uuid,
    pub(crate) platform: String,
    pub(crate) tenant: String,
    pub(crate) external_id: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) currency: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) manager: Option<String>,
    pub(crate) platform_status: Option<String>,
    pub(crate) status: String,
    pub(crate) sync_enabled: bool,
    pub(crate) discovered_at: DateTime<Utc>,
    pub(crate) vanished_at: Option<DateTime<Utc>>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) owner_email: Option<String>,
    pub(crate) notifications: Value,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) refresh_expires_at: Option<DateTime<Utc>>,
    pub(crate) data_access_expires_at: Option<DateTime<Utc>>,
    pub(crate) refreshed_at: DateTime<Utc>,
}

// All give the same columns; only which rows differs.
macro_rules! accounts {
    ([$where:literal] $(, $argument:expr)*) => {
        sqlx::query_as!(
            AccountRow,
            r#"SELECT a.id, a.connection, a.platform, a.tenant, a.external_id, a.kind, a.name, a.currency, a.time_zone,
                      COALESCE(a.manager, c.manager) AS manager, a.platform_status, a.status, a.sync_enabled, a.discovered_at,
                      a.vanished_at, GREATEST(a.updated_at, c.updated_at) AS "updated_at!", c.owner_email, c.notifications,
                      c.scopes, c.expires_at, c.refresh_expires_at, c.data_access_expires_at, c.refreshed_at
                 FROM marketing.accounts a
                 JOIN marketing.connections c ON c.id = a.connection
                WHERE "# + $where
            $(, $argument)*
        )
    };
}

/// An account; `None` also where it belongs to another tenant than the one named.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<AccountRow>, sqlx::Error> {
    accounts!(
        ["a.id = $1 AND ($2::text IS NULL OR a.tenant = $2)"],
        id,
        tenant
    )
    .fetch_optional(db)
    .await
}

/// Accounts by their ids, in their order.
pub(crate) async fn these(
    db: impl PgExecutor<'_>,
    ids: &[Uuid],
) -> Result<Vec<AccountRow>, sqlx::Error> {
    accounts!(["a.id = ANY ($1) ORDER BY a.id"], ids)
        .fetch_all(db)
        .await
}

/// Which accounts to list.
pub(crate) struct ListQuery<'a> {
    pub(crate) tenant: Option<&'a str>,
    pub(crate) platform: Option<&'static str>,
    pub(crate) status: Option<&'static str>,
    pub(crate) connection: Option<Uuid>,
    pub(crate) after: Option<Uuid>,
    pub(crate) limit: i64,
}

/// A page of accounts in the order in which they were found. There are thousands of them and not millions: one statement
/// serves every filter.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    query: &ListQuery<'_>,
) -> Result<Vec<AccountRow>, sqlx::Error> {
    accounts!(
        [
            "($1::text IS NULL OR a.tenant = $1) AND ($2::text IS NULL OR a.platform = $2)
           AND ($3::text IS NULL OR a.status = $3) AND ($4::uuid IS NULL OR a.connection = $4)
           AND a.id > COALESCE($5::uuid, '00000000-0000-0000-0000-000000000000')
         ORDER BY a.id LIMIT $6"
        ],
        query.tenant,
        query.platform,
        query.status,
        query.connection,
        query.after,
        query.limit
    )
    .fetch_all(db)
    .await
}

/// Switches an account on or off for sync.
pub(crate) async fn set_sync(
    db: impl PgExecutor<'_>,
    id: Uuid,
    is_enabled: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.accounts SET sync_enabled = $2, updated_at = now() WHERE id = $1",
        id,
        is_enabled,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A change of an account's status.
pub(crate) struct HistoryRow {
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: String,
    pub(crate) was: Option<String>,
    pub(crate) became: String,
    pub(crate) reason: String,
}

/// The last 100 changes of an account's status, the newest first.
pub(crate) async fn history(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Vec<HistoryRow>, sqlx::Error> {
    sqlx::query_as!(
        HistoryRow,
        "SELECT at, actor, was, became, reason FROM marketing.account_history
          WHERE account = $1 ORDER BY id DESC LIMIT 100",
        id,
    )
    .fetch_all(db)
    .await
}

/// How many accounts stand alike.
pub(crate) struct StatusCount {
    pub(crate) platform: String,
    pub(crate) status: String,
    pub(crate) count: i64,
}

/// How many accounts of each platform stand how.
pub(crate) async fn counts(db: impl PgExecutor<'_>) -> Result<Vec<StatusCount>, sqlx::Error> {
    sqlx::query_as!(
        StatusCount,
        r#"SELECT platform, status, count(*) AS "count!" FROM marketing.accounts GROUP BY platform, status"#
    )
    .fetch_all(db)
    .await
}
