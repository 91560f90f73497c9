//! Table `mail_optouts`: who wants no more mails of a sort. Addresses are the SHA-256 of their lower case.

use sqlx::{PgExecutor, types::Uuid};

/// Whether this address wants no mails of the topic.
pub(crate) async fn is_out(
    db: impl PgExecutor<'_>,
    tenant: &str,
    address: &[u8],
    topic: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM marketing.mail_optouts
                           WHERE tenant = $1 AND address = $2 AND topic = $3) AS "is_out!""#,
        tenant,
        address,
        topic,
    )
    .fetch_one(db)
    .await
}

/// Remembers that this address wants no mails of the topic any more; tells whether that is new.
pub(crate) async fn opt_out(
    db: impl PgExecutor<'_>,
    tenant: &str,
    address: &[u8],
    topic: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        r#"INSERT INTO marketing.mail_optouts (tenant, address, topic) VALUES ($1, $2, $3)
           ON CONFLICT ON CONSTRAINT mail_optouts_pkey DO NOTHING"#,
        tenant,
        address,
        topic,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Has the grants of an owner with this address say the same.
pub(crate) async fn turn_off(
    db: impl PgExecutor<'_>,
    tenant: &str,
    address: &[u8],
    topic: &str,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        r#"UPDATE marketing.connections
              SET notifications = notifications || jsonb_build_object($3::text, false), updated_at = now()
            WHERE tenant = $1 AND owner_email IS NOT NULL
              AND sha256(convert_to(lower(owner_email COLLATE "C"), 'UTF8')) = $2
              AND NOT notifications @> jsonb_build_object($3::text, false)"#,
        tenant,
        address,
        topic,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets that the owner of an account wanted no mails of these topics: they are turned on again.
pub(crate) async fn opt_in(
    db: impl PgExecutor<'_>,
    account: Uuid,
    topics: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"DELETE FROM marketing.mail_optouts o
            USING marketing.accounts a, marketing.connections c
            WHERE a.id = $1 AND c.id = a.connection AND c.owner_email IS NOT NULL
              AND o.tenant = c.tenant AND o.topic = ANY($2)
              AND o.address = sha256(convert_to(lower(c.owner_email COLLATE "C"), 'UTF8'))"#,
        account,
        topics,
    )
    .execute(db)
    .await?;
    Ok(())
}
