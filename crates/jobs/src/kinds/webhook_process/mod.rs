//! `webhook.process`: looks after one event that Meta sent of its own accord, for one account that it is about.

pub(super) mod lead;
#[cfg(test)]
mod tests;

use marketing::{
    accounts::{Account, orders},
    inbound::{InboundEvent, InboundEventId, Subject},
    sync::SyncMode,
};
use queue::{Job, JobContext, NewJob, Outcome, Source};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};

use super::token_validate::TokenValidate;
use crate::{
    App,
    account::{AccountRef, Attempt, PATTERN, Reached, settled},
    door::JobDoor,
    error::Error,
};

/// Looks after an event. Safe to repeat: a lead is kept in the place of itself, and an engagement stands alike in whatever order
/// and however often it is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookProcess {
    /// The event, as it was stored when it came.
    #[schemars(regex(pattern = PATTERN))]
    event_id: String,
    /// An account that it is about.
    account_id: AccountRef,
}

impl Job for WebhookProcess {
    const KIND: &'static str = "webhook.process";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let reached = match Reached::of(&ctx.app, &ctx.job, self.account_id).await {
            Ok(reached) => reached,
            Err(error) => return settled(Err(error)),
        };
        let door = JobDoor::new(ctx, reached.account.platform, Some(reached.account.id));
        let attempt = Attempt {
            app: &ctx.app,
            job: &ctx.job,
            account: &reached.account,
            client: &*reached.client,
            door: &door,
            stop: ctx.cancellation(),
            progress: &|told| ctx.progress(told),
        };
        door.settled(Box::pin(process(&attempt, &self.event_id)).await)
    }
}

async fn process(attempt: &Attempt<'_>, event: &str) -> Result<Outcome, Error> {
    let id: InboundEventId = event.parse().map_err(|_| Error::Payload {
        pointer: "/event_id",
        problem: "is no id of an event",
    })?;
    let inbound = attempt.app.accounts.inbound();
    let Some(event) = inbound.event(id).await? else {
        return Ok(Outcome::Cancelled(
            "the event is not kept any more".to_owned(),
        ));
    };
    match event.subject() {
        Subject::Lead(lead) => Box::pin(lead::fetch(attempt, &event, &lead)).await,
        Subject::Engagement(engagement) => {
            let kind = engagement.kind.as_str();
            inbound.engaged(attempt.account.id, *engagement).await?;
            Ok(did(kind, &event))
        }
        Subject::Permissions => {
            follow(attempt.app, validation(attempt.account)).await?;
            Ok(did("permissions", &event))
        }
        Subject::AdObjects => {
            let mode = SyncMode::Incremental;
            let job = orders::account_sync(attempt.account, mode, Source::Handler);
            follow(attempt.app, job).await?;
            Ok(did("ad_objects", &event))
        }
        Subject::Other => Ok(did("nothing", &event)),
    }
}

/// Puts a job into its queue, unless one that does the same waits there.
async fn follow(app: &App, job: NewJob) -> Result<(), Error> {
    app.queue.enqueue(job, None).await?;
    Ok(())
}

/// Asks the platform whether what a person granted still works.
fn validation(account: &Account) -> NewJob {
    let payload = json!({ "account_id": account.id });
    let payload = to_raw_value(&payload).expect("a JSON value is written as JSON");
    NewJob {
        tenant: account.tenant.clone(),
        ..NewJob::new(TokenValidate::KIND, payload, Source::Handler)
    }
}

fn did(what: &str, event: &InboundEvent) -> Outcome {
    Outcome::SucceededWith(
        json!({ "object": event.object, "field": event.field, "stored_as": what }),
    )
}
