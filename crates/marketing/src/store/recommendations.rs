//! Table `recommendations`: what rules found, and what became of it.

use serde_json::Value;
use sqlx::{
    PgExecutor,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};

/// What a rule found.
pub(crate) struct RecommendationRow {
    pub(crate) id: Uuid,
    pub(crate) strategy: Uuid,
    pub(crate) tenant: String,
    pub(crate) account: Uuid,
    pub(crate) kind: String,
    pub(crate) entity_id: String,
    pub(crate) entity_name: String,
    pub(crate) action: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) reasons: Value,
    pub(crate) state: String,
    pub(crate) batch: Option<Uuid>,
    pub(crate) job: Option<Uuid>,
    pub(crate) found_at: DateTime<Utc>,
    pub(crate) decided_at: Option<DateTime<Utc>>,
    pub(crate) decided_by: Option<String>,
}

/// Something that a rule finds now.
pub(crate) struct NewRecommendation<'a> {
    pub(crate) id: Uuid,
    pub(crate) strategy: Uuid,
    pub(crate) tenant: &'a str,
    pub(crate) account: Uuid,
    pub(crate) kind: &'a str,
    pub(crate) entity_id: &'a str,
    pub(crate) entity_name: &'a str,
    pub(crate) action: &'a str,
    pub(crate) before: Option<&'a str>,
    pub(crate) after: Option<&'a str>,
    pub(crate) reasons: &'a Value,
    pub(crate) state: &'a str,
    pub(crate) batch: Option<Uuid>,
}

/// Which rule, and which entity.
pub(crate) struct Found<'a> {
    pub(crate) strategy: Uuid,
    pub(crate) account: Uuid,
    pub(crate) kind: &'a str,
    pub(crate) entity_id: &'a str,
}

/// What is known of a finding: it waits for somebody, or was decided too lately to be found again.
pub(crate) struct Known {
    pub(crate) id: Uuid,
    pub(crate) is_open: bool,
}

/// The newest that keeps a finding from being told again: an open one, one that was acted on or told within a day, or one that
/// was dismissed within a week.
pub(crate) async fn known(
    db: impl PgExecutor<'_>,
    found: &Found<'_>,
) -> Result<Option<Known>, sqlx::Error> {
    sqlx::query_as!(
        Known,
        r#"SELECT id, state = 'open' AS "is_open!" FROM marketing.recommendations
            WHERE strategy = $1 AND account = $2 AND kind = $3 AND entity_id = $4
              AND (state IN ('open', 'acting')
                   OR state IN ('acted', 'notified') AND decided_at > now() - interval '24 hours'
                   OR state = 'dismissed' AND decided_at > now() - interval '7 days')
            ORDER BY (state IN ('open', 'acting')) DESC, id DESC LIMIT 1"#,
        found.strategy,
        found.account,
        found.kind,
        found.entity_id,
    )
    .fetch_optional(db)
    .await
}

