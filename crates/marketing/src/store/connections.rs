//! Table `connections`: grants, their sealed tokens, and who refreshes them. Whoever changes tokens names the version that
//! he saw.

use serde_json::Value;
use sqlx::{
    PgConnection, PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// Sealed tokens of a grant.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct SealedTokens {
    pub(crate) access_token: Option<Vec<u8>>,
    pub(crate) refresh_token: Option<Vec<u8>>,
    pub(crate) token_secret: Option<Vec<u8>>,
}

/// What is stored of a grant that was given.
pub(crate) struct GivenRow<'a> {
    pub(crate) id: Uuid,
    pub(crate) platform: &'static str,
    pub(crate) tenant: &'a str,
    pub(crate) subject: Option<&'a str>,
    pub(crate) scopes: &'a [String],
    pub(crate) manager: Option<&'a str>,
    /// For all that it reaches, and not for accounts that were named.
    pub(crate) for_all: bool,
    pub(crate) owner_email: Option<&'a str>,
    pub(crate) notifications: Value,
    pub(crate) tokens: SealedTokens,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) refresh_expires_at: Option<DateTime<Utc>>,
    pub(crate) data_access_expires_at: Option<DateTime<Utc>>,
}

/// Waits until nobody else connects anything of this tenant and platform, and keeps others waiting until the transaction
/// ends: accounts may change their grants meanwhile.
pub(crate) async fn wait_to_connect(
    db: impl PgExecutor<'_>,
    tenant: &str,
    platform: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended('marketing.connections ' || $1::text || ' ' || $2::text, 0)) AS "done!: ()""#,
        platform,
        tenant,
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// The same for whoever keeps what a grant of theirs was found to reach; before the grant is locked.
pub(crate) async fn wait_to_connect_for(
    db: impl PgExecutor<'_>,
    connection: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"SELECT pg_advisory_xact_lock(hashtextextended('marketing.connections ' || platform || ' ' || tenant, 0)) AS "done!: ()"
             FROM marketing.connections WHERE id = $1"#,
        connection,
    )
    .fetch_optional(db)
    .await?;
    Ok(())
}

/// Whether a grant can be used that was given for all that it reaches, and nobody has listed that to the end since.
pub(crate) async fn is_looked_at_first(
    db: impl PgExecutor<'_>,
    connection: Uuid,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM marketing.connections
                           WHERE id = $1 AND for_all AND discovered_at IS NULL
                             AND status IN ('active', 'expiring')) AS "first!""#,
        connection,
    )
    .fetch_one(db)
    .await
}

/// The grant that this person gave already.
pub(crate) async fn of_subject(
    db: impl PgExecutor<'_>,
    tenant: &str,
    platform: &str,
    subject: &str,
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM marketing.connections WHERE tenant = $1 AND platform = $2 AND subject = $3",
        tenant,
        platform,
        subject,
    )
    .fetch_optional(db)
    .await
}

