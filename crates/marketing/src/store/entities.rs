//! Table `entities`: what accounts hold.

use serde_json::Value;
use sqlx::{
    PgExecutor,
    types::{
        Decimal, Uuid,
        chrono::{DateTime, Utc},
    },
};

/// Entities of one account, as arrays for `unnest`, in the order of their kinds and ids and none of them twice.
#[derive(Default)]
pub(crate) struct EntityRows {
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) ids: Vec<String>,
    pub(crate) parents: Vec<Option<String>>,
    pub(crate) campaigns: Vec<Option<String>>,
    pub(crate) names: Vec<String>,
    pub(crate) statuses: Vec<&'static str>,
    pub(crate) platform_statuses: Vec<String>,
    pub(crate) daily_budgets: Vec<Option<Decimal>>,
    pub(crate) lifetime_budgets: Vec<Option<Decimal>>,
    pub(crate) created: Vec<Option<DateTime<Utc>>>,
    pub(crate) updated: Vec<Option<DateTime<Utc>>>,
    pub(crate) raws: Vec<Value>,
}

/// What is compared of an entity, as it is stored.
pub(crate) struct KnownRow {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) campaign: Option<String>,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) daily_budget: Option<Decimal>,
    pub(crate) lifetime_budget: Option<Decimal>,
    pub(crate) has_vanished: bool,
}

/// Those of these entities that are stored, locked until the transaction ends.
pub(crate) async fn lock(
    db: impl PgExecutor<'_>,
    account: Uuid,
    rows: &EntityRows,
) -> Result<Vec<KnownRow>, sqlx::Error> {
    sqlx::query_as!(
        KnownRow,
        r#"SELECT e.kind, e.id, e.parent, e.campaign, e.name, e.status, e.daily_budget, e.lifetime_budget,
                  e.vanished_at IS NOT NULL AS "has_vanished!"
             FROM unnest($2::text[], $3::text[]) AS asked (kind, id)
             JOIN marketing.entities e ON e.account = $1 AND e.kind = asked.kind AND e.id = asked.id
            ORDER BY e.kind, e.id -- everybody locks in this order
              FOR UPDATE OF e"#,
        account,
        &rows.kinds as &[&str],
        &rows.ids,
    )
    .fetch_all(db)
    .await
}

/// Stores entities as they were seen now.
pub(crate) async fn store(
    db: impl PgExecutor<'_>,
    account: Uuid,
    rows: &EntityRows,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.entities
                (account, kind, id, parent, campaign, name, status, platform_status, daily_budget, lifetime_budget, created_at,
                 updated_at, raw)
         SELECT $1::uuid, r.kind, r.id, r.parent, r.campaign, r.name, r.status, r.platform_status, r.daily_budget,
                r.lifetime_budget, r.created_at, r.updated_at, r.raw
           FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::numeric[],
                       $10::numeric[], $11::timestamptz[], $12::timestamptz[], $13::jsonb[])
                AS r (kind, id, parent, campaign, name, status, platform_status, daily_budget, lifetime_budget, created_at,
                      updated_at, raw)
         ON CONFLICT ON CONSTRAINT entities_pkey DO UPDATE
            SET parent = excluded.parent, campaign = excluded.campaign, name = excluded.name, status = excluded.status,
                platform_status = excluded.platform_status, daily_budget = excluded.daily_budget,
                lifetime_budget = excluded.lifetime_budget, created_at = excluded.created_at,
                updated_at = excluded.updated_at, raw = excluded.raw, last_seen = now(), vanished_at = NULL",
        account,
        &rows.kinds as &[&str],
        &rows.ids,
        &rows.parents as &[Option<String>],
        &rows.campaigns as &[Option<String>],
        &rows.names,
        &rows.statuses as &[&str],
        &rows.platform_statuses,
        &rows.daily_budgets as &[Option<Decimal>],
        &rows.lifetime_budgets as &[Option<Decimal>],
        &rows.created as &[Option<DateTime<Utc>>],
        &rows.updated as &[Option<DateTime<Utc>>],
        &rows.raws,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Marks what was not seen since: it counts as deleted. Tells which.
pub(crate) async fn vanish(
    db: impl PgExecutor<'_>,
    account: Uuid,
    kind: &str,
    since: DateTime<Utc>,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "UPDATE marketing.entities SET vanished_at = now(), status = 'deleted'
          WHERE account = $1 AND kind = $2 AND vanished_at IS NULL AND last_seen < $3
      RETURNING id",
        account,
        kind,
        since,
    )
    .fetch_all(db)
    .await
}

