//! `conversion.send`: conversion events for Meta, Google, TikTok, LinkedIn and X, in requests formed from the waiting jobs of
//! a data set.

mod late;
mod sending;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use marketing::{
    accounts::AccountId,
    conversions::{Destination, Event, Pending, Via},
};
use queue::{BatchJob, JobContext, JobInfo, LateCheck, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;

use self::sending::{Ways, send};
use crate::{
    App,
    account::AccountRef,
    budget::{Budgeted, heed},
    door::JobDoor,
    effect::effect_key,
    error::Error,
};

/// Whose budget calls are counted against that name no account, unless jobs.toml names another one.
const PROVIDER: &str = "meta";
/// Most events of one job.
const MOST_EVENTS: usize = 1_000;
/// Longest id of a data set.
const LONGEST_DATASET_ID: usize = 64;
/// Longest test code.
const LONGEST_TEST_CODE: usize = 100;

/// Conversion events for a data set. Idempotent wherever the destination honours event ids: an event has the same id on
/// every attempt and replay, and one that was sent is not sent again.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = { "properties": { "event": { "type": "null" } } },
    "then" = { "required": ["events"], "properties": { "events": { "type": "array" } } },
    "else" = { "properties": { "events": { "type": "null" } } },
    "allOf" = [
        {
            "if": { "properties": { "destination": { "const": "meta" } } },
            "else": { "required": ["account_id"], "properties": { "account_id": { "type": "string" } } },
        },
        {
            "if": { "properties": { "destination": { "const": "google_ads" } } },
            "else": { "properties": { "via": { "enum": [null, "standard"] } } },
        },
        {
            "if": { "properties": { "destination": { "enum": ["meta", "google_ads", "tiktok"] } } },
            "else": { "properties": { "test_event_code": { "type": "null" } } },
        },
    ],
))]
pub(super) struct ConversionSend {
    /// Where the events go.
    #[schemars(with = "String", extend("enum" = ["meta", "google_ads", "tiktok", "linkedin", "x"]))]
    destination: Destination,
    /// What they are counted under, by its id: a data set (formerly pixel) of Meta, a conversion action of Google, an event
    /// source of TikTok, a conversion rule of LinkedIn, a pixel of X.
    #[schemars(regex(pattern = "^[0-9A-Za-z_]{1,64}$"))]
    dataset_id: String,
    /// The connected account in whose name they are sent. Required but for Meta, which else gets the configured token.
    #[serde(default)]
    account_id: Option<AccountRef>,
    /// By which of Google's interfaces; `standard` is the Data Manager API.
    #[serde(default)]
    via: Option<Via>,
    /// The event, under Meta's names. One without `event_id` gets an id made from the job's.
    event: Option<Event>,
    /// Several events instead of `event`.
    #[schemars(length(min = 1, max = 1_000))]
    events: Option<Vec<Event>>,
    /// The events then are tried out and not counted: with Meta and TikTok they show in the test tool under this code, with
    /// Google they are checked alone. LinkedIn and X have nothing of the kind.
    #[schemars(length(min = 1, max = 100))]
    test_event_code: Option<String>,
}

/// What one call of the destination may hold together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Addressee {
    tenant: Option<String>,
    destination: Destination,
    account: Option<AccountId>,
    via: Via,
    dataset_id: String,
    test_event_code: Option<String>,
}

/// A job's events, ready to go.
#[derive(Debug)]
struct Order {
    addressee: Addressee,
    events: Vec<Pending>,
    /// What another job has delivered is none of a replay's own doing.
    is_replay: bool,
}

impl BatchJob for ConversionSend {
    const KIND: &'static str = "conversion.send";
    const MOST: usize = 1_000;
    const LONGEST_WAIT: Duration = Duration::from_millis(50);
    const LATE: Option<LateCheck> = Some(late::check);
    type App = App;
    type Error = Error;

