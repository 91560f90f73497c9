//! Budgets: what is left of a quota, who draws on it, what was used when. Whoever changes what is left holds the row of
//! `budgets`: [`lock`] comes first in its transaction, and what it decides from is read by later statements, which see
//! what the holders before it have stored.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

/// Which budget: its name and its account, `''` for a provider as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BudgetKey<'a> {
    pub(crate) name: &'a str,
    pub(crate) account: &'a str,
}

/// What a budget's row says beside its dryness.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BudgetRow {
    /// The database's time, after the wait for the row.
    pub(crate) now: DateTime<Utc>,
    pub(crate) free_at: Option<DateTime<Utc>>,
    pub(crate) paused_until: Option<DateTime<Utc>>,
    pub(crate) pause_reason: Option<String>,
    pub(crate) used_share: Option<f64>,
    pub(crate) remaining: Option<i64>,
    pub(crate) told_until: Option<DateTime<Utc>>,
}

/// Locks a budget's row, which is made where there is none yet, and reads it.
pub(crate) async fn lock(
    db: impl PgExecutor<'_>,
    key: BudgetKey<'_>,
) -> Result<BudgetRow, sqlx::Error> {
    sqlx::query_as!(
        BudgetRow,
        r#"INSERT INTO millpond.budgets (name, account) VALUES ($1, $2)
           ON CONFLICT ON CONSTRAINT budgets_pkey DO UPDATE SET asked_at = now()
           RETURNING clock_timestamp() AS "now!", free_at, paused_until, pause_reason, used_share, remaining, told_until"#,
        key.name,
        key.account,
    )
    .fetch_one(db)
    .await
}

/// What a decision needs to know beside the row itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Draws {
    /// Calls that count now.
    pub(crate) used: i64,
    /// Places that other processes hold.
    pub(crate) places: i64,
    /// Other processes that draw on the budget.
    pub(crate) others: i64,
    /// Whether another one waits for a place.
    pub(crate) others_wait: bool,
    /// The pause of the provider as a whole.
    pub(crate) provider_paused_until: Option<DateTime<Utc>>,
    pub(crate) provider_pause_reason: Option<String>,
}

/// Who draws on a budget, and how much of it counts as used: what was leased in slots after `since`.
pub(crate) async fn draws(
    db: impl PgExecutor<'_>,
    key: BudgetKey<'_>,
    holder: Uuid,
    since: DateTime<Utc>,
) -> Result<Draws, sqlx::Error> {
    sqlx::query_as!(
        Draws,
        r#"SELECT COALESCE((SELECT sum(u.used) FROM millpond.budget_usage u
                             WHERE u.name = $1 AND u.account = $2 AND u.slot > $4), 0)::int8 AS "used!",
                  COALESCE(sum(h.places), 0)::int8 AS "places!",
                  count(*) AS "others!",
                  COALESCE(bool_or(h.waits_until > now()), false) AS "others_wait!",
                  (SELECT p.paused_until FROM millpond.budgets p
                    WHERE p.name = $1 AND p.account = '' AND p.paused_until > now()) AS provider_paused_until,
                  (SELECT p.pause_reason FROM millpond.budgets p
                    WHERE p.name = $1 AND p.account = '' AND p.paused_until > now()) AS provider_pause_reason
             FROM millpond.budget_holders h
            WHERE h.name = $1 AND h.account = $2 AND h.holder <> $3 AND h.expires_at > now()"#,
        key.name,
        key.account,
        holder,
        since,
    )
    .fetch_one(db)
    .await
}

/// Calls that were leased in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotUsage {
    pub(crate) slot: DateTime<Utc>,
    pub(crate) used: i64,
}

