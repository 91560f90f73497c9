//! Retention: what is too old is deleted in portions, so that no statement holds the tables for long. Each sort has its
//! time in a round and fails alone. The audit is kept for good: it is what a person's question is answered from.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};

use super::{Lead, failed};
use crate::{
    client::Shared,
    db::{DatabaseError, within},
    store::{budgets, dead, history, holds, idempotency, logs, replays, schedules, workers},
};

/// Longest time for one sort in one round: the next round goes on.
const BUDGET: Duration = Duration::from_secs(10);
/// How long a group outlives its dead letters: a discarded one that is restored must find it.
const SPARE: Duration = Duration::from_secs(24 * 3_600);
/// How long it can be told what became of a schedule's ticks, and what was known of one that is gone.
const SCHEDULES: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Silence after which a worker is forgotten.
const FORGET_WORKERS: Duration = Duration::from_secs(24 * 3_600);

/// Deletes what is too old and makes room for the days ahead, as long as this term holds. Tells whether there was
/// nothing to do.
pub(super) async fn round(shared: &Shared, lead: &Lead) -> bool {
    let retentions = retentions(shared);
    let mut is_quiet = true;
    for old in sorts(shared, &retentions) {
        match old.delete(shared, lead).await {
            Ok(0) => {}
            Ok(deleted) => {
                tracing::debug!(sort = old.as_str(), deleted, "what was too old is deleted");
                is_quiet = false;
            }
            Err(error) => {
                failed(old.as_str(), &error);
                is_quiet = false;
            }
        }
    }
    is_quiet
}

/// How long finished jobs of each known kind are kept.
fn retentions(shared: &Shared) -> Vec<(String, Duration)> {
    let config = shared.config();
    let configured = config.kinds.keys().map(String::as_str);
    let registered = shared.kind_names();
    let kinds: BTreeSet<&str> = configured.chain(registered).collect();
    kinds
        .into_iter()
        .map(|kind| (kind.to_owned(), config.policy(kind).retain_succeeded))
        .collect()
}

fn sorts<'a>(shared: &Shared, retentions: &'a [(String, Duration)]) -> Vec<Old<'a>> {
    let longest = retentions.iter().map(|(_, retention)| *retention).max();
    let longest = longest.unwrap_or_default().as_secs_f64();
    let letters = shared.config().dead_letters.retain.as_secs_f64();
    let history = retentions
        .iter()
        .map(|(kind, retention)| Old::History(kind, retention.as_secs_f64()));
    let mut sorts = vec![Old::Days(longest)];
    sorts.extend(history);
    sorts.extend([
        Old::StrayHistory(longest),
        Old::IdempotencyKeys,
        Old::Budgets,
        Old::Holds,
        Old::DeadLetters(letters),
        Old::Groups(letters + SPARE.as_secs_f64()),
        Old::ReplayItems(letters),
        Old::Replays(letters),
        Old::LogLines(longest.max(letters)),
        Old::Workers(FORGET_WORKERS.as_secs_f64()),
        Old::Ticks(SCHEDULES.as_secs_f64()),
        Old::Schedules(SCHEDULES.as_secs_f64()),
    ]);
    sorts
}

/// What there can be too much of; ages in seconds.
#[derive(Debug, Clone, Copy)]
enum Old<'a> {
    /// Partitions of the history; the days ahead get theirs on the way.
    Days(f64),
    History(&'a str, f64),
    /// History of kinds that nobody knows any more, outside of the partitions.
    StrayHistory(f64),
    IdempotencyKeys,
    Budgets,
    Holds,
    DeadLetters(f64),
    Groups(f64),
    ReplayItems(f64),
    Replays(f64),
    LogLines(f64),
    Workers(f64),
    Ticks(f64),
    /// Schedules that no configuration has any more.
    Schedules(f64),
}

impl Old<'_> {
    fn as_str(self) -> &'static str {
        match self {
            Self::Days(_) => "days of history",
            Self::History(..) => "history",
            Self::StrayHistory(_) => "stray history",
            Self::IdempotencyKeys => "idempotency keys",
            Self::Budgets => "usage of budgets",
            Self::Holds => "holds that have ended",
            Self::DeadLetters(_) => "dead letters",
            Self::Groups(_) => "groups of dead letters",
            Self::ReplayItems(_) => "items of replays",
            Self::Replays(_) => "replays",
            Self::LogLines(_) => "log lines",
            Self::Workers(_) => "workers",
            Self::Ticks(_) => "ticks",
            Self::Schedules(_) => "schedules",
        }
    }

    /// Deletes portion after portion until there is no more or its time is over. Tells how much.
    async fn delete(self, shared: &Shared, lead: &Lead) -> Result<u64, DatabaseError> {
        let began = Instant::now();
        let mut total = 0;
        while began.elapsed() < BUDGET && lead.holds() {
            let mut session = shared.db.request().await?;
            let deleted = within(self.portion(session.conn(), lead)).await;
            let deleted = session.end(deleted)?;
            total += deleted;
            if deleted == 0 {
                break;
            }
        }
        Ok(total)
    }

    /// Deletes a portion under the term; nothing once that has passed.
    async fn portion(self, conn: &mut PgConnection, lead: &Lead) -> Result<u64, sqlx::Error> {
        let mut tx = conn.begin().await?;
        if !lead.hold(&mut tx).await? {
            return Ok(0);
        }
        let deleted = self.prune(&mut tx).await?;
        tx.commit().await?;
        Ok(deleted)
    }

    async fn prune(self, conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
        match self {
            Self::Days(age) => Ok(history::maintain(conn, age).await?.unsigned_abs().into()),
            Self::History(kind, age) => history::prune(conn, kind, age).await,
            Self::StrayHistory(age) => history::prune_stray(conn, age).await,
            Self::IdempotencyKeys => idempotency::prune(conn).await,
            Self::Budgets => budgets::prune(conn).await,
            Self::Holds => holds::prune(conn).await,
            Self::DeadLetters(age) => Ok(dead::prune(conn, age).await?.unsigned_abs()),
            Self::Groups(age) => dead::prune_groups(conn, age).await,
            Self::ReplayItems(age) => replays::prune_items(conn, age).await,
            Self::Replays(age) => replays::prune(conn, age).await,
            Self::LogLines(age) => logs::prune(conn, age).await,
            Self::Workers(age) => workers::forget(conn, age).await,
            Self::Ticks(age) => schedules::prune_ticks(conn, age).await,
            Self::Schedules(age) => schedules::prune(conn, age).await,
        }
    }
}
