//! Meta: the Conversions API behind the Graph API. One call is [`Meta::send_events`]; [`Meta::send_batch`] sees to it
//! that one bad event does not take its batch mates along. What an event must look like is [`conversions`].

mod answer;
mod batch;
pub mod conversions;
mod errors;
mod proof;
#[cfg(test)]
mod tests;
mod usage;
mod wire;

use std::time::{Duration, Instant};

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::{conversions::ServerEvent, wire::EventsRequest};
use crate::{
    error::{Detail, Error},
    http::{self, Http},
    metrics,
};

/// The Graph API, with the version this client was written for.
pub const DEFAULT_BASE_URL: &str = "https://graph.facebook.com/v26.0";

/// Most events that one request may hold.
pub const MAX_EVENTS: usize = 1_000;

const PROVIDER: &str = "meta";

/// Bytes of an answer that are read: a hundred times the largest that is known.
const ANSWER_LIMIT: usize = 1 << 20;

/// Longest id of a data set. They are numbers today; nothing else may become part of the path.
const DATASET_ID_LIMIT: usize = 64;

/// How to reach Meta.
pub struct MetaConfig {
    /// The Graph API with its version; plain `http` for loopback hosts only.
    pub base_url: Url,
    /// The app's secret: every call then carries a proof of it. Needed once the app requires it.
    pub app_secret: Option<SecretString>,
    /// Longest whole call, the answer included.
    pub timeout: Duration,
}

impl Default for MetaConfig {
    fn default() -> Self {
        Self {
            base_url: Url::parse(DEFAULT_BASE_URL).expect("the constant is a URL"),
            app_secret: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// A client for Meta. Cheap to share, keeps connections open.
pub struct Meta {
    http: Http,
    base_url: Url,
    app_secret: Option<SecretString>,
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
            app_secret: config.app_secret,
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
        let url = self.events_url(to.dataset_id)?;
        let proof = self
            .app_secret
            .as_ref()
            .map(|secret| proof::appsecret_proof(secret, to.token));
        let body = EventsRequest {
            data: events,
            test_event_code: to.test_event_code,
            appsecret_proof: proof,
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

    fn events_url(&self, dataset_id: &str) -> Result<Url, Error> {
        let refuse = |message| Error::Rejected {
            detail: Detail::new(PROVIDER, message, &[]),
        };
        let is_id = (1..=DATASET_ID_LIMIT).contains(&dataset_id.len())
            && dataset_id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_id {
            return Err(refuse(
                "the data set's id has other characters than letters and digits",
            ));
        }

        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| refuse("the base address cannot have a path"))?
            .pop_if_empty()
            .extend([dataset_id, "events"]);
        Ok(url)
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
