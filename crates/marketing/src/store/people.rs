//! What names a person in leads, engagements, events, grants, endpoints and alerts, and taking it away. A needle is what a document has in its
//! text: an address as it is, all else with the quotes around it.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// A lead, sealed.
pub(crate) struct LeadRow {
    pub(crate) id: Uuid,
    pub(crate) account: Uuid,
    pub(crate) lead_id: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) answers: Vec<u8>,
}

/// Up to 200 leads, behind one.
pub(crate) async fn leads_after(
    db: impl PgExecutor<'_>,
    after: Uuid,
) -> Result<Vec<LeadRow>, sqlx::Error> {
    sqlx::query_as!(
        LeadRow,
        "SELECT id, account, lead_id, created_at, answers FROM marketing.leads WHERE id > $1 ORDER BY id LIMIT 200",
        after,
    )
    .fetch_all(db)
    .await
}

/// Deletes a lead, and remembers that it is not to come back.
pub(crate) async fn delete_lead(db: impl PgExecutor<'_>, id: Uuid) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "WITH gone AS (DELETE FROM marketing.leads WHERE id = $1 RETURNING account, lead_id)
         INSERT INTO marketing.forgotten_leads (account, lead_id) SELECT account, lead_id FROM gone
         ON CONFLICT ON CONSTRAINT forgotten_leads_pkey DO UPDATE SET at = now()",
        id,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// An event as it was sent.
pub(crate) struct EventRow {
    pub(crate) id: Uuid,
    pub(crate) field: String,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) value: String,
}

/// Up to 500 events, behind one.
pub(crate) async fn events_after(
    db: impl PgExecutor<'_>,
    after: Uuid,
) -> Result<Vec<EventRow>, sqlx::Error> {
    sqlx::query_as!(
        EventRow,
        r#"SELECT id, field, received_at, value::text AS "value!" FROM marketing.inbound_events
            WHERE id > $1 ORDER BY id LIMIT 500"#,
        after,
    )
    .fetch_all(db)
    .await
}

/// Takes away what an event says. That it was there stays, so that a copy is known for one.
pub(crate) async fn empty_event(db: impl PgExecutor<'_>, id: Uuid) -> Result<u64, sqlx::Error> {
    let emptied = sqlx::query!(
        "UPDATE marketing.inbound_events SET value = '{}' WHERE id = $1",
        id
    )
    .execute(db)
    .await?;
    Ok(emptied.rows_affected())
}

/// What somebody said or did.
pub(crate) struct EngagementRow {
    pub(crate) account: Uuid,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) author_id: Option<String>,
    pub(crate) author_name: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) reaction: Option<String>,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) raw: String,
}

/// Up to 500 engagements behind one that are of this author, or have the needle: whether they name the person is for those to
/// say who read them.
pub(crate) async fn engagements_after(
    db: impl PgExecutor<'_>,
    (account, kind, id): (Uuid, &str, &str),
    author: &str,
    needle: &str,
) -> Result<Vec<EngagementRow>, sqlx::Error> {
    sqlx::query_as!(
        EngagementRow,
        r#"SELECT account, kind, id, author_id, author_name, text, reaction, created_at, raw::text AS "raw!"
             FROM marketing.social_engagements
            WHERE (account, kind, id) > ($1, $2, $3)
              AND (lower(author_id) = $4 OR strpos(lower(raw::text), $5) > 0 OR strpos(lower(text), $5) > 0)
            ORDER BY account, kind, id LIMIT 500"#,
        account,
        kind,
        id,
        author,
        needle,
    )
    .fetch_all(db)
    .await
}

