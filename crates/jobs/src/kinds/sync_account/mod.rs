//! `sync.account`: what an account holds, read page by page, parents first. A page and the place where the next one begins
//! are stored together, so that an attempt goes on behind the last page of the one before.

mod pass;
mod place;
#[cfg(test)]
mod tests;

use marketing::{accounts::AccountKind, sync::SyncMode};
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;

use self::pass::read;
use crate::{
    App,
    account::{AccountRef, Attempt, Reached, settled},
    door::JobDoor,
    error::Error,
};

/// Reads what an account holds. Safe to repeat: what is stored is stored again, and only the newest attempt stores
/// anything.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncAccount {
    /// The account.
    account_id: AccountRef,
    /// All of it, or what changed since the last time.
    #[schemars(with = "String", extend("enum" = ["full", "incremental"]))]
    mode: SyncMode,
}

impl Job for SyncAccount {
    const KIND: &'static str = "sync.account";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let reached = match Reached::of(&ctx.app, &ctx.job, self.account_id).await {
            Ok(reached) => reached,
            Err(error) => return settled(Err(error)),
        };
        let account = &reached.account;
        if account.kind != AccountKind::AdAccount {
            let reason = "it is no ad account, and holds nothing that could be listed";
            return Ok(Outcome::Cancelled(reason.to_owned()));
        }
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
        door.settled(Box::pin(read(&attempt, self.mode)).await)
    }
}