    async fn run(batch: Vec<(Self, JobContext<App>)>) -> Vec<Result<Outcome, Error>> {
        let (jobs, contexts): (Vec<Self>, Vec<JobContext<App>>) = batch.into_iter().unzip();
        let Some(first) = contexts.first() else {
            return Vec::new();
        };
        let app = Arc::clone(&first.app);
        // Calls that name no account are those of one token.
        let budget = first.budget(PROVIDER, None);
        let admission = Budgeted {
            provider: PROVIDER,
            budget: &budget,
        };
        let ways = Ways {
            own: &admission,
            door: &|place: usize, destination: Destination, account| {
                JobDoor::new(&contexts[place], destination.platform(), Some(account))
            },
        };
        let orders: Vec<Result<Order, Error>> = jobs
            .into_iter()
            .zip(&contexts)
            .map(|(job, ctx)| job.order(&ctx.job))
            .collect();
        let is_own: Vec<bool> = orders
            .iter()
            .map(|order| matches!(order, Ok(order) if order.addressee.account.is_none()))
            .collect();

        // Both are safe to drop: a delivery that was cut off is remembered as in doubt. A job that is cancelled while
        // others of its batch go on is settled as cancelled by the engine.
        let outcomes: Vec<Result<Outcome, Error>> = tokio::select! {
            () = all_cancelled(&contexts) => contexts.iter().map(|_| Err(Error::Stopped)).collect(),
            outcomes = send(&app, orders, &ways) => outcomes,
        };
        // What is said to calls for accounts is heeded at their doors.
        let own = outcomes.iter().zip(is_own).filter(|(_, is_own)| *is_own);
        heed(&budget, own.map(|(outcome, _)| outcome));
        outcomes
    }
}

async fn all_cancelled(contexts: &[JobContext<App>]) {
    for ctx in contexts {
        ctx.cancellation().cancelled().await;
    }
}

impl ConversionSend {
    /// Checks what the schema cannot, or did not where the job came by SQL.
    fn order(self, job: &JobInfo) -> Result<Order, Error> {
        let wrong = |pointer, problem| Err(Error::Payload { pointer, problem });
        if self.destination != Destination::Meta && self.account_id.is_none() {
            return wrong("/account_id", "is required but for meta");
        }
        let via = self.via.unwrap_or_default();
        if self.destination != Destination::GoogleAds && via != Via::Standard {
            return wrong("/via", "must be standard but for google_ads");
        }
        if !is_id(&self.dataset_id) {
            return wrong(
                "/dataset_id",
                "must be 1 to 64 letters, digits and underscores",
            );
        }
        if self
            .test_event_code
            .as_ref()
            .is_some_and(|code| !is_test_code(code))
        {
            return wrong("/test_event_code", "must have 1 to 100 characters");
        }
        let has_no_test = matches!(self.destination, Destination::Linkedin | Destination::X);
        if has_no_test && self.test_event_code.is_some() {
            return wrong(
                "/test_event_code",
                "must not be there: the destination has no test mode, and the events would count",
            );
        }
        let events = match (self.event, self.events) {
            (Some(event), None) => vec![event],
            (None, Some(events)) => events,
            (Some(_), Some(_)) => return wrong("/events", "must not stand beside event"),
            (None, None) => return wrong("/event", "is required where there are no events"),
        };
        if events.is_empty() || events.len() > MOST_EVENTS {
            return wrong("/events", "must be 1 to 1,000 events");
        }

        let addressee = Addressee {
            tenant: job.tenant.clone(),
            destination: self.destination,
            account: self.account_id.map(|account| account.0),
            via,
            dataset_id: self.dataset_id,
            test_event_code: self.test_event_code,
        };
        let pending = events
            .into_iter()
            .enumerate()
            .map(|(place, event)| Pending {
                job: job.id,
                event_id: event_id(&event, job, place),
                event,
            });
        Ok(Order {
            addressee,
            events: pending.collect(),
            is_replay: job.replay_of.is_some(),
        })
    }
}

fn is_id(text: &str) -> bool {
    (1..=LONGEST_DATASET_ID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// An empty one is refused and not taken for none: what was meant as a test must not count.
fn is_test_code(text: &str) -> bool {
    (1..=LONGEST_TEST_CODE).contains(&text.chars().count())
}

/// The event's own id, or one that is the same on every attempt and replay of the job.
fn event_id(event: &Event, job: &JobInfo, place: usize) -> String {
    match &event.event_id {
        Some(id) if !id.trim().is_empty() => id.clone(),
        _ => format!("{}-{place}", effect_key(job)),
    }
}
