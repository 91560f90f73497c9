//! `campaign.update`: pauses, resumes and archives campaigns, ad sets and ads, and sets their budgets, up to 50 at once. What was
//! before is kept with each change; with `dry_run` it is told and nothing is changed.

mod changes;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use marketing::{
    accounts::AccountKind,
    campaigns::{Action, Expected, Order, Wanted},
    rules::StrategyId,
};
use providers::platform::EntityType;
use queue::{Job, JobContext, JobInfo, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;

use self::changes::{make, preview};
use crate::{
    App,
    account::{AccountRef, Attempt, PATTERN, Reached, settled},
    door::JobDoor,
    effect::effect_key,
    error::Error,
};

/// An amount in major units, with a point.
const AMOUNT: &str = "^[0-9]{1,15}([.][0-9]{1,6})?$";
/// What an entity may be expected to be.
const STATES: &str = "^(active|paused|pending|rejected|ended|archived|deleted|unknown)$";
/// Most changes of one job.
const MOST_CHANGES: usize = 50;

/// Changes what an account holds. Safe to repeat: each change sets a value, what is done is not done again, and what somebody
/// else changes at the same time is waited for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CampaignUpdate {
    /// The account.
    account_id: AccountRef,
    /// What is changed, each entity once.
    #[schemars(length(min = 1, max = 50))]
    changes: Vec<Change>,
    /// Whether it is only told what would be changed.
    #[serde(default)]
    dry_run: bool,
    /// Why; kept with the changes that do not say it themselves.
    #[serde(default)]
    #[schemars(length(max = 500))]
    reason: Option<String>,
    /// Who asks for it, by the word of whoever orders it; kept with the changes.
    #[serde(default)]
    #[schemars(length(max = 200))]
    requested_by: Option<String>,
    /// The rule that asks for it.
    #[serde(default)]
    #[schemars(with = "Option<String>", regex(pattern = PATTERN))]
    strategy_id: Option<String>,
}

/// A change of one entity.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// What it is.
    #[serde(rename = "type")]
    kind: Editable,
    /// The platform's id of it.
    #[schemars(length(min = 1, max = 64))]
    id: String,
    /// What is done.
    action: Word,
    /// With a budget alone: in major units of the account's currency.
    #[serde(default)]
    #[schemars(regex(pattern = AMOUNT))]
    amount: Option<String>,
    /// What it must be now; else it is left alone.
    #[serde(default)]
    expect: Option<Expect>,
    /// Why.
    #[serde(default)]
    #[schemars(length(max = 500))]
    reason: Option<String>,
}

/// What can be changed.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Editable {
    Campaign,
    AdSet,
    Ad,
}

/// What can be done.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    Pause,
    Resume,
    Archive,
    SetDailyBudget,
    SetLifetimeBudget,
}

/// How an entity must stand.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Expect {
    #[serde(default)]
    #[schemars(regex(pattern = STATES))]
    status: Option<String>,
    #[serde(default)]
    #[schemars(regex(pattern = AMOUNT))]
    daily_budget: Option<String>,
    #[serde(default)]
    #[schemars(regex(pattern = AMOUNT))]
    lifetime_budget: Option<String>,
}

impl Job for CampaignUpdate {
    const KIND: &'static str = "campaign.update";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let wanted = self.wanted()?;
        let reached = match Reached::of(&ctx.app, &ctx.job, self.account_id).await {
            Ok(reached) => reached,
            Err(error) => return settled(Err(error)),
        };
        let account = &reached.account;
        if account.kind != AccountKind::AdAccount {
            return Err(Error::Payload {
                pointer: "/account_id",
                problem: "is no ad account, and holds no campaigns",
            });
        }
        let order = self.order(&ctx.job);
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
        if self.dry_run {
            return preview(&attempt, order, &wanted).await;
        }
        door.settled(Box::pin(make(&attempt, order, &wanted)).await)
    }
}

impl CampaignUpdate {
    fn order(&self, job: &JobInfo) -> Order {
        let strategy = self.strategy_id.as_deref();
        Order {
            job: effect_key(job),
            is_replay: job.replay_of.is_some(),
            account: self.account_id.0,
            strategy: strategy
                .and_then(|id| id.parse::<StrategyId>().ok())
                .map(|id| id.0),
        }
    }

    /// What is wanted of each entity.
    fn wanted(&self) -> Result<Vec<Wanted>, Error> {
        let refused = |problem| Error::Payload {
            pointer: "/changes",
            problem,
        };
        if !(1..=MOST_CHANGES).contains(&self.changes.len()) {
            return Err(refused("must be 1 to 50"));
        }
        let mut named = HashSet::new();
        let wanted = self.changes.iter().map(|change| {
            let mut wanted = change.wanted(self.reason.as_deref()).map_err(refused)?;
            wanted.requested_by.clone_from(&self.requested_by);
            if !named.insert((wanted.kind, wanted.id.clone())) {
                return Err(refused("must name each entity once"));
            }
            Ok(wanted)
        });
        wanted.collect()
    }
}

impl Change {
    fn wanted(&self, reason: Option<&str>) -> Result<Wanted, &'static str> {
        let none = Expect::default();
        let expect = self.expect.as_ref().unwrap_or(&none);
        let expected = Expected::read(
            expect.status.as_deref(),
            expect.daily_budget.as_deref(),
            expect.lifetime_budget.as_deref(),
        );
        let reason = self.reason.as_deref().or(reason);
        Ok(Wanted {
            kind: match self.kind {
                Editable::Campaign => EntityType::Campaign,
                Editable::AdSet => EntityType::AdSet,
                Editable::Ad => EntityType::Ad,
            },
            id: self.id.clone(),
            action: self.action()?,
            expected: expected.ok_or("must expect states and amounts")?,
            reason: reason.map(str::to_owned),
            requested_by: None,
        })
    }

    fn action(&self) -> Result<Action, &'static str> {
        let amount = self.amount.as_deref();
        let budget = |read: fn(&str) -> Option<Action>| {
            let amount = amount.ok_or("must have an amount to set a budget")?;
            read(amount).ok_or("must have amounts such as \"50.00\"")
        };
        match self.action {
            Word::SetDailyBudget => budget(Action::daily_budget),
            Word::SetLifetimeBudget => budget(Action::lifetime_budget),
            Word::Pause | Word::Resume | Word::Archive if amount.is_some() => {
                Err("must have an amount only to set a budget")
            }
            Word::Pause => Ok(Action::Pause),
            Word::Resume => Ok(Action::Resume),
            Word::Archive => Ok(Action::Archive),
        }
    }
}
