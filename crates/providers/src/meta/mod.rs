//! Meta, behind the Graph API: ad accounts with what they hold and their figures, Pages and Instagram accounts, OAuth, and
//! the Conversions API. What all ad platforms can do is [`AdPlatform`](crate::platform::AdPlatform); beside it stand
//! [`graph_batch`], [`page_insights`] and [`instagram_insights`]. Events are sent by [`Meta::send_events`], and by
//! [`Meta::send_batch`], which sees to it that one bad event does not take its batch mates along; what an event must look
//! like is [`conversions`].

mod actions;
mod ad_platform;
mod answer;
mod batch;
mod call;
pub mod conversions;
mod edits;
mod entities;
mod errors;
pub mod graph_batch;
mod insights;
pub mod instagram_insights;
mod lead_forms;
pub mod leads;
mod money;
mod oauth;
pub mod page_insights;
mod pages;
mod paging;
mod proof;
mod reports;
mod social;
mod status;
pub mod subscriptions;
#[cfg(test)]
mod tests;
mod time;
mod usage;
mod wire;

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use leads::Lead;
pub use pages::ManagedPage;
pub use social::{SocialFigures, SocialValue};

use self::{conversions::ServerEvent, wire::EventsRequest};
use crate::{
    error::{Detail, Error},
    http::{self, Http},
    metrics,
    platform::{Platform, recent::Pauses},
};

/// The Graph API, with the version this client was written for.
pub const DEFAULT_BASE_URL: &str = "https://graph.facebook.com/v26.0";

/// Most events that one request may hold.
pub const MAX_EVENTS: usize = 1_000;

const PLATFORM: Platform = Platform::Meta;
const PROVIDER: &str = "meta";

/// Bytes of an answer that are read: ten times the largest page of figures that is known.
const ANSWER_LIMIT: usize = 16 << 20;

/// How long a limit is remembered, so that the next one of its sort is taken for longer: twice the longest guess.
const PAUSES_LIFE: TimeDelta = TimeDelta::hours(2);

/// How to reach Meta.
pub struct MetaConfig {
    /// The Graph API with its version; plain `http` for loopback hosts only.
    pub base_url: Url,
    /// The app's id; `None`: nobody can give access by OAuth, no token can be renewed and none looked at.
    pub app_id: Option<String>,
    /// The app's secret: every call then carries a proof of it. Needed once the app requires it, and where its id is.
    pub app_secret: Option<SecretString>,
    /// Longest whole call, the answer included.
    pub timeout: Duration,
}

impl Default for MetaConfig {
    fn default() -> Self {
        Self {
            base_url: Url::parse(DEFAULT_BASE_URL).expect("the constant is a URL"),
            app_id: None,
            app_secret: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// A client for Meta. Cheap to share, keeps connections open.
pub struct Meta {
    http: Http,
    base_url: Url,
    app_id: Option<String>,
    app_secret: Option<SecretString>,
    pauses: Pauses,
}

/// Meta's answer to a request that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsReceived {
    /// How many events the request held by Meta's count.
    pub events_received: u64,
    /// Warnings, at most 20.
    pub messages: Vec<String>,
    /// What Meta's support asks for.
    pub fbtrace_id: Option<String>,
}

/// A refusal, and whether a smaller batch may fare better.
struct Failure {
    error: Error,
    split: Option<Split>,
}

/// How to look for the event at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    /// Meta named a place.
    At(usize),
    Halves,
}

/// Where events go.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The data set.
    pub dataset_id: &'a str,
    /// A token with the right to write to it.
    pub token: &'a SecretString,
    /// Events then count as tests only.
    pub test_event_code: Option<&'a str>,
}

impl Meta {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Config`] when the base address is neither https nor on a loopback host.
    pub fn new(config: MetaConfig) -> Result<Self, Error> {
        http::require_safe_base(PROVIDER, &config.base_url)?;
        Ok(Self {
            http: Http::new(PROVIDER, ANSWER_LIMIT, http::client_builder(config.timeout))?,
            base_url: config.base_url,
            app_id: config.app_id,
            app_secret: config.app_secret,
            pauses: Pauses::new(PAUSES_LIFE),
        })
    }

    /// Sends up to [`MAX_EVENTS`] events in one request, which Meta takes or refuses as a whole. Sending the same event
    /// ids again within 48 hours is harmless. With a `test_event_code` they count as tests only.
    ///
    /// # Errors
    /// Any variant of [`Error`]; [`Error::Rejected`] when one of the events is wrong.
    pub async fn send_events(
        &self,
        dataset_id: &str,
        token: &SecretString,
        events: &[ServerEvent],
        test_event_code: Option<&str>,
    ) -> Result<EventsReceived, Error> {
        let destination = Destination {
            dataset_id,
            token,
            test_event_code,
        };
        let events: Vec<&ServerEvent> = events.iter().collect();
        self.post_events(destination, &events)
            .await
            .map_err(|failure| failure.error)
    }

    async fn post_events(
        &self,
        to: Destination<'_>,
        events: &[&ServerEvent],
    ) -> Result<EventsReceived, Box<Failure>> {
        let started = Instant::now();
        let result = self.try_post_events(to, events).await;
        let (result, split) = match result {
            Ok(received) => (Ok(received), None),
            Err(failure) => (Err(failure.error), failure.split),
        };
        metrics::call_finished(PROVIDER, started.elapsed(), &result);
        result.map_err(|error| Box::new(Failure { error, split }))
    }

    async fn try_post_events(
        &self,
        to: Destination<'_>,
        events: &[&ServerEvent],
    ) -> Result<EventsReceived, Box<Failure>> {
        let url = self.address(&[to.dataset_id, "events"])?;
        let body = EventsRequest {
            data: events,
            test_event_code: to.test_event_code,
            appsecret_proof: self.proof_for(to.token),
        };
        let request = self
            .http
            .request(Method::POST, url)
            .bearer_auth(to.token.expose_secret())
            .json(&body);
        let answer = self.http.send(request).await?;
        let received = answer::read(&answer, &self.secrets(to.token))?;

        let sent = events.len();
        if received.events_received < sent as u64 || !received.messages.is_empty() {
            // Not sent again: Meta says that it has them, and a second copy could count twice.
            tracing::warn!(
                provider.name = PROVIDER,
                sent,
                received = received.events_received,
                messages = received.messages.len(),
                request.id = received.fbtrace_id.as_deref(),
                "meta took the events with reservations"
            );
        }
        Ok(received)
    }

    /// What Meta may quote back at us.
    fn secrets<'a>(&'a self, token: &'a SecretString) -> Vec<&'a str> {
        let app_secret = self.app_secret.as_ref().map(SecretString::expose_secret);
        std::iter::once(token.expose_secret())
            .chain(app_secret)
            .collect()
    }
}

impl From<Error> for Box<Failure> {
    fn from(error: Error) -> Self {
        Self::new(Failure { error, split: None })
    }
}

/// A request that breaks a rule of Meta's, found before it is sent.
fn refused(rule: &str) -> Error {
    Error::Rejected {
        detail: Detail::new(PROVIDER, rule, &[]),
    }
}

/// A success whose body says something else than it should: a copy of it may be whole.
fn unreadable(message: &str) -> Error {
    Error::Unavailable {
        detail: Detail::new(PROVIDER, message, &[]),
        maybe_received: true,
        source: None,
    }
}
