//! Rolling up: hours to days, days to months, and entities to whole accounts. What is behind was marked by whoever changed
//! what it is made of; what is marked is made anew from all it consists of, never added to, so that a second time changes
//! nothing and a restated day is as right as any. Days are those of the account's clock, be they of 23 or of 25 hours.

mod gauges;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Days as CalendarDays, Months, NaiveDate, Utc};
use chrono_tz::Tz;
use providers::platform::Level;
use queue::Queue;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    StoreError,
    store::{
        LONG_DEADLINE, Session,
        insights::{self, Target},
        rates,
        report_runs::DayColumns,
        rollups::{self, DueBucket, DueUnit, EndingDays},
        within, within_deadline,
    },
    sync::start_of,
};

pub use gauges::RollupGauges;

/// How many marks are counted of what is left.
const MOST_COUNTED: i64 = 100_000;

/// From what to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Hours to days.
    Days,
    /// Days to months.
    Months,
    /// Days of entities to days of whole accounts, of all platforms alike.
    AccountDays,
}

impl Grain {
    /// The word that is stored.
    fn as_str(self) -> &'static str {
        match self {
            Self::Days => "day",
            Self::Months => "month",
            Self::AccountDays => "account_day",
        }
    }

    /// What is partitioned by month of what it fills.
    fn partitioned(self) -> Option<&'static str> {
        match self {
            Self::Days => Some("insights_daily"),
            Self::Months => Some("insights_monthly"),
            Self::AccountDays => None,
        }
    }

    /// Most days or months of one transaction, beside which no figures of their account and level are replaced.
    fn most(self) -> i64 {
        match self {
            Self::Days => 4,
            Self::Months => 2,
            Self::AccountDays => 31,
        }
    }
}

/// Where a round is; begins before everything.
#[derive(Debug, Clone, Default)]
pub struct Place {
    account: Uuid,
    level: &'static str,
}

/// What was rolled up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RolledUp {
    /// Days or months that were made anew, each of an account and level.
    pub buckets: u64,
    /// Rows that were new or differed.
    pub written: u64,
    /// Rows of which nothing is left.
    pub removed: u64,
}

impl RolledUp {
    /// This with what came after it.
    #[must_use]
    pub fn and_then(self, next: Self) -> Self {
        Self {
            buckets: self.buckets + next.buckets,
            written: self.written + next.written,
            removed: self.removed + next.removed,
        }
    }
}

/// Rolls figures up; cheap to clone.
#[derive(Clone)]
pub struct Rollups {
    queue: Queue,
}

/// An account's figures of one level.
#[derive(Clone, Copy)]
struct Unit {
    account: Uuid,
    level: &'static str,
    zone: Tz,
}

impl Unit {
    fn of(due: &DueUnit) -> Result<Self, sqlx::Error> {
        let level = Level::ALL.iter().find(|level| level.as_str() == due.level);
        let zone = due.time_zone.as_deref().and_then(|name| name.parse().ok());
        Ok(Self {
            account: due.account,
            level: level
                .ok_or_else(|| sqlx::Error::Decode("a level that is none".into()))?
                .as_str(),
            zone: zone.unwrap_or(Tz::UTC),
        })
    }

    fn target(self, breakdowns: &str) -> Target<'_> {
        Target {
            account: self.account,
            level: self.level,
            breakdowns,
        }
    }
}

impl Rollups {
    /// In the queue's database.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    /// Rolls up some of what is due behind this place, of one account and level, and moves the place on; `None`: there is
    /// nothing more. All of it or nothing. It may run beside itself, and beside syncs.
    ///
    /// # Errors
    /// When the database did not take part; what was done before stays done.
    pub async fn roll_up_next(
        &self,
        grain: Grain,
        place: &mut Place,
    ) -> Result<Option<RolledUp>, StoreError> {
        let Some(unit) = self.next_unit(grain, place).await? else {
            return Ok(None);
        };
        if let Some(table) = grain.partitioned() {
            self.make_room(unit, grain, table).await?;
        }
        let db = self.queue.database().pool();
        let rolled = within(LONG_DEADLINE, async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin_with(insights::BEGIN).await?;
            let rolled = roll_up(&mut tx, unit, grain).await?;
            tx.commit().await?;
            session.done();
            Ok(rolled)
        })
        .await?;
        if rolled.buckets < grain.most().unsigned_abs() {
            *place = Place {
                account: unit.account,
                level: unit.level,
            };
        }
        Ok(Some(rolled))
    }

    /// How many days or months wait, counted up to 100,000.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn left(&self, grain: Grain) -> Result<u64, StoreError> {
        let db = self.queue.database().pool();
        let due = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let due = rollups::count_due(conn, grain.as_str(), MOST_COUNTED).await?;
            session.done();
            Ok(due)
        })
        .await?;
        Ok(due.unsigned_abs())
    }

    async fn next_unit(&self, grain: Grain, place: &Place) -> Result<Option<Unit>, StoreError> {
        let db = self.queue.database().pool();
        within_deadline(async {
            let mut session = Session::open(&db).await?;
            let behind = (place.account, place.level);
            let unit = rollups::next_unit(session.connection(), grain.as_str(), behind).await?;
            session.done();
            unit.as_ref().map(Unit::of).transpose()
        })
        .await
    }

    /// Makes the partitions that sums go to, in a transaction of its own: attaching one in a longer one would have others
    /// wait.
    async fn make_room(
        &self,
        unit: Unit,
        grain: Grain,
        table: &'static str,
    ) -> Result<(), StoreError> {
        let db = self.queue.database().pool();
        within_deadline(async {
            let mut session = Session::open(&db).await?;
            let due = due(session.connection(), unit, grain).await?;
            let days = || due.iter().map(|due| due.bucket);
            if let Some((first_day, last_day)) = days().min().zip(days().max()) {
                let days = DayColumns {
                    first_day,
                    last_day,
                };
                insights::make_months(session.connection(), table, days).await?;
            }
            session.done();
            Ok(())
        })
        .await
    }
}

