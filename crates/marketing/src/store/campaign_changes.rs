//! Table `campaign_changes`: what Millpond changes of campaigns, ad sets and ads, with what was before.

use sqlx::{
    PgExecutor,
    types::{
        Decimal, Uuid,
        chrono::{DateTime, Utc},
    },
};

/// What an entity is, as far as changes go by it.
pub(crate) struct EditableRow {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) status: String,
    pub(crate) daily_budget: Option<Decimal>,
    pub(crate) lifetime_budget: Option<Decimal>,
}

/// A change.
pub(crate) struct ChangeRow {
    pub(crate) id: i64,
    pub(crate) job: Uuid,
    pub(crate) place: i32,
    pub(crate) account: Uuid,
    pub(crate) kind: String,
    pub(crate) entity_id: String,
    pub(crate) field: String,
    pub(crate) before: Option<String>,
    pub(crate) after: String,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) requested_by: Option<String>,
    pub(crate) strategy: Option<Uuid>,
    pub(crate) error_class: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) begun_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// A change that an attempt begins, or ends at once.
pub(crate) struct NewChange<'a> {
    pub(crate) job: Uuid,
    pub(crate) place: i32,
    pub(crate) account: Uuid,
    pub(crate) kind: &'a str,
    pub(crate) entity_id: &'a str,
    pub(crate) field: &'a str,
    pub(crate) before: Option<&'a str>,
    pub(crate) after: &'a str,
    pub(crate) state: &'a str,
    pub(crate) reason: Option<&'a str>,
    pub(crate) requested_by: Option<&'a str>,
    pub(crate) strategy: Option<Uuid>,
    pub(crate) run: Uuid,
    pub(crate) run_s: f64,
    pub(crate) error_class: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
}

/// How a change ended, or why it waits.
pub(crate) struct End<'a> {
    pub(crate) state: &'a str,
    /// What was before, where the platform said it.
    pub(crate) before: Option<&'a str>,
    pub(crate) error_class: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
}

/// The entities that are known of these, locked until the transaction ends: who changes them takes turns.
pub(crate) async fn lock_entities(
    db: impl PgExecutor<'_>,
    account: Uuid,
    (kinds, ids): (&[&str], &[&str]),
) -> Result<Vec<EditableRow>, sqlx::Error> {
    sqlx::query_as!(
        EditableRow,
        "SELECT e.kind, e.id, e.parent, e.status, e.daily_budget, e.lifetime_budget
           FROM (SELECT DISTINCT kind, id FROM unnest($2::text[], $3::text[]) AS asked (kind, id)) asked
           JOIN marketing.entities e ON e.account = $1 AND e.kind = asked.kind AND e.id = asked.id
          WHERE e.vanished_at IS NULL
          ORDER BY e.kind, e.id -- everybody locks in this order
            FOR UPDATE OF e",
        account,
        kinds as &[&str],
        ids as &[&str],
    )
    .fetch_all(db)
    .await
}

/// The changes of a job, in the order of their places.
pub(crate) async fn of_job(
    db: impl PgExecutor<'_>,
    job: Uuid,
) -> Result<Vec<ChangeRow>, sqlx::Error> {
    sqlx::query_as!(
        ChangeRow,
        "SELECT id, job, place, account, kind, entity_id, field, before, after, state, reason, requested_by, strategy, error_class,
                error, begun_at, ended_at
           FROM marketing.campaign_changes WHERE job = $1 ORDER BY place",
        job,
    )
    .fetch_all(db)
    .await
}

/// Until when another job's attempt is at an entity; `None`: none is. An attempt whose time is over is taken for dead first, and
/// nobody knows what it did.
pub(crate) async fn busy_until(
    db: impl PgExecutor<'_>,
    job: Uuid,
    (account, kind, id): (Uuid, &str, &str),
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let until = sqlx::query_scalar!(
        r#"WITH over AS (
               UPDATE marketing.campaign_changes
                  SET state = 'unknown', ended_at = now(), error = 'the attempt ended without telling how'
                WHERE account = $2 AND kind = $3 AND entity_id = $4 AND state = 'sending' AND job <> $1
                  AND run_until <= now())
           SELECT run_until AS "run_until!" FROM marketing.campaign_changes
            WHERE account = $2 AND kind = $3 AND entity_id = $4 AND state = 'sending' AND job <> $1 AND run_until > now()"#,
        job,
        account,
        kind,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(until)
}

