//! How fresh stored figures are: not when a job ran last, but up to when whole hours and days are there, by the clock of
//! the account.

use chrono::{
    DateTime, Days as CalendarDays, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use providers::platform::{Granularity, Level};
use serde::Serialize;

use super::{SyncError, Syncs, stored_word};
use crate::{
    accounts::AccountId,
    store::{
        Session, StoreError, accounts,
        insight_days::{self, ReadRow},
        syncs, within_deadline,
    },
};

/// How fresh what is stored of an account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// Whose.
    pub account: AccountId,
    /// When this was looked at, by the database's clock.
    pub now: DateTime<Utc>,
    /// The clock by which its days and hours are told; UTC where its platform names none.
    pub time_zone: String,
    /// When the newest sync of what it holds began that read everything, but for what its grant has no right to.
    pub entities_synced_at: Option<DateTime<Utc>>,
    /// Its figures, from the account down; what was never read is left out.
    pub figures: Vec<FreshnessOf>,
}

/// How fresh figures of one level and granularity are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FreshnessOf {
    /// Of what.
    pub level: Level,
    /// By what time.
    pub granularity: Granularity,
    /// When any were read last.
    pub read_at: DateTime<Utc>,
    /// Up to when they are whole; `None`: not even the oldest day that was looked at is.
    pub complete_until: Option<DateTime<Utc>>,
    /// The newest day that is whole, or in which a whole hour is, by the account's clock.
    pub newest_day: Option<NaiveDate>,
    /// The newest whole hour of that day; `None` for figures of days.
    pub newest_hour: Option<u8>,
    /// How long ago it ended until when they are whole, in seconds.
    pub age_s: Option<u64>,
}

impl Syncs {
    /// How fresh what is stored of an account is.
    ///
    /// # Errors
    /// [`SyncError::NotFound`], also for another tenant's account.
    pub async fn freshness(
        &self,
        account: AccountId,
        tenant: Option<&str>,
    ) -> Result<Freshness, SyncError> {
        let db = self.db();
        let found = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let known = accounts::get(session.connection(), account.0, tenant).await?;
            let now = insight_days::now(session.connection()).await?;
            let read = insight_days::newest(session.connection(), account.0).await?;
            let entities = syncs::last_entities(session.connection(), account.0).await?;
            session.done();
            Ok(known.map(|known| (known.time_zone, now, read, entities)))
        })
        .await?;
        let (time_zone, now, read, entities_synced_at) = found.ok_or(SyncError::NotFound)?;
        let zone: Tz = time_zone
            .as_deref()
            .and_then(|name| name.parse().ok())
            .unwrap_or(Tz::UTC);
        let figures = figures(&read, zone, now).map_err(StoreError::Database)?;
        Ok(Freshness {
            account,
            now,
            time_zone: zone.name().to_owned(),
            entities_synced_at,
            figures,
        })
    }
}

fn figures(
    read: &[ReadRow],
    zone: Tz,
    now: DateTime<Utc>,
) -> Result<Vec<FreshnessOf>, sqlx::Error> {
    let alike = |a: &ReadRow, b: &ReadRow| a.level == b.level && a.granularity == b.granularity;
    let mut figures = Vec::new();
    for days in read.chunk_by(alike) {
        let Some((first, newest)) = days.first().zip(days.iter().map(|day| day.read_at).max())
        else {
            continue;
        };
        let granularity: Granularity = stored_word(&first.granularity)?;
        let until = days
            .iter()
            .filter_map(|day| complete_until(granularity, zone, (day.date, day.read_at)))
            .max();
        let last = until.map(|until| (until - TimeDelta::seconds(1)).with_timezone(&zone));
        let hour = last.and_then(|last| u8::try_from(last.hour()).ok());
        figures.push(FreshnessOf {
            level: stored_word(&first.level)?,
            granularity,
            read_at: newest,
            complete_until: until,
            newest_day: last.map(|last| last.date_naive()),
            newest_hour: hour.filter(|_| granularity == Granularity::Hour),
            age_s: until.map(|until| (now - until).num_seconds().max(0).unsigned_abs()),
        });
    }
    let order = |of: &FreshnessOf| Level::ALL.iter().position(|level| *level == of.level);
    figures.sort_by_key(order);
    Ok(figures)
}

/// Up to when the figures of a day that was read then are whole; `None`: nothing of that day is.
fn complete_until(
    granularity: Granularity,
    zone: Tz,
    (date, read_at): (NaiveDate, DateTime<Utc>),
) -> Option<DateTime<Utc>> {
    let start = start_of(zone, date)?;
    let end = start_of(zone, date.checked_add_days(CalendarDays::new(1))?)?;
    let whole = match granularity {
        Granularity::Day => end,
        Granularity::Hour => {
            // Hours are the account's: where its clock is half an hour off, so are they.
            let local = read_at.with_timezone(&zone);
            let past = i64::from(local.minute() * 60 + local.second());
            end.min(read_at - TimeDelta::seconds(past) - nanos(read_at))
        }
    };
    (whole > start && whole <= read_at).then_some(whole)
}