/// What was used in each slot after `since`, the oldest first.
pub(crate) async fn usage(
    db: impl PgExecutor<'_>,
    key: BudgetKey<'_>,
    since: DateTime<Utc>,
) -> Result<Vec<SlotUsage>, sqlx::Error> {
    sqlx::query_as!(
        SlotUsage,
        "SELECT slot, used FROM millpond.budget_usage
          WHERE name = $1 AND account = $2 AND slot > $3 AND used > 0
          ORDER BY slot LIMIT 1000",
        key.name,
        key.account,
        since,
    )
    .fetch_all(db)
    .await
}

/// Takes back what was leased in these slots and not used. To be called once for a lease: what may have been given back
/// already must count as used.
pub(crate) async fn give_back(
    db: impl PgExecutor<'_>,
    key: BudgetKey<'_>,
    slots: &[DateTime<Utc>],
    units: &[i64],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE millpond.budget_usage u SET used = GREATEST(u.used - g.units, 0)
           FROM unnest($3::timestamptz[], $4::int8[]) AS g (slot, units)
          WHERE u.name = $1 AND u.account = $2 AND u.slot = g.slot",
        key.name,
        key.account,
        slots,
        units,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What is stored at the end of an exchange.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) key: BudgetKey<'a>,
    pub(crate) row: &'a BudgetRow,
    pub(crate) dry: Option<&'a Dryness>,
    /// The limits under which that is so.
    pub(crate) limits: &'a str,
    /// What is leased now, and the slot in which it counts.
    pub(crate) units: i64,
    pub(crate) slot: DateTime<Utc>,
    pub(crate) holding: Holding,
}

/// Until when there is nothing for jobs of ordinary priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dryness {
    pub(crate) until: DateTime<Utc>,
    pub(crate) detail: String,
    pub(crate) for_urgent: bool,
}

/// What a process holds of a budget from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holding {
    pub(crate) holder: Uuid,
    pub(crate) places: i32,
    pub(crate) waits_until: Option<DateTime<Utc>>,
    /// `None`: it holds nothing and draws no more.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// Stores what was decided about a budget whose row is locked.
pub(crate) async fn keep(db: impl PgExecutor<'_>, kept: &Kept<'_>) -> Result<(), sqlx::Error> {
    let (row, dry, holding) = (kept.row, kept.dry, &kept.holding);
    sqlx::query!(
        "WITH charged AS (
             INSERT INTO millpond.budget_usage AS u (name, account, slot, used)
             SELECT $1, $2, $3::timestamptz, $4::int8 WHERE $4 > 0
             ON CONFLICT ON CONSTRAINT budget_usage_pkey DO UPDATE SET used = u.used + excluded.used),
         gone AS (
             DELETE FROM millpond.budget_holders
              WHERE name = $1 AND account = $2 AND holder = $5 AND $8::timestamptz IS NULL),
         held AS (
             INSERT INTO millpond.budget_holders (name, account, holder, places, waits_until, expires_at)
             SELECT $1, $2, $5::uuid, $6::int4, $7::timestamptz, $8 WHERE $8 IS NOT NULL
             ON CONFLICT ON CONSTRAINT budget_holders_pkey DO UPDATE
                SET places = excluded.places, waits_until = excluded.waits_until, expires_at = excluded.expires_at)
         UPDATE millpond.budgets
            SET free_at = $9, paused_until = $10, pause_reason = $11, used_share = $12, remaining = $13, told_until = $14,
                dry_until = $15, dry_detail = $16, dry_for_urgent = $17,
                dry_under = CASE WHEN $15::timestamptz IS NOT NULL THEN $18::text END
          WHERE name = $1 AND account = $2",
        kept.key.name,
        kept.key.account,
        kept.slot,
        kept.units,
        holding.holder,
        holding.places,
        holding.waits_until,
        holding.expires_at,
        row.free_at,
        row.paused_until,
        row.pause_reason,
        row.used_share,
        row.remaining,
        row.told_until,
        dry.map(|dry| dry.until),
        dry.map(|dry| &*dry.detail),
        dry.map(|dry| dry.for_urgent),
        kept.limits,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets that budgets are dry under other limits than these, which belong to the names by their places.
pub(crate) async fn forget_other_limits(
    db: impl PgExecutor<'_>,
    names: &[String],
    limits: &[String],
) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query!(
        "UPDATE millpond.budgets b
            SET dry_until = NULL, dry_detail = NULL, dry_for_urgent = NULL, dry_under = NULL
           FROM unnest($1::text[], $2::text[]) AS c (name, limits)
          WHERE b.name = c.name AND b.dry_until IS NOT NULL AND b.dry_under <> c.limits",
        names,
        limits,
    )
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected())
}

