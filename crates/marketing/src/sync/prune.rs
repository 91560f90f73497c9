//! What becomes of old rows, and the partitions of those to come. Every step has a bound, so that nothing is locked for
//! long: whoever cleans up asks again until all is done.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use super::{RESUME_WITHIN, SyncError, Syncs, log::forget_parts};
use crate::store::{
    Session, api_calls, cache, entity_changes, events, insight_days, insights, syncs, watches,
    within_deadline,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Most days of hours that one round deletes, each of one account and level.
const HOUR_DAYS: u64 = 50;
/// Most statements of one sort in one round.
const STATEMENTS: u64 = 20;

/// For how long rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Calls to platforms.
    pub calls: Duration,
    /// Syncs that have ended.
    pub syncs: Duration,
    /// What was changed of entities.
    pub changes: Duration,
    /// Events that nobody took out.
    pub events: Duration,
    /// Figures of hours, in days after theirs. They stay until the figures of their day are there.
    pub hours_days: u16,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            calls: DAY * 30,
            syncs: DAY * 90,
            changes: DAY * 365,
            events: DAY * 7,
            hours_days: 7,
        }
    }
}

/// What a round deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Days of the log of calls.
    pub call_days: u64,
    /// Figures of hours.
    pub hours: u64,
    /// Syncs that nobody went on with, closed as failed.
    pub lost_syncs: u64,
    /// Syncs.
    pub syncs: u64,
    /// Changes of entities.
    pub changes: u64,
    /// Events that nobody took out.
    pub events: u64,
    /// Answers that were not good any more.
    pub answers: u64,
    /// Watches that had ended.
    pub watches: u64,
    /// There is nothing left to delete.
    pub is_done: bool,
}

impl Pruned {
    /// This round with one that came after it.
    #[must_use]
    pub fn and_then(self, next: Self) -> Self {
        Self {
            call_days: self.call_days + next.call_days,
            hours: self.hours + next.hours,
            lost_syncs: self.lost_syncs + next.lost_syncs,
            syncs: self.syncs + next.syncs,
            changes: self.changes + next.changes,
            events: self.events + next.events,
            answers: self.answers + next.answers,
            watches: self.watches + next.watches,
            is_done: next.is_done,
        }
    }
}

impl Syncs {
    /// Makes the partitions of now and of the time ahead, where there are none yet: rows that find none of theirs stand
    /// apart, and keep it from being made later. It may run beside itself.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn make_room(&self) -> Result<(), SyncError> {
        self.call(|conn| Box::pin(insights::make_months_ahead(conn)))
            .await?;
        self.call(|conn| Box::pin(api_calls::make_days_ahead(conn)))
            .await
    }

    /// One round of cleaning up, and of making partitions ahead. It may run beside itself.
    ///
    /// # Errors
    /// When the database did not take part; what was done before stays done.
    pub async fn prune(&self, keep: &Retention) -> Result<Pruned, SyncError> {
        self.make_room().await?;
        let mut pruned = Pruned {
            is_done: true,
            ..Pruned::default()
        };
        self.prune_calls(keep, &mut pruned).await?;
        self.prune_hours(keep, &mut pruned).await?;
        self.prune_syncs(keep, &mut pruned).await?;
        self.prune_changes(keep, &mut pruned).await?;
        pruned.answers = self.prune_cache().await?;
        pruned.watches = self.call(|conn| Box::pin(watches::prune(conn))).await?;
        pruned.is_done &= pruned.answers == 0 && pruned.watches == 0;
        Ok(pruned)
    }

    /// Deletes kept answers that are not good any more; tells how many.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn prune_cache(&self) -> Result<u64, SyncError> {
        let mut deleted = 0;
        for _ in 0..STATEMENTS {
            let more = self.call(|conn| Box::pin(cache::prune(conn))).await?;
            deleted += more;
            if more == 0 {
                break;
            }
        }
        Ok(deleted)
    }

    async fn prune_calls(&self, keep: &Retention, pruned: &mut Pruned) -> Result<(), SyncError> {
        let keep_s = keep.calls.as_secs_f64();
        for _ in 0..STATEMENTS {
            let dropped = self
                .call(|conn| Box::pin(api_calls::maintain(conn, keep_s)))
                .await?;
            pruned.call_days += u64::from(dropped.unsigned_abs());
            if dropped == 0 {
                break;
            }
        }
        let strays = self
            .call(|conn| Box::pin(api_calls::prune_stray(conn, keep_s)))
            .await?;
        pruned.is_done &= strays == 0;
        Ok(())
    }

    async fn prune_hours(&self, keep: &Retention, pruned: &mut Pruned) -> Result<(), SyncError> {
        let keep_days = i32::from(keep.hours_days);
        let mut days = 0;
        while days < HOUR_DAYS {
            let gone = self
                .call(|conn| Box::pin(insight_days::prune_hours(conn, keep_days)))
                .await?;
            pruned.hours += gone.rows.unsigned_abs();
            if gone.days == 0 {
                break;
            }
            days += 1;
        }
        pruned.is_done &= days < HOUR_DAYS;
        self.call(|conn| Box::pin(insights::drop_empty_hours(conn, keep_days)))
            .await?;
        Ok(())
    }

    async fn prune_syncs(&self, keep: &Retention, pruned: &mut Pruned) -> Result<(), SyncError> {
        let idle_s = RESUME_WITHIN.as_secs_f64();
        let db = self.db();
        let closed = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let closed = syncs::close_stale(&mut *tx, None, idle_s).await?;
            forget_parts(&mut tx, &closed).await?;
            tx.commit().await?;
            session.done();
            Ok(closed.len() as u64)
        })
        .await?;
        let keep_s = keep.syncs.as_secs_f64();
        let deleted = self
            .call(|conn| Box::pin(syncs::prune(conn, keep_s)))
            .await?;
        pruned.lost_syncs += closed;
        pruned.syncs += deleted;
        pruned.is_done &= closed == 0 && deleted == 0;
        Ok(())
    }

    async fn prune_changes(&self, keep: &Retention, pruned: &mut Pruned) -> Result<(), SyncError> {
        let changes_s = keep.changes.as_secs_f64();
        let events_s = keep.events.as_secs_f64();
        let changes = self
            .call(|conn| Box::pin(entity_changes::prune(conn, changes_s)))
            .await?;
        let events = self
            .call(|conn| Box::pin(events::prune(conn, events_s)))
            .await?;
        pruned.changes += changes;
        pruned.events += events;
        pruned.is_done &= changes == 0 && events == 0;
        Ok(())
    }

    /// One statement.
    async fn call<T: Send>(
        &self,
        statement: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>,
    ) -> Result<T, SyncError> {
        let db = self.db();
        let done = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let done = statement(session.connection()).await?;
            session.done();
            Ok(done)
        })
        .await?;
        Ok(done)
    }
}
