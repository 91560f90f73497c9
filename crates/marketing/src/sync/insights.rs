//! Storing figures. Platforms leave out what has become zero, so figures of a stretch of days are replaced as a whole: its
//! pages wait until the last one is there, and then take the place of what was stored in one transaction.

use providers::platform::{Granularity, InsightRow};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    Days, InsightScope, Sync, SyncCounts, SyncError, SyncWhat, Syncs, document, entities::number,
    figures::Figures,
};
use crate::store::{
    LONG_DEADLINE, Session, insight_days,
    insights::{self, Target},
    report_runs, syncs, within, within_deadline,
};

/// What became of the figures of some days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replaced {
    /// How many were new or differed.
    pub written: u64,
    /// How many the platform did not tell again.
    pub removed: u64,
}

/// Whose figures, which, and for which sync.
#[derive(Clone, Copy)]
struct Place<'a> {
    target: Target<'a>,
    granularity: Granularity,
    sync: Uuid,
    days: Days,
}

impl Syncs {
    /// Keeps a page of the figures of these days, of which more pages follow, and moves the sync on to `cursor`. Nobody
    /// sees it before [`Self::replace_insights`]. Whether it was done is unknown after an error: begin the sync again.
    ///
    /// # Errors
    /// [`SyncError::Superseded`]; [`SyncError::Invalid`] for days that are not the sync's.
    pub async fn stage_insights(
        &self,
        sync: &mut Sync,
        days: Days,
        rows: &[InsightRow],
        cursor: &Value,
    ) -> Result<(), SyncError> {
        let granularity = scope_of(&sync.what, days)?.granularity;
        let figures = Figures::of(rows, granularity, days);
        let counts = counted(sync.counts, &figures, Replaced::default());
        let fence = sync.fence();
        let db = self.db();
        let staged = within(LONG_DEADLINE, async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            for stretch in figures.stretches(days, &[]) {
                insights::stage(&mut *tx, fence.sync, &figures.rows(stretch)).await?;
            }
            let moved = syncs::advance(&mut *tx, fence, Some(cursor), &document(&counts)).await?;
            if moved {
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            session.done();
            Ok(moved.then_some(()))
        })
        .await?;
        SyncError::unless_superseded(staged)?;
        sync.moved(counts, cursor);
        Ok(())
    }

    /// Stores the last page of the figures of these days, which may be empty, with those that wait, in the place of what
    /// is stored of them: rows that did not come back are deleted, the days count as read, and the sync moves on to
    /// `cursor`. All of it or nothing; whether it was done is unknown after an error: begin the sync again.
    ///
    /// # Errors
    /// [`SyncError::Superseded`]; [`SyncError::Invalid`] for days that are not the sync's.
    pub async fn replace_insights(
        &self,
        sync: &mut Sync,
        days: Days,
        rows: &[InsightRow],
        cursor: &Value,
    ) -> Result<Replaced, SyncError> {
        let scope = scope_of(&sync.what, days)?;
        let breakdowns = scope.breakdowns_text();
        let place = Place {
            target: Target {
                account: sync.account.0,
                level: scope.level.as_str(),
                breakdowns: &breakdowns,
            },
            granularity: scope.granularity,
            sync: sync.id.0,
            days,
        };
        let figures = Figures::of(rows, scope.granularity, days);
        self.make_months(place).await?;

        let (before, fence) = (sync.counts, sync.fence());
        let db = self.db();
        let replaced = within(LONG_DEADLINE, async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin_with(insights::BEGIN).await?;
            let replaced = replace(&mut tx, place, &figures).await?;
            let counts = counted(before, &figures, replaced);
            let moved = syncs::advance(&mut *tx, fence, Some(cursor), &document(&counts)).await?;
            if moved {
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            session.done();
            Ok(moved.then_some((replaced, counts)))
        })
        .await?;
        let (replaced, counts) = SyncError::unless_superseded(replaced)?;
        sync.moved(counts, cursor);
        Ok(replaced)
    }

