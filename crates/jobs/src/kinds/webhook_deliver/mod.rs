//! `webhook.deliver`: sends a customer's endpoint one message, signed as Standard Webhooks. Every failure but an address that must
//! not be called is tried again, as the plan of the kind says.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use marketing::outbound::{Attempted, DELIVER, DeliveryId, Followed, Message, NextStep};
use providers::{
    Detail, Error as ProviderError,
    webhook::{CallAnswer, CallRequest, ChosenBy},
};
use queue::{Job, JobContext, JobInfo, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use crate::{App, error::Error};

/// How long a message waits whose endpoint gets as many as it may: by then the longest of those has ended.
const WAIT_FOR_PLACE: Duration = Duration::from_secs(30);
/// Share of an attempt's time that the call may take: in the rest it is noted how it went.
const SHARE_OF_CALL: f64 = 0.9;

/// Sends a message. It may run twice: the receiver knows it by its id, and one that got through is not sent again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookDeliver {
    /// What is to be told to whom.
    #[schemars(regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    delivery_id: String,
}

impl Job for WebhookDeliver {
    const KIND: &'static str = DELIVER;
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let id = self.delivery_id.parse().map_err(|_| Error::Payload {
            pointer: "/delivery_id",
            problem: "must be an id",
        })?;
        // Safe to drop: the endpoint may have got the message, and knows it by its id the next time.
        tokio::select! {
            () = ctx.cancellation().cancelled() => Err(Error::Stopped),
            outcome = Box::pin(deliver(&ctx.app, &ctx.job, id)) => outcome,
        }
    }
}

async fn deliver(app: &App, job: &JobInfo, id: DeliveryId) -> Result<Outcome, Error> {
    let tenant = job.tenant.as_deref();
    match app.outbound.next_step(id, tenant).await? {
        NextStep::Send(message) => send(app, (id, tenant), message).await,
        NextStep::Wait(left) => Ok(Outcome::Snoozed(left)),
        NextStep::Done => Ok(Outcome::SucceededWith(json!({ "was_sent_before": true }))),
        NextStep::Missed => Ok(cancelled("the endpoint is switched off")),
        NextStep::Gone => Ok(cancelled("there is no such delivery or endpoint any more")),
    }
}

async fn send(
    app: &App,
    (id, tenant): (DeliveryId, Option<&str>),
    message: Message,
) -> Result<Outcome, Error> {
    let request = CallRequest {
        url: message.url,
        method: "POST".to_owned(),
        headers: BTreeMap::new(),
        body: Bytes::from(message.body),
        signature: Some((message.signer, message.id)),
        chosen_by: ChosenBy::Requester,
    };
    let longest = app.queue.config().policy(DELIVER).timeout;
    let longest = longest.mul_f64(SHARE_OF_CALL);
    let began = Instant::now();
    let answer = match timeout(longest, app.caller.call(request)).await {
        Ok(Err(ProviderError::Postponed { .. })) => return Ok(Outcome::Snoozed(WAIT_FOR_PLACE)),
        Ok(answer) => answer,
        Err(_elapsed) => Err(no_answer()),
    };
    let attempt = attempted(&answer, began.elapsed());
    let followed = app.outbound.attempted(id, tenant, &attempt).await?;
    match (followed, answer) {
        (Followed::SwitchedOff, _) => Ok(cancelled(
            "the endpoint answered that it is gone, and was switched off",
        )),
        (Followed::Taken | Followed::Failed, Ok(answer)) => {
            Ok(Outcome::SucceededWith(json!({ "status": answer.status })))
        }
        (Followed::Taken | Followed::Failed, Err(error)) => Err(not_taken(error)),
    }
}

/// The endpoint took longer than jobs.toml gives attempts.
fn no_answer() -> ProviderError {
    ProviderError::TimedOut {
        detail: Detail {
            provider: "webhook",
            message: "no answer in time".to_owned(),
            ..Detail::default()
        },
        maybe_received: true,
    }
}

fn cancelled(reason: &str) -> Outcome {
    Outcome::Cancelled(reason.to_owned())
}

fn attempted(answer: &Result<CallAnswer, ProviderError>, took: Duration) -> Attempted {
    match answer {
        Ok(answer) => Attempted {
            status: Some(answer.status),
            duration: answer.duration,
            excerpt: answer.excerpt.clone(),
            is_taken: true,
            pause: None,
        },
        Err(error) => Attempted {
            status: error.detail().status,
            duration: took,
            excerpt: error.detail().message.clone(),
            is_taken: false,
            pause: pause(error),
        },
    }
}

fn pause(error: &ProviderError) -> Option<Duration> {
    match error {
        ProviderError::RateLimited { retry_after, .. } => *retry_after,
        _ => None,
    }
}

/// What an endpoint answers is no verdict on the message: it may be mended by the next attempt. What our own rules refuse
/// has no status, and they will refuse it again.
fn not_taken(error: ProviderError) -> Error {
    let is_refused =
        matches!(&error, ProviderError::Rejected { detail } if detail.status.is_none());
    if is_refused {
        error.into()
    } else {
        Error::NotTaken(error)
    }
}