/// Stores a finding.
pub(crate) async fn add(
    db: impl PgExecutor<'_>,
    new: &NewRecommendation<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.recommendations
                (id, strategy, tenant, account, kind, entity_id, entity_name, action, before, after, reasons, state, batch)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        new.id,
        new.strategy,
        new.tenant,
        new.account,
        new.kind,
        new.entity_id,
        new.entity_name,
        new.action,
        new.before,
        new.after,
        new.reasons,
        new.state,
        new.batch,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Has an open finding acted on, by this job of the future.
pub(crate) async fn act(
    db: impl PgExecutor<'_>,
    id: Uuid,
    batch: Uuid,
    by: &str,
) -> Result<bool, sqlx::Error> {
    let acting = sqlx::query!(
        "UPDATE marketing.recommendations SET state = 'acting', batch = $2, decided_at = now(), decided_by = $3
          WHERE id = $1 AND state = 'open'",
        id,
        batch,
        by,
    )
    .execute(db)
    .await?;
    Ok(acting.rows_affected() > 0)
}

/// Dismisses an open finding; tells whether it was open.
pub(crate) async fn dismiss(
    db: impl PgExecutor<'_>,
    id: Uuid,
    by: &str,
) -> Result<bool, sqlx::Error> {
    let dismissed = sqlx::query!(
        "UPDATE marketing.recommendations SET state = 'dismissed', decided_at = now(), decided_by = $2
          WHERE id = $1 AND state = 'open'",
        id,
        by,
    )
    .execute(db)
    .await?;
    Ok(dismissed.rows_affected() > 0)
}

/// Brings an open finding up to date with what holds now.
pub(crate) async fn renew(
    db: impl PgExecutor<'_>,
    id: Uuid,
    (before, after): (Option<&str>, Option<&str>),
    reasons: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.recommendations SET before = $2, after = $3, reasons = $4 WHERE id = $1 AND state = 'open'",
        id,
        before,
        after,
        reasons,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Ends what is open of a rule that does something else by now; tells how many.
pub(crate) async fn expire_others(
    db: impl PgExecutor<'_>,
    strategy: Uuid,
    action: &str,
) -> Result<u64, sqlx::Error> {
    let expired = sqlx::query!(
        "UPDATE marketing.recommendations SET state = 'expired', decided_at = now()
          WHERE strategy = $1 AND state = 'open' AND action <> $2",
        strategy,
        action,
    )
    .execute(db)
    .await?;
    Ok(expired.rows_affected())
}

/// Ends what is open of a rule and does not hold any more, and what was to be done and was not ordered for so long that
/// nobody could tell whether it was: keys of jobs are kept for a day. Tells how many.
pub(crate) async fn expire(
    db: impl PgExecutor<'_>,
    strategy: Uuid,
    still: &[Uuid],
) -> Result<u64, sqlx::Error> {
    let expired = sqlx::query!(
        "UPDATE marketing.recommendations SET state = 'expired', decided_at = now()
          WHERE strategy = $1
            AND (state = 'open' AND NOT id = ANY ($2)
                 OR state = 'acting' AND decided_at <= now() - interval '20 hours')",
        strategy,
        still,
    )
    .execute(db)
    .await?;
    Ok(expired.rows_affected())
}

/// How many changes a rule has asked for by itself within 24 hours.
pub(crate) async fn acted_lately(
    db: impl PgExecutor<'_>,
    strategy: Uuid,
    by: &str,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM marketing.recommendations
            WHERE strategy = $1 AND state IN ('acting', 'acted') AND decided_by = $2
              AND decided_at > now() - interval '24 hours'"#,
        strategy,
        by,
    )
    .fetch_one(db)
    .await
}

/// Says who decided a finding that was stored as decided.
pub(crate) async fn decided(
    db: impl PgExecutor<'_>,
    id: Uuid,
    by: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.recommendations SET decided_at = now(), decided_by = $2 WHERE id = $1",
        id,
        by,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What is to be ordered of a rule, by jobs that are not made yet. What was decided by the rule itself waits while the rule is
/// not active.
pub(crate) async fn to_order(
    db: impl PgExecutor<'_>,
    strategy: Uuid,
    itself: &str,
) -> Result<Vec<RecommendationRow>, sqlx::Error> {
    sqlx::query_as!(
        RecommendationRow,
        "SELECT id, strategy, tenant, account, kind, entity_id, entity_name, action, before, after, reasons, state, batch, job,
                found_at, decided_at, decided_by
           FROM marketing.recommendations
          WHERE strategy = $1 AND state = 'acting' AND decided_at > now() - interval '20 hours'
            AND (decided_by IS DISTINCT FROM $2
                 OR EXISTS (SELECT FROM marketing.strategies s WHERE s.id = $1 AND s.status = 'active'))
          ORDER BY batch, id LIMIT 2000",
        strategy,
        itself,
    )
    .fetch_all(db)
    .await
}

/// Notes the job that makes the changes of a batch.
pub(crate) async fn ordered(
    db: impl PgExecutor<'_>,
    batch: Uuid,
    job: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.recommendations SET state = 'acted', job = $2 WHERE batch = $1 AND state = 'acting'",
        batch,
        job,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// One of this tenant's, or of any.
pub(crate) async fn get(
    db: impl PgExecutor<'_>,
    id: Uuid,
    tenant: Option<&str>,
) -> Result<Option<RecommendationRow>, sqlx::Error> {
    sqlx::query_as!(
        RecommendationRow,
        "SELECT id, strategy, tenant, account, kind, entity_id, entity_name, action, before, after, reasons, state, batch, job,
                found_at, decided_at, decided_by
           FROM marketing.recommendations WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)",
        id,
        tenant,
    )
    .fetch_optional(db)
    .await
}

/// Which findings to list.
pub(crate) struct ListQuery<'a> {
    pub(crate) tenant: Option<&'a str>,
    pub(crate) strategy: Option<Uuid>,
    pub(crate) state: Option<&'a str>,
    pub(crate) before: Option<Uuid>,
    pub(crate) limit: i64,
}

// All give the same columns and heed every filter; the leading one decides by which index the rows are found.
macro_rules! recommendations {
    ([$leading:literal] $query:expr) => {
        sqlx::query_as!(
            RecommendationRow,
            "SELECT id, strategy, tenant, account, kind, entity_id, entity_name, action, before, after, reasons, state, batch,
                    job, found_at, decided_at, decided_by
               FROM marketing.recommendations
              WHERE " + $leading + "
                AND ($1::text IS NULL OR tenant = $1) AND ($2::uuid IS NULL OR strategy = $2)
                AND ($3::text IS NULL OR state = $3)
                AND id < COALESCE($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
              ORDER BY id DESC LIMIT $5",
            $query.tenant,
            $query.strategy,
            $query.state,
            $query.before,
            $query.limit
        )
    };
}

/// A page, the newest first.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    query: &ListQuery<'_>,
) -> Result<Vec<RecommendationRow>, sqlx::Error> {
    match query {
        ListQuery {
            strategy: Some(_), ..
        } => {
            recommendations!(["strategy = $2"] query)
                .fetch_all(db)
                .await
        }
        ListQuery {
            tenant: Some(_),
            state: Some(_),
            ..
        } => {
            recommendations!(["tenant = $1 AND state = $3"] query)
                .fetch_all(db)
                .await
        }
        ListQuery {
            tenant: Some(_), ..
        } => recommendations!(["tenant = $1"] query).fetch_all(db).await,
        ListQuery { state: Some(_), .. } => {
            recommendations!(["state = $3"] query).fetch_all(db).await
        }
        ListQuery { .. } => recommendations!(["TRUE"] query).fetch_all(db).await,
    }
}

/// Tells that a rule found something whose owner wants to hear of it.
pub(crate) async fn tell(
    db: impl PgExecutor<'_>,
    (tenant, account): (&str, Uuid),
    data: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.events (kind, tenant, account, data) VALUES ('alert.fired', $1, $2, $3)",
        tenant,
        account,
        data,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes up to 5,000 decided findings that are older than so many seconds; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>, keep_s: f64) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM marketing.recommendations
          WHERE id = ANY (ARRAY(SELECT id FROM marketing.recommendations
                                 WHERE found_at < now() - make_interval(secs => $1) AND state NOT IN ('open', 'acting')
                                 ORDER BY found_at LIMIT 5000))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
