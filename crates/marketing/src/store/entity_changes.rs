//! Table `entity_changes`: what somebody changed at a platform, as sync found it.

use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// Changes of one account, as arrays for `unnest`.
#[derive(Default)]
pub(crate) struct NewChanges {
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) ids: Vec<String>,
    pub(crate) fields: Vec<&'static str>,
    pub(crate) befores: Vec<Option<String>>,
    pub(crate) afters: Vec<Option<String>>,
}

/// A change.
pub(crate) struct ChangeRow {
    pub(crate) id: i64,
    pub(crate) account: Uuid,
    pub(crate) kind: String,
    pub(crate) entity_id: String,
    pub(crate) field: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) seen_at: DateTime<Utc>,
    pub(crate) sync: Uuid,
}

/// Notes changes that a sync found, and gives them back as they are stored. What was changed of an entity is one event.
pub(crate) async fn note(
    db: impl PgExecutor<'_>,
    (account, sync): (Uuid, Uuid),
    new: &NewChanges,
) -> Result<Vec<ChangeRow>, sqlx::Error> {
    sqlx::query_as!(
        ChangeRow,
        r#"WITH noted AS (
               INSERT INTO marketing.entity_changes (account, kind, entity_id, field, before, after, sync)
               SELECT $1::uuid, n.kind, n.id, n.field, n.before, n.after, $2::uuid
                 FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
                      AS n (kind, id, field, before, after)
            RETURNING id, account, kind, entity_id, field, before, after, seen_at, sync),
           told AS (
               INSERT INTO marketing.events (kind, tenant, account, data)
               SELECT 'entity.changed', a.tenant, n.account,
                      jsonb_build_object('type', n.kind, 'id', n.entity_id, 'changes', jsonb_agg(
                          jsonb_build_object('field', n.field, 'before', n.before, 'after', n.after) ORDER BY n.id))
                 FROM noted n
                 JOIN marketing.accounts a ON a.id = n.account
                GROUP BY a.tenant, n.account, n.kind, n.entity_id
                ORDER BY min(n.id))
           SELECT id AS "id!", account AS "account!", kind AS "kind!", entity_id AS "entity_id!", field AS "field!",
                  before AS "before?", after AS "after?", seen_at AS "seen_at!", sync AS "sync!"
             FROM noted ORDER BY id"#,
        account,
        sync,
        &new.kinds as &[&str],
        &new.ids,
        &new.fields as &[&str],
        &new.befores as &[Option<String>],
        &new.afters as &[Option<String>],
    )
    .fetch_all(db)
    .await
}

/// A page of an account's changes, the newest first.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    account: Uuid,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<ChangeRow>, sqlx::Error> {
    sqlx::query_as!(
        ChangeRow,
        "SELECT id, account, kind, entity_id, field, before, after, seen_at, sync
           FROM marketing.entity_changes
          WHERE account = $1 AND id < COALESCE($2::bigint, 9223372036854775807)
          ORDER BY id DESC LIMIT $3",
        account,
        before,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Deletes what is older than so many seconds of the 5,000 oldest changes; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.entity_changes
          WHERE id = ANY (ARRAY(SELECT oldest.id
                                  FROM (SELECT id, seen_at FROM marketing.entity_changes ORDER BY id LIMIT 5000) oldest
                                 WHERE oldest.seen_at < now() - make_interval(secs => $1)))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