/// Deletes up to 5,000 slots that count no more, and as many rows of budgets and holders that nobody has asked about for
/// a week, and forgets as many pauses and dry spells that have ended, which every look for one would walk over; tells how many.
pub(crate) async fn prune(db: impl PgExecutor<'_>) -> Result<u64, sqlx::Error> {
    let pruned = prune_each(db).await?;
    let all = pruned.slots + pruned.holders + pruned.budgets + pruned.ended;
    Ok(all.unsigned_abs())
}

/// What was too old of budgets.
#[derive(Debug)]
pub(crate) struct BudgetsPruned {
    pub(crate) slots: i64,
    pub(crate) holders: i64,
    pub(crate) budgets: i64,
    /// Pauses and dry spells.
    pub(crate) ended: i64,
}

/// The same, and tells each apart.
pub(crate) async fn prune_each(db: impl PgExecutor<'_>) -> Result<BudgetsPruned, sqlx::Error> {
    sqlx::query_as!(
        BudgetsPruned,
        r#"WITH slots AS (
             DELETE FROM millpond.budget_usage
              WHERE ctid = ANY (ARRAY(SELECT ctid FROM millpond.budget_usage
                                       WHERE slot < now() - interval '49 hours' LIMIT 5000)) RETURNING 1),
         holders AS (
             DELETE FROM millpond.budget_holders
              WHERE ctid = ANY (ARRAY(SELECT ctid FROM millpond.budget_holders
                                       WHERE expires_at < now() - interval '1 day' LIMIT 5000)) RETURNING 1),
         budgets AS (
             DELETE FROM millpond.budgets b
              WHERE ctid = ANY (ARRAY(SELECT ctid FROM millpond.budgets
                                       WHERE asked_at < now() - interval '7 days'
                                         AND GREATEST(free_at, paused_until, told_until, dry_until, '-infinity') < now()
                                       LIMIT 5000)) RETURNING 1),
         ended AS (
             UPDATE millpond.budgets
                SET paused_until = CASE WHEN paused_until >= now() THEN paused_until END,
                    pause_reason = CASE WHEN paused_until >= now() THEN pause_reason END,
                    dry_until = CASE WHEN dry_until >= now() THEN dry_until END,
                    dry_detail = CASE WHEN dry_until >= now() THEN dry_detail END,
                    dry_for_urgent = CASE WHEN dry_until >= now() THEN dry_for_urgent END,
                    dry_under = CASE WHEN dry_until >= now() THEN dry_under END
              WHERE ctid = ANY (ARRAY(SELECT ctid FROM millpond.budgets
                                       WHERE (paused_until < now() OR dry_until < now())
                                         AND asked_at >= now() - interval '7 days' -- no row that is deleted here too
                                       LIMIT 5000 FOR UPDATE SKIP LOCKED)) RETURNING 1)
         SELECT (SELECT count(*) FROM slots) AS "slots!", (SELECT count(*) FROM holders) AS "holders!",
                (SELECT count(*) FROM budgets) AS "budgets!", (SELECT count(*) FROM ended) AS "ended!""#
    )
    .fetch_one(db)
    .await
}