    /// Makes the partitions that figures of these days go to, in a transaction of its own.
    async fn make_months(&self, place: Place<'_>) -> Result<(), SyncError> {
        let table = match place.granularity {
            Granularity::Hour => "insights_hourly",
            Granularity::Day => "insights_daily",
        };
        let db = self.db();
        within_deadline(async {
            let mut session = Session::open(&db).await?;
            insights::make_months(session.connection(), table, place.days.columns()).await?;
            session.done();
            Ok(())
        })
        .await?;
        Ok(())
    }
}

/// What a sync reads, if these days are among it.
fn scope_of(what: &SyncWhat, days: Days) -> Result<&InsightScope, SyncError> {
    match what {
        SyncWhat::Insights(scope) if scope.days().cover(days) => Ok(scope),
        SyncWhat::Insights(_) | SyncWhat::Entities(_) => Err(SyncError::invalid(
            "/days",
            "must be days of which the sync reads figures",
        )),
    }
}

async fn replace(
    conn: &mut PgConnection,
    place: Place<'_>,
    figures: &Figures<'_>,
) -> Result<Replaced, sqlx::Error> {
    let (target, sync) = (&place.target, place.sync);
    insights::wait_to_replace(&mut *conn, target).await?;
    let none = Figures::none();
    let figures = if figures.are_many() {
        for stretch in figures.stretches(place.days, &[]) {
            insights::stage(&mut *conn, sync, &figures.rows(stretch)).await?;
        }
        &none
    } else {
        figures
    };
    let staged = insights::staged(&mut *conn, sync, place.days.columns()).await?;
    let mut replaced = Replaced::default();
    for stretch in figures.stretches(place.days, &staged) {
        let has_staged = staged.iter().any(|day| stretch.has(day.date));
        let done = replace_stretch(conn, place, (stretch, has_staged), figures).await?;
        replaced.written += done.written;
        replaced.removed += done.removed;
    }
    let read = place.days.columns();
    let granularity = place.granularity.as_str();
    insight_days::note(&mut *conn, (sync, target), granularity, read).await?;
    insights::clear_staged(&mut *conn, sync, read).await?;
    report_runs::forget(conn, sync, read).await?;
    Ok(replaced)
}

/// What waits goes in first: the last page was told last.
async fn replace_stretch(
    conn: &mut PgConnection,
    place: Place<'_>,
    (stretch, has_staged): (Days, bool),
    figures: &Figures<'_>,
) -> Result<Replaced, sqlx::Error> {
    let (target, sync, days) = (&place.target, place.sync, stretch.columns());
    let rows = figures.rows(stretch);
    let has_rows = !rows.dates.is_empty();
    let mut written = 0;
    let removed = match place.granularity {
        Granularity::Day => {
            if has_staged {
                written += insights::store_staged_daily(&mut *conn, target, sync, days).await?;
            }
            if has_rows {
                written += insights::store_daily(&mut *conn, target, &rows).await?;
            }
            insights::remove_daily(conn, target, (sync, days), &rows).await?
        }
        Granularity::Hour => {
            if has_staged {
                written += insights::store_staged_hourly(&mut *conn, target, sync, days).await?;
            }
            if has_rows {
                written += insights::store_hourly(&mut *conn, target, &rows).await?;
            }
            insights::remove_hourly(conn, target, (sync, days), &rows).await?
        }
    };
    Ok(Replaced { written, removed })
}

fn counted(before: SyncCounts, figures: &Figures<'_>, replaced: Replaced) -> SyncCounts {
    let sum = |before: i64, more: u64| before.saturating_add_unsigned(more);
    SyncCounts {
        pages: before.pages + 1,
        rows: before.rows + number(figures.count()),
        written: sum(before.written, replaced.written),
        removed: sum(before.removed, replaced.removed),
        ignored: before.ignored + number(figures.ignored),
        ..before
    }
}
