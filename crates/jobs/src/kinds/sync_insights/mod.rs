//! `sync.insights`: figures of an account for some days, read by stretches of days that are replaced as a whole. Reports that
//! a platform makes in the background are waited for by snoozes.

mod figures;
mod place;
mod social;
#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use marketing::{
    accounts::{Account, AccountKind},
    sync::InsightScope,
};
use providers::platform::{AdPlatform, Granularity, Level};
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::figures::{Pace, read};
use self::social::read_social;
use crate::{
    App,
    account::{AccountRef, Attempt, Reached, settled},
    door::JobDoor,
    error::Error,
};

/// How a day is written.
const DAY: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";

/// Reads figures. Safe to repeat: what is stored is replaced, and only the newest attempt stores anything.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncInsights {
    /// The account.
    account_id: AccountRef,
    /// Of what. Pages and Instagram accounts have figures of the account alone.
    #[schemars(with = "String", extend("enum" = ["account", "campaign", "ad_set", "ad"]))]
    level: Level,
    /// By what time.
    #[schemars(with = "String", extend("enum" = ["hour", "day"]))]
    granularity: Granularity,
    /// The first day, by the account's clock.
    #[schemars(with = "String", regex(pattern = DAY))]
    from: NaiveDate,
    /// The last day; it is read too.
    #[schemars(with = "String", regex(pattern = DAY))]
    to: NaiveDate,
}

impl Job for SyncInsights {
    const KIND: &'static str = "sync.insights";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let reached = match Reached::of(&ctx.app, &ctx.job, self.account_id).await {
            Ok(reached) => reached,
            Err(error) => return settled(Err(error)),
        };
        let account = &reached.account;
        if let Some(reason) = self.unwanted(account, &*reached.client) {
            return Ok(Outcome::Cancelled(reason.to_owned()));
        }
        let scope = InsightScope {
            level: self.level,
            granularity: self.granularity,
            from: self.from,
            to: self.to,
            breakdowns: Vec::new(),
        };
        let door = JobDoor::new(ctx, account.platform, Some(account.id));
        let attempt = Attempt {
            app: &ctx.app,
            job: &ctx.job,
            account,
            client: &*reached.client,
            door: &door,
            stop: ctx.cancellation(),
            progress: &|told| ctx.progress(told),
        };
        door.settled(match account.kind {
            AccountKind::AdAccount => Box::pin(read(&attempt, scope, Pace::of_a_job())).await,
            _ => Box::pin(read_social(&attempt, scope)).await,
        })
    }
}

impl SyncInsights {
    /// Why there can be no such figures.
    fn unwanted(&self, account: &Account, client: &dyn AdPlatform) -> Option<&'static str> {
        let by_hour = self.granularity == Granularity::Hour;
        match account.kind {
            AccountKind::AdAccount => (by_hour && client.finest() == Granularity::Day)
                .then_some("the platform tells figures by the day alone"),
            AccountKind::Page | AccountKind::InstagramAccount => (by_hour
                || self.level != Level::Account)
                .then_some("figures of a page are of the whole of it, by the day"),
            AccountKind::Business => Some("a business has no figures of its own"),
        }
    }
}