/// A budget as it stands.
#[derive(Debug)]
pub(crate) struct StandingRow {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) used: i64,
    pub(crate) places: i64,
    pub(crate) paused_until: Option<DateTime<Utc>>,
    pub(crate) pause_reason: Option<String>,
    pub(crate) used_share: Option<f64>,
    pub(crate) remaining: Option<i64>,
    pub(crate) told_until: Option<DateTime<Utc>>,
    pub(crate) dry_until: Option<DateTime<Utc>>,
    pub(crate) dry_detail: Option<String>,
}

/// The database's time.
pub(crate) async fn clock(db: impl PgExecutor<'_>) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
        .fetch_one(db)
        .await
}

/// Up to 1,000 budgets as they stand, those that are stopped first. What was used counts from the time that belongs to
/// the budget's name by its place.
pub(crate) async fn standings(
    db: impl PgExecutor<'_>,
    names: &[String],
    since: &[DateTime<Utc>],
) -> Result<Vec<StandingRow>, sqlx::Error> {
    sqlx::query_as!(
        StandingRow,
        r#"SELECT b.name, b.account,
                  COALESCE((SELECT sum(u.used) FROM millpond.budget_usage u
                             WHERE u.name = b.name AND u.account = b.account AND u.slot > c.since), 0)::int8 AS "used!",
                  COALESCE((SELECT sum(h.places) FROM millpond.budget_holders h
                             WHERE h.name = b.name AND h.account = b.account AND h.expires_at > now()), 0)::int8 AS "places!",
                  CASE WHEN b.paused_until > now() THEN b.paused_until END AS paused_until,
                  CASE WHEN b.paused_until > now() THEN b.pause_reason END AS pause_reason,
                  CASE WHEN b.told_until > now() THEN b.used_share END AS used_share,
                  CASE WHEN b.told_until > now() THEN b.remaining END AS remaining,
                  CASE WHEN b.told_until > now() THEN b.told_until END AS told_until,
                  CASE WHEN b.dry_until > now() THEN b.dry_until END AS dry_until,
                  CASE WHEN b.dry_until > now() THEN b.dry_detail END AS dry_detail
             FROM unnest($1::text[], $2::timestamptz[]) AS c (name, since)
             JOIN millpond.budgets b ON b.name = c.name
            ORDER BY GREATEST(b.paused_until, b.dry_until) > now() DESC NULLS LAST, b.name, b.account
            LIMIT 1000"#,
        names,
        since,
    )
    .fetch_all(db)
    .await
}

/// How the tightest row of a budget stands.
#[derive(Debug)]
pub(crate) struct Tightest {
    pub(crate) name: String,
    /// The most calls that count for one account.
    pub(crate) used: i64,
    /// The largest share that the provider told.
    pub(crate) used_share: Option<f64>,
    /// When the last pause ends, in seconds since 1970.
    pub(crate) paused_until: Option<f64>,
}

/// How the tightest row of each budget stands; names and times as for [`standings`].
pub(crate) async fn tightest(
    db: impl PgExecutor<'_>,
    names: &[String],
    since: &[DateTime<Utc>],
) -> Result<Vec<Tightest>, sqlx::Error> {
    sqlx::query_as!(
        Tightest,
        r#"SELECT c.name AS "name!",
                  COALESCE((SELECT max(a.used) FROM (SELECT sum(u.used) AS used FROM millpond.budget_usage u
                                                      WHERE u.name = c.name AND u.slot > c.since GROUP BY u.account) AS a),
                           0)::int8 AS "used!",
                  (SELECT max(b.used_share) FROM millpond.budgets b
                    WHERE b.name = c.name AND b.told_until > now()) AS used_share,
                  (SELECT extract(epoch FROM max(b.paused_until)) FROM millpond.budgets b
                    WHERE b.name = c.name AND b.paused_until > now())::float8 AS paused_until
             FROM unnest($1::text[], $2::timestamptz[]) AS c (name, since)"#,
        names,
        since,
    )
    .fetch_all(db)
    .await
}