/// Deletes reactions of this author, which are known by whose they are.
pub(crate) async fn delete_reactions(
    db: impl PgExecutor<'_>,
    author: &str,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.social_engagements WHERE kind = 'reaction' AND lower(author_id) = $1",
        author,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// Takes away who said something, and what. That it was there stays, so that news of it that come later do not bring it back.
pub(crate) async fn empty_engagements(
    db: impl PgExecutor<'_>,
    named: &[EngagementRow],
) -> Result<u64, sqlx::Error> {
    let accounts: Vec<Uuid> = named.iter().map(|row| row.account).collect();
    let kinds: Vec<&str> = named.iter().map(|row| row.kind.as_str()).collect();
    let ids: Vec<&str> = named.iter().map(|row| row.id.as_str()).collect();
    let emptied = sqlx::query!(
        "UPDATE marketing.social_engagements e
            SET author_id = NULL, author_name = NULL, text = NULL, raw = '{}', removed_at = COALESCE(removed_at, now())
           FROM unnest($1::uuid[], $2::text[], $3::text[]) AS named (account, kind, id)
          WHERE e.account = named.account AND e.kind = named.kind AND e.id = named.id",
        &accounts,
        &kinds as &[&str],
        &ids as &[&str],
    )
    .execute(db)
    .await?;
    Ok(emptied.rows_affected())
}

/// A grant with its owner's address.
pub(crate) struct GrantRow {
    pub(crate) id: Uuid,
    pub(crate) platform: String,
    pub(crate) tenant: String,
}

/// The grants whose owner has this address.
pub(crate) async fn grants(
    db: impl PgExecutor<'_>,
    address: &str,
) -> Result<Vec<GrantRow>, sqlx::Error> {
    sqlx::query_as!(
        GrantRow,
        "SELECT id, platform, tenant FROM marketing.connections WHERE lower(owner_email) = $1 ORDER BY id",
        address,
    )
    .fetch_all(db)
    .await
}

/// Takes away the address of these grants' owner: nobody is told of them any more.
pub(crate) async fn forget_owner(
    db: impl PgExecutor<'_>,
    address: &str,
) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query!(
        "UPDATE marketing.connections SET owner_email = NULL, updated_at = now() WHERE lower(owner_email) = $1",
        address,
    )
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected())
}

/// What somebody with this address is told of.
pub(crate) struct ToldRow {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
}

/// The endpoints whose owner has this address.
pub(crate) async fn endpoints(
    db: impl PgExecutor<'_>,
    address: &str,
) -> Result<Vec<ToldRow>, sqlx::Error> {
    sqlx::query_as!(
        ToldRow,
        "SELECT id, tenant FROM marketing.webhook_endpoints WHERE lower(owner_email) = $1 ORDER BY id",
        address,
    )
    .fetch_all(db)
    .await
}

/// Takes away the address of these endpoints' owner: nobody is told when they are switched off.
pub(crate) async fn forget_endpoint_owner(
    db: impl PgExecutor<'_>,
    address: &str,
) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query!(
        "UPDATE marketing.webhook_endpoints SET owner_email = NULL, updated_at = now() WHERE lower(owner_email) = $1",
        address,
    )
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected())
}

/// The alerts that are mailed to this address.
pub(crate) async fn alerts(
    db: impl PgExecutor<'_>,
    address: &str,
) -> Result<Vec<ToldRow>, sqlx::Error> {
    sqlx::query_as!(
        ToldRow,
        "SELECT id, tenant FROM marketing.alerts
          WHERE EXISTS (SELECT FROM jsonb_path_query(rule, '$.recipients[*]') AS known (address)
                         WHERE lower(known.address #>> '{}') = $1)
          ORDER BY id",
        address,
    )
    .fetch_all(db)
    .await
}

/// Has these alerts not mailed to this address any more.
pub(crate) async fn forget_recipient(
    db: impl PgExecutor<'_>,
    address: &str,
) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query!(
        "UPDATE marketing.alerts
            SET rule = jsonb_set(rule, '{recipients}',
                                 (SELECT COALESCE(jsonb_agg(known.address), '[]')
                                    FROM jsonb_path_query(rule, '$.recipients[*]') AS known (address)
                                   WHERE lower(known.address #>> '{}') <> $1)),
                updated_at = now()
          WHERE EXISTS (SELECT FROM jsonb_path_query(rule, '$.recipients[*]') AS known (address)
                         WHERE lower(known.address #>> '{}') = $1)",
        address,
    )
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected())
}
