//! Jobs that read accounts: what they are called and told, that no two of them do the same, and back-fills, which are made
//! of many of them and let all others go first.

use std::{collections::BTreeMap, str::FromStr};

use chrono::{DateTime, Days as DaySpan, NaiveDate, Utc};
use chrono_tz::Tz;
use providers::platform::{Granularity, Level};
use queue::{AdminError, EnqueueOutcome, NewJob, Source};
use serde::Serialize;
use serde_json::{Value, json, value::to_raw_value};

use super::{Account, AccountId, AccountKind, AccountStatus, Accounts, AccountsError};
use crate::{
    store::{Session, history, within_deadline},
    sync::{Days, InsightScope, LONGEST_SCOPE_DAYS, SyncMode, WatchId},
};

/// How far back the history of a new account is read, in days: a year.
const HISTORY_DAYS: u64 = 365;
/// Days of one job of a back-fill.
const WINDOW_DAYS: u64 = 30;
/// Back-fills let everything else go first.
const BACKFILL_PRIORITY: i16 = 8;
/// Most jobs that are stored at a time.
const MOST_AT_ONCE: usize = 500;
/// Jobs of a back-fill bear this tag, so that they can be listed.
const TAG: &str = "backfill";

/// What a back-fill came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Backfill {
    /// Jobs that were made.
    pub created: usize,
    /// Jobs that there were already.
    pub deduplicated: usize,
}

impl Account {
    /// Whether schedules read it: somebody wants it, its grant works and reaches it.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        let is_usable = matches!(self.status, AccountStatus::Active | AccountStatus::Expiring);
        self.sync_enabled && is_usable && self.vanished_at.is_none()
    }

    /// By which clock its days are; UTC where its platform does not say.
    #[must_use]
    pub fn zone(&self) -> Tz {
        let zone = self.time_zone.as_deref();
        zone.and_then(|zone| Tz::from_str(zone).ok())
            .unwrap_or(Tz::UTC)
    }

    /// The day that it is there.
    #[must_use]
    pub fn day_of(&self, now: DateTime<Utc>) -> NaiveDate {
        now.with_timezone(&self.zone()).date_naive()
    }
}

/// A job that reads what an account holds.
#[must_use]
pub fn account_sync(account: &Account, mode: SyncMode, source: Source) -> NewJob {
    let payload = json!({ "account_id": account.id, "mode": mode.as_str() });
    job("sync.account", account, &payload, source)
}

/// A job that reads figures of an account.
#[must_use]
pub fn insights_sync(account: &Account, scope: &InsightScope, source: Source) -> NewJob {
    let payload = json!({
        "account_id": account.id,
        "level": scope.level.as_str(),
        "granularity": scope.granularity.as_str(),
        "from": scope.from,
        "to": scope.to,
    });
    job("sync.insights", account, &payload, source)
}

/// A job that reads an account again and again while this watch goes on.
#[must_use]
pub fn watch(account: &Account, watch: WatchId, source: Source) -> NewJob {
    let payload = json!({ "account_id": account.id, "watch_id": watch });
    job("sync.watch", account, &payload, source)
}

fn job(kind: &'static str, account: &Account, payload: &Value, source: Source) -> NewJob {
    let payload = to_raw_value(payload).expect("a JSON value is written as JSON");
    NewJob {
        tenant: account.tenant.clone(),
        ..NewJob::new(kind, payload, source)
    }
}

/// The last day that is asked for by the day. Where a platform tells hours, the day that goes on is asked for by them: what it
/// told of such a day by the day would stand for the whole of it until it is asked again.
#[must_use]
pub fn last_by_day(finest: Granularity, today: NaiveDate) -> NaiveDate {
    match finest {
        Granularity::Hour => today.pred_opt().unwrap_or(today),
        Granularity::Day => today,
    }
}

/// The jobs of a back-fill: a stretch of days each, the newest first, all levels of a stretch before the stretch before it.
fn backfill_jobs(
    account: &Account,
    (days, last_by_day): (Days, NaiveDate),
    levels: &[Level],
    source: Source,
) -> Vec<NewJob> {
    let mut jobs = Vec::new();
    for (granularity, stretch) in stretches(days, last_by_day) {
        for level in levels {
            let scope = InsightScope {
                level: *level,
                granularity,
                from: stretch.from,
                to: stretch.to,
                breakdowns: Vec::new(),
            };
            jobs.push(NewJob {
                priority: Some(BACKFILL_PRIORITY),
                tags: BTreeMap::from([(TAG.to_owned(), account.id.to_string())]),
                ..insights_sync(account, &scope, source)
            });
        }
    }
    jobs
}

