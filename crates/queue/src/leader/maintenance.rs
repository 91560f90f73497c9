//! Retention: what is too old is deleted in portions, so that no statement holds the tables for long.

use std::{collections::BTreeSet, time::Duration};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    client::Shared,
    db::{DatabaseError, within},
    store::{dead, history, idempotency, leader, logs, workers},
};

/// Portions deleted of one sort in one round.
const PORTIONS: usize = 20;
/// Silence after which a worker is forgotten.
const FORGET_WORKERS: Duration = Duration::from_secs(24 * 3_600);

/// Deletes what is too old and makes room for the days ahead, as long as this term holds.
pub(super) async fn run(
    shared: &Shared,
    (name, holder, term): (&str, Uuid, i64),
) -> Result<(), DatabaseError> {
    let mut session = shared.db.engine().await?;
    let leads = within(leader::still_leads(session.conn(), name, holder, term)).await;
    if !session.end(leads)? {
        return Ok(());
    }
    let retentions = retentions(shared);
    let longest = retentions
        .iter()
        .map(|(_, retention)| *retention)
        .max()
        .unwrap_or_default();
    let mut session = shared.db.engine().await?;
    let dropped = within(history::maintain(session.conn(), longest.as_secs_f64())).await;
    let dropped = session.end(dropped)?;
    if dropped > 0 {
        tracing::info!(
            partitions = dropped,
            "days of history past their retention were dropped"
        );
    }
    for (kind, retention) in &retentions {
        Old::History(kind, retention.as_secs_f64())
            .delete(shared)
            .await?;
    }
    let letters = shared.config.dead_letters.retain;
    Old::IdempotencyKeys.delete(shared).await?;
    Old::DeadLetters(letters.as_secs_f64())
        .delete(shared)
        .await?;
    Old::LogLines(longest.max(letters).as_secs_f64())
        .delete(shared)
        .await?;
    let mut session = shared.db.engine().await?;
    let forgotten = within(workers::forget(
        session.conn(),
        FORGET_WORKERS.as_secs_f64(),
    ))
    .await;
    session.end(forgotten)?;
    Ok(())
}

/// How long finished jobs of each known kind are kept.
fn retentions(shared: &Shared) -> Vec<(String, Duration)> {
    let configured = shared.config.kinds.keys().map(String::as_str);
    let registered = shared.kind_names();
    let kinds: BTreeSet<&str> = configured.chain(registered).collect();
    kinds
        .into_iter()
        .map(|kind| (kind.to_owned(), shared.config.policy(kind).retain_succeeded))
        .collect()
}

/// What there can be too much of; ages in seconds.
enum Old<'a> {
    History(&'a str, f64),
    IdempotencyKeys,
    DeadLetters(f64),
    LogLines(f64),
}

impl Old<'_> {
    /// Deletes portion after portion while there is more, up to a bound: the next round goes on.
    async fn delete(&self, shared: &Shared) -> Result<(), DatabaseError> {
        for _ in 0..PORTIONS {
            let mut session = shared.db.engine().await?;
            let deleted = within(self.portion(session.conn())).await;
            if session.end(deleted)? == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn portion(&self, conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
        match self {
            Self::History(kind, age) => history::prune(conn, kind, *age).await,
            Self::IdempotencyKeys => idempotency::prune(conn).await,
            Self::DeadLetters(age) => Ok(dead::prune(conn, *age).await?.unsigned_abs()),
            Self::LogLines(age) => logs::prune(conn, *age).await,
        }
    }
}
