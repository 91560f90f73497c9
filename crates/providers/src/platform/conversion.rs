//! Conversion events on their way to a platform other than Meta, which has a client of its own for them: one form for the
//! address, the event as it is sent, and what the platform answers. Which members a platform takes stands in its folder.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde_json::Value;

use super::Caller;
use crate::{
    error::{Detail, Error},
    meta::conversions::{Event, Refused},
};

/// Where the events of a call go.
#[derive(Debug, Clone, Copy)]
pub struct ConversionTarget<'a> {
    /// The platform's own id of the account in whose name they are sent.
    pub account: &'a str,
    /// What they are counted under: a conversion action, an event source, a conversion rule, a pixel.
    pub dataset: &'a str,
    /// By which of the platform's interfaces.
    pub via: Via,
    /// Events are only tried out, and count for nothing.
    pub test_event_code: Option<&'a str>,
}

/// Which interface takes the events, where a platform has several.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The platform's present one: of Google the Data Manager API.
    #[default]
    Standard,
    /// Google's offline uploads, closed to accounts that did not use them before 15 June 2026.
    Upload,
}

/// An event in the form in which it goes to a platform. No `Debug`: it is about a person.
#[derive(Clone)]
pub struct Outgoing {
    /// The event.
    pub body: Value,
    /// Events of different groups cannot share a request.
    pub group: &'static str,
    /// What is not sent, each as a JSON Pointer into the event and a reason; never a value.
    pub left_out: Vec<String>,
}

/// What a platform says of an event that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What the platform's support asks for, or the request whose result is asked for later.
    pub request_id: Option<String>,
    /// What it said beside it.
    pub messages: Vec<String>,
    /// Accepted and not processed: [`ConversionApi::outcome`] tells later what became of it.
    pub is_pending: bool,
}

/// What a platform answers to a request with events.
#[derive(Debug)]
pub enum Answer {
    /// Each event has an answer of its own, in their order.
    Each(Vec<Result<Receipt, Error>>),
    /// None was taken, since some of them are bad.
    Refused {
        /// The places of those that the platform names, each with why; empty where it names none.
        at: Vec<(usize, Error)>,
        /// Why, as far as nothing more is known.
        error: Error,
    },
}

impl Answer {
    /// All of so many events were taken.
    pub(crate) fn all(events: usize, receipt: &Receipt) -> Self {
        Self::Each(vec![Ok(receipt.clone()); events])
    }
}

/// What became of a request that was only accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It is still being processed.
    Pending,
    /// All of its events are counted, or were before.
    Done,
    /// Something went wrong with some of them, and nobody says with which: send each alone to learn it.
    Unclear,
    /// Its only event is to be sent again after so many hours.
    Again {
        /// How long to wait.
        hours: u32,
        /// Why.
        reason: String,
        /// Whether this may be tried a single time.
        once: bool,
    },
    /// Its only event can never be counted.
    Refused {
        /// The platform's reason.
        reason: String,
        /// It was too old.
        expired: bool,
    },
}

/// A platform that takes conversion events.
pub trait ConversionApi: Send + Sync {
    /// Most events of a request.
    fn most(&self, via: Via) -> usize;

    /// Whether it can be told that events are only tried out.
    fn has_test_mode(&self) -> bool;

    /// Within how many hours after an event may have been delivered a repeat with the same id counts once.
    fn dedupes_hours(&self) -> u32;

    /// Checks, normalises and hashes an event. `now` decides whether it is too old.
    ///
    /// # Errors
    /// [`Refused`], with every reason at once.
    fn prepare(
        &self,
        event: &Event,
        target: &ConversionTarget<'_>,
        now: DateTime<Utc>,
    ) -> Result<Outgoing, Refused>;

    /// Sends events of one group, at most [`Self::most`].
    ///
    /// # Errors
    /// Any variant of [`Error`]: none of the events is the cause then.
    fn send<'a>(
        &'a self,
        caller: Caller<'a>,
        target: &'a ConversionTarget<'a>,
        events: &'a [&'a Outgoing],
    ) -> BoxFuture<'a, Result<Answer, Error>>;

    /// What became of a request with so many events that was only accepted.
    ///
    /// # Errors
    /// Any variant of [`Error`].
    fn outcome<'a>(
        &'a self,
        _caller: Caller<'a>,
        _request_id: &'a str,
        _events: usize,
    ) -> BoxFuture<'a, Result<RequestOutcome, Error>> {
        let detail = Detail::new("conversions", "every answer was final", &[]);
        Box::pin(async move { Err(Error::Rejected { detail }) })
    }
}
