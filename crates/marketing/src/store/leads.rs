//! Table `leads`: what people answered in forms, sealed.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// A lead to be stored.
pub(crate) struct LeadRow {
    pub(crate) id: Uuid,
    pub(crate) lead_id: String,
    pub(crate) form_id: Option<String>,
    pub(crate) ad_id: Option<String>,
    pub(crate) ad_name: Option<String>,
    pub(crate) ad_set_id: Option<String>,
    pub(crate) campaign_id: Option<String>,
    pub(crate) shown_on: Option<String>,
    pub(crate) is_organic: Option<bool>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) answers: Vec<u8>,
}

/// How a lead stands.
pub(crate) struct StandingRow {
    pub(crate) id: Uuid,
    pub(crate) told_at: Option<DateTime<Utc>>,
}

/// How a lead stands, by the platform's id.
pub(crate) async fn standing(
    db: impl PgExecutor<'_>,
    account: Uuid,
    lead_id: &str,
) -> Result<Option<StandingRow>, sqlx::Error> {
    sqlx::query_as!(
        StandingRow,
        "SELECT id, told_at FROM marketing.leads WHERE account = $1 AND lead_id = $2",
        account,
        lead_id,
    )
    .fetch_optional(db)
    .await
}

/// Whether a lead is of somebody who wanted to be forgotten.
pub(crate) async fn is_forgotten(
    db: impl PgExecutor<'_>,
    account: Uuid,
    lead_id: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM marketing.forgotten_leads
                           WHERE account = $1 AND lead_id = $2) AS "is_forgotten!""#,
        account,
        lead_id,
    )
    .fetch_one(db)
    .await
}

/// How a lead stands, for this transaction to change.
pub(crate) async fn locked(
    db: impl PgExecutor<'_>,
    account: Uuid,
    lead_id: &str,
) -> Result<Option<StandingRow>, sqlx::Error> {
    sqlx::query_as!(
        StandingRow,
        "SELECT id, told_at FROM marketing.leads WHERE account = $1 AND lead_id = $2 FOR UPDATE",
        account,
        lead_id,
    )
    .fetch_optional(db)
    .await
}

/// Stores a lead where it is not stored; `None`: it is, it is to be forgotten, or there is no such account. One that was found by
/// looking and is older than the account is connected counts as told.
pub(crate) async fn make(
    db: impl PgExecutor<'_>,
    (account, source): (Uuid, &str),
    row: &LeadRow,
) -> Result<Option<StandingRow>, sqlx::Error> {
    sqlx::query_as!(
        StandingRow,
        "INSERT INTO marketing.leads (id, account, tenant, lead_id, form_id, ad_id, ad_name, ad_set_id, campaign_id, shown_on,
                is_organic, created_at, answers, source, told_at)
         SELECT $1::uuid, a.id, a.tenant, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::text, $10::boolean,
                $11::timestamptz, $12::bytea, $13::text,
                CASE WHEN $13::text = 'catch_up' AND $11::timestamptz < a.discovered_at THEN now() END
           FROM marketing.accounts a
          WHERE a.id = $2
            AND NOT EXISTS (SELECT FROM marketing.forgotten_leads f WHERE f.account = a.id AND f.lead_id = $3)
         ON CONFLICT ON CONSTRAINT leads_once DO NOTHING
         RETURNING id, told_at",
        row.id,
        account,
        row.lead_id,
        row.form_id,
        row.ad_id,
        row.ad_name,
        row.ad_set_id,
        row.campaign_id,
        row.shown_on,
        row.is_organic,
        row.created_at,
        row.answers,
        source,
    )
    .fetch_optional(db)
    .await
}