/// Cuts days into months, the newest first; those behind the last one that is asked for by the day are read by the hour.
fn stretches(days: Days, last_by_day: NaiveDate) -> Vec<(Granularity, Days)> {
    let mut stretches = Vec::new();
    if let Some(first) = last_by_day.succ_opt().filter(|first| *first <= days.to) {
        let by_hour = Days {
            from: first.max(days.from),
            to: days.to,
        };
        stretches.push((Granularity::Hour, by_hour));
    }
    let mut last = days.to.min(last_by_day);
    while last >= days.from {
        let first = last
            .checked_sub_days(DaySpan::new(WINDOW_DAYS - 1))
            .map_or(days.from, |first| first.max(days.from));
        let by_day = Days {
            from: first,
            to: last,
        };
        stretches.push((Granularity::Day, by_day));
        let Some(before) = first.pred_opt() else {
            break;
        };
        last = before;
    }
    stretches
}

impl Accounts {
    /// Has figures of past days read anew, of these levels, by jobs that let all others go first. Today is read by the hour
    /// where its platform tells hours.
    ///
    /// # Errors
    /// [`AccountsError::NotFound`], also for another tenant's account; [`AccountsError::Invalid`] for days that lie in the
    /// future or are more than any platform keeps, and for accounts that have no figures.
    pub async fn backfill(
        &self,
        (id, tenant): (AccountId, Option<&str>),
        days: Days,
        levels: &[Level],
        source: Source,
    ) -> Result<Backfill, AccountsError> {
        let account = self.get(id, tenant).await?;
        if account.status == AccountStatus::Disconnected {
            return Err(AccountsError::Disconnected);
        }
        let today = account.day_of(Utc::now());
        check(&account, days, today)?;
        let asked = (days, self.last_by_day(&account, today));
        let jobs = backfill_jobs(&account, asked, levels, source);
        self.store_jobs(jobs).await
    }

    /// Has the history of a new account read: a year by the day, and today by the hour where there are hours. It is asked for
    /// once.
    ///
    /// # Errors
    /// When the engine or the database did not take part: it is asked for again then.
    pub async fn ask_for_history(&self, account: &Account) -> Result<(), AccountsError> {
        if account.kind != AccountKind::AdAccount || !self.lacks_history(account.id).await? {
            return Ok(());
        }
        let to = account.day_of(Utc::now());
        let days = Days {
            from: to
                .checked_sub_days(DaySpan::new(HISTORY_DAYS))
                .unwrap_or(to),
            to,
        };
        let asked = (days, self.last_by_day(account, to));
        let jobs = backfill_jobs(account, asked, &Level::ALL, Source::Handler);
        self.store_jobs(jobs).await?;
        // After a crash in between the same jobs are asked for again, and those that wait stand for them.
        let db = self.db();
        let noted = within_deadline(async {
            let mut session = Session::open(&db).await?;
            history::asked_for(session.connection(), account.id.0).await?;
            session.done();
            Ok(())
        });
        Ok(noted.await?)
    }

    /// Has an account read while this watch goes on.
    ///
    /// # Errors
    /// When the engine did not take part.
    pub async fn follow_watch(
        &self,
        account: &Account,
        id: WatchId,
        source: Source,
    ) -> Result<(), AccountsError> {
        self.store_jobs(vec![watch(account, id, source)]).await?;
        Ok(())
    }

    /// Has what new accounts hold read at once. What cannot be asked for now, schedules ask for.
    pub(super) async fn begin_to_read(&self, accounts: &[Account]) {
        let jobs = accounts
            .iter()
            .filter(|account| account.kind == AccountKind::AdAccount && account.is_synced())
            .map(|account| account_sync(account, SyncMode::Full, Source::Handler));
        if let Err(error) = self.store_jobs(jobs.collect()).await {
            tracing::warn!(error = %queue::error_chain(&error),
                "what was connected is not read at once, but when schedules ask for it");
        }
    }

    fn last_by_day(&self, account: &Account, today: NaiveDate) -> NaiveDate {
        let client = self.platforms().of(account.platform);
        let finest = client.map_or(Granularity::Day, |client| client.finest());
        last_by_day(finest, today)
    }

    async fn lacks_history(&self, account: AccountId) -> Result<bool, AccountsError> {
        let db = self.db();
        let lacking = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let lacking = history::not_asked_for(session.connection(), &[account.0]).await?;
            session.done();
            Ok(!lacking.is_empty())
        });
        Ok(lacking.await?)
    }

    async fn store_jobs(&self, mut jobs: Vec<NewJob>) -> Result<Backfill, AccountsError> {
        let mut stored = Backfill::default();
        while !jobs.is_empty() {
            let rest = jobs.split_off(jobs.len().min(MOST_AT_ONCE));
            let items = jobs.into_iter().map(|job| (job, None)).collect();
            let answers = self.queue().enqueue_batch(items, false).await;
            for answer in answers.map_err(AdminError::NotEnqueued)? {
                match answer.map_err(AdminError::NotEnqueued)?.outcome {
                    EnqueueOutcome::Created | EnqueueOutcome::Replaced => stored.created += 1,
                    EnqueueOutcome::Deduplicated => stored.deduplicated += 1,
                }
            }
            jobs = rest;
        }
        Ok(stored)
    }
}