/// Stores a grant, or what it has become where the person gives it again: the tokens are new then, and so is what it reaches;
/// what the owner wants stays unless it is said anew.
pub(crate) async fn give(db: impl PgExecutor<'_>, given: &GivenRow<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.connections AS known
                (id, platform, tenant, subject, scopes, manager, owner_email, notifications, access_token, refresh_token,
                 token_secret, expires_at, refresh_expires_at, data_access_expires_at, for_all)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT ON CONSTRAINT connections_pkey DO UPDATE
            SET scopes = excluded.scopes,
                status = 'active',
                manager = COALESCE(excluded.manager, known.manager),
                for_all = excluded.for_all OR (known.for_all AND known.status <> 'disconnected'),
                owner_email = COALESCE(excluded.owner_email, known.owner_email),
                notifications = known.notifications || excluded.notifications,
                access_token = excluded.access_token,
                refresh_token = excluded.refresh_token,
                token_secret = excluded.token_secret,
                token_version = known.token_version + 1,
                expires_at = excluded.expires_at,
                refresh_expires_at = excluded.refresh_expires_at,
                data_access_expires_at = excluded.data_access_expires_at,
                discovered_at = CASE WHEN NOT excluded.for_all THEN known.discovered_at END,
                refreshed_at = now(),
                refresher = NULL,
                refresher_until = NULL,
                updated_at = now()",
        given.id,
        given.platform,
        given.tenant,
        given.subject,
        given.scopes,
        given.manager,
        given.owner_email,
        given.notifications,
        given.tokens.access_token.as_deref(),
        given.tokens.refresh_token.as_deref(),
        given.tokens.token_secret.as_deref(),
        given.expires_at,
        given.refresh_expires_at,
        given.data_access_expires_at,
        given.for_all,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A grant with what is needed to use it.
pub(crate) struct HeldRow {
    pub(crate) id: Uuid,
    pub(crate) platform: String,
    pub(crate) status: String,
    pub(crate) manager: Option<String>,
    pub(crate) token_version: i64,
    /// By the database's clock.
    pub(crate) ends_soon: bool,
    access_token: Option<Vec<u8>>,
    refresh_token: Option<Vec<u8>>,
    token_secret: Option<Vec<u8>>,
}

impl HeldRow {
    pub(crate) fn tokens(&self) -> SealedTokens {
        SealedTokens {
            access_token: self.access_token.clone(),
            refresh_token: self.refresh_token.clone(),
            token_secret: self.token_secret.clone(),
        }
    }
}

/// The grant of an account that is not disconnected; the manager is the account's own where it has one. It ends soon when
/// it does within so many seconds.
pub(crate) async fn held_for(
    db: impl PgExecutor<'_>,
    account: Uuid,
    soon_seconds: f64,
) -> Result<Option<HeldRow>, sqlx::Error> {
    sqlx::query_as!(
        HeldRow,
        r#"SELECT c.id, c.platform,
                  CASE a.status WHEN 'disconnected' THEN a.status ELSE c.status END AS "status!",
                  COALESCE(a.manager, c.manager) AS manager, c.token_version,
                  COALESCE(c.expires_at < now() + make_interval(secs => $2), false) AS "ends_soon!",
                  c.access_token, c.refresh_token, c.token_secret
             FROM marketing.accounts a
             JOIN marketing.connections c ON c.id = a.connection
            WHERE a.id = $1"#,
        account,
        soon_seconds,
    )
    .fetch_optional(db)
    .await
}

/// A grant by its own id.
pub(crate) async fn held(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    soon_seconds: f64,
) -> Result<Option<HeldRow>, sqlx::Error> {
    sqlx::query_as!(
        HeldRow,
        r#"SELECT id, platform, status, manager, token_version,
                  COALESCE(expires_at < now() + make_interval(secs => $2), false) AS "ends_soon!",
                  access_token, refresh_token, token_secret
             FROM marketing.connections WHERE id = $1"#,
        connection,
        soon_seconds,
    )
    .fetch_optional(db)
    .await
}

/// Who wants to refresh which tokens.
#[derive(Clone, Copy)]
pub(crate) struct Refresher {
    pub(crate) connection: Uuid,
    /// The version of the tokens that he saw.
    pub(crate) version: i64,
    /// Himself, for this once.
    pub(crate) by: Uuid,
}

/// Takes the right to refresh tokens for so many seconds, and gives those that the right is for: others that are given a
/// moment later are not to be used up. `None` where somebody else has it, or the tokens are other ones by now.
pub(crate) async fn begin_refresh(
    db: impl PgExecutor<'_>,
    refresher: Refresher,
    seconds: f64,
) -> Result<Option<HeldRow>, sqlx::Error> {
    sqlx::query_as!(
        HeldRow,
        r#"UPDATE marketing.connections
              SET refresher = $3, refresher_until = now() + make_interval(secs => $4)
            WHERE id = $1 AND token_version = $2 AND status <> 'disconnected'
              AND (refresher IS NULL OR refresher_until < now())
        RETURNING id, platform, status, manager, token_version, false AS "ends_soon!",
                  access_token, refresh_token, token_secret"#,
        refresher.connection,
        refresher.version,
        refresher.by,
        seconds,
    )
    .fetch_optional(db)
    .await
}

/// Gives the right back without new tokens.
pub(crate) async fn end_refresh(
    db: impl PgExecutor<'_>,
    refresher: Refresher,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.connections SET refresher = NULL, refresher_until = NULL WHERE id = $1 AND refresher = $2",
        refresher.connection,
        refresher.by,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// New tokens; what is `None` leaves what is stored, but for the end of the access token.
pub(crate) struct RefreshedRow {
    pub(crate) tokens: SealedTokens,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) refresh_expires_at: Option<DateTime<Utc>>,
    pub(crate) scopes: Vec<String>,
}

/// Stores new tokens and gives the right back; tells how the grant stands then, `None` where the tokens are other ones by
/// now. One that is `expiring` stays that where an end is less than so many seconds away that new tokens do not put off.
pub(crate) async fn store_refreshed(
    db: impl PgExecutor<'_>,
    refresher: Refresher,
    new: &RefreshedRow,
    notice_s: f64,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "UPDATE marketing.connections
            SET access_token = $4,
                refresh_token = COALESCE($5, refresh_token),
                token_secret = COALESCE($6, token_secret),
                expires_at = $7,
                refresh_expires_at = COALESCE($8, refresh_expires_at),
                scopes = CASE WHEN cardinality($9::text[]) > 0 THEN $9 ELSE scopes END,
                status = CASE WHEN status = 'expiring'
                                   AND LEAST(data_access_expires_at,
                                             CASE WHEN platform IN ('google_ads', 'linkedin')
                                                  THEN COALESCE($8, refresh_expires_at) END)
                                       < now() + make_interval(secs => $10)
                              THEN 'expiring' ELSE 'active' END,
                token_version = token_version + 1,
                refreshed_at = now(),
                refresher = NULL,
                refresher_until = NULL,
                updated_at = now()
          WHERE id = $1 AND token_version = $2 AND refresher = $3 AND status <> 'disconnected'
      RETURNING status",
        refresher.connection,
        refresher.version,
        refresher.by,
        new.tokens.access_token.as_deref(),
        new.tokens.refresh_token.as_deref(),
        new.tokens.token_secret.as_deref(),
        new.expires_at,
        new.refresh_expires_at,
        &new.scopes,
        notice_s,
    )
    .fetch_optional(db)
    .await
}