async fn due(
    conn: &mut PgConnection,
    unit: Unit,
    grain: Grain,
) -> Result<Vec<DueBucket>, sqlx::Error> {
    let of = (unit.account, unit.level);
    rollups::lock_due(conn, grain.as_str(), of, grain.most()).await
}

/// The lock comes first: what is marked and what it is made of is then what all before have left.
async fn roll_up(
    conn: &mut PgConnection,
    unit: Unit,
    grain: Grain,
) -> Result<RolledUp, sqlx::Error> {
    insights::wait_to_replace(&mut *conn, &unit.target("")).await?;
    rates::hold(&mut *conn).await?;
    let due = due(&mut *conn, unit, grain).await?;
    let mut rolled = RolledUp::default();
    for alike in due.chunk_by(|a, b| a.breakdowns == b.breakdowns) {
        let Some(first) = alike.first() else { continue };
        let target = unit.target(&first.breakdowns);
        let buckets: Vec<NaiveDate> = alike.iter().map(|due| due.bucket).collect();
        let done = match grain {
            Grain::Days => to_days(&mut *conn, &target, unit.zone, &buckets).await?,
            Grain::Months => to_months(&mut *conn, &target, &buckets).await?,
            Grain::AccountDays => to_accounts(&mut *conn, &target, &buckets).await?,
        };
        rollups::clear_due(&mut *conn, grain.as_str(), &target, &buckets).await?;
        rolled = rolled.and_then(RolledUp {
            buckets: buckets.len() as u64,
            ..done
        });
    }
    Ok(rolled)
}

async fn to_days(
    conn: &mut PgConnection,
    target: &Target<'_>,
    zone: Tz,
    days: &[NaiveDate],
) -> Result<RolledUp, sqlx::Error> {
    let ends: Vec<DateTime<Utc>> = days.iter().map(|day| end_of(zone, *day)).collect();
    let ending = EndingDays { days, ends: &ends };
    let written = rollups::add_hours(&mut *conn, target, &ending).await?;
    let removed = rollups::remove_without_hours(&mut *conn, target, days).await?;
    if written > 0 || removed > 0 {
        rollups::mark_days(conn, target, days).await?;
    }
    Ok(RolledUp {
        written,
        removed,
        ..RolledUp::default()
    })
}

async fn to_months(
    conn: &mut PgConnection,
    target: &Target<'_>,
    months: &[NaiveDate],
) -> Result<RolledUp, sqlx::Error> {
    let mut rolled = RolledUp::default();
    for month in months {
        let Some(next) = month.checked_add_months(Months::new(1)) else {
            continue;
        };
        rolled.written += rollups::add_days(&mut *conn, target, (*month, next)).await?;
        rolled.removed += rollups::remove_without_days(&mut *conn, target, (*month, next)).await?;
    }
    Ok(rolled)
}

async fn to_accounts(
    conn: &mut PgConnection,
    target: &Target<'_>,
    days: &[NaiveDate],
) -> Result<RolledUp, sqlx::Error> {
    Ok(RolledUp {
        written: rollups::add_entities(&mut *conn, target, days).await?,
        removed: rollups::remove_without_entities(conn, target, days).await?,
        ..RolledUp::default()
    })
}

/// When a day ends by this clock: 23, 24 or 25 hours after it began. The end of time ends never.
fn end_of(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    day.checked_add_days(CalendarDays::new(1))
        .and_then(|next| start_of(zone, next))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
