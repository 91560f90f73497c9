//! `sync.fanout`: puts the jobs into the queue that read every account, and finds out what grants reach by now.

mod discovery;
mod orders;
#[cfg(test)]
mod tests;

use chrono::Utc;
use marketing::accounts::{Account, AccountFilter, AccountId, AccountsError};
use providers::platform::{Door, Platform};
use queue::{Job, JobContext, NewJob, Outcome, PageRequest};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::{discovery::discover, orders::orders};
use crate::{App, account::settled, door::JobDoor, error::Error};

/// Accounts that are looked at together, and most jobs that are stored together.
const PAGE: i64 = 500;
const BATCH: usize = 1_000;

/// Has every account read that is active and switched on. Safe to repeat: jobs that are not done stand for new ones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncFanout {
    /// What is read. `incremental`: what changed, and the hours of yesterday and today; `full`: everything, and the days that
    /// platforms still restate; the others a part of that.
    mode: Mode,
}

/// What is read of every account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// What changed, and the hours of yesterday and today.
    Incremental,
    /// Everything that accounts hold, and the days that platforms still restate.
    Full,
    /// The hours of yesterday and today.
    InsightsHourly,
    /// The days that platforms still restate.
    InsightsDaily,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    accounts: usize,
    created: usize,
    /// Those that were not done stand for them.
    deduplicated: usize,
}

/// Makes doors for the calls of grants, by one of their accounts, where any is known.
type Doors<'a> = &'a (dyn Fn(Platform, Option<AccountId>) -> Box<dyn Door> + Send + Sync);

impl Job for SyncFanout {
    const KIND: &'static str = "sync.fanout";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let app = &ctx.app;
        let stop = ctx.cancellation();
        let found = if self.mode.discovers() {
            let door = |platform, account| -> Box<dyn Door> {
                Box::new(JobDoor::new(ctx, platform, account))
            };
            Box::pin(discover(app, &door, stop)).await
        } else {
            Ok(0)
        };
        let done = match found {
            Ok(found) => Box::pin(fan_out(app, self.mode, stop))
                .await
                .map(|done| (found, done)),
            Err(error) => Err(error),
        };
        settled(done.map(|(found, done)| {
            Outcome::SucceededWith(json!({
                "accounts": done.accounts,
                "created": done.created,
                "deduplicated": done.deduplicated,
                "found": found,
            }))
        }))
    }
}

impl Mode {
    /// Whether it looks what grants reach.
    fn discovers(self) -> bool {
        match self {
            Self::Incremental | Self::Full => true,
            Self::InsightsHourly | Self::InsightsDaily => false,
        }
    }
}

async fn fan_out(app: &App, mode: Mode, stop: &CancellationToken) -> Result<Done, Error> {
    let mut done = Done::default();
    let mut cursor = None;
    loop {
        if stop.is_cancelled() {
            return Err(Error::Stopped);
        }
        let page = PageRequest::new(Some(PAGE), cursor).map_err(AccountsError::from)?;
        let listed = app.accounts.list(&AccountFilter::default(), &page).await?;
        let synced = listed.items.iter().filter(|account| account.is_synced());
        let synced: Vec<&Account> = synced.collect();
        let ids: Vec<AccountId> = synced.iter().map(|account| account.id).collect();
        let read_at = app.syncs.entities_read_at(&ids).await?;
        let mut jobs = Vec::new();
        for account in synced {
            let Some(client) = app.accounts.platforms().of(account.platform) else {
                continue;
            };
            done.accounts += 1;
            let was_read = read_at.contains_key(&account.id);
            jobs.extend(orders(account, &**client, (mode, was_read), Utc::now()));
        }
        store(app, jobs, &mut done).await?;
        cursor = listed.next;
        if cursor.is_none() {
            return Ok(done);
        }
    }
}

async fn store(app: &App, mut jobs: Vec<NewJob>, done: &mut Done) -> Result<(), Error> {
    use queue::EnqueueOutcome::{Created, Deduplicated, Replaced};
    while !jobs.is_empty() {
        let rest = jobs.split_off(jobs.len().min(BATCH));
        let items = jobs.into_iter().map(|job| (job, None)).collect();
        for answer in app.queue.enqueue_batch(items, false).await? {
            match answer?.outcome {
                Created | Replaced => done.created += 1,
                Deduplicated => done.deduplicated += 1,
            }
        }
        jobs = rest;
    }
    Ok(())
}