/// Sets how a grant stands, for whoever saw this version of its tokens; `false` where they are other ones by now, or spent.
/// From spent the way leads to `active` alone, where no end has passed, and only that way leads there. The row stays locked.
pub(crate) async fn set_status(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    version: i64,
    status: &str,
) -> Result<bool, sqlx::Error> {
    let set = sqlx::query!(
        "UPDATE marketing.connections SET status = $3, updated_at = now()
          WHERE id = $1 AND token_version = $2 AND status <> 'disconnected'
            AND CASE $3::text
                    WHEN 'needs_reauth' THEN true
                    WHEN 'active' THEN status = 'needs_reauth'
                                       AND COALESCE(LEAST(expires_at, data_access_expires_at) > now(), true)
                    ELSE status <> 'needs_reauth' END",
        connection,
        version,
        status,
    )
    .execute(db)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// What a platform says of how long a grant lasts.
pub(crate) async fn set_clocks(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    version: i64,
    (expires_at, data_access_expires_at): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.connections
            SET expires_at = $3, data_access_expires_at = $4, updated_at = now()
          WHERE id = $1 AND token_version = $2 AND status <> 'disconnected'",
        connection,
        version,
        expires_at,
        data_access_expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Locks grants until the transaction ends: whoever changes accounts of theirs does so after that.
pub(crate) async fn lock(db: impl PgExecutor<'_>, connections: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "SELECT FROM marketing.connections WHERE id = ANY ($1) ORDER BY id FOR UPDATE",
        connections,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes a grant's secrets away for good, and tells what they were; `None` where it has none any more.
pub(crate) async fn wipe(
    conn: &mut PgConnection,
    connection: Uuid,
) -> Result<Option<HeldRow>, sqlx::Error> {
    let was = sqlx::query_as!(
        HeldRow,
        r#"SELECT id, platform, status, manager, token_version, false AS "ends_soon!",
                  access_token, refresh_token, token_secret
             FROM marketing.connections WHERE id = $1 AND status <> 'disconnected' FOR UPDATE"#,
        connection,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if was.is_some() {
        sqlx::query!(
            "UPDATE marketing.connections
                SET status = 'disconnected', access_token = NULL, refresh_token = NULL, token_secret = NULL,
                    token_version = token_version + 1, expires_at = NULL, refresh_expires_at = NULL,
                    data_access_expires_at = NULL, refresher = NULL, refresher_until = NULL, updated_at = now()
              WHERE id = $1",
            connection,
        )
        .execute(conn)
        .await?;
    }
    Ok(was)
}

/// Makes the owner of these grants that of another one, which names none or the same, with what he wants to hear of: of
/// several the one that was changed last.
pub(crate) async fn inherit_owner(
    db: impl PgExecutor<'_>,
    connection: Uuid,
    others: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.connections c
            SET owner_email = COALESCE(c.owner_email, o.owner_email), notifications = o.notifications || c.notifications
           FROM (SELECT owner_email, notifications FROM marketing.connections
                  WHERE id = ANY ($2) ORDER BY updated_at DESC, id LIMIT 1) AS o
          WHERE c.id = $1 AND (c.owner_email IS NULL OR c.owner_email = o.owner_email)",
        connection,
        others,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whether the person who gave a grant has given another one that is in use, to whomever.
pub(crate) async fn is_shared(
    db: impl PgExecutor<'_>,
    connection: Uuid,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM marketing.connections c
                            JOIN marketing.connections o
                              ON o.platform = c.platform AND o.subject = c.subject AND o.id <> c.id
                           WHERE c.id = $1 AND o.status <> 'disconnected') AS "shared!""#,
        connection,
    )
    .fetch_one(db)
    .await
}

/// Changes what concerns the owner of the grant that reaches an account; an empty address is none, and preferences that are not
/// named stay.
pub(crate) async fn change_owner(
    db: impl PgExecutor<'_>,
    account: Uuid,
    owner_email: Option<&str>,
    notifications: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.connections
            SET owner_email = NULLIF(COALESCE($2, owner_email), ''), notifications = notifications || $3, updated_at = now()
          WHERE id = (SELECT connection FROM marketing.accounts WHERE id = $1)",
        account,
        owner_email,
        notifications,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The grants that a person gave, whosever they are.
pub(crate) async fn all_of_subject(
    db: impl PgExecutor<'_>,
    platform: &str,
    subject: &str,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM marketing.connections WHERE platform = $1 AND subject = $2 ORDER BY id LIMIT 1000",
        platform,
        subject,
    )
    .fetch_all(db)
    .await
}

/// Forgets who gave a grant.
pub(crate) async fn forget_person(
    db: impl PgExecutor<'_>,
    connection: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.connections SET subject = NULL, owner_email = NULL, updated_at = now() WHERE id = $1",
        connection,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Remembers that what a grant reaches was listed to the end when it was connected. Pages are not among that: a grant of Meta's
/// is due for the next look at once.
pub(crate) async fn listed_at_connect(
    db: impl PgExecutor<'_>,
    connection: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.connections
            SET discovered_at = CASE platform WHEN 'meta' THEN to_timestamp(0) ELSE now() END
          WHERE id = $1",
        connection
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Remembers that a grant's accounts were listed to the end.
pub(crate) async fn listed(db: impl PgExecutor<'_>, connection: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.connections SET discovered_at = now() WHERE id = $1",
        connection
    )
    .execute(db)
    .await?;
    Ok(())
}