/// Ids of what an account holds of a kind and has not vanished, in their order.
pub(crate) async fn ids(
    db: impl PgExecutor<'_>,
    (account, kind): (Uuid, &str),
    after: &str,
    limit: i64,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM marketing.entities
          WHERE account = $1 AND kind = $2 AND id > $3 AND vanished_at IS NULL
          ORDER BY id LIMIT $4",
        account,
        kind,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// An entity as it is listed.
pub(crate) struct EntityRow {
    pub(crate) account: Uuid,
    pub(crate) platform: String,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) campaign: Option<String>,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) platform_status: String,
    pub(crate) daily_budget: Option<Decimal>,
    pub(crate) lifetime_budget: Option<Decimal>,
    pub(crate) currency: Option<String>,
    pub(crate) created_at: Option<DateTime<Utc>>,
    pub(crate) updated_at: Option<DateTime<Utc>>,
    pub(crate) first_seen: DateTime<Utc>,
    pub(crate) last_seen: DateTime<Utc>,
    pub(crate) vanished_at: Option<DateTime<Utc>>,
}

/// Where a page of entities begins: behind this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EntityPlace {
    pub(crate) account: Uuid,
    pub(crate) kind: String,
    pub(crate) id: String,
}

/// Which entities to list.
pub(crate) struct EntityQuery<'a> {
    pub(crate) account: Option<Uuid>,
    pub(crate) kind: Option<&'static str>,
    pub(crate) parent: Option<&'a str>,
    pub(crate) status: Option<&'static str>,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) search: Option<&'a str>,
    pub(crate) after: EntityPlace,
    pub(crate) limit: i64,
}

// All give the same columns and heed every filter; the leading one decides by which index the rows are found.
macro_rules! entities {
    ([$leading:literal] $query:expr) => {
        sqlx::query_as!(
            EntityRow,
            "SELECT e.account, a.platform, e.kind, e.id, e.parent, e.campaign, e.name, e.status, e.platform_status,
                    e.daily_budget, e.lifetime_budget, a.currency, e.created_at, e.updated_at, e.first_seen, e.last_seen,
                    e.vanished_at
               FROM marketing.entities e
               JOIN marketing.accounts a ON a.id = e.account
              WHERE " + $leading + "
                AND ($1::uuid IS NULL OR e.account = $1) AND ($2::text IS NULL OR e.kind = $2)
                AND ($3::text IS NULL OR e.parent = $3) AND ($4::text IS NULL OR e.status = $4)
                AND ($5::text IS NULL OR a.tenant = $5)
                AND ($6::text IS NULL OR e.id = $6 OR position(lower($6) IN lower(e.name)) > 0)
                AND (e.account, e.kind, e.id) > ($7::uuid, $8::text, $9::text)
              ORDER BY e.account, e.kind, e.id LIMIT $10",
            $query.account,
            $query.kind,
            $query.parent,
            $query.status,
            $query.tenant,
            $query.search,
            $query.after.account,
            $query.after.kind,
            $query.after.id,
            $query.limit
        )
    };
}

/// A page of entities, by account, kind and id.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    query: &EntityQuery<'_>,
) -> Result<Vec<EntityRow>, sqlx::Error> {
    match query {
        EntityQuery {
            parent: Some(_), ..
        } => {
            let rows = entities!(["e.parent = $3"] query);
            rows.fetch_all(db).await
        }
        EntityQuery {
            account: Some(_),
            kind: Some(_),
            ..
        } => {
            let rows =
                entities!(["e.account = $1 AND e.kind = $2 AND (e.kind, e.id) > ($8, $9)"] query);
            rows.fetch_all(db).await
        }
        EntityQuery {
            account: Some(_), ..
        } => {
            let rows = entities!(["e.account = $1"] query);
            rows.fetch_all(db).await
        }
        EntityQuery { kind: Some(_), .. } => {
            let rows = entities!(["e.kind = $2 AND e.account >= $7"] query);
            rows.fetch_all(db).await
        }
        EntityQuery { .. } => {
            let rows = entities!(["TRUE"] query);
            rows.fetch_all(db).await
        }
    }
}