fn nanos(time: DateTime<Utc>) -> TimeDelta {
    TimeDelta::nanoseconds(i64::from(time.nanosecond()))
}

/// When a day begins: where the clock skips midnight, at the first hour that there is.
pub(crate) fn start_of(zone: Tz, date: NaiveDate) -> Option<DateTime<Utc>> {
    (0..4).find_map(|hour| {
        let time = NaiveTime::from_hms_opt(hour, 0, 0)?;
        let local = zone.from_local_datetime(&date.and_time(time)).earliest()?;
        Some(local.to_utc())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn read(level: &str, granularity: &str, date: &str, read_at: &str) -> ReadRow {
        ReadRow {
            level: level.to_owned(),
            granularity: granularity.to_owned(),
            date: date.parse().expect("a day"),
            read_at: time(read_at),
        }
    }

    #[test]
    fn a_day_is_whole_when_it_was_read_after_its_end_by_the_clock_of_the_account() {
        let rows = [
            read("account", "day", "2026-11-21", "2026-11-21T05:30:00Z"),
            read("account", "day", "2026-11-20", "2026-11-21T05:30:00Z"),
            read("account", "day", "2026-11-19", "2026-11-21T05:30:00Z"),
        ];
        let now = time("2026-11-21T06:00:00Z");

        let berlin = figures(&rows, Tz::Europe__Berlin, now).expect("known words");
        let los_angeles = figures(&rows, Tz::America__Los_Angeles, now).expect("known words");

        assert_eq!(berlin[0].complete_until, Some(time("2026-11-20T23:00:00Z")));
        assert_eq!(berlin[0].newest_day, "2026-11-20".parse().ok());
        assert_eq!(
            (berlin[0].newest_hour, berlin[0].age_s),
            (None, Some(25_200))
        );
        assert_eq!(los_angeles[0].newest_day, "2026-11-19".parse().ok());
        assert_eq!(los_angeles[0].read_at, time("2026-11-21T05:30:00Z"));
    }

    #[test]
    fn an_hour_is_whole_when_it_was_over_as_it_was_read() {
        let rows = [
            read("ad", "hour", "2026-11-21", "2026-11-21T14:25:09.5Z"),
            read("ad", "hour", "2026-11-20", "2026-11-21T14:25:09.5Z"),
        ];
        let now = time("2026-11-21T15:00:00Z");

        let utc = figures(&rows, Tz::UTC, now).expect("known words");
        let kolkata = figures(&rows, Tz::Asia__Kolkata, now).expect("known words");

        assert_eq!(utc[0].complete_until, Some(time("2026-11-21T14:00:00Z")));
        assert_eq!((utc[0].newest_hour, utc[0].age_s), (Some(13), Some(3_600)));
        assert_eq!(
            kolkata[0].complete_until,
            Some(time("2026-11-21T13:30:00Z"))
        );
        assert_eq!(kolkata[0].newest_hour, Some(18));
    }

    #[test]
    fn what_was_read_before_an_hour_was_over_makes_nothing_whole() {
        let just_begun = [read(
            "campaign",
            "hour",
            "2026-11-21",
            "2026-11-21T00:10:00Z",
        )];
        let ahead = [read(
            "campaign",
            "day",
            "2026-11-22",
            "2026-11-21T00:10:00Z",
        )];
        let now = time("2026-11-21T00:20:00Z");

        for rows in [just_begun, ahead] {
            let found = figures(&rows, Tz::UTC, now).expect("known words");

            assert_eq!((found[0].complete_until, found[0].age_s), (None, None));
        }
    }

    #[test]
    fn a_day_begins_at_its_first_hour_where_the_clock_skips_midnight() {
        let date = "2018-11-04".parse().expect("a day");

        let start = start_of(Tz::America__Sao_Paulo, date);

        assert_eq!(start, Some(time("2018-11-04T03:00:00Z")));
    }

    #[test]
    fn levels_are_told_from_the_account_down() {
        let rows = ["account", "ad", "ad_set", "campaign"]
            .map(|level| read(level, "day", "2026-11-20", "2026-11-21T14:00:00Z"));

        let found = figures(&rows, Tz::UTC, time("2026-11-21T15:00:00Z")).expect("known words");

        let levels: Vec<Level> = found.iter().map(|of| of.level).collect();
        assert_eq!(levels, Level::ALL);
    }
}
