//! What gates stand on: rules of kinds, places of keys, held accounts, budgets of accounts, dry budgets.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// The limits of a kind that has any.
#[derive(Debug)]
pub(crate) struct RuleRow {
    pub(crate) kind: String,
    /// Where its jobs wait, unless somebody put them elsewhere.
    pub(crate) queue: String,
    pub(crate) per_key_concurrency: Option<i32>,
    pub(crate) budget: Option<String>,
}

/// The limits of these kinds; those without any are missing.
pub(crate) async fn rules(
    db: impl PgExecutor<'_>,
    kinds: &[String],
) -> Result<Vec<RuleRow>, sqlx::Error> {
    sqlx::query_as!(
        RuleRow,
        "SELECT kind, queue, per_key_concurrency, budget FROM millpond.kinds_seen
          WHERE kind = ANY ($1) AND (per_key_concurrency IS NOT NULL OR budget IS NOT NULL)",
        kinds,
    )
    .fetch_all(db)
    .await
}

/// How many of a key's places attempts take now.
#[derive(Debug)]
pub(crate) struct TakenRow {
    pub(crate) key: String,
    pub(crate) taken: i64,
}

/// How many places these keys of a kind take, each counted up to how many there are; those that take none are missing. A
/// job takes its place until its attempt is settled or rescued: a lease that has run out may be renewed yet.
pub(crate) async fn taken(
    db: impl PgExecutor<'_>,
    kind: &str,
    keys: &[&str],
    places: i64,
) -> Result<Vec<TakenRow>, sqlx::Error> {
    sqlx::query_as!(
        TakenRow,
        r#"SELECT k.key AS "key!", count(*) AS "taken!"
             FROM unnest($2::text[]) AS k (key)
            CROSS JOIN LATERAL (
                  SELECT FROM millpond.jobs j
                   WHERE j.kind = $1 AND j.key = k.key AND j.state = 'running' AND j.takes_place LIMIT $3) AS running
            GROUP BY k.key"#,
        kind,
        keys as &[&str],
        places,
    )
    .fetch_all(db)
    .await
}

/// Has attempts take their places that were started when their kind had no limit per key, or by a process that had not
/// heard of it: what runs counts, whoever started it.
pub(crate) async fn take_places(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.jobs SET takes_place = true
          WHERE id = ANY (ARRAY(
                SELECT id FROM millpond.jobs
                 WHERE queue = ANY (ARRAY(SELECT name FROM millpond.queues))
                   AND state = 'running' AND key IS NOT NULL AND takes_place IS NULL
                   AND kind = ANY (ARRAY(SELECT kind FROM millpond.kinds_seen WHERE per_key_concurrency IS NOT NULL))
                 ORDER BY id FOR UPDATE))"
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A held account.
#[derive(Debug, Clone)]
pub(crate) struct HoldRow {
    pub(crate) account: String,
    pub(crate) reason: String,
    pub(crate) since: DateTime<Utc>,
    /// `None`: until somebody lets it go.
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) by: String,
}

/// Those of these accounts that are held now.
pub(crate) async fn held(
    db: impl PgExecutor<'_>,
    accounts: &[&str],
) -> Result<Vec<HoldRow>, sqlx::Error> {
    sqlx::query_as!(
        HoldRow,
        "SELECT account, reason, since, until, by FROM millpond.holds
          WHERE account = ANY ($1) AND (until IS NULL OR until > now())",
        accounts as &[&str],
    )
    .fetch_all(db)
    .await
}

/// The budget that an account's jobs draw on where their kind names none.
#[derive(Debug)]
pub(crate) struct OwnBudgetRow {
    pub(crate) account: String,
    pub(crate) budget: String,
}

/// The budgets of these accounts; those that have none are missing.
pub(crate) async fn own_budgets(
    db: impl PgExecutor<'_>,
    accounts: &[&str],
) -> Result<Vec<OwnBudgetRow>, sqlx::Error> {
    sqlx::query_as!(
        OwnBudgetRow,
        "SELECT account, budget FROM millpond.account_budgets WHERE account = ANY ($1)",
        accounts as &[&str],
    )
    .fetch_all(db)
    .await
}

/// A budget from which no call can be made now.
#[derive(Debug, Clone)]
pub(crate) struct DryRow {
    pub(crate) budget: String,
    /// `None`: of all accounts.
    pub(crate) account: Option<String>,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) detail: Option<String>,
    /// Whether that holds for urgent jobs too.
    pub(crate) for_urgent: bool,
}

/// Those of these budgets that are dry, for all or for one of these accounts.
pub(crate) async fn dry(
    db: impl PgExecutor<'_>,
    budgets: &[&str],
    accounts: &[&str],
) -> Result<Vec<DryRow>, sqlx::Error> {
    sqlx::query_as!(
        DryRow,
        r#"SELECT budget AS "budget!", account, until, detail, COALESCE(for_urgent, true) AS "for_urgent!"
             FROM millpond.dry_budgets
            WHERE budget = ANY ($1) AND (account IS NULL OR account = ANY ($2)) AND (until IS NULL OR until > now())"#,
        budgets as &[&str],
        accounts as &[&str],
    )
    .fetch_all(db)
    .await
}