/// Stores what is told of a lead by now; what is not told stays.
pub(crate) async fn change(db: impl PgExecutor<'_>, row: &LeadRow) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.leads
            SET form_id = COALESCE($2, form_id), ad_id = COALESCE($3, ad_id), ad_name = COALESCE($4, ad_name),
                ad_set_id = COALESCE($5, ad_set_id), campaign_id = COALESCE($6, campaign_id),
                shown_on = COALESCE($7, shown_on), is_organic = COALESCE($8, is_organic), answers = $9
          WHERE id = $1",
        row.id,
        row.form_id,
        row.ad_id,
        row.ad_name,
        row.ad_set_id,
        row.campaign_id,
        row.shown_on,
        row.is_organic,
        row.answers,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Tells of a lead as an event: its ids, and nothing that the person answered.
pub(crate) async fn tell(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.events (kind, tenant, account, data)
         SELECT 'lead.created', a.tenant, a.id,
                jsonb_build_object('id', l.id, 'lead_id', l.lead_id, 'page_id', a.external_id, 'form_id', l.form_id,
                                   'ad_id', l.ad_id, 'ad_set_id', l.ad_set_id, 'campaign_id', l.campaign_id,
                                   'is_organic', l.is_organic, 'created_at', l.created_at)
           FROM marketing.leads l
           JOIN marketing.accounts a ON a.id = l.account
          WHERE l.id = $1",
        id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Remembers that the owner was told.
pub(crate) async fn told(db: impl PgExecutor<'_>, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.leads SET told_at = now() WHERE id = $1 AND told_at IS NULL",
        id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A lead as it is listed.
pub(crate) struct ListedRow {
    pub(crate) id: Uuid,
    pub(crate) account: Uuid,
    pub(crate) lead_id: String,
    pub(crate) page_id: String,
    pub(crate) form_id: Option<String>,
    pub(crate) ad_id: Option<String>,
    pub(crate) ad_name: Option<String>,
    pub(crate) ad_set_id: Option<String>,
    pub(crate) campaign_id: Option<String>,
    pub(crate) shown_on: Option<String>,
    pub(crate) is_organic: Option<bool>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) source: String,
    pub(crate) answers: Vec<u8>,
}

/// Which leads to list.
pub(crate) struct LeadQuery<'a> {
    pub(crate) account: Option<Uuid>,
    pub(crate) form: Option<&'a str>,
    pub(crate) tenant: Option<&'a str>,
    /// When they were made.
    pub(crate) since: Option<DateTime<Utc>>,
    pub(crate) until: Option<DateTime<Utc>>,
    /// The page begins behind this one.
    pub(crate) before: Option<Uuid>,
    pub(crate) limit: i64,
}

// All give the same columns and heed every filter; the leading one decides by which index the rows are found.
macro_rules! leads {
    ([$leading:literal] $query:expr) => {
        sqlx::query_as!(
            ListedRow,
            "SELECT l.id, l.account, l.lead_id, a.external_id AS page_id, l.form_id, l.ad_id, l.ad_name, l.ad_set_id,
                    l.campaign_id, l.shown_on, l.is_organic, l.created_at, l.received_at, l.source, l.answers
               FROM marketing.leads l
               JOIN marketing.accounts a ON a.id = l.account
              WHERE " + $leading + "
                AND ($1::uuid IS NULL OR l.account = $1) AND ($2::text IS NULL OR l.form_id = $2)
                AND ($3::text IS NULL OR l.tenant = $3)
                AND ($4::timestamptz IS NULL OR l.created_at >= $4) AND ($5::timestamptz IS NULL OR l.created_at < $5)
                AND ($6::uuid IS NULL OR l.id < $6)
              ORDER BY l.id DESC LIMIT $7",
            $query.account,
            $query.form,
            $query.tenant,
            $query.since,
            $query.until,
            $query.before,
            $query.limit
        )
    };
}

/// A page of leads, those first that became known last.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    query: &LeadQuery<'_>,
) -> Result<Vec<ListedRow>, sqlx::Error> {
    match query {
        LeadQuery {
            account: Some(_), ..
        } => leads!(["l.account = $1"] query).fetch_all(db).await,
        LeadQuery { form: Some(_), .. } => leads!(["l.form_id = $2"] query).fetch_all(db).await,
        LeadQuery {
            tenant: Some(_), ..
        } => leads!(["l.tenant = $3"] query).fetch_all(db).await,
        LeadQuery { .. } => leads!(["TRUE"] query).fetch_all(db).await,
    }
}

/// A lead by our id.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<ListedRow>, sqlx::Error> {
    sqlx::query_as!(
        ListedRow,
        "SELECT l.id, l.account, l.lead_id, a.external_id AS page_id, l.form_id, l.ad_id, l.ad_name, l.ad_set_id,
                l.campaign_id, l.shown_on, l.is_organic, l.created_at, l.received_at, l.source, l.answers
           FROM marketing.leads l
           JOIN marketing.accounts a ON a.id = l.account
          WHERE l.id = $1 AND ($2::text IS NULL OR l.tenant = $2)",
        id,
        tenant,
    )
    .fetch_optional(db)
    .await
}

/// Deletes up to 5,000 ids of leads that were to be forgotten more than so many seconds ago; tells how many.
pub(crate) async fn prune_forgotten(
    db: impl PgExecutor<'_>,
    keep_s: f64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.forgotten_leads
          WHERE ctid = ANY (ARRAY(SELECT ctid FROM marketing.forgotten_leads
                                   WHERE at < now() - make_interval(secs => $1) LIMIT 5000 FOR UPDATE SKIP LOCKED))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes up to 5,000 leads that became known more than so many seconds ago; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.leads
          WHERE id = ANY (ARRAY(SELECT id FROM marketing.leads
                                 WHERE received_at < now() - make_interval(secs => $1)
                                 ORDER BY received_at LIMIT 5000))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