/// Begins a change, or goes on with one that is not over, or that was refused and is tried anew. Of one that goes on, what was
/// before stays as it was first.
pub(crate) async fn begin(db: impl PgExecutor<'_>, new: &NewChange<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO marketing.campaign_changes AS c
                (job, place, account, kind, entity_id, field, before, after, state, reason, strategy, run, run_until,
                 error_class, error, requested_by, ended_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, now() + make_interval(secs => $13), $14, $15, $16,
                 CASE WHEN $9 = 'sending' THEN NULL ELSE now() END)
         ON CONFLICT ON CONSTRAINT campaign_changes_place DO UPDATE
            SET state = excluded.state, run = excluded.run, run_until = excluded.run_until,
                kind = excluded.kind, entity_id = excluded.entity_id, field = excluded.field, after = excluded.after,
                before = CASE WHEN c.state <> 'refused' AND (c.kind, c.entity_id, c.field)
                                   = (excluded.kind, excluded.entity_id, excluded.field)
                              THEN c.before ELSE excluded.before END,
                reason = excluded.reason, requested_by = excluded.requested_by, error_class = excluded.error_class,
                error = excluded.error, ended_at = excluded.ended_at
          WHERE c.state IN ('sending', 'waiting', 'refused')",
        new.job,
        new.place,
        new.account,
        new.kind,
        new.entity_id,
        new.field,
        new.before,
        new.after,
        new.state,
        new.reason,
        new.strategy,
        new.run,
        new.run_s,
        new.error_class,
        new.error,
        new.requested_by,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Ends a change, or puts it off, unless another attempt is at it by now; tells whether this was done. One that is put off
/// keeps what was before: its next attempt is held against it.
pub(crate) async fn end(
    db: impl PgExecutor<'_>,
    (job, place, run): (Uuid, i32, Uuid),
    end: &End<'_>,
) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query!(
        "UPDATE marketing.campaign_changes
            SET state = $4, error_class = $5, error = $6, ended_at = CASE WHEN $4 = 'waiting' THEN NULL ELSE now() END,
                before = CASE WHEN $4 = 'waiting' THEN before ELSE COALESCE($7, before) END
          WHERE job = $1 AND place = $2 AND run = $3 AND state = 'sending'",
        job,
        place,
        run,
        end.state,
        end.error_class,
        end.error,
        end.before,
    )
    .execute(db)
    .await?;
    Ok(ended.rows_affected() > 0)
}

/// Shows an entity as it was just set; `None` leaves a member as it is.
pub(crate) async fn set_entity(
    db: impl PgExecutor<'_>,
    (account, kind, id): (Uuid, &str, &str),
    status: Option<&str>,
    (daily_budget, lifetime_budget): (Option<Decimal>, Option<Decimal>),
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE marketing.entities
            SET status = COALESCE($4, status), daily_budget = COALESCE($5, daily_budget),
                lifetime_budget = COALESCE($6, lifetime_budget)
          WHERE account = $1 AND kind = $2 AND id = $3",
        account,
        kind,
        id,
        status,
        daily_budget,
        lifetime_budget,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A page of what was changed of an account, the newest first.
pub(crate) async fn list(
    db: impl PgExecutor<'_>,
    account: Uuid,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<ChangeRow>, sqlx::Error> {
    sqlx::query_as!(
        ChangeRow,
        "SELECT id, job, place, account, kind, entity_id, field, before, after, state, reason, requested_by, strategy, error_class,
                error, begun_at, ended_at
           FROM marketing.campaign_changes
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
        "DELETE FROM marketing.campaign_changes
          WHERE id = ANY (ARRAY(SELECT oldest.id
                                  FROM (SELECT id, begun_at FROM marketing.campaign_changes ORDER BY id LIMIT 5000) oldest
                                 WHERE oldest.begun_at < now() - make_interval(secs => $1)))",
        keep_s,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