fn check(account: &Account, days: Days, today: NaiveDate) -> Result<(), AccountsError> {
    if account.kind != AccountKind::AdAccount {
        return Err(AccountsError::invalid(
            "/account_id",
            "has no figures of ads: it is no ad account",
        ));
    }
    let length = (days.to - days.from).num_days() + 1;
    if !(1..=LONGEST_SCOPE_DAYS).contains(&length) {
        return Err(AccountsError::invalid(
            "/to",
            format!("must be 0 to {} days after from", LONGEST_SCOPE_DAYS - 1),
        ));
    }
    if days.to > today {
        return Err(AccountsError::invalid(
            "/to",
            format!("must not lie after {today}, which it is there"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use providers::platform::Platform;
    use uuid::Uuid;

    use super::*;
    use crate::accounts::{ConnectionId, Notifications, TokenClocks};

    fn account(time_zone: Option<&str>) -> Account {
        let now = DateTime::UNIX_EPOCH;
        Account {
            id: AccountId(Uuid::nil()),
            connection: ConnectionId(Uuid::nil()),
            tenant: Some("acme".to_owned()),
            platform: Platform::Meta,
            external_id: "101".to_owned(),
            kind: AccountKind::AdAccount,
            name: "Shop".to_owned(),
            currency: None,
            time_zone: time_zone.map(str::to_owned),
            manager: None,
            status: AccountStatus::Active,
            platform_status: None,
            sync_enabled: true,
            owner_email: None,
            notifications: Notifications::default(),
            scopes: Vec::new(),
            token: TokenClocks {
                expires_at: None,
                refresh_expires_at: None,
                data_access_expires_at: None,
                refreshed_at: now,
            },
            discovered_at: now,
            vanished_at: None,
            updated_at: now,
        }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn days(from: &str, to: &str) -> Days {
        Days {
            from: day(from),
            to: day(to),
        }
    }

    /// How the jobs for one level read, with their first and last days.
    fn windows(of: Days, last_by_day: &str) -> Vec<String> {
        let asked = (of, day(last_by_day));
        let jobs = backfill_jobs(&account(None), asked, &[Level::Ad], Source::Cli);
        let payloads = jobs.iter().map(|job| {
            let payload: Value = serde_json::from_str(job.payload.get()).expect("JSON");
            let text = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
            [text("granularity"), text("from"), text("to")].join(" ")
        });
        payloads.collect()
    }

    // Fails when a day is left out or read twice.
    #[test]
    fn a_back_fill_is_cut_into_months_the_newest_first() {
        let windows = |of| windows(of, "2026-11-21");

        assert_eq!(
            windows(days("2026-01-01", "2026-02-15")),
            ["day 2026-01-17 2026-02-15", "day 2026-01-01 2026-01-16"]
        );
        assert_eq!(
            windows(days("2026-02-15", "2026-02-15")),
            ["day 2026-02-15 2026-02-15"]
        );
    }

    // Fails when a day that goes on is asked for by the day where there are hours, or is left out where there are none.
    #[test]
    fn a_back_fill_of_today_is_read_by_the_hour_where_there_are_hours() {
        let today = day("2026-11-22");
        let with_hours = last_by_day(Granularity::Hour, today).to_string();
        let without = last_by_day(Granularity::Day, today).to_string();
        let three = days("2026-11-20", "2026-11-22");
        let one = days("2026-11-22", "2026-11-22");

        assert_eq!(
            windows(three, &with_hours),
            ["hour 2026-11-22 2026-11-22", "day 2026-11-20 2026-11-21"]
        );
        assert_eq!(windows(one, &with_hours), ["hour 2026-11-22 2026-11-22"]);
        assert_eq!(windows(three, &without), ["day 2026-11-20 2026-11-22"]);
    }

    #[test]
    fn back_fills_let_everything_else_go_first_and_belong_to_the_tenant() {
        let asked = (days("2026-01-01", "2026-01-05"), day("2026-11-21"));

        let jobs = backfill_jobs(&account(None), asked, &Level::ALL, Source::Http);

        assert_eq!(jobs.len(), 4);
        for job in &jobs {
            assert_eq!(job.priority, Some(BACKFILL_PRIORITY));
            assert_eq!(job.tenant.as_deref(), Some("acme"));
        }
    }

    #[test]
    fn an_account_has_its_own_day() {
        let night = "2026-11-21T23:30:00Z".parse().expect("a time");

        let berlin = account(Some("Europe/Berlin")).day_of(night);
        let nowhere = account(Some("Nowhere/Else")).day_of(night);

        assert_eq!(berlin, day("2026-11-22"));
        assert_eq!(nowhere, day("2026-11-21"));
    }

    #[test]
    fn what_nobody_wants_or_nothing_reaches_is_not_read() {
        let plain = || account(None);
        let others = [
            Account {
                sync_enabled: false,
                ..plain()
            },
            Account {
                vanished_at: Some(DateTime::UNIX_EPOCH),
                ..plain()
            },
            Account {
                status: AccountStatus::NeedsReauth,
                ..plain()
            },
        ];

        assert!(plain().is_synced());
        for other in others {
            assert!(!other.is_synced(), "{other:?}");
        }
    }
}
