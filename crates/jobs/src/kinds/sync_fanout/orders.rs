//! What is read of an account by schedule, and when within the hour: each account has its own minute, so that a fleet of
//! them does not begin at once, and is read at the same distances. Pure.

use std::time::Duration;

use chrono::{DateTime, Days as DaySpan, NaiveDate, Utc};
use marketing::{
    accounts::{
        Account, AccountKind,
        orders::{account_sync, insights_sync, last_by_day},
    },
    sync::{InsightScope, SyncMode},
};
use providers::platform::{AdPlatform, Granularity, Level};
use queue::{NewJob, Source, Start};

use super::Mode;

/// Within which time after a tick all accounts are begun with.
const SPREAD_S: u64 = 10 * 60;
/// What takes long lets what is wanted every hour go first.
const DAILY_PRIORITY: i16 = 6;
/// How many days of a page are read: Meta still changes them.
const SOCIAL_DAYS: u64 = 7;

/// The jobs that read an account.
pub(super) fn orders(
    account: &Account,
    client: &dyn AdPlatform,
    (mode, was_read): (Mode, bool),
    now: DateTime<Utc>,
) -> Vec<NewJob> {
    let today = account.day_of(now);
    let jobs = match account.kind {
        AccountKind::AdAccount => of_ad_account(account, client, (mode, was_read), today),
        AccountKind::Page | AccountKind::InstagramAccount => of_page(account, mode, today),
        AccountKind::Business => Vec::new(),
    };
    let start = Start::After(Duration::from_secs(minute_of(account)));
    jobs.into_iter()
        .map(|job| NewJob { start, ..job })
        .collect()
}

fn of_ad_account(
    account: &Account,
    client: &dyn AdPlatform,
    (mode, was_read): (Mode, bool),
    today: NaiveDate,
) -> Vec<NewJob> {
    let hours = || {
        let yesterday = days_before(today, 1);
        insights(account, client.finest(), (yesterday, today), None)
    };
    let days = || {
        let first = days_before(today, u64::from(client.restated_days()));
        let last = last_by_day(client.finest(), today);
        let days = (first.min(last), last);
        insights(account, Granularity::Day, days, Some(DAILY_PRIORITY))
    };
    let entities = |mode, priority| NewJob {
        priority,
        ..account_sync(account, mode, Source::Handler)
    };
    match mode {
        Mode::Incremental => {
            // What was never read whole has no changes since then.
            let mode = if was_read {
                SyncMode::Incremental
            } else {
                SyncMode::Full
            };
            let mut jobs = hours();
            jobs.push(entities(mode, None));
            jobs
        }
        Mode::Full => {
            let mut jobs = days();
            jobs.push(entities(SyncMode::Full, Some(DAILY_PRIORITY)));
            jobs
        }
        Mode::InsightsHourly => hours(),
        Mode::InsightsDaily => days(),
    }
}

/// Pages and Instagram accounts have figures of past days alone.
fn of_page(account: &Account, mode: Mode, today: NaiveDate) -> Vec<NewJob> {
    match mode {
        Mode::Incremental | Mode::InsightsHourly => Vec::new(),
        Mode::Full | Mode::InsightsDaily => {
            let scope = InsightScope {
                level: Level::Account,
                granularity: Granularity::Day,
                from: days_before(today, SOCIAL_DAYS),
                to: days_before(today, 1),
                breakdowns: Vec::new(),
            };
            vec![NewJob {
                priority: Some(DAILY_PRIORITY),
                ..insights_sync(account, &scope, Source::Handler)
            }]
        }
    }
}

fn insights(
    account: &Account,
    granularity: Granularity,
    (from, to): (NaiveDate, NaiveDate),
    priority: Option<i16>,
) -> Vec<NewJob> {
    let jobs = Level::ALL.into_iter().map(|level| {
        let scope = InsightScope {
            level,
            granularity,
            from,
            to,
            breakdowns: Vec::new(),
        };
        NewJob {
            priority,
            ..insights_sync(account, &scope, Source::Handler)
        }
    });
    jobs.collect()
}

fn days_before(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(DaySpan::new(days)).unwrap_or(day)
}

/// The account's own moment after a tick, in seconds: the same every time.
fn minute_of(account: &Account) -> u64 {
    // The last bits of such an id are random.
    let (_, random) = account.id.0.as_u64_pair();
    random % SPREAD_S
}
